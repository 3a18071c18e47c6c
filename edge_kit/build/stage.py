"""What a stage of a build is: a plain function of a context and typed values that returns a frozen dataclass.

The result may hold files of the context's folder (``SealedFile``, or a ``Path`` for a folder), numbers, texts, arrays,
and tuples, mappings and dataclasses of them (``edge_kit.build.codec``). It must be deterministic: no time, no path of
this machine and no random number may be in it. What the function reads beside its arguments, it states by ``uses``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

Progress: TypeAlias = Callable[[float | None, str], None]
Uses: TypeAlias = Callable[[], Mapping[str, object]]
"""Names of what a stage reads beside its arguments, with paths (their content counts) or texts."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class StageContext:
    """What every stage is given.

    ``out``: a fresh, empty folder for its files (no links). ``progress(fraction or None, message)`` reports how far it
    is, and ends the stage (``StageCancelled``) when the build is stopping, so a long stage calls it often.
    """

    out: Path
    progress: Progress


class StageCancelled(Exception):
    """Raised inside a stage by ``context.progress`` when the build is stopping; let it pass."""


def uses(read: Uses) -> Callable[[_Function], _Function]:
    """Mark a stage's function as one that reads ``read()`` beside its arguments, which is then part of its key."""

    def mark(function: _Function) -> _Function:
        function.__dict__["uses"] = read
        return function

    return mark


def used_by(function: Callable[..., Any]) -> Mapping[str, object]:
    """Return what ``uses`` states for a function, empty where it states nothing."""
    read: Uses | None = function.__dict__.get("uses")
    return read() if read else {}

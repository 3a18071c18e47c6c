"""What a pipeline file says, by the names of the kit's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["kit", "paddlex-early", "paddlex-3.0b1", "paddlex-3"]
"""The kit's own; PaddleX's first form (``det_model``); that of 3.0-beta1 (``text_det_model``); that of 3.x."""


@dataclass(frozen=True)
class Ignored:
    """A key that has no effect here, and why; ``line`` of the file counts from 1, None where there is no file."""

    key: str
    why: str
    line: int | None = None

    @property
    def named(self) -> str:
        """The key with its line."""
        return self.key if self.line is None else f"line {self.line}: {self.key}"

    def __str__(self) -> str:
        return f"{self.named} ({self.why})"


def listed(ignored: Sequence[Ignored]) -> list[str]:
    """Return a text for each reason, with all the keys that it holds for, in the order of their first key."""
    reasons = dict.fromkeys(one.why for one in ignored)
    return [f"{', '.join(one.named for one in ignored if one.why == why)} ({why})" for why in reasons]


@dataclass(frozen=True)
class Place:
    """Where a setting comes from: the key as a dotted path, and its line."""

    key: str
    line: int | None = None


@dataclass(frozen=True)
class PipelineFile:
    """A pipeline file of any kind.

    ``settings`` are fields of ``PipelineSettings`` with their values, paths absolute; ``places`` says where each of
    them stands in the file.
    """

    kind: Kind
    settings: Mapping[str, Any]
    ignored: tuple[Ignored, ...] = ()
    places: Mapping[str, Place] | None = None

"""What a pipeline file says, by the names of the kit's settings."""

from __future__ import annotations

from collections.abc import Mapping
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

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.key} ({self.why})"


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

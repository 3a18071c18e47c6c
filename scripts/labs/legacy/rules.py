"""The mistakes of device demos: switches over a specification profile, for comparison only.

Kept apart from the specification: no app and no bundle reads these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from edge_kit.spec.load import SpecError, profile
from edge_kit.spec.model import SpecProfile
from model_opt.config import read_config

FOLDER = Path(__file__).parent
"""Where the study's own configuration stands."""


@dataclass(frozen=True)
class Unclip:
    """Another way to grow a box: Clipper's offset with another ratio, or an inflated rectangle."""

    kind: Literal["offset", "inflate"]
    ratio: float


@dataclass(frozen=True)
class LegacyRules:
    """One switch for each known mistake, all off. The fields stand in the order of the rows of ``docs/legacy.md``.

    What each does stands in ``legacy_spec.schema.json``. ``None`` and ``False`` leave the server's rule.
    """

    side_block_below: bool = False
    squash_to: int | None = None
    mask_levels: float | None = None
    mask_unscaled: bool = False
    box_thresh: float | None = None
    unclip: Unclip | None = None
    contour_score: bool = False
    dilation: bool = False
    integer_boxes: bool = False
    min_side_exclusive: int | None = None
    contour_order: bool = False
    warp_flags: bool = False
    cut_first: bool = False
    first_sides: bool = False
    line_height: int | None = None
    line_min_width: int | None = None
    pad_pixel: int | None = None
    empty_nan: bool = False
    keep_all: bool = False
    rgb_lines: bool = False
    first_scale: bool = False

    @property
    def rows(self) -> tuple[int, ...]:
        """Return the numbers (from 1) of the switches that are on."""
        values = [getattr(self, field.name) for field in fields(self)]
        return tuple(row for row, value in enumerate(values, start=1) if value is not None and value is not False)


@dataclass(frozen=True)
class LegacyProfile:
    """A named set of mistakes, and what to say of it."""

    name: str
    title: str
    server: str
    demo: str
    seen_in: tuple[str, ...]
    rules: LegacyRules


@dataclass(frozen=True)
class LegacySpec:
    """All mistakes, and the profile that they are measured against."""

    base: SpecProfile
    same_box: float
    """IoU from which a box is found again."""
    same_line: float
    """IoU from which two boxes hold the same line, so that their texts are compared."""
    profiles: tuple[LegacyProfile, ...]


def load_legacy(path: Path | None = None) -> LegacySpec:
    """Load the mistakes from ``path`` (default: ``legacy_spec.yaml`` beside this file).

    Raises ``SpecError`` naming the file, the key and what is allowed there.
    """
    path = path or FOLDER / "legacy_spec.yaml"
    document = read_config(path, FOLDER / "legacy_spec.schema.json", SpecError)
    profiles = tuple(_profile(name, values) for name, values in document["profiles"].items())
    return LegacySpec(profile(document["base_profile"]), **document["report"], profiles=profiles)


def legacy_profile(name: str, spec: LegacySpec | None = None) -> LegacyProfile:
    """Return the set of mistakes called ``name``; raise ``SpecError`` that lists the known names."""
    spec = spec or load_legacy()
    for candidate in spec.profiles:
        if candidate.name == name:
            return candidate
    known = ", ".join(candidate.name for candidate in spec.profiles)
    raise SpecError(f"unknown legacy profile {name!r}", hint=f"use one of: {known}")


def _profile(name: str, values: Mapping[str, Any]) -> LegacyProfile:
    rules = dict(values["rules"])
    if "unclip" in rules:
        rules["unclip"] = Unclip(**rules["unclip"])
    return LegacyProfile(
        name=name,
        title=values["title"],
        server=values["server"],
        demo=values["demo"],
        seen_in=tuple(values.get("seen_in", ())),
        rules=LegacyRules(**rules),
    )

"""What a user asks a build for, and the checks that come before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_kit.settings import DEFAULT_DET, DEFAULT_REC
from model_opt.errors import KitError
from model_opt.opt_tool import ConvertOptions

Role = Literal["det", "rec"]
ROLES: tuple[Role, ...] = ("det", "rec")

_PLACES: Mapping[str, tuple[Literal["arm", "opencl,arm", "x86"], bool]] = {
    "arm64": ("arm", False),
    "arm64-fp16": ("arm", True),
    "arm64-opencl": ("opencl,arm", False),
    "armv7": ("arm", False),
    "x86": ("x86", False),
}
_WEIGHT_BITS: Mapping[str, Literal[8, 16] | None] = {
    "fp32": None,
    "fp16": None,
    "weight_int16": 16,
    "weight_int8": 8,
}


@dataclass(frozen=True)
class BuildRequest:
    """The options of ``edge-kit build``, as given."""

    target: str
    recipe: str
    device_profile: str | None
    det_model: str | None
    rec_model: str | None
    rec_dict: Path | None
    images: Path | None
    out: Path
    offline: bool
    jobs: int
    allow_failed_gates: bool
    optimise: bool = True

    def model(self, role: Role) -> str:
        """Return the name or path of the model for ``role``."""
        given = self.det_model if role == "det" else self.rec_model
        return given or (DEFAULT_DET if role == "det" else DEFAULT_REC)


def targets() -> tuple[str, ...]:
    """Return the names of the targets that can be built."""
    return tuple(_PLACES)


def convert_options(target: str, recipe: str) -> ConvertOptions:
    """Return what opt is asked for; raise ``KitError`` for an unknown or unfit target or recipe."""
    if target not in _PLACES:
        raise KitError(f"unknown target {target!r}", hint=f"use one of: {', '.join(_PLACES)}")
    if recipe not in _WEIGHT_BITS:
        raise KitError(f"unknown recipe {recipe!r}", hint=f"use one of: {', '.join(_WEIGHT_BITS)}")
    place, fp16_target = _PLACES[target]
    if recipe == "fp16" and not fp16_target:
        raise KitError(
            f"recipe fp16 needs a target whose cores compute in fp16 (ARMv8.2), and {target} has none",
            hint="use --target arm64-fp16, or another recipe",
        )
    return ConvertOptions(place=place, fp16=recipe == "fp16", weight_bits=_WEIGHT_BITS[recipe])

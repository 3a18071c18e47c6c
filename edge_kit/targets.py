"""The targets that a build can be for: one table, with all that depends on the target alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from model_opt.errors import KitError


@dataclass(frozen=True)
class Target:
    """A kind of device: the kernels that its files name, whether all its cores compute in fp16 (ARMv8.2), its ABI,
    whether the kit has an app for it, and the device profile where the user names none.
    """

    name: str
    place: Literal["arm", "opencl", "x86"]
    fp16: bool
    abi: str
    app: bool
    profile: str


TARGETS: Mapping[str, Target] = {
    row.name: row
    for row in (
        Target("arm64", "arm", False, "arm64-v8a", True, "generic-arm64"),
        Target("arm64-fp16", "arm", True, "arm64-v8a", True, "arm64-fp16"),
        Target("arm64-opencl", "opencl", False, "arm64-v8a", True, "arm64-opencl-adreno"),
        Target("armv7", "arm", False, "armeabi-v7a", True, "armv7"),
        Target("x86", "x86", False, "x86_64", False, "x86"),
    )
}


def target_of(name: str) -> Target:
    """Return a target by its name; ``KitError`` that lists the known ones."""
    if name not in TARGETS:
        raise KitError(f"unknown target {name!r}", hint=f"use one of: {', '.join(TARGETS)}")
    return TARGETS[name]

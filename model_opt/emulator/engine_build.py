"""Which build of the engine is emulated: its compiler orders the sums of C++ code by its options (-ffast-math)."""

from __future__ import annotations

from enum import Enum


class EngineBuild(Enum):
    """A build by GCC for 64-bit ARM. Only the transforms of Winograd differ, in the last bit of some sums."""

    RELEASE = "-Os"
    """The options of upstream's own releases."""
    FAST = "-O3"

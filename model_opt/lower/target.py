"""The target of a file: place, precision, and the release of Paddle Lite that will read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from model_opt.errors import KitError

Place = Literal["arm", "opencl", "x86"]

RUNTIMES: Mapping[str, str] = {"2.13rc0": "v2.13-rc", "2.14rc0": "v2.14-rc"}
"""The releases of Paddle Lite that files are written for, with what their headers say."""

NEWEST = "2.14rc0"
"""The release that supports PP-OCRv4 officially."""


OPT_ROUNDS = frozenset({"fc", "conv2d", "mul", "matmul", "matmul_v2", "lookup_table"})
"""The operators whose weights opt rounds to integers; the runtime turns back those of fewer."""


@dataclass(frozen=True, slots=True)
class Target:
    """``place``: where the kernels run, with ARM's and the host's where OpenCL has none. ``fp16``: ARM's kernels in
    half precision where they exist. ``weight_bits``: weights rounded to integers that the runtime turns back into
    floats. ``runtime``: a release of ``RUNTIMES``. ``rounded``: the operators whose weights are rounded, some of
    ``OPT_ROUNDS``.
    """

    place: Place = "arm"
    fp16: bool = False
    weight_bits: Literal[8, 16] | None = None
    runtime: str = NEWEST
    rounded: frozenset[str] = OPT_ROUNDS

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES:
            known = ", ".join(RUNTIMES)
            raise KitError(f"no kernels are known of Paddle Lite {self.runtime}", hint=f"use one of: {known}")

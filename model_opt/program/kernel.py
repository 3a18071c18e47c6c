"""The kernel of Paddle Lite that runs an operator; the numbers of targets, precisions, layouts (``paddle_place.h``)."""

from __future__ import annotations

from dataclasses import dataclass

TARGETS = (
    "unk", "host", "x86", "cuda", "arm", "opencl", "any", "fpga", "npu", "xpu", "bm", "mlu", "rknpu", "apu",
    "huawei_ascend_npu", "imagination_nna", "intel_fpga", "metal", "nnadapter",
)  # fmt: skip
PRECISIONS = ("unk", "fp32", "int8", "int32", "any", "fp16", "bool", "int64", "int16", "uint8", "fp64")
LAYOUTS = (
    "unk", "NCHW", "any", "NHWC", "ImageDefault", "ImageFolder", "ImageNW", "MetalTexture2DArray", "MetalTexture2D",
)  # fmt: skip


def enum_name(names: tuple[str, ...], number: int) -> str:
    """Return the name of ``number``, or ``unknown(<number>)`` for one that this list does not have."""
    return names[number] if 0 <= number < len(names) else f"unknown({number})"


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel that opt chose for one operator: names and the numbers of ``paddle_place.h``."""

    op: str
    alias: str
    target: int
    precision: int
    layout: int

    @property
    def target_name(self) -> str:
        """``arm``, ``x86``, ``opencl``, ``host``, … or ``unknown(<number>)``."""
        return enum_name(TARGETS, self.target)

    @property
    def precision_name(self) -> str:
        """``fp32``, ``fp16``, ``int8``, ``any``, … or ``unknown(<number>)``."""
        return enum_name(PRECISIONS, self.precision)

    @property
    def layout_name(self) -> str:
        """``NCHW``, ``ImageDefault``, ``any``, … or ``unknown(<number>)``."""
        return enum_name(LAYOUTS, self.layout)

    @property
    def key(self) -> str:
        """The name under which the runtime looks the kernel up: ``op/alias/target/precision/layout``, in numbers."""
        return f"{self.op}/{self.alias}/{self.target}/{self.precision}/{self.layout}"

    def __str__(self) -> str:
        return f"{self.op}/{self.alias}/{self.target_name}/{self.precision_name}/{self.layout_name}"

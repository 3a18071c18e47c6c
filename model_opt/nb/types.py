"""The values a ``.nb`` file holds, and the numbers Paddle Lite gives to types, targets, precisions and layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

KERNEL_ATTR = "__@kernel_type_attr@__"


class AttrType(IntEnum):
    """How the value of an operator attribute is stored."""

    INT = 0
    FLOAT = 1
    STRING = 2
    INTS = 3
    FLOATS = 4
    STRINGS = 5
    BOOLEAN = 6
    BOOLEANS = 7
    BLOCK = 8
    LONG = 9
    BLOCKS = 10
    LONGS = 11
    FLOAT64S = 12
    VAR = 13
    VARS = 14
    FLOAT64 = 15


class VarType(IntEnum):
    """What a variable is, or the type of a tensor's elements (one list of numbers serves both)."""

    BOOL = 0
    INT16 = 1
    INT32 = 2
    INT64 = 3
    FP16 = 4
    FP32 = 5
    FP64 = 6
    LOD_TENSOR = 7
    SELECTED_ROWS = 8
    FEED_MINIBATCH = 9
    FETCH_LIST = 10
    STEP_SCOPES = 11
    LOD_RANK_TABLE = 12
    LOD_TENSOR_ARRAY = 13
    PLACE_LIST = 14
    READER = 15
    RAW = 17
    TUPLE = 18
    SIZE_T = 19
    UINT8 = 20
    INT8 = 21


DTYPES: Mapping[VarType, np.dtype[Any]] = {
    VarType.BOOL: np.dtype(np.bool_),
    VarType.INT16: np.dtype("<i2"),
    VarType.INT32: np.dtype("<i4"),
    VarType.INT64: np.dtype("<i8"),
    VarType.FP16: np.dtype("<f2"),
    VarType.FP32: np.dtype("<f4"),
    VarType.FP64: np.dtype("<f8"),
    VarType.UINT8: np.dtype(np.uint8),
    VarType.INT8: np.dtype(np.int8),
}
"""The numpy type of each element type a parameter may have."""

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


AttrValue = bool | int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | tuple[bool, ...]


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

    def __str__(self) -> str:
        return f"{self.op}/{self.alias}/{self.target_name}/{self.precision_name}/{self.layout_name}"


@dataclass(frozen=True, slots=True)
class OpDesc:
    """One operator: argument names by parameter, typed attributes, and the kernel that runs it.

    ``attrs`` holds every attribute, the kernel string included; ``attr_types`` how each was stored.
    """

    type: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    attrs: Mapping[str, AttrValue]
    attr_types: Mapping[str, AttrType]
    kernel: Kernel | None
    is_target: bool = False


@dataclass(frozen=True, slots=True)
class VarDesc:
    """One declared variable. ``data_type`` and ``dims`` are None for what is not a tensor."""

    name: str
    type: VarType
    persistable: bool
    need_check_feed: bool
    data_type: VarType | None
    dims: tuple[int, ...] | None
    lod_level: int = 0

    @property
    def is_param(self) -> bool:
        """True when the file must carry the tensor of this variable."""
        return self.persistable and self.type is VarType.LOD_TENSOR


@dataclass(frozen=True, slots=True)
class BlockDesc:
    """A list of variables and the operators over them, in the order they run."""

    idx: int
    parent_idx: int
    forward_block_idx: int
    vars: tuple[VarDesc, ...]
    ops: tuple[OpDesc, ...]


@dataclass(frozen=True, slots=True, eq=False)
class NbTensor:
    """A parameter. ``data`` is a read-only view into the file's bytes, shaped as ``dims``.

    The view need not be aligned to its element size: the format does not align parameters in the file.
    """

    name: str
    dims: tuple[int, ...]
    data_type: VarType
    data: NDArray[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of the elements."""
        return self.data.dtype

    @property
    def nbytes(self) -> int:
        """The size of the data in bytes."""
        return self.data.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class NbModel:
    """A whole ``.nb`` file, checked. ``path`` is None when it was read from memory."""

    meta_version: int
    opt_version: str
    program_version: int
    blocks: tuple[BlockDesc, ...]
    params: Mapping[str, NbTensor]
    op_versions: Mapping[str, int] = field(default_factory=dict)
    nbytes: int = 0
    is_canonical: bool = True
    path: str | None = None

    @property
    def ops(self) -> tuple[OpDesc, ...]:
        """The operators of the main block."""
        return self.blocks[0].ops

    @property
    def vars(self) -> tuple[VarDesc, ...]:
        """The variables of the main block."""
        return self.blocks[0].vars

    def all_ops(self) -> Iterator[OpDesc]:
        """Yield the operators of every block, in order."""
        for block in self.blocks:
            yield from block.ops

    def var(self, name: str) -> VarDesc:
        """Return the variable ``name`` of the main block; ``KeyError`` when it is not declared."""
        for var in self.blocks[0].vars:
            if var.name == name:
                return var
        raise KeyError(name)

"""A program as values, whatever file it came from: blocks of variables and operators. Changing one gives a new one.

The names follow ``framework.proto``, which Paddle and Paddle Lite share. ``extra`` fields hold what the reader of a
file does not know, encoded, for its writer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from model_opt.program.kernel import Kernel


class AttrType(IntEnum):
    """How the value of an attribute is stored."""

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
    SCALAR = 16
    SCALARS = 17


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
    BF16 = 22
    COMPLEX64 = 23
    COMPLEX128 = 24


DTYPES: Mapping[int, np.dtype[Any]] = {
    VarType.BOOL: np.dtype(np.bool_),
    VarType.INT16: np.dtype("<i2"),
    VarType.INT32: np.dtype("<i4"),
    VarType.INT64: np.dtype("<i8"),
    VarType.FP16: np.dtype("<f2"),
    VarType.FP32: np.dtype("<f4"),
    VarType.FP64: np.dtype("<f8"),
    VarType.UINT8: np.dtype(np.uint8),
    VarType.INT8: np.dtype(np.int8),
    VarType.BF16: np.dtype("<u2"),
    VarType.COMPLEX64: np.dtype("<c8"),
    VarType.COMPLEX128: np.dtype("<c16"),
}
"""The numpy type of each element type. numpy has no bfloat16: its bits stand in uint16, which Paddle lacks."""

ELEMENT_TYPES: Mapping[np.dtype[Any], VarType] = {dtype: VarType(kind) for kind, dtype in DTYPES.items()}
"""The element type of each numpy type."""

AttrValue = bool | int | float | str | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attr:
    """A typed attribute. ``value`` is None for a type that is not known here; then ``extra`` holds it.

    A ``FLOAT`` is rounded to 32 bits when it is written.
    """

    type: int
    value: AttrValue | None
    extra: bytes = b""


def attr_of(value: AttrValue) -> Attr:
    """Return the attribute for a Python value: bool, int (LONG beyond 32 bits), float (32 bits), str or a tuple of one.

    An empty tuple gives INTS. Raises ``TypeError`` for a tuple of mixed types and for anything else.
    """
    items = value if isinstance(value, tuple) else (value,)
    types = {type(item) for item in items}
    if types == {bool}:
        kinds = (AttrType.BOOLEAN, AttrType.BOOLEANS)
    elif types == {int} or not types:
        long = any(not -(1 << 31) <= int(item) < 1 << 31 for item in items)
        kinds = (AttrType.LONG, AttrType.LONGS) if long else (AttrType.INT, AttrType.INTS)
    elif types <= {int, float}:
        kinds = (AttrType.FLOAT, AttrType.FLOATS)
    elif types == {str}:
        kinds = (AttrType.STRING, AttrType.STRINGS)
    else:
        raise TypeError(f"no attribute type for {value!r}")
    return Attr(kinds[isinstance(value, tuple)], value)


@dataclass(frozen=True, slots=True)
class Op:
    """One operator: argument names by parameter, typed attributes, and the kernel that runs it once one is chosen."""

    type: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    is_target: bool | None = None
    kernel: Kernel | None = None
    extra: bytes = b""
    argument_extra: Mapping[tuple[str, str], bytes] = field(default_factory=dict)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Every variable that the operator reads, in order."""
        return tuple(name for names in self.inputs.values() for name in names)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Every variable that the operator writes, in order."""
        return tuple(name for names in self.outputs.values() for name in names)

    def input(self, parameter: str) -> str:
        """Return the one variable given to ``parameter``; ``KeyError`` when there is none or more than one."""
        return _only(self.inputs, parameter, self.type)

    def output(self, parameter: str) -> str:
        """Return the one variable that ``parameter`` fills; ``KeyError`` when there is none or more than one."""
        return _only(self.outputs, parameter, self.type)

    def attr(self, name: str, default: AttrValue | None = None) -> AttrValue | None:
        """Return the value of an attribute, ``default`` when the operator lacks it."""
        found = self.attrs.get(name)
        return default if found is None else found.value

    def with_attr(self, name: str, value: AttrValue, kind: AttrType | None = None) -> Op:
        """Return the operator with an attribute set: of type ``kind``, else of the type it has, else by the value."""
        old = self.attrs.get(name)
        if kind is not None:
            attr = Attr(kind, value)
        elif old is not None and old.value is not None:
            attr = dataclasses.replace(old, value=value)
        else:
            attr = attr_of(value)
        return dataclasses.replace(self, attrs={**self.attrs, name: attr})

    def without_attr(self, name: str) -> Op:
        """Return the operator without an attribute."""
        return dataclasses.replace(self, attrs={key: attr for key, attr in self.attrs.items() if key != name})

    def with_input(self, parameter: str, *names: str) -> Op:
        """Return the operator with ``parameter`` fed by ``names``."""
        return dataclasses.replace(self, inputs={**self.inputs, parameter: names})

    def with_output(self, parameter: str, *names: str) -> Op:
        """Return the operator with ``parameter`` filling ``names``."""
        return dataclasses.replace(self, outputs={**self.outputs, parameter: names})

    def renamed(self, names: Mapping[str, str]) -> Op:
        """Return the operator with its arguments renamed: ``{old: new}``; others stay."""
        inputs = {key: tuple(names.get(name, name) for name in old) for key, old in self.inputs.items()}
        outputs = {key: tuple(names.get(name, name) for name in old) for key, old in self.outputs.items()}
        return dataclasses.replace(self, inputs=inputs, outputs=outputs)


def _only(arguments: Mapping[str, tuple[str, ...]], parameter: str, op_type: str) -> str:
    names = arguments.get(parameter, ())
    if len(names) != 1:
        raise KeyError(f"{op_type} has {len(names)} variables at {parameter}, not one")
    return names[0]


@dataclass(frozen=True, slots=True)
class VarExtra:
    """Unknown fields of the four nested messages that describe a variable."""

    var: bytes = b""
    type: bytes = b""
    lod_tensor: bytes = b""
    tensor: bytes = b""


@dataclass(frozen=True, slots=True)
class Var:
    """A declared variable. ``data_type``, ``dims`` (-1 for any) and ``lod_level`` only for tensors."""

    name: str
    kind: int = VarType.LOD_TENSOR
    data_type: int | None = None
    dims: tuple[int, ...] | None = None
    lod_level: int | None = None
    persistable: bool | None = None
    need_check_feed: bool | None = None
    is_parameter: bool | None = None
    stop_gradient: bool | None = None
    extra: VarExtra = VarExtra()

    @property
    def is_param(self) -> bool:
        """True when the model's parameters hold a tensor for this variable."""
        return bool(self.persistable) and self.kind == VarType.LOD_TENSOR


@dataclass(frozen=True, slots=True)
class Block:
    """Variables, and operators in the order they run."""

    idx: int
    parent_idx: int
    vars: tuple[Var, ...]
    ops: tuple[Op, ...]
    forward_block_idx: int | None = None
    extra: bytes = b""

    def var(self, name: str) -> Var:
        """Return a variable; ``KeyError`` when it is not declared. For many look-ups take ``var_map``."""
        for var in self.vars:
            if var.name == name:
                return var
        raise KeyError(name)

    def var_map(self) -> dict[str, Var]:
        """Return the variables by name."""
        return {var.name: var for var in self.vars}

    def with_ops(self, ops: Iterable[Op]) -> Block:
        """Return the block with other operators."""
        return dataclasses.replace(self, ops=tuple(ops))

    def with_vars(self, *variables: Var) -> Block:
        """Return the block with variables replaced by name, or added behind the others."""
        return dataclasses.replace(self, vars=tuple((self.var_map() | {var.name: var for var in variables}).values()))

    def without_vars(self, names: Iterable[str]) -> Block:
        """Return the block without some variables."""
        gone = set(names)
        return dataclasses.replace(self, vars=tuple(var for var in self.vars if var.name not in gone))


@dataclass(frozen=True, slots=True)
class Program:
    """Blocks; the first is the main one. ``version`` is Paddle's program version number."""

    blocks: tuple[Block, ...]
    version: int | None = None
    extra: bytes = b""
    version_extra: bytes = b""

    @property
    def main(self) -> Block:
        """The block that runs; others belong to control flow."""
        return self.blocks[0]

    @property
    def ops(self) -> tuple[Op, ...]:
        """The operators of the main block."""
        return self.main.ops

    @property
    def vars(self) -> tuple[Var, ...]:
        """The variables of the main block."""
        return self.main.vars

    def all_ops(self) -> Iterator[Op]:
        """Yield the operators of every block, in order."""
        for block in self.blocks:
            yield from block.ops

    def with_main(self, block: Block) -> Program:
        """Return the program with another main block."""
        return dataclasses.replace(self, blocks=(block, *self.blocks[1:]))

    def with_ops(self, ops: Iterable[Op]) -> Program:
        """Return the program with other operators in the main block."""
        return self.with_main(self.main.with_ops(ops))

    def declared_params(self) -> dict[str, Var]:
        """Return the variables of all blocks that need a parameter, by name."""
        return {var.name: var for block in self.blocks for var in block.vars if var.is_param}

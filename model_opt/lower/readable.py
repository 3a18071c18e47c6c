"""What of a program the lowering can read: one block, declared tensors of known types, plain attributes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from model_opt.lower.errors import LowerError, refuse
from model_opt.nb.schema import ATTR_SLOTS, NEWEST_TYPE
from model_opt.program import Attr, AttrType, Op, Program, Var, VarType

_NOT_CARRIED = frozenset({"op_callstack", "op_namescope", "op_role", "op_role_var", "workspace_size_MB"})
"""Attributes that Paddle writes for itself; no kernel of Paddle Lite reads one."""
_KINDS = frozenset({VarType.LOD_TENSOR, VarType.FEED_MINIBATCH, VarType.FETCH_LIST})
_TYPES = ATTR_SLOTS.keys() - {AttrType.BLOCK, AttrType.BLOCKS}

_BOUNDS: Mapping[int, int] = {
    AttrType.INT: 1 << 31, AttrType.INTS: 1 << 31, AttrType.LONG: 1 << 63, AttrType.LONGS: 1 << 63,
}  # fmt: skip
"""The bounds of integers by type: from minus this to below it."""


def check_readable(program: Program) -> None:
    """Raise ``LowerError`` for what no file of Paddle Lite says or no kernel takes.

    That is control flow, an attribute that refers to blocks or variables or has an unknown type, and an argument that
    is not a declared tensor.
    """
    if len(program.blocks) != 1:
        raise LowerError(
            f"the program has {len(program.blocks)} blocks: control flow is not supported",
            hint="export the model for inference with fixed branches",
        )
    for var in program.vars:
        _check_name(var.name)
    tensors = {var.name: var for var in program.vars if var.kind in _KINDS}
    for var in tensors.values():
        _check_element_type(var)
    for index, op in enumerate(program.ops):
        _check_op(op, index, tensors.keys())


def carried_attrs(op: Op) -> dict[str, Attr]:
    """Return the attributes that go into a file, as it holds them: 32-bit floats are rounded."""
    return {name: _rounded(attr) for name, attr in op.attrs.items() if name not in _NOT_CARRIED}


def _rounded(attr: Attr) -> Attr:
    value: Any = attr.value
    if attr.type == AttrType.FLOAT:
        return Attr(attr.type, float(np.float32(value)))
    if attr.type == AttrType.FLOATS:
        return Attr(attr.type, tuple(np.asarray(value, np.float32).tolist()))
    return Attr(attr.type, value)


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise LowerError(f"the name {name!r} is not in UTF-8", hint="export the model again") from None


def _check_element_type(var: Var) -> None:
    if var.data_type is not None and (var.data_type not in frozenset(VarType) or var.data_type > NEWEST_TYPE):
        raise LowerError(
            f"variable {var.name!r} has the element type {int(var.data_type)}, which Paddle Lite lacks",
            hint="export the model in float32",
        )


def _check_op(op: Op, index: int, declared: Collection[str]) -> None:
    for name in (*op.input_names, *op.output_names):
        if name not in declared:
            refuse(op.type, index, f"its argument {name!r} is no declared tensor", "export the model again")
    for name, attr in op.attrs.items():
        if name not in _NOT_CARRIED:
            _check_attr(op, index, name, attr)


def _check_attr(op: Op, index: int, name: str, attr: Attr) -> None:
    if attr.type not in _TYPES or attr.value is None:
        refuse(op.type, index, f"its attribute {name!r} has the type {int(attr.type)}, which is not supported")
    bound = _BOUNDS.get(attr.type)
    numbers: Any = attr.value if isinstance(attr.value, tuple) else (attr.value,)
    if bound is not None and not all(-bound <= int(number) < bound for number in numbers):
        refuse(op.type, index, f"its attribute {name!r} holds a number that its type cannot")

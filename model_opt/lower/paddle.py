"""A Paddle program as the lowering's source: the only module here that knows ``PaddleModel``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from model_opt.lower.errors import LowerError, refuse
from model_opt.lower.source import Attr, Source, SourceOp, Variable
from model_opt.nb.types import AttrType, AttrValue, VarType
from model_opt.paddle_model import Op, PaddleModel, Var
from model_opt.paddle_model.program import Attr as PaddleAttr

_NOT_CARRIED = frozenset({"op_callstack", "op_namescope", "op_role", "op_role_var", "workspace_size_MB"})
"""Attributes that Paddle writes for itself; no kernel of Paddle Lite reads one."""
_KINDS = frozenset({VarType.LOD_TENSOR, VarType.FEED_MINIBATCH, VarType.FETCH_LIST})
_TYPES = frozenset(
    {
        AttrType.INT, AttrType.FLOAT, AttrType.STRING, AttrType.INTS, AttrType.FLOATS, AttrType.STRINGS,
        AttrType.BOOLEAN, AttrType.BOOLEANS, AttrType.LONG, AttrType.LONGS, AttrType.FLOAT64, AttrType.FLOAT64S,
    }
)  # fmt: skip

_BOUNDS: Mapping[int, int] = {
    AttrType.INT: 1 << 31, AttrType.INTS: 1 << 31, AttrType.LONG: 1 << 63, AttrType.LONGS: 1 << 63,
}  # fmt: skip
"""The bounds of integers by type: from minus this to below it."""


def source_of(model: PaddleModel) -> Source:
    """Return a Paddle model as the lowering reads it.

    Raises ``LowerError`` for control flow, for an attribute that refers to blocks or variables or has an unknown type,
    and for an argument that is not a declared tensor.
    """
    if len(model.program.blocks) != 1:
        found = len(model.program.blocks)
        raise LowerError(
            f"the program has {found} blocks: control flow is not supported",
            hint="export the model for inference with fixed branches",
        )
    main = model.program.main
    for var in main.vars:
        _check_name(var.name)
    variables = {var.name: _variable(var) for var in main.vars if var.kind in _KINDS}
    ops = tuple(_op(op, index, variables.keys()) for index, op in enumerate(main.ops))
    return Source(model.program.version or 0, ops, variables, model.params)


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise LowerError(f"the name {name!r} is not in UTF-8", hint="export the model again") from None


def _variable(var: Var) -> Variable:
    data_type = None if var.data_type is None else _known_type(var)
    return Variable(VarType(var.kind), data_type, var.dims or ())


def _known_type(var: Var) -> VarType:
    try:
        return VarType(int(var.data_type or 0))
    except ValueError:
        raise LowerError(
            f"variable {var.name!r} has the element type {var.data_type}, which Paddle Lite lacks",
            hint="export the model in float32",
        ) from None


def _op(op: Op, index: int, declared: object) -> SourceOp:
    for name in (*op.input_names, *op.output_names):
        if name not in declared:  # type: ignore[operator]
            refuse(op.type, index, f"its argument {name!r} is no declared tensor", "export the model again")
    attrs = {name: _attr(op, index, name, attr) for name, attr in op.attrs.items() if name not in _NOT_CARRIED}
    return SourceOp(op.type, op.inputs, op.outputs, attrs)


def _attr(op: Op, index: int, name: str, attr: PaddleAttr) -> Attr:
    if attr.type not in _TYPES or attr.value is None:
        refuse(op.type, index, f"its attribute {name!r} has the type {int(attr.type)}, which is not supported")
    held = _held(attr)
    bound = _BOUNDS.get(attr.type)
    numbers = held if isinstance(held, tuple) else (held,)
    if bound is not None and not all(-bound <= int(number) < bound for number in numbers):
        refuse(op.type, index, f"its attribute {name!r} holds a number that its type cannot")
    return Attr(AttrType(int(attr.type)), held)


def _held(attr: PaddleAttr) -> AttrValue:
    """Return a value as a file holds it: 32-bit floats are rounded."""
    value: Any = attr.value
    if attr.type == AttrType.FLOAT:
        return float(np.float32(value))
    if attr.type == AttrType.FLOATS:
        return tuple(np.asarray(value, np.float32).tolist())
    return cast("AttrValue", value)

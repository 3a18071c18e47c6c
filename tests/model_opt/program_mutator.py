"""Damage to Paddle programs: in the bytes of their files, and in what was read of them."""

from __future__ import annotations

import dataclasses
import random
import struct
from collections.abc import Callable

import numpy as np

from model_opt.paddle_model.params import encode_params
from model_opt.paddle_model.proto import encode_program
from model_opt.program import Attr, AttrType, Model, Op, Var, attr_of

NUMBERS = (-(1 << 31), -7, -1, 0, 1, 2, 3, 4, 5, 7, 63, 255, 1 << 16, (1 << 31) - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e38, float("inf"), float("-inf"), float("nan"), 0.5, 3.0)
TYPES = (
    "conv2d", "depthwise_conv2d", "conv2d_transpose", "elementwise_add", "elementwise_mul", "elementwise_sub",
    "batch_norm", "relu", "hard_sigmoid", "swish", "pool2d", "reshape2", "transpose2", "matmul_v2", "slice", "concat",
    "scale", "softmax", "layer_norm", "dropout", "assign", "shape", "fill_constant", "flatten_contiguous_range",
    "squeeze2", "unsqueeze2", "reduce_mean", "nearest_interp_v2", "cast", "split", "feed", "fetch", "odd",
)  # fmt: skip


def file_bytes(model: Model) -> tuple[bytes, bytes]:
    """Return the two files of a model."""
    return encode_program(model.program), encode_params(model.params)


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return ``data`` with one to four damages."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if len(damaged) >= 8:
            _damage(rng, damaged)
    return bytes(damaged)


def _damage(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) - 7)
    kind = rng.randrange(8)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at] = rng.randrange(256)
    elif kind == 2:
        struct.pack_into("<i", data, at, rng.choice(NUMBERS))
    elif kind == 3:
        struct.pack_into("<q", data, at, rng.choice(NUMBERS))
    elif kind == 4:
        del data[rng.randrange(len(data)) :]
    elif kind == 5:
        del data[at : at + rng.randrange(1, 65)]
    elif kind == 6:
        data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 17)))
    else:
        piece = data[at : at + rng.randrange(1, 65)]
        target = rng.randrange(len(data))
        data[target : target + rng.choice((0, len(piece)))] = piece


def mutate_model(rng: random.Random, model: Model, others: list[Model]) -> Model:
    """Return a model with one to three damages that its files could hold, operators of ``others`` among them."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        model = rng.choice(_DAMAGES)(rng, model, others)
    return model


def _with_op(rng: random.Random, model: Model, change: Callable[[Op], Op]) -> Model:
    ops = list(model.program.main.ops)
    if not ops:
        return model
    at = rng.randrange(len(ops))
    ops[at] = change(ops[at])
    return model.with_program(model.program.with_ops(ops))


def _attribute(rng: random.Random, model: Model, _: list[Model]) -> Model:
    def change(op: Op) -> Op:
        if not op.attrs:
            return op
        name = rng.choice(list(op.attrs))
        kind = rng.randrange(4)
        if kind == 0:
            return op.without_attr(name)
        if kind == 1:
            made = attr_of(rng.choice((True, "SAME", "x", "", 3, 0.5, (1, 2), (0.5,), ("a",), (), NUMBERS)))
            return dataclasses.replace(op, attrs={**op.attrs, name: made})
        return dataclasses.replace(op, attrs={**op.attrs, name: _other(rng, op.attrs[name])})

    return _with_op(rng, model, change)


def _other(rng: random.Random, attr: Attr) -> Attr:
    """Return an attribute of the same type with another value."""
    value = attr.value
    if isinstance(value, bool):
        return dataclasses.replace(attr, value=not value)
    if isinstance(value, int):
        return dataclasses.replace(attr, value=rng.choice(NUMBERS))
    if isinstance(value, float):
        return dataclasses.replace(attr, value=rng.choice(FLOATS))
    if isinstance(value, tuple) and attr.type in (AttrType.INTS, AttrType.LONGS):
        numbers = [*value][: rng.randrange(len(value) + 2)] + [rng.choice(NUMBERS)] * rng.randrange(3)
        rng.shuffle(numbers)
        return dataclasses.replace(attr, value=tuple(numbers))
    return Attr(attr.type, None)


def _kind(rng: random.Random, model: Model, _: list[Model]) -> Model:
    return _with_op(rng, model, lambda op: dataclasses.replace(op, type=rng.choice(TYPES)))


def _argument(rng: random.Random, model: Model, _: list[Model]) -> Model:
    names = [var.name for var in model.program.main.vars] or ["x"]

    def change(op: Op) -> Op:
        side = rng.choice(("inputs", "outputs"))
        slots = dict(getattr(op, side))
        if not slots:
            return op
        slot = rng.choice(list(slots))
        kind = rng.randrange(4)
        if kind == 0:
            del slots[slot]
        elif kind == 1:
            slots[slot] = tuple(rng.choice(names) for _ in range(rng.randrange(4)))
        elif kind == 2:
            slots[slot] = (rng.choice(names),)
        else:
            slots[rng.choice(("X", "Y", "Out", "Input", "Bias", "ShapeTensor"))] = slots.pop(slot)
        return dataclasses.replace(op, **{side: slots})

    return _with_op(rng, model, change)


def _order(rng: random.Random, model: Model, others: list[Model]) -> Model:
    ops = list(model.program.main.ops)
    if not ops:
        return model
    at, to = rng.randrange(len(ops)), rng.randrange(len(ops))
    kind = rng.randrange(4)
    if kind == 0:
        ops[at], ops[to] = ops[to], ops[at]
    elif kind == 1:
        del ops[at]
    elif kind == 2:
        ops.insert(to, ops[at])
    else:
        foreign = rng.choice(others).program.main.ops
        ops[at] = rng.choice(foreign) if foreign else ops[at]
    return model.with_program(model.program.with_ops(ops))


def _sizes(rng: random.Random, model: Model, _: list[Model]) -> Model:
    """Change what a variable declares, and the parameter with it where that is one."""
    variables = [var for var in model.program.main.vars if var.dims is not None]
    if not variables:
        return model
    var: Var = rng.choice(variables)
    array = model.params.get(var.name)
    if array is not None:
        shape = [rng.choice((0, 1, 2, 3, 4, 5, 8)) for _ in range(rng.randrange(6))]
        return model.with_param(var.name, np.zeros(shape, array.dtype) + rng.choice(FLOATS))
    dims = tuple(rng.choice((*NUMBERS, *(var.dims or ()))) for _ in range(rng.randrange(7)))
    block = model.program.main.with_vars(dataclasses.replace(var, dims=dims if rng.random() < 0.8 else None))
    return model.with_program(model.program.with_main(block))


def _values(rng: random.Random, model: Model, _: list[Model]) -> Model:
    if not model.params:
        return model
    name = rng.choice(list(model.params))
    array = np.array(model.params[name])
    if array.size and array.dtype.kind == "f":
        array.reshape(-1)[rng.randrange(array.size)] = rng.choice(FLOATS)
    return model.with_param(name, array)


_DAMAGES = (_attribute, _attribute, _kind, _argument, _argument, _order, _sizes, _values)

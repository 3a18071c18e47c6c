"""Operators that move or name values and compute nothing: any precision."""

from __future__ import annotations

import numpy as np

from model_opt.emulator.state import Array, Values
from model_opt.nb.translate.view import OpView

_INT32 = 2


def _refuse(op: OpView, what: str, *slots: str) -> None:
    """Raise when an input gives what only attributes may."""
    for slot in slots:
        if op.arguments(slot):
            op.fail(f"{what} comes from the input {slot!r}")


def nearest(op: OpView, values: Values) -> None:
    """Nearest neighbour at integer factors: floor(i / factor)."""
    x = values.one(op, "X")
    _refuse(op, "the size", "OutSize", "Scale", "SizeTensor")
    op.must("align_corners", False)
    op.must("interp_method", "nearest")
    op.must("data_layout", "NCHW")
    for name in ("out_d", "out_h", "out_w"):
        op.must(name, -1)
    op.ignore("align_mode")
    factors = op.floats("scale")
    if x.ndim != 4 or len(factors) != 2 or not all(f.is_integer() and f >= 1 for f in factors):
        op.fail(f"the attribute 'scale' is {list(factors)} for {x.ndim} sides")
    values.put(op, "Out", x.repeat(int(factors[0]), axis=2).repeat(int(factors[1]), axis=3))


def concat(op: OpView, values: Values) -> None:
    """X joined along axis; of fp16 and fp32 parts, the first decides (``concat_compute.cc``)."""
    _refuse(op, "the axis", "AxisTensor")
    parts = [values.named(op, name) for name in op.arguments("X")]
    axis = op.integer("axis")
    if not parts:
        op.fail("there is nothing to join")
    if any(part.dtype != parts[0].dtype for part in parts):
        if not all(part.dtype in (np.float16, np.float32) for part in parts):
            op.fail(f"parts of types {[str(part.dtype) for part in parts]}")
        parts = [part.astype(parts[0].dtype) for part in parts]
    try:
        values.put(op, "Out", np.concatenate(parts, axis=axis))
    except ValueError as error:
        op.fail(f"parts of shapes {[list(part.shape) for part in parts]} along axis {axis}: {error}")


def split(op: OpView, values: Values) -> None:
    """X cut along axis, into ``num`` equal parts or into ``sections``."""
    x, axis, outputs = values.one(op, "X"), op.integer("axis"), op.outputs("Out")
    number, sections = op.integer("num", 0), op.ints("sections", ())
    _refuse(op, "where to cut", "AxisTensor", "SectionsTensorList")
    size = x.shape[axis]
    sections = (size // number,) * number if number > 0 and size % number == 0 else sections
    if len(sections) != len(outputs) or sum(sections) != size:
        op.fail(f"side {axis} of {list(x.shape)} is to be cut into {list(sections)} for {len(outputs)} outputs")
    for name, part in zip(outputs, np.split(x, np.cumsum(sections)[:-1], axis=axis), strict=True):
        values.feed(name, part)


def _wanted_shape(op: OpView, values: Values) -> tuple[int, ...]:
    names, tensor = op.arguments("ShapeTensor"), op.arguments("Shape")
    fixed = op.ints("shape", ())
    if names:
        return tuple(int(values.named(op, name).reshape(-1)[0]) for name in names)
    if tensor:
        return tuple(int(size) for size in values.one(op, "Shape").reshape(-1))
    return fixed


def reshape(op: OpView, values: Values) -> None:
    """0 copies a side, -1 is what is left."""
    x = values.one(op, "X")
    wanted = _wanted_shape(op, values)
    op.ignore("inplace")
    op.outputs("XShape")
    if any(size == 0 and i >= x.ndim for i, size in enumerate(wanted)):
        op.fail(f"the shape {list(wanted)} copies a side that {list(x.shape)} does not have")
    shape = tuple(x.shape[i] if size == 0 else size for i, size in enumerate(wanted))
    try:
        values.put(op, "Out", x.reshape(shape))
    except ValueError:
        op.fail(f"the shape {list(wanted)} for a tensor of {list(x.shape)}")


def flatten_contiguous_range(op: OpView, values: Values) -> None:
    """The sides from start_axis to stop_axis become one."""
    x = values.one(op, "X")
    start, stop = op.integer("start_axis") % x.ndim, op.integer("stop_axis") % x.ndim
    op.outputs("XShape")
    if stop < start:
        op.fail(f"sides from {start} to {stop}")
    values.put(op, "Out", x.reshape(*x.shape[:start], -1, *x.shape[stop + 1 :]))


def squeeze(op: OpView, values: Values) -> None:
    """The named sides, which must be 1, are dropped."""
    x = values.one(op, "X")
    axes = tuple(axis % x.ndim for axis in op.ints("axes"))
    op.ignore("inplace")
    op.outputs("XShape")
    if any(x.shape[axis] != 1 for axis in axes):
        op.fail(f"sides {axes} of {list(x.shape)} are not 1")
    values.put(op, "Out", x.squeeze(axes))


def transpose(op: OpView, values: Values) -> None:
    """The sides in the order of axis."""
    x, axes = values.one(op, "X"), op.ints("axis")
    op.outputs("XShape")
    if sorted(axes) != list(range(x.ndim)):
        op.fail(f"the order {list(axes)} for {x.ndim} sides")
    values.put(op, "Out", np.ascontiguousarray(x.transpose(axes)))


def assign(op: OpView, values: Values) -> None:
    """The same value."""
    values.put(op, "Out", values.one(op, "X"))


def shape(op: OpView, values: Values) -> None:
    """The sizes of Input."""
    values.put(op, "Out", np.array(values.one(op, "Input").shape, dtype=np.int32))


def fill_constant(op: OpView, values: Values) -> None:
    """An int32 vector for shapes."""
    _refuse(op, "the constant", "ShapeTensor", "ShapeTensorList", "ValueTensor")
    if op.integer("dtype") != _INT32:
        op.fail(f"a constant of type {op.integer('dtype')}, known is int32 (2)")
    op.ignore("force_cpu", "place_type", "str_value")
    values.put(op, "Out", np.full(op.ints("shape"), int(op.real("value")), dtype=np.int32))


def slice_(op: OpView, values: Values) -> None:
    """From starts to ends, decrease_axis dropped."""
    x = values.one(op, "Input")
    _refuse(op, "a bound", "StartsTensor", "StartsTensorList", "EndsTensor", "EndsTensorList")
    axes, starts, ends = op.ints("axes"), op.ints("starts"), op.ints("ends")
    op.ignore("infer_flags")
    if not len(axes) == len(starts) == len(ends) or any(not 0 <= axis < x.ndim for axis in axes):
        op.fail(f"axes {list(axes)} with starts {list(starts)} and ends {list(ends)}")
    cut: list[slice] = [slice(None)] * x.ndim
    for axis, start, end in zip(axes, starts, ends, strict=True):
        cut[axis] = slice(start, end)
    values.put(op, "Out", _without(op, x[tuple(cut)], op.ints("decrease_axis", ())))


def _without(op: OpView, x: Array, axes: tuple[int, ...]) -> Array:
    if any(not 0 <= axis < x.ndim or x.shape[axis] != 1 for axis in axes):
        op.fail(f"sides {list(axes)} of {list(x.shape)} cannot be dropped")
    # A vector of one size stays a vector in Paddle Lite; its reader takes the first value.
    return x.reshape(1) if len(axes) == x.ndim else x.squeeze(axes)

"""Shapes: operators that only arrange elements anew, and those that compute with sizes.

What a program computes from ``shape`` becomes constants here, so the ONNX graph holds no Shape node: a Reshape gets
numbers, 0 for a side that stays in its place and -1 for at most one that only a run knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_opt.nb.translate.state import Ints, State, Tensor, Value, checked_shape
from model_opt.nb.translate.view import OpView
from model_opt.program.sizes import LARGEST, Shape, Size, SizeError, Symbol, free_sides, known, reshape_target, show

_INT32, _INT64, _FP32 = 2, 3, 5
_MOST_SIZES = 64
_MOST_AXES = 8


def reshaped(op: OpView, state: State, x: Tensor, target: Sequence[Size], near: str) -> Tensor:
    """Return ``x`` in the shape ``target``, in which -1 is inferred and 0 copies a dimension of ``x``."""
    try:
        shape = checked_shape(op, state.symbols.reshaped(x.shape, target))
    except SizeError as error:
        op.fail(f"{show(x.shape)} cannot take the shape {show(target)}: {error}")
    if shape == x.shape:
        return x
    sizes = known(shape)
    if x.data is not None and sizes is not None:
        return state.constant_like(x.data.reshape(sizes), near)
    left_out = _left_out(x.shape, shape)
    if left_out:
        return state.emit(op, "Squeeze", [x.name, state.constant(np.array(left_out, dtype=np.int64))], shape, near)
    numbers = _numbers(op, x.shape, shape)
    constant = state.constant(np.array(numbers, dtype=np.int64))
    return state.emit(op, "Reshape", [x.name, constant], shape, near)


def _left_out(source: Shape, shape: Shape) -> tuple[int, ...]:
    """Return the sides of 1 without which ``source`` is ``shape``, where a Reshape cannot say so.

    A Reshape infers one side: it cannot move a free batch and a free width at once.
    """
    ones = tuple(i for i, size in enumerate(source) if size == 1)[: len(source) - len(shape)]
    several = len(free_sides(source, shape)[1]) > 1
    return ones if several and tuple(size for i, size in enumerate(source) if i not in ones) == shape else ()


def _numbers(op: OpView, source: Shape, shape: Shape) -> tuple[int, ...]:
    """Return ``shape`` as ONNX's Reshape takes it: -1 for the unknown side, 0 for further ones that stay in place."""
    unknown, moved = free_sides(source, shape)
    if len(moved) > 1:
        op.fail(f"{show(source)} is to take the shape {show(shape)}, of which only a run knows more than one side")
    return reshape_target(shape, (moved or unknown)[:1])


def axis_of(op: OpView, axis: int, rank: int) -> int:
    """Return an axis counted from the front."""
    if not -rank <= axis < rank:
        op.fail(f"axis {axis} of {rank} dimensions")
    return axis % rank


def reshape(op: OpView, state: State) -> None:
    """``reshape``, ``reshape2``: the shape is that of ``ShapeTensor``, else of ``Shape``, else of the attribute."""
    listed, single = op.arguments("ShapeTensor"), op.arguments("Shape")
    attribute = op.ints("shape", ())
    op.ignore("inplace")
    target = state.sizes(op, listed or single) if listed or single else attribute
    if not target:
        op.fail("no shape to take")
    value = _arranged(op, state, state.take(op, op.argument("X")), target)
    _finish(op, state, value)


def _arranged(op: OpView, state: State, value: Value, target: Sequence[Size]) -> Value:
    if isinstance(value, Ints):
        if list(target) in ([-1], [len(value.values)]):
            return value
        op.fail(f"a shape of {len(value.values)} sizes is to take the shape {show(target)}")
    return reshaped(op, state, value, target, op.output("Out"))


def _finish(op: OpView, state: State, value: Value) -> None:
    """Bind the result; the second output ``XShape`` only serves training."""
    state.spoil(op, "XShape")
    state.bind(op, "Out", value)


def flatten(op: OpView, state: State) -> None:
    """``flatten``, ``flatten2``: two dimensions, split at ``axis``."""
    x = state.tensor(op, "X")
    axis = op.integer("axis")
    op.ignore("inplace")
    if not 0 <= axis <= len(x.shape):
        op.fail(f"axis {axis} of {len(x.shape)} dimensions")
    _finish(op, state, _merged(op, state, x, [x.shape[:axis], x.shape[axis:]]))


def flatten_contiguous_range(op: OpView, state: State) -> None:
    """``flatten_contiguous_range``: the sides from ``start_axis`` to ``stop_axis`` become one."""
    x = state.tensor(op, "X")
    start = axis_of(op, op.integer("start_axis"), len(x.shape))
    stop = axis_of(op, op.integer("stop_axis"), len(x.shape))
    if start > stop:
        op.fail(f"axes {start} to {stop}")
    groups = [*((dim,) for dim in x.shape[:start]), x.shape[start : stop + 1], *((dim,) for dim in x.shape[stop + 1 :])]
    _finish(op, state, _merged(op, state, x, groups))


def _merged(op: OpView, state: State, x: Tensor, groups: Sequence[Sequence[Size]]) -> Tensor:
    try:
        target = [state.symbols.product(group) for group in groups]
    except SizeError as error:
        op.fail(f"{show(x.shape)} cannot be flattened: {error}")
    return reshaped(op, state, x, target, op.output("Out"))


def squeeze(op: OpView, state: State) -> None:
    """``squeeze``, ``squeeze2``: sides of 1 are dropped, the named ones or all; a named side that is not 1 stays."""
    value = state.take(op, op.argument("X"))
    axes = op.ints("axes", ())
    op.ignore("inplace")
    if isinstance(value, Ints):
        _finish(op, state, value)
        return
    rank = len(value.shape)
    named = {axis_of(op, axis, rank) for axis in axes} if axes else set(range(rank))
    unknown = [i for i in named if isinstance(value.shape[i], Symbol)]
    if unknown:
        op.fail(f"whether side {unknown[0]} of {show(value.shape)} is 1 only a run knows")
    target = [dim for i, dim in enumerate(value.shape) if i not in named or dim != 1] or [1]
    _finish(op, state, reshaped(op, state, value, target, op.output("Out")))


def unsqueeze(op: OpView, state: State) -> None:
    """``unsqueeze``, ``unsqueeze2``: sides of 1 are inserted, one axis after the other."""
    value = state.take(op, op.argument("X"))
    axes = op.ints("axes")
    op.ignore("inplace")
    if len(axes) > _MOST_AXES:
        op.fail(f"{len(axes)} axes")
    if isinstance(value, Ints):
        if axes != (0,) or len(value.values) != 1:
            op.fail(f"axes {list(axes)} of a shape of {len(value.values)} sizes")
        _finish(op, state, value)
        return
    target = list(value.shape)
    for axis in axes:
        target.insert(axis_of(op, axis, len(target) + 1), 1)
    _finish(op, state, reshaped(op, state, value, target, op.output("Out")))


def transpose(op: OpView, state: State) -> None:
    """``transpose``, ``transpose2``."""
    x = state.tensor(op, "X")
    order = op.ints("axis")
    op.must("data_format", "AnyLayout", "NCHW", "")
    if sorted(order) != list(range(len(x.shape))):
        op.fail(f"the order {list(order)} of {len(x.shape)} dimensions")
    _finish(op, state, transposed(op, state, x, order, op.output("Out")))


def transposed(op: OpView, state: State, x: Tensor, order: Sequence[int], near: str) -> Tensor:
    """Return ``x`` with its sides in another order."""
    if list(order) == list(range(len(x.shape))):
        return x
    if x.data is not None:
        return state.constant_like(x.data.transpose(order), near)
    return state.emit(op, "Transpose", [x.name], [x.shape[i] for i in order], near, perm=tuple(order))


def shape(op: OpView, state: State) -> None:
    """``shape``: the sizes of the input, which never become a node."""
    value = state.take(op, op.argument("Input"))
    sizes: tuple[Size, ...] = (len(value.values),) if isinstance(value, Ints) else value.shape
    state.bind(op, "Out", Ints(sizes))


def fill_constant(op: OpView, state: State) -> None:
    """``fill_constant`` of sizes; ``str_value`` is not read by the kernel."""
    op.ignore("str_value", "force_cpu", "place_type")
    sides, kind, number = op.ints("shape"), op.integer("dtype"), op.real("value")
    count = int(np.prod(sides, dtype=np.int64)) if sides and min(sides) > 0 else 0
    if kind not in (_INT32, _INT64) or len(sides) != 1 or not 1 <= count <= _MOST_SIZES or number != int(number):
        op.fail(
            f"a constant of type {kind}, shape {list(sides)} and value {number:g}; only integers for shapes are known"
        )
    state.bind(op, "Out", Ints((int(number),) * count))


def cast(op: OpView, state: State) -> None:
    """``cast`` between the two kinds of integers: sizes stay what they are."""
    values = state.sizes(op, [op.argument("X")])
    kinds = (op.integer("in_dtype"), op.integer("out_dtype"))
    if not {_INT32, _INT64}.issuperset(kinds):
        op.fail(f"a cast from type {kinds[0]} to {kinds[1]}, only integers are known")
    state.bind(op, "Out", Ints(values))


def slice_(op: OpView, state: State) -> None:
    """``slice`` with constant starts and ends; sides in ``decrease_axis`` are dropped."""
    value = state.take(op, op.argument("Input"))
    axes, starts, ends = op.ints("axes"), op.ints("starts"), op.ints("ends")
    dropped = op.ints("decrease_axis", ())
    op.must("infer_flags", (), *((1,) * n for n in range(1, 9)))
    rank = 1 if isinstance(value, Ints) else len(value.shape)
    if not len(axes) == len(starts) == len(ends) or len(set(axes)) != len(axes) or not set(dropped) <= set(axes):
        op.fail(f"axes {list(axes)}, starts {list(starts)}, ends {list(ends)}, dropped {list(dropped)}")
    for axis in axes:
        if axis_of(op, axis, rank) != axis:
            op.fail(f"axis {axis}")
    if isinstance(value, Ints):
        state.bind(op, "Out", _cut_sizes(op, value, starts, ends, dropped))
    else:
        state.bind(op, "Out", _cut(op, state, value, axes, starts, ends, dropped))


def _cut_sizes(op: OpView, value: Ints, starts: Sequence[int], ends: Sequence[int], dropped: Sequence[int]) -> Ints:
    values = value.values[slice(starts[0], ends[0])] if starts else value.values
    if not values or (dropped and len(values) != 1):
        op.fail(f"sizes {list(starts)} to {list(ends)} of {len(value.values)}")
    return Ints(values)


def _cut(
    op: OpView,
    state: State,
    x: Tensor,
    axes: Sequence[int],
    starts: Sequence[int],
    ends: Sequence[int],
    dropped: Sequence[int],
) -> Tensor:
    sizes = list(x.shape)
    try:
        for axis, start, end in zip(axes, starts, ends, strict=True):
            size = sizes[axis]
            if isinstance(size, Symbol):
                sizes[axis] = state.symbols.cut(size, start, min(end, LARGEST))
            else:
                sizes[axis] = len(range(*slice(start, end).indices(size)))
    except SizeError as error:
        op.fail(f"a slice of {show(x.shape)}: {error}")
    near = op.output("Out")
    bounds = [state.constant(np.array(numbers, dtype=np.int64)) for numbers in (starts, ends, axes)]
    y = state.emit(op, "Slice", [x.name, *bounds], sizes, near) if axes else x
    if any(sizes[axis] != 1 for axis in dropped):
        op.fail(f"sides {list(dropped)} of {show(sizes)} are to be dropped, which takes a size of 1")
    kept = [size for i, size in enumerate(sizes) if i not in dropped] or [1]
    return reshaped(op, state, y, kept, near)


def concat(op: OpView, state: State) -> None:
    """``concat`` of tensors, or of sizes in the part of a program that computes shapes."""
    names, axis = op.arguments("X"), op.integer("axis")
    if not names:
        op.fail("nothing to join")
    values = [state.take(op, name) for name in names]
    if all(isinstance(value, Ints) for value in values):
        if axis_of(op, axis, 1) or len(sizes := state.sizes(op, names)) > _MOST_SIZES:
            op.fail(f"{len(names)} shapes to be joined at axis {axis}")
        state.bind(op, "Out", Ints(sizes))
        return
    tensors = [state.as_tensor(op, name) for name in names]
    axis = axis_of(op, axis, len(tensors[0].shape))
    state.bind(op, "Out", _joined(op, state, tensors, axis))


def _joined(op: OpView, state: State, tensors: Sequence[Tensor], axis: int) -> Tensor:
    first = tensors[0].shape
    if len({len(tensor.shape) for tensor in tensors}) > 1:
        op.fail(f"tensors of {', '.join(show(tensor.shape) for tensor in tensors[:4])} to be joined")
    sizes = list(first)
    try:
        for i in range(len(first)):
            sides = [tensor.shape[i] for tensor in tensors]
            if i == axis:
                sizes[i] = state.symbols.total(sides)
            elif len({side for side in sides if isinstance(side, int)}) > 1:
                raise SizeError(f"sides {i} differ")
            else:
                sizes[i] = next((side for side in sides if isinstance(side, int)), sides[0])
    except SizeError as error:
        op.fail(f"tensors of {', '.join(show(tensor.shape) for tensor in tensors[:4])} to be joined: {error}")
    return state.emit(op, "Concat", [tensor.name for tensor in tensors], sizes, op.output("Out"), axis=axis)


def split(op: OpView, state: State) -> None:
    """``split`` into ``num`` equal parts or into ``sections``; every part is a Slice, so that no opset matters."""
    x = state.tensor(op, "X")
    axis = axis_of(op, op.integer("axis"), len(x.shape))
    number, sections, outputs = op.integer("num", 0), op.ints("sections", ()), op.outputs("Out")
    size = x.shape[axis]
    if isinstance(size, Symbol):
        op.fail(f"side {axis} of {show(x.shape)}, which only a run knows, is to be split")
    if number > 0 and size % number == 0:
        sections = (size // number,) * min(number, len(outputs) + 1)
    if len(sections) != len(outputs) or min(sections, default=0) < 1 or sum(sections) != size:
        op.fail(f"side {axis} of {show(x.shape)} is to be split into {list(sections)} for {len(outputs)} outputs")
    start = 0
    for name, length in zip(outputs, sections, strict=True):
        bounds = [state.constant(np.array([n], dtype=np.int64)) for n in (start, start + length, axis)]
        sizes = [length if i == axis else dim for i, dim in enumerate(x.shape)]
        state.bind_name(name, state.emit(op, "Slice", [x.name, *bounds], sizes, name))
        start += length


def copy(op: OpView, state: State) -> None:
    """``assign``: the same value under another name."""
    state.bind(op, "Out", state.take(op, op.argument("X")))


def moved(op: OpView, state: State) -> None:
    """``io_copy``, ``layout`` and ``calib`` between integers: a copy to other memory, the same values."""
    state.bind(op, "Out", state.take(op, op.argument("Input")))

"""Operators that move values and compute none: reshapes, transposes, cuts and joins."""

from __future__ import annotations

from collections.abc import Sequence

from model_opt.formats.onnx_model.builder import Builder, integer, listed
from model_opt.formats.onnx_model.graph import Node
from model_opt.program import Attr, AttrType
from model_opt.program.shapes import encode
from model_opt.program.sizes import LARGEST, Shape, Size, show


def reshape(node: Node, made: Builder) -> None:
    """``Reshape`` to sizes that follow from the input's: ``reshape2`` to a constant with 0 and -1."""
    x, wanted = made.shape(node, node.given(0)), made.integers(node.given(1))
    if wanted is None or node.number("allowzero", 0):
        made.refuse(node, "a target that is computed by operators not known here")
    _reshape(node, made, x, made.sizes.reshaped(x, wanted.sizes))


def flatten(node: Node, made: Builder) -> None:
    """``Flatten`` to two sides: ``reshape2``."""
    x, axis = made.shape(node, node.given(0)), node.number("axis", 1)
    if not -len(x) <= axis <= len(x):
        made.refuse(node, f"axis {axis} of {show(x)}")
    at = axis + len(x) if axis < 0 else axis
    _reshape(node, made, x, (made.sizes.product(x[:at]), made.sizes.product(x[at:])))


def _reshape(node: Node, made: Builder, x: Shape, shape: Shape) -> None:
    if shape == x and not made.is_output(node.outputs[0]):
        made.hand_on(node.inputs[0], node.outputs[0])
        return
    target = encode(shape, x)
    if target is None:
        made.refuse(node, f"no constant target gives {show(shape)} for every {show(x)}")
    source = made.tensor(node, node.given(0))
    made.emit("reshape2", {"X": [source]}, ("Out", made.declare(node, node.outputs[0], shape)), shape=listed(target))


def transpose(node: Node, made: Builder) -> None:
    """``Transpose``: ``transpose2``."""
    x = made.shape(node, node.given(0))
    order = node.numbers("perm") or tuple(reversed(range(len(x))))
    if sorted(order) != list(range(len(x))):
        made.refuse(node, f"perm {list(order)} of {show(x)}")
    source, shape = made.tensor(node, node.given(0)), tuple(x[at] for at in order)
    made.emit("transpose2", {"X": [source]}, ("Out", made.declare(node, node.outputs[0], shape)), axis=listed(order))


def squeeze(node: Node, made: Builder) -> None:
    """``Squeeze``: ``squeeze2``, or a slice that drops the sides it cut to 1, as Paddle writes ``x[i]``.

    Behind an ``Unsqueeze`` of the same sides it is nothing: paddle2onnx writes ``assign`` so.
    """
    x, axes = made.shape(node, node.given(0)), made.axes(node)
    if axes is None:
        axes = tuple(at for at, side in enumerate(x) if side == 1)
        if any(not isinstance(side, int) for side in x):
            made.refuse(node, f"{show(x)} without axes: what is 1 depends on the input")
    if any(not -len(x) <= axis < len(x) or x[axis] != 1 for axis in axes):
        made.refuse(node, f"axes {list(axes)[:16]} of {show(x)}")
    gone = tuple(sorted({axis % len(x) for axis in axes}))
    shape = tuple(side for at, side in enumerate(x) if at not in gone)
    source = made.tensor(node, node.given(0))
    cut = made.last_op(source) if made.read_once(node.inputs[0]) else None
    cuts = cut.attr("axes") if cut is not None else None
    if cut is not None and cut.type == "unsqueeze2" and cuts == gone and not made.is_output(node.outputs[0]):
        made.drop_last(source)
        made.hand_on(cut.input("X"), node.outputs[0])
        return
    if cut is not None and cut.type == "slice" and isinstance(cuts, tuple) and set(gone) <= set(cuts):
        made.drop_last(source)
        attrs = {**cut.attrs, "decrease_axis": listed(gone)}
        made.emit("slice", cut.inputs, ("Out", made.declare(node, node.outputs[0], shape)), **attrs)
        return
    made.emit("squeeze2", {"X": [source]}, ("Out", made.declare(node, node.outputs[0], shape)), axes=listed(gone))


def unsqueeze(node: Node, made: Builder) -> None:
    """``Unsqueeze``: ``unsqueeze2``."""
    x, axes = made.shape(node, node.given(0)), made.axes(node)
    rank = len(x) + len(axes or ())
    if not axes or any(not -rank <= axis < rank for axis in axes) or len({axis % rank for axis in axes}) != len(axes):
        made.refuse(node, f"axes {axes and list(axes)[:16]} of {show(x)}")
    fresh, rest = sorted(axis % rank for axis in axes), iter(x)
    shape = tuple(1 if at in fresh else next(rest) for at in range(rank))
    source = made.tensor(node, node.given(0))
    out = made.declare(node, node.outputs[0], shape)
    made.emit("unsqueeze2", {"X": [source]}, ("Out", out), axes=listed(fresh))


def concat(node: Node, made: Builder) -> None:
    """``Concat``: ``concat``."""
    shapes, axis = [made.shape(node, name) for name in node.inputs], node.number("axis", 0)
    if not shapes or len({len(shape) for shape in shapes}) != 1 or not -len(shapes[0]) <= axis < len(shapes[0]):
        made.refuse(node, f"axis {axis} of " + ", ".join(show(shape) for shape in shapes[:8]))
    axis %= len(shapes[0])
    # Sides of branches may be equal sizes by different ways: the pools of a stem halve a height as convolutions do.
    shape = (*shapes[0][:axis], made.sizes.total([shape[axis] for shape in shapes]), *shapes[0][axis + 1 :])
    for other in shapes[1:]:
        pairs = [pair for at, pair in enumerate(zip(shapes[0], other, strict=True)) if at != axis]
        if any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs):
            made.refuse(node, "sides that differ: " + ", ".join(show(shape) for shape in shapes[:8]))
    parts = [made.tensor(node, name) for name in node.inputs]
    made.emit("concat", {"X": parts}, ("Out", made.declare(node, node.outputs[0], shape)), axis=integer(axis))


def cut(node: Node, made: Builder) -> None:
    """``Slice`` with steps of 1: ``slice``."""
    x, (starts, ends, axes) = made.shape(node, node.given(0)), bounds(node, made)
    if len({len(starts), len(ends), len(axes)}) != 1 or len(starts) > len(x):
        made.refuse(node, f"{len(starts)} starts, {len(ends)} ends and {len(axes)} axes")
    if any(not -len(x) <= axis < len(x) for axis in axes):
        made.refuse(node, f"axes {list(axes)} of {show(x)}")
    _cut(node, made, node.outputs[0], [axis % len(x) for axis in axes], starts, ends)


def bounds(node: Node, made: Builder) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the starts, ends and axes of a ``Slice``."""
    lists = [made.numbers(node, node.given(at)) for at in range(1, 5)]
    if lists[0] is None and lists[1] is None:
        lists = [node.numbers(key) for key in ("starts", "ends", "axes")] + [None]
    starts, ends, axes, steps = lists
    if starts is None or ends is None or (steps is not None and any(step != 1 for step in steps)):
        made.refuse(node, "no starts and ends, or steps other than 1")
    return starts, ends, tuple(range(len(starts))) if axes is None else axes


def _cut(
    node: Node, made: Builder, result: str, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int], *drop: int
) -> None:
    x = made.shape(node, node.given(0))
    shape: list[Size] = list(x)
    for axis, start, end in zip(axes, starts, ends, strict=True):
        side = x[axis]
        if not isinstance(side, int):
            made.refuse(node, f"a cut along side {axis} of {show(x)}, which only a run knows")
        begin, stop = (max(0, min(at + side if at < 0 else at, side)) for at in (start, end))
        if stop <= begin:
            made.refuse(node, f"nothing is left of side {axis} of {show(x)}")
        shape[axis] = stop - begin
    source = made.tensor(node, node.given(0))
    out = made.declare(node, result, tuple(side for at, side in enumerate(shape) if at not in drop))
    limits = [[max(-LARGEST, min(at, LARGEST)) for at in part] for part in (starts, ends)]
    made.emit(
        "slice",
        {"Input": [source]},
        ("Out", out),
        axes=listed(axes),
        starts=listed(limits[0]),
        ends=listed(limits[1]),
        decrease_axis=listed(drop),
        infer_flags=Attr(AttrType.INTS, (1,) * len(axes)),
    )


def gather(node: Node, made: Builder) -> None:
    """``Gather`` of one place along a side: a ``slice`` that drops the side."""
    x, place = made.shape(node, node.given(0)), made.integers(node.given(1))
    axis = node.number("axis", 0)
    at = place.sizes[0] if place is not None and place.scalar else None
    if not isinstance(at, int) or not -len(x) <= axis < len(x):
        made.refuse(node, "more than one place, or one that depends on the input")
    axis %= len(x)
    side = x[axis]
    if not isinstance(side, int) or not -side <= at < side:
        made.refuse(node, f"place {at} along side {axis} of {show(x)}")
    _cut(node, made, node.outputs[0], [axis], [at % side], [at % side + 1], axis)


def split(node: Node, made: Builder) -> None:
    """``Split``: one ``slice`` for each part."""
    x, axis = made.shape(node, node.given(0)), node.number("axis", 0)
    if not -len(x) <= axis < len(x) or not isinstance(x[axis], int):
        made.refuse(node, f"axis {axis} of {show(x)}")
    axis %= len(x)
    side, count = x[axis], len(node.outputs)
    widths = node.numbers("split") or made.numbers(node, node.given(1))
    if widths is None and isinstance(side, int) and count and not side % count:
        widths = (side // count,) * count
    if widths is None or len(widths) != count or sum(widths) != side or any(width < 1 for width in widths):
        made.refuse(node, f"{count} parts of {show(x)} along side {axis}")
    start = 0
    for name, width in zip(node.outputs, widths, strict=True):
        if name:
            _cut(node, made, name, [axis], [start], [start + width])
        start += width


def same(node: Node, made: Builder) -> None:
    """``Identity`` and ``Dropout`` that make the graph's output: ``assign``."""
    x, source = made.shape(node, node.given(0)), made.tensor(node, node.given(0))
    made.emit("assign", {"X": [source]}, ("Out", made.declare(node, node.outputs[0], x)))


def cast(node: Node, made: Builder) -> None:
    """``Cast`` of floats to float32, which they are."""
    if node.number("to", 0) != 1:
        made.refuse(node, f"a cast of floats to ONNX's type {node.number('to', 0)}")
    if not made.is_output(node.outputs[0]):
        made.shape(node, node.given(0))
        made.hand_on(node.inputs[0], node.outputs[0])
    else:
        same(node, made)

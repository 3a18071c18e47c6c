"""Infer the shapes of a program's variables before any input is known: sides are numbers or symbols of ``Sizes``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_opt.program.editor import GraphEditor
from model_opt.program.ir import Op
from model_opt.program.ops import conv_at, ints, number
from model_opt.program.sizes import Shape, Size, SizeError, Sizes, free_sides, reshape_target

_KEEP_X = frozenset(
    ("relu", "relu6", "leaky_relu", "hard_swish", "hard_sigmoid", "swish", "sigmoid", "tanh", "gelu", "clip", "scale")
) | frozenset(("assign", "softmax", "dropout", "cast"))
_BINARY = frozenset(("elementwise_add", "elementwise_sub", "elementwise_mul", "elementwise_div"))


@dataclass(frozen=True, slots=True)
class InferredShapes:
    """Shapes by variable, and the symbols in them. Variables of unknown shape are absent."""

    by_name: dict[str, Shape] = field(default_factory=dict)
    sizes: Sizes = field(default_factory=Sizes)

    def get(self, name: str) -> Shape | None:
        """Return the shape of a variable, None when it is not known."""
        return self.by_name.get(name)


def infer_shapes(editor: GraphEditor) -> InferredShapes:
    """Return the shape of every variable that follows from the inputs."""
    shapes = InferredShapes()
    for name in {name for op in editor.ops for name in op.input_names}:
        array = editor.param(name)
        if array is not None:
            shapes.by_name[name] = array.shape
    for op in editor.ops:
        try:
            found = _infer(editor, op, shapes)
        except SizeError:
            continue
        for key, sides in found.items():
            if editor.producer(key) is op and sides is not None:
                shapes.by_name[key] = sides
    return shapes


def _infer(editor: GraphEditor, op: Op, shapes: InferredShapes) -> dict[str, Shape | None]:
    key = {"layer_norm": "Y", "batch_norm": "Y"}.get(op.type, "Out")
    if op.type in ("conv2d", "depthwise_conv2d"):
        return {name: _conv(editor, op, shapes) for name in op.outputs.get("Output", ())[:1]}
    outs = op.outputs.get(key, ())
    if len(outs) != 1:
        return {}
    x = shapes.get(op.inputs["X"][0]) if op.inputs.get("X") else None
    if op.type == "feed":
        dims = editor.dims(outs[0])
        named = shapes.sizes.named
        return {
            outs[0]: None
            if dims is None
            else tuple(named(f"{outs[0]}[{i}]") if d < 0 else d for i, d in enumerate(dims))
        }
    if op.type in _KEEP_X or key == "Y":
        return {outs[0]: x}
    if op.type in _BINARY:
        return {outs[0]: _broadcast(op, x, shapes.get(op.inputs.get("Y", ("",))[0]))}
    if op.type == "concat":
        return {outs[0]: _concat([shapes.get(name) for name in op.inputs.get("X", ())], int(number(op, "axis", 0)))}
    if op.type == "matmul_v2":
        return {outs[0]: _matmul(op, x, shapes.get(op.inputs.get("Y", ("",))[0]))}
    if op.type == "slice":
        return {outs[0]: _slice(op, shapes.get(op.inputs.get("Input", ("",))[0]))}
    rule = _RULES.get(op.type)
    return {} if rule is None or x is None else {outs[0]: rule(shapes.sizes, op, x)}


def _conv(editor: GraphEditor, op: Op, shapes: InferredShapes) -> Shape | None:
    conv = conv_at(editor, op)
    x = None if conv is None else shapes.get(conv.source)
    if conv is None or x is None or len(x) != 4 or op.attr("padding_algorithm", "EXPLICIT") != "EXPLICIT":
        return None
    pads = conv.paddings if len(conv.paddings) == 4 else tuple(pad for pad in conv.paddings for _ in range(2))
    windows = tuple((conv.weight.shape[2 + i] - 1) * conv.dilations[i] + 1 for i in range(2))
    sides = (
        shapes.sizes.windows(x[2 + i], sum(pads[2 * i : 2 * i + 2]) - windows[i], conv.strides[i]) for i in range(2)
    )
    return (x[0], conv.channels, *sides)


def _pool(sizes: Sizes, op: Op, x: Shape) -> Shape | None:
    kernel, strides, pads = (ints(op, key) for key in ("ksize", "strides", "paddings"))
    if len(x) != 4 or op.attr("data_format", "NCHW") != "NCHW":
        return None
    if op.attr("global_pooling", False):
        return (*x[:2], 1, 1)
    if op.attr("adaptive", False):
        return None if kernel is None or len(kernel) != 2 else (*x[:2], *kernel)
    if kernel is None or strides is None or pads is None or op.attr("ceil_mode") or len(kernel) != 2:
        return None
    if op.attr("padding_algorithm", "EXPLICIT") != "EXPLICIT" or len(strides) != 2:
        return None
    wide = pads if len(pads) == 4 else tuple(pad for pad in pads for _ in range(2))
    sides = (sizes.windows(x[2 + i], sum(wide[2 * i : 2 * i + 2]) - kernel[i], strides[i]) for i in range(2))
    return (*x[:2], *sides)


def _broadcast(op: Op, x: Shape | None, y: Shape | None) -> Shape | None:
    if x is None or y is None:
        return None
    if len(x) != len(y):
        wide, narrow = (x, y) if len(x) > len(y) else (y, x)
        axis = int(number(op, "axis", -1))
        start = len(wide) - len(narrow) if axis == -1 else axis
        if start < 0 or start + len(narrow) > len(wide):
            return None
        x, y = wide, (1,) * start + narrow + (1,) * (len(wide) - start - len(narrow))
    sides = tuple(a if b in (a, 1) else b if a == 1 else None for a, b in zip(x, y, strict=True))
    known = tuple(side for side in sides if side is not None)
    return known if len(known) == len(sides) else None


def _concat(parts: Sequence[Shape | None], axis: int) -> Shape | None:
    known = [part for part in parts if part is not None]
    if not known or len(known) != len(parts) or len({len(part) for part in known}) != 1:
        return None
    axis %= len(known[0])
    rest = {part[:axis] + part[axis + 1 :] for part in known}
    along = [part[axis] for part in known]
    numbers = [side for side in along if isinstance(side, int)]
    if len(rest) != 1 or len(numbers) != len(along):
        return None
    return (*known[0][:axis], sum(numbers), *known[0][axis + 1 :])


def _matmul(op: Op, x: Shape | None, y: Shape | None) -> Shape | None:
    if x is None or y is None or len(x) < 2 or len(y) < 2 or any(name.startswith("fused_") for name in _filled(op)):
        return None
    rows = x[-1] if op.attr("trans_x", False) else x[-2]
    columns = y[-2] if op.attr("trans_y", False) else y[-1]
    if len(y) == 2 or x[:-2] == y[:-2]:
        return (*x[:-2], rows, columns)
    return None


def _filled(op: Op) -> list[str]:
    return [name for name, attr in op.attrs.items() if attr.value not in (None, (), "", False, 0)]


def _slice(op: Op, x: Shape | None) -> Shape | None:
    axes, starts, ends = (ints(op, key) for key in ("axes", "starts", "ends"))
    if x is None or axes is None or starts is None or ends is None or not len(axes) == len(starts) == len(ends):
        return None
    if any(op.inputs.get(key) for key in ("StartsTensor", "EndsTensor", "StartsTensorList", "EndsTensorList")):
        return None
    sides: list[Size] = list(x)
    for axis, start, end in zip(axes, starts, ends, strict=True):
        side = x[axis]
        if not isinstance(side, int):
            return None
        begin, stop = (max(0, min(at + side if at < 0 else at, side)) for at in (start, end))
        sides[axis] = max(0, stop - begin)
    gone = set(ints(op, "decrease_axis") or ())
    return tuple(side for axis, side in enumerate(sides) if axis not in gone)


def _transpose(sizes: Sizes, op: Op, x: Shape) -> Shape | None:
    axis = ints(op, "axis")
    return tuple(x[i] for i in axis) if axis is not None and sorted(axis) == list(range(len(x))) else None


def _reshape(sizes: Sizes, op: Op, x: Shape) -> Shape | None:
    target = ints(op, "shape")
    if target is None or op.inputs.get("ShapeTensor") or op.inputs.get("Shape"):
        return None
    return sizes.reshaped(x, target)


def _flatten(sizes: Sizes, op: Op, x: Shape) -> Shape | None:
    start, stop = (int(number(op, key, default)) % len(x) for key, default in (("start_axis", 1), ("stop_axis", -1)))
    return None if start > stop else (*x[:start], sizes.product(x[start : stop + 1]), *x[stop + 1 :])


def _squeeze(sizes: Sizes, op: Op, x: Shape) -> Shape | None:
    axes = ints(op, "axes")
    if not axes or op.inputs.get("AxesTensor"):
        return None
    gone = {axis % len(x) for axis in axes}
    return tuple(side for at, side in enumerate(x) if at not in gone) if all(x[at] == 1 for at in gone) else None


def _unsqueeze(sizes: Sizes, op: Op, x: Shape) -> Shape | None:
    axes = ints(op, "axes")
    if not axes or op.inputs.get("AxesTensor") or op.inputs.get("AxesTensorList"):
        return None
    sides = list(x)
    for axis in axes:
        at = axis + len(sides) + 1 if axis < 0 else axis
        if not 0 <= at <= len(sides):
            return None
        sides.insert(at, 1)
    return tuple(sides)


def _mean(sizes: Sizes, op: Op, x: Shape) -> Shape | None:
    axes = ints(op, "dim") or ()
    if op.attr("reduce_all", False) or not axes or any(not -len(x) <= axis < len(x) for axis in axes):
        return None
    gone, kept = {axis % len(x) for axis in axes}, bool(op.attr("keep_dim", False))
    return tuple(1 if at in gone else side for at, side in enumerate(x) if kept or at not in gone)


def _upscaled(sizes: Sizes, op: Op, x: Shape) -> Shape | None:
    factors: Any = op.attr("scale")
    if len(x) != 4 or not isinstance(factors, tuple) or len(factors) != 2 or op.inputs.get("OutSize"):
        return None
    if op.inputs.get("SizeTensor") or op.inputs.get("Scale") or op.attr("data_layout", "NCHW") != "NCHW":
        return None
    return (*x[:2], *(sizes.scaled(side, float(factor)) for side, factor in zip(x[2:], factors, strict=True)))


_RULES: Mapping[str, Callable[[Sizes, Op, Shape], Shape | None]] = {
    "pool2d": _pool,
    "transpose2": _transpose,
    "reshape2": _reshape,
    "flatten_contiguous_range": _flatten,
    "squeeze2": _squeeze,
    "unsqueeze2": _unsqueeze,
    "reduce_mean": _mean,
    "nearest_interp_v2": _upscaled,
}


def encode(target: Shape, x: Shape) -> tuple[int, ...] | None:
    """Return the constant target of a reshape from ``x`` to ``target``; None when no constant says it for every input.

    Sides that stay at their place are 0, except that the last free one is -1, as runtimes with fixed batches like it.
    """
    free, moved = free_sides(x, target)
    return None if len(moved) > 1 else reshape_target(target, moved or free[-1:])

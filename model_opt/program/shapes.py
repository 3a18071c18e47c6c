"""Shapes with free sides: what can be said of them before any input is known.

A side is an integer, a symbol (a string) for a number only known when the model runs, or a product of these. Two equal
symbols are always the same number. A symbol either names a side of a model input or says how it is computed from
others, so two ways to compute the same thing from the same input meet in one symbol; products are kept apart from
their factors, so that what was multiplied can be divided again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from model_opt.program.editor import GraphEditor
from model_opt.program.ir import Op
from model_opt.program.ops import conv_at, ints, number


@dataclass(frozen=True, slots=True)
class Product:
    """``number`` times ``symbols`` (sorted, one of them at least): never a bare symbol, never a number alone."""

    number: int
    symbols: tuple[str, ...]

    def __str__(self) -> str:
        return "*".join((str(self.number), *self.symbols))


Side = int | str | Product
Sides = tuple[Side, ...]

_KEEP_X = frozenset(
    ("relu", "relu6", "leaky_relu", "hard_swish", "hard_sigmoid", "swish", "sigmoid", "tanh", "gelu", "clip", "scale")
) | frozenset(("assign", "softmax", "dropout", "cast"))
_BINARY = frozenset(("elementwise_add", "elementwise_sub", "elementwise_mul", "elementwise_div"))


def infer_shapes(editor: GraphEditor) -> dict[str, Sides]:
    """Return the shape of every variable that follows from the inputs; what cannot be known is not in it."""
    shapes: dict[str, Sides] = {}
    for name in {name for op in editor.ops for name in op.input_names}:
        array = editor.param(name)
        if array is not None:
            shapes[name] = array.shape
    for op in editor.ops:
        found = _infer(editor, op, shapes)
        for key, sides in found.items():
            if editor.producer(key) is op and sides is not None:
                shapes[key] = sides
    return shapes


def _infer(editor: GraphEditor, op: Op, shapes: Mapping[str, Sides]) -> dict[str, Sides | None]:
    key = {"layer_norm": "Y", "batch_norm": "Y"}.get(op.type, "Out")
    if op.type in ("conv2d", "depthwise_conv2d"):
        return {name: _conv(editor, op, shapes) for name in op.outputs.get("Output", ())[:1]}
    outs = op.outputs.get(key, ())
    if len(outs) != 1:
        return {}
    x = shapes.get(op.inputs["X"][0]) if op.inputs.get("X") else None
    if op.type == "feed":
        dims = editor.dims(outs[0])
        return {outs[0]: None if dims is None else tuple(f"{outs[0]}[{i}]" if d < 0 else d for i, d in enumerate(dims))}
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
    return {} if rule is None or x is None else {outs[0]: rule(op, x)}


def _conv(editor: GraphEditor, op: Op, shapes: Mapping[str, Sides]) -> Sides | None:
    conv = conv_at(editor, op)
    x = None if conv is None else shapes.get(conv.source)
    if conv is None or x is None or len(x) != 4 or op.attr("padding_algorithm", "EXPLICIT") != "EXPLICIT":
        return None
    pads = conv.paddings if len(conv.paddings) == 4 else tuple(pad for pad in conv.paddings for _ in range(2))
    windows = tuple((conv.weight.shape[2 + i] - 1) * conv.dilations[i] + 1 for i in range(2))
    sides = (_windowed(x[2 + i], windows[i], sum(pads[2 * i : 2 * i + 2]), conv.strides[i]) for i in range(2))
    return (x[0], conv.channels, *sides)


def product(number: int, symbols: Sequence[str]) -> Side:
    """Return the simplest side that is ``number`` times ``symbols``."""
    if not symbols or number == 0:
        return number
    return symbols[0] if number == 1 and len(symbols) == 1 else Product(number, tuple(sorted(symbols)))


def _factors(sides: Sequence[Side]) -> tuple[int, Counter[str]]:
    """Return the number and the symbols that the product of ``sides`` is made of."""
    number = prod(side.number if isinstance(side, Product) else side for side in sides if not isinstance(side, str))
    symbols = Counter(side for side in sides if isinstance(side, str))
    symbols.update(symbol for side in sides if isinstance(side, Product) for symbol in side.symbols)
    return number, symbols


def _windowed(side: Side, window: int, padding: int, stride: int) -> Side:
    if isinstance(side, int):
        return (side + padding - window) // stride + 1
    if stride == 1 and padding + 1 == window:
        return side
    return f"({side}+{padding - window})//{stride}+1"


def _pool(op: Op, x: Sides) -> Sides | None:
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
    sides = (_windowed(x[2 + i], kernel[i], sum(wide[2 * i : 2 * i + 2]), strides[i]) for i in range(2))
    return (*x[:2], *sides)


def _broadcast(op: Op, x: Sides | None, y: Sides | None) -> Sides | None:
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


def _concat(parts: Sequence[Sides | None], axis: int) -> Sides | None:
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


def _matmul(op: Op, x: Sides | None, y: Sides | None) -> Sides | None:
    if x is None or y is None or len(x) < 2 or len(y) < 2 or any(name.startswith("fused_") for name in _filled(op)):
        return None
    rows = x[-1] if op.attr("trans_x", False) else x[-2]
    columns = y[-2] if op.attr("trans_y", False) else y[-1]
    if len(y) == 2 or x[:-2] == y[:-2]:
        return (*x[:-2], rows, columns)
    return None


def _filled(op: Op) -> list[str]:
    return [name for name, attr in op.attrs.items() if attr.value not in (None, (), "", False, 0)]


def _slice(op: Op, x: Sides | None) -> Sides | None:
    axes, starts, ends = (ints(op, key) for key in ("axes", "starts", "ends"))
    if x is None or axes is None or starts is None or ends is None or not len(axes) == len(starts) == len(ends):
        return None
    if any(op.inputs.get(key) for key in ("StartsTensor", "EndsTensor", "StartsTensorList", "EndsTensorList")):
        return None
    sides: list[Side] = list(x)
    for axis, start, end in zip(axes, starts, ends, strict=True):
        side = x[axis]
        if not isinstance(side, int):
            return None
        begin, stop = (max(0, min(at + side if at < 0 else at, side)) for at in (start, end))
        sides[axis] = max(0, stop - begin)
    gone = set(ints(op, "decrease_axis") or ())
    return tuple(side for axis, side in enumerate(sides) if axis not in gone)


def _transpose(op: Op, x: Sides) -> Sides | None:
    axis = ints(op, "axis")
    return tuple(x[i] for i in axis) if axis is not None and sorted(axis) == list(range(len(x))) else None


def _reshape(op: Op, x: Sides) -> Sides | None:
    target = ints(op, "shape")
    if target is None or op.inputs.get("ShapeTensor") or op.inputs.get("Shape"):
        return None
    return resolve(target, x)


def resolve(target: Sequence[Side], x: Sides) -> Sides | None:
    """Return the shape that a reshape of ``x`` to ``target`` (0 copies a side, -1 is what is left) gives."""
    sides: list[Side] = []
    for at, side in enumerate(target):
        if side == 0:
            if at >= len(x):
                return None
            sides.append(x[at])
        else:
            sides.append(side)
    if sides.count(-1) > 1:
        return None
    if -1 in sides:
        rest = _quotient(x, [side for side in sides if side != -1])
        if rest is None:
            return None
        sides[sides.index(-1)] = rest
    return tuple(sides)


def _quotient(whole: Sequence[Side], parts: Sequence[Side]) -> Side | None:
    """Return what is left of ``whole`` when ``parts`` are divided out; None when that is not known to be whole."""
    above, symbols = _factors(whole)
    below, others = _factors(parts)
    if others - symbols or below == 0 or above % below:
        return None
    return product(above // below, list((symbols - others).elements()))


def _flatten(op: Op, x: Sides) -> Sides | None:
    start, stop = (int(number(op, key, default)) % len(x) for key, default in (("start_axis", 1), ("stop_axis", -1)))
    middle = _quotient(x[start : stop + 1], ())
    return None if start > stop or middle is None else (*x[:start], middle, *x[stop + 1 :])


def _squeeze(op: Op, x: Sides) -> Sides | None:
    axes = ints(op, "axes")
    if not axes or op.inputs.get("AxesTensor"):
        return None
    gone = {axis % len(x) for axis in axes}
    return tuple(side for at, side in enumerate(x) if at not in gone) if all(x[at] == 1 for at in gone) else None


def _unsqueeze(op: Op, x: Sides) -> Sides | None:
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


def _mean(op: Op, x: Sides) -> Sides | None:
    axes = ints(op, "dim") or ()
    if op.attr("reduce_all", False) or not axes or any(not -len(x) <= axis < len(x) for axis in axes):
        return None
    gone, kept = {axis % len(x) for axis in axes}, bool(op.attr("keep_dim", False))
    return tuple(1 if at in gone else side for at, side in enumerate(x) if kept or at not in gone)


def _upscaled(op: Op, x: Sides) -> Sides | None:
    factors: Any = op.attr("scale")
    if len(x) != 4 or not isinstance(factors, tuple) or len(factors) != 2 or op.inputs.get("OutSize"):
        return None
    if op.inputs.get("SizeTensor") or op.inputs.get("Scale") or op.attr("data_layout", "NCHW") != "NCHW":
        return None
    sides: list[Side] = []
    for side, factor in zip(x[2:], factors, strict=True):
        sides.append(int(side * float(factor)) if isinstance(side, int) else f"({side})*{factor}")
    return (*x[:2], *sides)


_RULES: Mapping[str, Callable[[Op, Sides], Sides | None]] = {
    "pool2d": _pool,
    "transpose2": _transpose,
    "reshape2": _reshape,
    "flatten_contiguous_range": _flatten,
    "squeeze2": _squeeze,
    "unsqueeze2": _unsqueeze,
    "reduce_mean": _mean,
    "nearest_interp_v2": _upscaled,
}


def encode(target: Sides, x: Sides) -> tuple[int, ...] | None:
    """Return the constant target of a reshape from ``x`` to ``target``; None when no constant says it for every input.

    Sides that stay at their place are 0, except that the last free one is -1, as runtimes with fixed batches like it.
    """
    free = [at for at, side in enumerate(target) if not isinstance(side, int)]
    moved = [at for at in free if at >= len(x) or x[at] != target[at]]
    if len(moved) > 1:
        return None
    rest = moved or free[-1:]
    return tuple(side if isinstance(side, int) else -1 if at in rest else 0 for at, side in enumerate(target))

"""Find the channels of a program that can be permuted, and permute them.

The channels of a variable between two dense products may stand in any order, as long as the weights in front give them
and the weights behind take them in that order. Depthwise convolutions, activations, pools, sums and everything else
that computes each channel by itself pass the order on; variables that must have one order are one group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model_opt.program import Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import Conv, conv_at, ints, is_quantised, plain_binary
from model_opt.quantize.union_find import UnionFind

Order = NDArray[np.intp]

_EACH = frozenset({"relu", "relu6", "leaky_relu", "hard_swish", "hard_sigmoid", "sigmoid", "swish", "pool2d"}) | {
    "nearest_interp_v2"
}
_BINARY = frozenset({"elementwise_add", "elementwise_sub", "elementwise_mul"})


@dataclass(frozen=True)
class Place:
    """Where a parameter holds numbers of a group's channels: ``count`` of them along a side, from ``first`` on."""

    parameter: str
    side: int
    first: int
    count: int


@dataclass(frozen=True)
class ChannelGroups:
    """``source``: for each dense product, by the name of its weights, the groups whose channels it reads and that may
    move, each with the first of its channels and their number. ``places``: the parameters to change with a group.
    """

    source: Mapping[str, tuple[tuple[str, int, int], ...]]
    places: Mapping[str, tuple[Place, ...]]


@dataclass
class _Search:
    editor: GraphEditor
    sets: UnionFind = field(default_factory=UnionFind)
    side: dict[str, int] = field(default_factory=dict)
    """The side of each variable that its channels stand along."""
    held: list[tuple[str, Place]] = field(default_factory=list)
    """A variable, and where a parameter holds numbers of its channels."""
    sources: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    """What a dense product reads, by its weights: variables, the first channel of each and their number."""
    parts: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    """What a variable was put together of."""

    def fix(self, op: Op) -> None:
        """Keep the order of everything that ``op`` touches."""
        self.sets.fix(*(name for name in (*op.input_names, *op.output_names) if self.editor.param(name) is None))


def channel_groups(model: Model) -> ChannelGroups:
    """Return which dense products' inputs may have their channels in another order, and what must change with it."""
    search = _Search(GraphEditor(model, "channel_groups"))
    for op in search.editor.ops:
        unsafe = search.editor.consumers(op.output_names[0] if op.output_names else "") is None or is_quantised(op)
        if unsafe or not _enter(search, op):
            search.fix(op)
    return _found(search)


def _found(search: _Search) -> ChannelGroups:
    sets = search.sets
    for joined, parts in search.parts.items():
        if sets.fixed(joined):
            sets.fix(*(name for name, _, _ in parts))
    readers = [name for op in search.editor.ops for name in dict.fromkeys(op.input_names)]
    for variable, place in search.held:
        if readers.count(place.parameter) != 1:
            sets.fix(variable)
    source = {
        name: tuple((sets.find(at), first, count) for at, first, count in parts if not sets.fixed(at))
        for name, parts in search.sources.items()
    }
    places: dict[str, tuple[Place, ...]] = {group: () for parts in source.values() for group, _, _ in parts}
    for variable, place in search.held:
        if sets.find(variable) in places:
            places[sets.find(variable)] += (place,)
    return ChannelGroups({name: parts for name, parts in source.items() if parts}, places)


def with_orders(model: Model, groups: ChannelGroups, orders: Mapping[str, Order]) -> Model:
    """Return the model whose groups have their channels in these orders; its outputs stay but for sums' roundings."""
    for group in sorted(orders):
        for place in groups.places[group]:
            array = model.params[place.parameter]
            order = np.arange(array.shape[place.side])
            order[place.first : place.first + place.count] = place.first + orders[group]
            changed = np.ascontiguousarray(np.take(array, order, axis=place.side))
            model = model.with_param(place.parameter, changed)
    return model


def _enter(search: _Search, op: Op) -> bool:
    """Note what ``op`` does to channels; False when that is not known."""
    conv = conv_at(search.editor, op)
    if conv is not None:
        return _enter_conv(search, conv)
    if op.type == "matmul_v2":
        return _enter_matmul(search, op)
    if op.type in _BINARY:
        return plain_binary(op) and _enter_binary(search, op)
    if op.type == "layer_norm":
        return _enter_norm(search, op)
    if op.type == "concat":
        return _enter_concat(search, op)
    if op.type in ("reshape2", "transpose2"):
        return _enter_move(search, op)
    return op.type in _EACH and len(op.output_names) == 1 and _pass_on(search, op.input("X"), op.output("Out"))


def _pass_on(search: _Search, source: str, out: str, side: int | None = None) -> bool:
    held = search.side.get(source)
    if held is None or source in search.parts:
        return False
    search.sets.join(source, out)
    search.side[out] = held if side is None else side
    return True


def _read(search: _Search, source: str, name: str, side: int) -> None:
    """Note that a dense product reads ``source``, whose channels its weights ``name`` hold along ``side``."""
    weights = search.editor.param(name)
    parts = search.parts.get(source) or [(source, 0, 0 if weights is None else weights.shape[side])]
    search.held += [(variable, Place(name, side, first, count)) for variable, first, count in parts]
    search.sources[name] = parts


def _write(search: _Search, out: str, name: str, side: int) -> None:
    """Note that the parameter ``name`` holds a number of every channel of ``out`` along ``side``."""
    array = search.editor.param(name)
    search.held.append((out, Place(name, side, 0, 0 if array is None else array.shape[side])))


def _enter_conv(search: _Search, conv: Conv) -> bool:
    source, out, name = conv.source, conv.op.output("Output"), conv.op.input("Filter")
    if search.side.get(source, 1) != 1:
        return False
    search.side[out] = 1
    if conv.groups == 1:
        _read(search, source, name, 0 if conv.transposed else 1)
        _write(search, out, name, 1 if conv.transposed else 0)
        return True
    if conv.transposed or conv.weight.shape[1] != 1 or conv.weight.shape[0] != conv.groups:
        return False
    _write(search, out, name, 0)
    return _pass_on(search, source, out)


def _enter_matmul(search: _Search, op: Op) -> bool:
    x, name, out = op.input("X"), op.input("Y"), op.output("Out")
    weights, dims = search.editor.param(name), search.editor.dims(x)
    plain = (
        weights is not None and weights.ndim == 2 and not op.attr("trans_x", False) and not op.attr("trans_y", False)
    )
    if not plain or dims is None or search.side.get(x, len(dims) - 1) != len(dims) - 1:
        return False
    search.side[out] = len(dims) - 1
    _read(search, x, name, 0)
    _write(search, out, name, 1)
    return True


def _enter_concat(search: _Search, op: Op) -> bool:
    """Note the parts of a concatenation of channels; whoever does more with it than multiply fixes them."""
    out, parts, first = op.output("Out"), op.inputs["X"], 0
    for name in parts:
        dims, side = search.editor.dims(name), search.side.get(name)
        if dims is None or side is None or side != op.attr("axis") or dims[side] < 1 or name in search.parts:
            return False
        search.side[out] = side
        search.parts.setdefault(out, []).append((name, first, dims[side]))
        first += dims[side]
    return not op.inputs.get("AxisTensor") and len(set(parts)) == len(parts)


def _enter_binary(search: _Search, op: Op) -> bool:
    x, y, out = op.input("X"), op.input("Y"), op.output("Out")
    constant, dims = search.editor.param(y), search.editor.dims(x)
    side, axis = search.side.get(x), op.attr("axis", -1)
    if side is None or dims is None or not isinstance(axis, int) or search.editor.param(x) is not None:
        return False
    if constant is None:
        other = search.editor.dims(y)
        same = other is not None and len(other) == len(dims) and search.side.get(y) == side
        return same and _pass_on(search, y, out) and _pass_on(search, x, out)
    if constant.size != 1:
        if constant.ndim != 1 or (len(dims) - 1 if axis == -1 else axis) != side:
            return False
        _write(search, out, y, 0)
    return _pass_on(search, x, out)


def _enter_norm(search: _Search, op: Op) -> bool:
    x, out = op.input("X"), op.output("Y")
    dims = search.editor.dims(x)
    if dims is None or not search.side.get(x) == op.attr("begin_norm_axis") == len(dims) - 1:
        return False
    for name in (name for key in ("Scale", "Bias") for name in op.inputs.get(key, ())):
        _write(search, out, name, 0)
    return _pass_on(search, x, out)


def _enter_move(search: _Search, op: Op) -> bool:
    """Follow a transposition, and a change of shape that keeps the channel dimension."""
    x, out = op.input("X"), op.output("Out")
    side, dims = search.side.get(x), search.editor.dims(x)
    if side is None or dims is None or any(op.inputs.get(key) for key in ("Shape", "ShapeTensor")):
        return False
    if op.type == "transpose2":
        axis = ints(op, "axis")
        return axis is not None and _pass_on(search, x, out, axis.index(side))
    shape = ints(op, "shape") or ()
    channels = dims[side]
    if channels > 0 and side == 1 and len(shape) > 1 and shape[0] == 0 and shape[1] in (0, channels):
        return _pass_on(search, x, out, 1)
    if channels > 0 and side == len(dims) - 1 and shape and shape[-1] == channels:
        return _pass_on(search, x, out, len(shape) - 1)
    return False

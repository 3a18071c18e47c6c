"""Cut out channels that carry nothing but a constant, and channels that nothing weighs.

Training with weight decay leaves filters whose weights have shrunk to nothing (1e-7 to 1e-42 of their neighbours').
Such a channel is its bias whatever the picture; activations, pools and gates keep it a constant, and so does a
depthwise filter (a padded one only when it is nothing itself, since its border sees zeros). An unpadded dense
convolution takes constant * weight into its bias, and the channel goes out of producer, everything between, and reader.

*Nothing* is no fixed number, for a factor may move between a filter and its readers. Each channel gets a centre, its
value when the producers read zeros, and a reach: how far it may be from there when they read values of at most 1 (sums
of magnitudes, times the steepest slope of each activation). A reader's output then moves by at most |weight| * reach
because of the channel. The channel is dead when that is at most 2^-24 of the same product of the strongest channel, in
every output of every reader: float32 rounds more than that away when it adds the two.

Counts are cut down to multiples of 4 only: Paddle Lite's ARM kernels work on 4 or 8 outputs at a time and fill the
last block with zeros, so a cut in between saves nothing there and makes the slower path for remainders run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from model_opt.passes.propagate_affine import rewrite_conv
from model_opt.program import Model, Op
from model_opt.program.editor import Array, GraphEditor
from model_opt.program.ops import Conv, Float64Array, affine_at, conv_at, ints, is_quantised, number, plain_binary
from model_opt.program.report import PassReport

_HIDDEN = 2.0**-24
_MULTIPLE = 4


@dataclass(frozen=True, slots=True)
class _Range:
    """The channels of one value: ``centre - reach <= value <= centre + reach``; see the module for the units."""

    centre: Float64Array
    reach: Float64Array


@dataclass
class _Group:
    """Values whose channels belong together, since each operator between them works channel by channel.

    ``producers`` write them and mix other channels, ``inner`` read and write them, ``readers`` mix them. Operators are
    known by their outputs. ``blocked`` says why the channels must stay as they are.
    """

    out: str
    channels: int
    values: dict[str, None] = field(default_factory=dict)
    producers: dict[str, None] = field(default_factory=dict)
    inner: dict[str, None] = field(default_factory=dict)
    readers: dict[str, None] = field(default_factory=dict)
    blocked: dict[str, None] = field(default_factory=dict)


def dead_channels(model: Model) -> tuple[Model, PassReport]:
    """Remove dead channels, see the module; the report names those that must stay, with the reason."""
    editor = GraphEditor(model, "dead_channels")
    while any(_cut(editor, group) for group in _groups(editor)):
        pass
    for group in _groups(editor):
        _explain(editor, group)
    return editor.finish()


# ---- which channels belong together


def _groups(editor: GraphEditor) -> list[_Group]:
    """Return the groups in the order of their first producers."""
    found: list[_Group] = []
    seen: set[str] = set()
    for op in editor.ops:
        conv = conv_at(editor, op)
        if conv is not None and _dense(conv) and op.output("Output") not in seen:
            found.append(_grown(editor, _Group(conv.out, conv.channels), op.output("Output")))
            seen.update(found[-1].values)
    return found


def _grown(editor: GraphEditor, group: _Group, start: str) -> _Group:
    todo = [start]
    while todo:
        name = todo.pop()
        if name in group.values:
            continue
        group.values[name] = None
        writer, readers = editor.producer(name), editor.consumers(name)
        dims = editor.dims(name)
        if writer is None or readers is None:
            group.blocked["another block uses them, or an unknown operator writes them"] = None
            continue
        if dims is None or len(dims) != 4 or dims[1] != group.channels:
            group.blocked["their number is not declared"] = None
        todo += _joined(editor, group, writer, writes=True)
        todo += itertools.chain.from_iterable(_joined(editor, group, op, writes=False) for op in readers)
    return group


def _joined(editor: GraphEditor, group: _Group, op: Op, *, writes: bool) -> tuple[str, ...]:
    """Enter ``op``, which writes or reads a value of the group; return the values that join by it."""
    key = op.output_names[0] if op.output_names else ""
    conv = conv_at(editor, op)
    if conv is not None and _dense(conv):
        (group.producers if writes else group.readers)[key] = None
        _check_owner(editor, group, op.input("Filter"))
        return ()
    values = _values_through(editor, op)
    if values is None:
        group.blocked[f"{op.type} {'writes' if writes else 'reads'} them"] = None
        return ()
    group.inner[key] = None
    for name in op.input_names:
        if editor.param(name) is not None:
            _check_owner(editor, group, name)
    return values


def _check_owner(editor: GraphEditor, group: _Group, name: str) -> None:
    array = editor.param(name)
    if array is not None and array.size > 1 and len(editor.consumers(name) or ()) != 1:
        group.blocked["operators share their parameters"] = None


def _dense(conv: Conv) -> bool:
    return not conv.transposed and conv.groups == 1


def _depthwise(conv: Conv) -> bool:
    return not conv.transposed and conv.groups == conv.channels and conv.weight.shape[1] == 1


def _values_through(editor: GraphEditor, op: Op) -> tuple[str, ...] | None:
    """Return the values that ``op`` reads and writes when it works channel by channel; None when it may not."""
    conv = conv_at(editor, op)
    if conv is not None:
        return (conv.source, op.output("Output")) if _depthwise(conv) else None
    if len(op.output_names) != 1 or is_quantised(op):
        return None
    found = affine_at(editor, op)
    if found is not None:
        return (found[0], op.output("Out"))
    if op.type in ("elementwise_add", "elementwise_mul") and plain_binary(op):
        x, y = op.input("X"), op.input("Y")
        return None if {editor.param(x) is None, editor.param(y) is None} != {True} else (x, y, op.output("Out"))
    if op.type in _PASSES_CONSTANTS or _known_activation(op) or (op.type == "pool2d" and _plain_pool(op)):
        return (*op.input_names, *op.output_names) if len(op.input_names) == 1 else None
    return None


def _known_activation(op: Op) -> bool:
    usual = (("threshold", 6.0), ("scale", 6.0), ("offset", 3.0)) if op.type == "hard_swish" else ()
    return op.type in _ACTIVATIONS and all(number(op, key, value) == value for key, value in usual)


def _plain_pool(op: Op) -> bool:
    """True when a pool of a constant is the constant, at the border too."""
    padded = any(ints(op, "paddings") or ()) or op.attr("padding_algorithm", "EXPLICIT") == "SAME"
    counts = padded and op.attr("pooling_type") != "max" and not op.attr("exclusive", True)
    return op.attr("data_format", "NCHW") == "NCHW" and not counts


# ---- what the channels can be

_PASSES_CONSTANTS = ("assign", "nearest_interp", "nearest_interp_v2")

_ACTIVATIONS: Mapping[str, tuple[Callable[[Float64Array, Op], Float64Array], Callable[[Op], float]]] = {
    "relu": (lambda x, _: np.maximum(x, 0), lambda _: 1.0),
    "relu6": (lambda x, op: np.clip(x, 0, number(op, "threshold", 6.0)), lambda _: 1.0),
    "hard_swish": (lambda x, _: x * np.clip(x + 3, 0, 6) / 6, lambda _: 1.5),
    "hard_sigmoid": (
        lambda x, op: np.clip(x * number(op, "slope", 0.2) + number(op, "offset", 0.5), 0, 1),
        lambda op: abs(number(op, "slope", 0.2)),
    ),
    "swish": (lambda x, op: x * _sigmoid(x * number(op, "beta", 1.0)), lambda _: 1.1),
    "sigmoid": (lambda x, _: _sigmoid(x), lambda _: 0.25),
    "gelu": (lambda x, op: _gelu(x, bool(op.attr("approximate", False))), lambda _: 1.13),
}
"""Each function and the steepest slope it has."""


def _sigmoid(x: Float64Array) -> Float64Array:
    half: Float64Array = np.tanh(0.5 * x)
    return 0.5 * (1 + half)


def _gelu(x: Float64Array, approximate: bool) -> Float64Array:
    """Return x Phi(x), or Paddle's approximation of it by tanh."""
    phi = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x.flat]).reshape(x.shape)
    if approximate:
        phi = _sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    result: Float64Array = x * phi
    return result


def _ranges(editor: GraphEditor, group: _Group) -> dict[str, _Range]:
    """Return what each value of the group can be."""
    ranges: dict[str, _Range] = {}
    for op in editor.ops:
        key = op.output_names[0] if op.output_names else ""
        if key in group.producers:
            reach = _taps(editor.param(op.input("Filter"))).sum(1)
            ranges[key] = _Range(np.zeros_like(reach), reach)
        elif key in group.inner:
            ranges[key] = _range_behind(editor, op, ranges)
    return ranges


def _taps(weight: Array | None) -> Float64Array:
    """Return the sum of magnitudes over the taps of a filter: [out, in / groups]."""
    sums: Float64Array = np.abs(np.asarray(weight, dtype=np.float64)).sum((2, 3))
    return sums


def _range_behind(editor: GraphEditor, op: Op, ranges: Mapping[str, _Range]) -> _Range:
    conv, found = conv_at(editor, op), affine_at(editor, op)
    if conv is not None:
        x, weight = ranges[conv.source], conv.weight.astype(np.float64)
        border = np.abs(x.centre) if conv.padded else 0.0
        return _Range(x.centre * weight.sum((1, 2, 3)), _taps(weight)[:, 0] * (x.reach + border))
    if found is not None:
        x, change = ranges[found[0]], found[1]
        return _Range(x.centre * change.scale + change.shift, x.reach * np.abs(change.scale))
    if op.type in ("elementwise_add", "elementwise_mul"):
        x, y = ranges[op.input("X")], ranges[op.input("Y")]
        if op.type == "elementwise_add":
            return _Range(x.centre + y.centre, x.reach + y.reach)
        return _Range(x.centre * y.centre, np.abs(x.centre) * y.reach + np.abs(y.centre) * x.reach + x.reach * y.reach)
    x = ranges[op.input("X")]
    if op.type not in _ACTIVATIONS:
        return x
    function, steepest = _ACTIVATIONS[op.type]
    return _Range(function(x.centre, op), steepest(op) * x.reach)


def _strengths(editor: GraphEditor, group: _Group, ranges: Mapping[str, _Range]) -> Float64Array:
    """Return for each channel how far it moves a reader's output, as a part of what the strongest channel may do."""
    strongest: Float64Array = np.zeros(group.channels)
    for conv in _convs(editor, group.readers):
        x = ranges[conv.source]
        moves = _taps(conv.weight) * (x.reach + (np.abs(x.centre) if conv.padded else 0.0))
        most = moves.max(1, keepdims=True)
        parts = np.divide(moves, most, out=np.zeros_like(moves), where=most > 0)
        strongest = np.maximum(strongest, parts.max(0) if np.all(np.isfinite(moves)) else 1.0)
    return strongest


def _convs(editor: GraphEditor, keys: Mapping[str, None]) -> list[Conv]:
    found = [conv_at(editor, op) for op in editor.ops if op.output_names and op.output_names[0] in keys]
    return [conv for conv in found if conv is not None]


# ---- the cut


def _cut(editor: GraphEditor, group: _Group) -> bool:
    """Cut the weakest of the group's dead channels; False when there are none or the count would not fit."""
    if group.blocked:
        return False
    ranges = _ranges(editor, group)
    strengths = _strengths(editor, group, ranges)
    alive = int((strengths > _HIDDEN).sum())
    count = group.channels - max(_MULTIPLE, -(-alive // _MULTIPLE) * _MULTIPLE)
    if count <= 0:
        return False
    kept = np.ones(group.channels, dtype=np.bool_)
    kept[np.argsort(strengths, kind="stable")[:count]] = False
    for op in editor.ops:
        if op.output_names and op.output_names[0] in group.producers | group.inner:
            _narrow(editor, op, kept)
    for name in group.values:
        dims = editor.dims(name) or ()
        editor.set_dims(name, (dims[0], int(kept.sum()), *dims[2:]))
    for conv in _convs(editor, group.readers):
        added = np.zeros(conv.channels)
        if not conv.padded:
            added = conv.weight.astype(np.float64)[:, ~kept].sum((2, 3)) @ ranges[conv.source].centre[~kept]
        bias = np.zeros(conv.channels) if conv.bias is None else conv.bias.astype(np.float64)
        rewrite_conv(editor, conv, conv.weight[:, kept].astype(np.float64), bias + added)
    for _ in range(count):
        editor.note("channel cut")
    return True


def _narrow(editor: GraphEditor, op: Op, kept: Array) -> None:
    """Take the channels out of the parameters of an operator that writes them."""
    made = op
    for key, names in op.inputs.items():
        array = editor.param(names[0]) if len(names) == 1 else None
        if array is not None and array.size > 1:
            axis = 0 if key == "Filter" else array.shape.index(kept.size)
            made = made.with_input(key, editor.changed_param(op, names[0], np.compress(kept, array, axis)))
    if op.attr("groups", 1) != 1:
        made = made.with_attr("groups", int(kept.sum()))
    editor.replace(op, made)


def _explain(editor: GraphEditor, group: _Group) -> None:
    """Say which channels are dead and why they stay."""
    if not group.blocked:
        dead = int((_strengths(editor, group, _ranges(editor, group)) <= _HIDDEN).sum())
        if dead:
            editor.leave(group.out, f"{dead} dead channels stay: the rest would be no multiple of {_MULTIPLE}")
        return
    rows = [_taps(conv.weight).sum(1) for conv in _convs(editor, group.producers)]
    dead = int(np.all([row <= _HIDDEN * row.max() for row in rows], axis=0).sum())
    if dead:
        editor.leave(group.out, f"{dead} channels hold a constant, but {' and '.join(group.blocked)}")

"""Propagate an affine map of a value into the weights of the convolutions that read it.

``plan_affine`` follows the value through the operators that commute with such a map and collects the convolutions at
the end; ``apply_affine`` changes their weights. A map is only taken where the result is the same in exact arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from model_opt.program import AttrType, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import (
    Affine,
    Conv,
    Float64Array,
    add_op,
    conv_at,
    conv_before,
    ints,
    is_quantised,
    number,
    plain_binary,
)

_PASSES_ALL = ("assign", "nearest_interp", "nearest_interp_v2")


@dataclass
class AffinePlan:
    """The convolutions that take a map, each with what their input becomes, and the reasons why some reader cannot.

    ``divided`` are convolutions whose results are added to the value, with the factor that they must be divided by: a
    sum only carries a factor on when both operands do.
    """

    takers: list[tuple[Conv, Affine]] = field(default_factory=list)
    divided: list[tuple[Conv, Float64Array]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def possible(self) -> bool:
        """True when every reader can take the map."""
        return not self.reasons


def plan_affine(editor: GraphEditor, name: str, change: Affine, readers: tuple[Op, ...] | None = None) -> AffinePlan:
    """Return how the readers of ``name`` (or only ``readers``) would take its replacement by x, name = change(x)."""
    found = AffinePlan()
    if not change.finite:
        found.reasons.append("the numbers are not finite")
        return found
    followed = editor.consumers(name) if readers is None else readers
    if followed is None:
        found.reasons.append("another block reads the value, or it is written more than once")
    elif not followed:
        found.reasons.append("nothing reads the value")
    else:
        for op in followed:
            _follow(editor, name, op, change, found)
    lists = ([id(conv.op) for conv, _ in found.takers], [id(conv.op) for conv, _ in found.divided])
    if any(len(set(taken)) != len(taken) for taken in lists):
        found.reasons.append("one convolution is reached on two paths")
    return found


def _follow(editor: GraphEditor, name: str, op: Op, change: Affine, found: AffinePlan) -> None:
    conv = conv_at(editor, op)
    if conv is not None and conv.op.input_names.count(name) == 1:
        reason = _why_conv_cannot(conv, change)
        if reason is None:
            found.takers.append((conv, change))
        else:
            found.reasons.append(reason)
        return
    added = _added_conv(editor, name, op, change)
    if added is not None:
        found.divided.append((added, change.scale))
    onwards = change if added is not None else _through(editor, name, op, change)
    if isinstance(onwards, str):
        found.reasons.append(onwards)
        return
    out = op.output("Out")
    later = plan_affine(editor, out, onwards)
    found.takers.extend(later.takers)
    found.divided.extend(later.divided)
    found.reasons.extend(later.reasons)


def _added_conv(editor: GraphEditor, name: str, op: Op, change: Affine) -> Conv | None:
    """Return the convolution whose result ``op`` alone reads and adds to ``name``, when one factor can go through."""
    if op.type != "elementwise_add" or not plain_binary(op) or change.shifts or change.scale.ndim or not change.scale:
        return None
    x, y = op.input("X"), op.input("Y")
    other = y if x == name else x
    conv = None if x == y else conv_before(editor, other)
    return conv if conv is not None and editor.only_consumer(other) is op else None


def _why_conv_cannot(conv: Conv, change: Affine) -> str | None:
    kind = conv.op.type
    if not change.shifts:
        return None
    if conv.padded:
        return f"{kind} pads its input: at the border it sees zeros, not the constant"
    if conv.transposed and conv.strides != conv.weight.shape[2:]:
        return f"{kind} overlaps or skips: the constant does not reach every output alike"
    return None


def _through(editor: GraphEditor, name: str, op: Op, change: Affine) -> Affine | str:
    """Return the map behind ``op``, which reads ``name``; a reason when it does not pass."""
    if len(op.outputs.get("Out", ())) != 1 or op.input_names.count(name) != 1 or is_quantised(op):
        return f"{op.type} does not commute with it"
    if op.type in _PASSES_ALL:
        return change
    if op.type == "pool2d":
        return _through_pool(op, change)
    if op.type == "concat":
        return _through_concat(editor, name, op, change)
    if op.type in ("relu", "leaky_relu"):
        return change if not change.shifts and np.all(change.scale > 0) else f"{op.type} is not linear"
    if op.type == "elementwise_mul":
        if change.shifts:
            return "elementwise_mul multiplies the constant by another value"
        full = (
            editor.dims(name) is not None
            and len(editor.dims(name) or ()) == len(editor.dims(op.output("Out")) or ()) == 4
        )
        return change if change.scale.ndim == 0 or full else "elementwise_mul changes the rank"
    return f"{op.type} does not commute with it"


def _through_pool(op: Op, change: Affine) -> Affine | str:
    if op.attr("data_format", "NCHW") != "NCHW":
        return "pool2d works in another layout"
    if op.attr("pooling_type") == "max":
        return change if np.all(change.scale > 0) else "pool2d takes the maximum"
    padded = any(ints(op, "paddings") or ()) or op.attr("padding_algorithm", "EXPLICIT") == "SAME"
    covers_all = op.attr("global_pooling", False) or op.attr("adaptive", False) or not padded
    if change.shifts and not covers_all and not op.attr("exclusive", True):
        return "pool2d counts its padding"
    return change


def _through_concat(editor: GraphEditor, name: str, op: Op, change: Affine) -> Affine | str:
    parts = op.inputs.get("X", ())
    shapes = [editor.dims(part) for part in parts]
    axis = int(number(op, "axis", 0))
    if axis != 1 or op.inputs.get("AxisTensor") or any(s is None or len(s) != 4 or s[1] < 1 for s in shapes):
        return "concat joins along an axis or sizes that are not known"
    scales: list[Float64Array] = []
    shifts: list[Float64Array] = []
    for part, dims in zip(parts, shapes, strict=True):
        width = 0 if dims is None else dims[1]
        scales.append(np.broadcast_to(change.scale if part == name else np.float64(1), width))
        shifts.append(np.broadcast_to(change.shift if part == name else np.float64(0), width))
    return Affine(np.concatenate(scales), np.concatenate(shifts))


def apply_affine(editor: GraphEditor, found: AffinePlan) -> None:
    """Write the planned maps into weights and biases."""
    for conv, change in found.takers:
        current = _current(editor, conv)
        if current is not None:
            rewrite_conv(editor, current, *_taken(current, change))
    for conv, factor in found.divided:
        current = _current(editor, conv)
        if current is not None:
            bias = np.zeros(current.channels) if current.bias is None else current.bias.astype(np.float64)
            rewrite_conv(editor, current, current.weight.astype(np.float64) / factor, bias / factor)


def _current(editor: GraphEditor, conv: Conv) -> Conv | None:
    """Return a convolution as it is now, after the edits since it was found."""
    return conv_at(editor, next(op for op in editor.ops if op.outputs.get("Output") == conv.op.outputs["Output"]))


def _taken(conv: Conv, change: Affine) -> tuple[Float64Array, Float64Array]:
    """Return the weight and the bias of ``conv`` once its input is x where it was change(x)."""
    weight = conv.weight.astype(np.float64)
    bias = np.zeros(conv.channels) if conv.bias is None else conv.bias.astype(np.float64)
    inputs = weight.shape[0] if conv.transposed else weight.shape[1] * conv.groups
    scale, shift = (np.broadcast_to(part, inputs) for part in (change.scale, change.shift))
    if conv.transposed:
        # Stride equals kernel here, so every output pixel sees one tap: only a shift equal on all taps is a bias.
        grouped = weight.reshape(conv.groups, inputs // conv.groups, *weight.shape[1:])
        added = np.einsum("gioyx,gi->goyx", grouped, shift.reshape(conv.groups, -1)).reshape(conv.channels, -1)
        return weight * scale[:, None, None, None], bias + added[:, 0]
    per_output = np.repeat(np.arange(conv.groups), weight.shape[0] // conv.groups)
    mine = np.arange(inputs).reshape(conv.groups, -1)[per_output]
    bias = bias + np.einsum("oiyx,oi->o", weight, shift[mine])
    return weight * scale[mine][:, :, None, None], bias


def rewrite_conv(editor: GraphEditor, conv: Conv, weight: Float64Array, bias: Float64Array) -> None:
    """Give a convolution another weight and bias, float64 of the stored shapes; a bias of zeros needs no operator."""
    op = conv.op
    name = editor.changed_param(op, op.input("Filter"), weight.astype(np.float32))
    fresh = op.with_input("Filter", name)
    if conv.adder is not None:
        editor.replace(op, fresh)
        adder = conv.adder
        held = editor.changed_param(adder, adder.input("Y"), bias.astype(np.float32))
        editor.replace(adder, adder.with_input("Y", held).with_attr("axis", 1, AttrType.INT))
    elif np.any(bias != 0):
        out = op.output("Output")
        raw = editor.new_var(out, editor.dims(out), out)
        held = editor.set_param(f"{op.input('Filter')}.bias", bias.astype(np.float32))
        editor.replace(op, fresh.with_output("Output", raw), add_op(raw, held, out, 1))
    else:
        editor.replace(op, fresh)

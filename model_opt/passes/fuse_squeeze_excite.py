"""Make channel gates (squeeze and excitation) cheaper.

A gate is conv -> hard_sigmoid -> times x. ``hard_sigmoid(u) = relu6(6 slope u + 6 offset) / 6``, and relu6 is fused
into a convolution everywhere while hard_sigmoid is not, so the factor and the offset go into the convolution in front,
and the sixth into the convolutions that read the product.

A gate with a shortcut, x + x h, is x (1 + h): one addition over a value for each channel instead of over the image.
It keeps its hard_sigmoid: a factor of 6 on x would have to go through the averages over x, whose rounding (engines
add up tens of thousands of numbers in float32) then moves the detector's output by more than the fold is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_opt.passes.propagate_affine import apply_affine, plan_affine, rewrite_conv
from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import Conv, add_op, affine, conv_before, is_quantised, number, plain_binary
from model_opt.program.report import PassReport


@dataclass(frozen=True, slots=True)
class _Gate:
    """``product = x * sigmoid``; with a shortcut ``total = x + product``."""

    sigmoid: Op
    product: Op
    x: str
    total: Op | None


def fuse_squeeze_excite(model: Model) -> tuple[Model, PassReport]:
    """Turn gates into relu6 gates and shortcuts around gates into 1 + h; the report names what is left and why."""
    editor = GraphEditor(model, "fuse_squeeze_excite")
    for op in editor.each("hard_sigmoid"):
        gate = _gate_at(editor, op)
        if gate is None:
            continue
        if gate.total is not None:
            _raise(editor, gate, gate.total)
        else:
            _bound(editor, gate)
    return editor.finish()


def _gate_at(editor: GraphEditor, sigmoid: Op) -> _Gate | None:
    value = sigmoid.output("Out")
    product = editor.only_consumer(value)
    if product is None or product.type != "elementwise_mul" or not plain_binary(product) or is_quantised(sigmoid):
        return None
    x = product.input("Y") if product.input("X") == value else product.input("X")
    shapes = [editor.dims(name) for name in (x, value, product.output("Out"))]
    if editor.param(x) is not None or any(dims is None or len(dims) != 4 for dims in shapes):
        return None
    return _Gate(sigmoid, product, x, _shortcut(editor, product, x))


def _shortcut(editor: GraphEditor, product: Op, x: str) -> Op | None:
    total = editor.only_consumer(product.output("Out"))
    if total is None or total.type != "elementwise_add" or not plain_binary(total):
        return None
    return total if sorted(total.input_names) == sorted((x, product.output("Out"))) else None


def _raise(editor: GraphEditor, gate: _Gate, total: Op) -> None:
    """Write x + x h as x (1 + h)."""
    value = gate.sigmoid.output("Out")
    raised = editor.new_var(value, editor.dims(value), value)
    one = editor.set_param(f"{value}.one", np.ones(1, np.float32))
    inputs = {"X": (gate.x,), "Y": (raised,)}
    product = Op("elementwise_mul", inputs, total.outputs).with_attr("axis", -1, AttrType.INT)
    editor.replace(total, add_op(value, one, raised, -1), product)
    editor.replace(gate.product)
    editor.note("shortcut into the gate")


def _bound(editor: GraphEditor, gate: _Gate) -> None:
    """Write the gate with relu6, its factor and offset in the convolution in front."""
    source, out = gate.sigmoid.input("X"), gate.product.output("Out")
    conv, slope = conv_before(editor, source), number(gate.sigmoid, "slope", 0.2)
    if conv is None or editor.only_consumer(source) is not gate.sigmoid or slope <= 0:
        editor.leave(out, "the input of hard_sigmoid is not a convolution that only it reads")
        return
    behind = plan_affine(editor, out, affine(1 / 6))
    if not behind.possible:
        editor.leave(out, "; ".join(dict.fromkeys(behind.reasons)))
        return
    _relu6(editor, gate.sigmoid, conv, slope)
    apply_affine(editor, behind)
    editor.note("gate by relu6")


def _relu6(editor: GraphEditor, sigmoid: Op, conv: Conv, slope: float) -> None:
    bias = np.zeros(conv.channels) if conv.bias is None else conv.bias.astype(np.float64)
    made = Op("relu6", {"X": sigmoid.inputs["X"]}, {"Out": sigmoid.outputs["Out"]})
    editor.replace(sigmoid, made.with_attr("threshold", 6.0, AttrType.FLOAT))
    offset = number(sigmoid, "offset", 0.5)
    rewrite_conv(editor, conv, conv.weight.astype(np.float64) * (6 * slope), bias * (6 * slope) + 6 * offset)

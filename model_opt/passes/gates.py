"""Make channel gates (squeeze and excitation) cheaper.

A gate is conv -> hard_sigmoid -> times x. ``hard_sigmoid(u) = relu6(6 slope u + 6 offset) / 6``, and relu6 is fused
into a convolution everywhere while hard_sigmoid is not, so the factor and the offset go into the convolution in front.
The sixth goes where nothing sees it: into the convolutions that read the product, or into the one that makes x.

A gate with a shortcut, x + x h, is x (1 + h): the addition over the whole image becomes one over a value for each
channel, and x / 6 times (6 + relu6(..)) needs no other factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_opt.paddle_model import AttrType, Op, PaddleModel
from model_opt.passes.absorb import Plan, apply, factor, plan, rewrite_conv
from model_opt.passes.draft import Draft
from model_opt.passes.ops import Conv, add_op, conv_before, number, plain_binary
from model_opt.passes.report import PassReport


@dataclass(frozen=True, slots=True)
class _Gate:
    """``product = x * hard_sigmoid(conv)``, and with a shortcut ``total = x + product``."""

    conv: Conv
    sigmoid: Op
    product: Op
    x: str
    total: Op | None

    @property
    def out(self) -> str:
        return (self.total or self.product).output("Out")


def gates(model: PaddleModel) -> tuple[PaddleModel, PassReport]:
    """Turn hard_sigmoid gates into relu6 gates; one that cannot place the factor is left with the reason."""
    draft = Draft(model, "gates")
    for op in draft.each("hard_sigmoid"):
        gate = _gate_at(draft, op)
        if gate is None:
            continue
        reason = _add_gate(draft, gate) if gate.total is not None else _plain_gate(draft, gate)
        if reason is not None:
            draft.leave(gate.out, reason)
    return draft.finish()


def _gate_at(draft: Draft, sigmoid: Op) -> _Gate | None:
    conv = conv_before(draft, sigmoid.input("X"))
    product = draft.only_consumer(sigmoid.output("Out"))
    if conv is None or draft.only_consumer(conv.out) is not sigmoid or number(sigmoid, "slope", 0.2) <= 0:
        return None
    if product is None or product.type != "elementwise_mul" or not plain_binary(product):
        return None
    others = [name for name in product.input_names if name != sigmoid.output("Out")]
    if len(others) != 1 or draft.param(others[0]) is not None or product.attr("axis", -1) not in (-1, 0):
        return None
    return _Gate(conv, sigmoid, product, others[0], _shortcut(draft, product, others[0]))


def _shortcut(draft: Draft, product: Op, x: str) -> Op | None:
    total = draft.only_consumer(product.output("Out"))
    if total is None or total.type != "elementwise_add" or not plain_binary(total):
        return None
    return total if sorted(total.input_names) == sorted((x, product.output("Out"))) else None


def _plain_gate(draft: Draft, gate: _Gate) -> str | None:
    behind = plan(draft, gate.out, factor(1 / 6))
    if behind.possible:
        _relu6(draft, gate)
        apply(draft, behind)
    else:
        readers = [op for op in draft.consumers(gate.x) or () if op is not gate.product]
        around = plan(draft, gate.x, factor(6), tuple(readers)) if readers else Plan()
        maker = conv_before(draft, gate.x)
        if maker is None or not around.possible or draft.consumers(gate.x) is None:
            return "; ".join(dict.fromkeys((*behind.reasons, *around.reasons)))
        _relu6(draft, gate)
        _shrink(draft, maker, around)
    draft.note("gate by relu6")
    return None


def _add_gate(draft: Draft, gate: _Gate) -> str | None:
    readers = [op for op in draft.consumers(gate.x) or () if op not in (gate.product, gate.total)]
    around = plan(draft, gate.x, factor(6), tuple(readers)) if readers else Plan()
    maker = conv_before(draft, gate.x)
    if maker is None or draft.consumers(gate.x) is None or gate.total is None:
        return "what it gates is not made by a convolution"
    if not around.possible:
        return "; ".join(dict.fromkeys(around.reasons))
    bounded = _relu6(draft, gate)
    _shrink(draft, maker, around)
    raised = draft.new_var(bounded, draft.dims(bounded), bounded)
    six = draft.set_param(f"{bounded}.six", np.full(1, 6, np.float32))
    product = next(op for op in draft.ops if op.output_names == gate.product.output_names)
    total = next(op for op in draft.ops if op.output_names == gate.total.output_names)
    draft.replace(total)
    inputs = {"X": (gate.x,), "Y": (raised,)}
    made = Op("elementwise_mul", inputs, {"Out": (gate.out,)}).with_attr("axis", -1, AttrType.INT)
    draft.replace(product, add_op(bounded, six, raised, -1), made)
    draft.note("gate with shortcut by relu6")
    return None


def _relu6(draft: Draft, gate: _Gate) -> str:
    """Put relu6, with the factor and offset in its convolution, in the place of the hard_sigmoid."""
    slope, offset = number(gate.sigmoid, "slope", 0.2), number(gate.sigmoid, "offset", 0.5)
    conv = gate.conv
    bias = np.zeros(conv.channels) if conv.bias is None else conv.bias.astype(np.float64)
    out = gate.sigmoid.output("Out")
    relu6 = Op("relu6", {"X": gate.sigmoid.inputs["X"]}, {"Out": (out,)}).with_attr("threshold", 6.0, AttrType.FLOAT)
    draft.replace(gate.sigmoid, relu6)
    rewrite_conv(draft, conv, conv.weight.astype(np.float64) * (6 * slope), bias * (6 * slope) + 6 * offset)
    return out


def _shrink(draft: Draft, maker: Conv, around: Plan) -> None:
    """Divide what ``maker`` makes by six and let its other readers take that back."""
    bias = np.zeros(maker.channels) if maker.bias is None else maker.bias.astype(np.float64)
    rewrite_conv(draft, maker, maker.weight.astype(np.float64) / 6, bias / 6)
    apply(draft, around)

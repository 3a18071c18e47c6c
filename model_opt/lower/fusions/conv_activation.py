"""An activation behind a convolution becomes part of it (``lite_conv_activation_fuse_pass``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from model_opt.lower.graph import CONVOLUTIONS, Graph, LiteOp, flag, real, text
from model_opt.lower.target import Target
from model_opt.nb.translate.activation import FUSED, NOT_TRANSPOSED
from model_opt.program import Attr

_ATTRS: Mapping[str, Callable[[LiteOp], dict[str, Attr]]] = {
    "relu": lambda act: {"fuse_relu": flag(True)},
    "relu6": lambda act: {"fuse_brelu_threshold": real(act.need("threshold"))},
    "leaky_relu": lambda act: {"leaky_relu_alpha": real(act.need("alpha"))},
    "hard_swish": lambda act: {f"hard_swish_{name}": real(act.need(name)) for name in ("threshold", "scale", "offset")},
    "hard_sigmoid": lambda act: {name: real(act.need(name)) for name in ("slope", "offset")},
    "sigmoid": lambda act: {"fuse_sigmoid": flag(True)},
    "tanh": lambda act: {"fuse_tanh": flag(True)},
    "swish": lambda act: {"swish_scale": real(act.value("beta", 1.0)), "fuse_swish": flag(True)},
    "abs": lambda act: {"fuse_abs": flag(True)},
}
"""What a convolution says of each activation, beside ``with_act`` and ``act_type``."""


def fuse_conv_activation(graph: Graph, target: Target) -> None:
    """Make a convolution and the only activation that reads it one new operator.

    A convolution that has an activation gets no second one: opt would overwrite the first without a word. ARM's
    depthwise convolutions take no ``hard_swish``.
    """
    for kind in CONVOLUTIONS:
        for act_type in FUSED[target.place]:
            if act_type in NOT_TRANSPOSED and kind == "conv2d_transpose":
                continue
            if act_type == "hard_swish" and kind == "depthwise_conv2d" and target.place == "arm":
                continue
            for has_bias in (True, False):
                _fuse(graph, kind, act_type, has_bias)


def _fuse(graph: Graph, kind: str, act_type: str, has_bias: bool) -> None:
    found = [(act, graph.writer(act.input("X"))) for act in graph.of_type(act_type)]
    for act, conv in found:
        if conv is None or conv.type != kind or not _fits(graph, conv, act, has_bias):
            continue
        attrs = {**conv.attrs, "with_act": flag(True), "act_type": text(act_type), **_ATTRS[act_type](act)}
        graph.remove(conv, act)
        graph.add(kind, conv.inputs, {**conv.outputs, "Output": (act.output("Out"),)}, attrs, conv.index)


def _fits(graph: Graph, conv: LiteOp, act: LiteOp, has_bias: bool) -> bool:
    if graph.only_reader(act.input("X")) is not act or conv.value("with_act", False):
        return False
    if has_bias:
        return bool(conv.inputs.get("Bias"))
    # Without a bias in opt's pattern the convolution must read nothing else.
    return set(conv.reads) == {conv.input("Input"), conv.input("Filter")}

"""A sum with a parameter behind a convolution becomes its bias (``lite_conv_elementwise_fuse_pass``)."""

from __future__ import annotations

import numpy as np

from model_opt.lower.graph import CONVOLUTIONS, Graph, LiteOp
from model_opt.lower.target import Target


def fuse_conv_bias(graph: Graph, target: Target) -> None:
    """Move ``conv + parameter`` into the convolution, which keeps its number and writes the sum's output.

    The parameter is the sum's Y, has one value for each channel, and nothing else reads it. A convolution that has a
    bias gets the sum of both, in float32. opt does not look at the sum's ``axis``: one that adds several values
    along another side than the channels would become a bias there, and stays a sum here.
    """
    for has_bias in (True, False):
        for kind in CONVOLUTIONS:
            for add in graph.of_type("elementwise_add"):
                conv = graph.writer(add.input("X"))
                if conv is not None and conv.type == kind and _fits(graph, conv, add, has_bias):
                    _merge(graph, conv, add)


def _fits(graph: Graph, conv: LiteOp, add: LiteOp, has_bias: bool) -> bool:
    x, y = add.input("X"), add.input("Y")
    if graph.only_reader(x) is not add or not graph.is_param(y) or graph.only_reader(y) is not add:
        return False
    if has_bias and not conv.inputs.get("Bias"):
        return False
    if conv.inputs.get("ResidualData") or conv.value("with_act", False):
        return False
    values = graph.params[y]
    if add.value("axis") != 1 and values.size != 1:
        return False
    channels = _channels(graph, conv)
    return (
        values.ndim == 1 and values.dtype == np.float32 and (len(values) == channels or (has_bias and len(values) == 1))
    )


def _channels(graph: Graph, conv: LiteOp) -> int:
    sizes = graph.dims(conv.input("Filter"))
    if conv.type == "conv2d_transpose":
        return int(sizes[1] * conv.need("groups"))
    return int(sizes[0])


def _merge(graph: Graph, conv: LiteOp, add: LiteOp) -> None:
    y = add.input("Y")
    for old in conv.inputs.get("Bias", ()):
        bias = graph.params[old]
        graph.params[y] = np.asarray(np.broadcast_to(graph.params[y], bias.shape) + bias, np.float32)
    graph.remove(add)
    outputs = {**conv.outputs, "Output": (add.output("Out"),)}
    graph.rewire(conv, inputs={**conv.inputs, "Bias": (y,)}, outputs=outputs)

"""Static int8: quantisers around a convolution become its attributes (``lite_quant_dequant_fuse_pass``)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from model_opt.lower.graph import Graph, LiteOp, flag, integer, reals, renamed
from model_opt.program import Attr

_STEPS = np.float32(127)
_TAKES_INT8 = ("conv2d", "depthwise_conv2d")


def take_out_pairs(graph: Graph) -> bool:
    """Turn ``quantize_linear`` and ``dequantize_linear`` into attributes of the convolutions; say if there were any.

    ``quantize_linear`` and ``dequantize_linear`` in front of a convolution give ``Input0_scale``, a
    ``dequantize_linear`` behind its int8 filter ``Filter0_scale``. Raises ``LowerError`` for such a pair in front of
    another operator, and in front of a convolution that has its bias already: opt leaves that one in floats.
    """
    pairs = graph.of_type("quantize_linear")
    for quantise in pairs:
        for dequantise in graph.readers(quantise.output("Y")):
            for conv in graph.readers(dequantise.output("Y")):
                _quantise_input(graph, conv, quantise, dequantise)
            graph.remove(dequantise)
        graph.remove(quantise)
    for dequantise in graph.of_type("dequantize_linear"):
        real, held = dequantise.output("Y"), dequantise.input("X")
        for conv in graph.readers(real):
            conv.attrs["Filter0_scale"] = _scales(graph, dequantise)
            graph.rewire(conv, inputs=renamed(conv.inputs, {real: held}))
        graph.remove(dequantise)
    return bool(pairs)


def _quantise_input(graph: Graph, conv: LiteOp, quantise: LiteOp, dequantise: LiteOp) -> None:
    if dequantise.type != "dequantize_linear" or conv.type not in _TAKES_INT8:
        conv.refuse("it reads a quantised tensor, which only convolutions can", "quantise convolutions alone")
    if any(map(graph.is_param, conv.reads)):
        conv.refuse("its input is quantised and it already has a bias", "let an elementwise_add hold the bias")
    plain = {dequantise.output("Y"): quantise.input("X")}
    graph.rewire(conv, inputs=renamed(conv.inputs, plain))
    conv.attrs |= {
        "bit_length": integer(8),
        "enable_int8": flag(True),
        "Input0_scale": _scales(graph, quantise),
        **_output_scale(graph, conv),
    }


def _output_scale(graph: Graph, conv: LiteOp) -> Mapping[str, Attr]:
    """Return the scale at which a reader takes the convolution's own output, if one does."""
    for reader in graph.readers(conv.output("Output")):
        if reader.type == "quantize_linear":
            return {"Output0_scale": _scales(graph, reader)}
        if "Input0_scale" in reader.attrs:
            return {"Output0_scale": reader.attrs["Input0_scale"]}
    return {}


def set_output_scales(graph: Graph) -> None:
    """Give each convolution that writes int8 the scale at which all that read it take it; kernels are picked."""
    for op in graph.ops:
        if op.kernel is not None and op.kernel.alias == "int8_out":
            op.attrs["Output0_scale"] = graph.readers(op.output("Output"))[0].attrs["Input0_scale"]


def _scales(graph: Graph, op: LiteOp) -> Attr:
    name = op.input("Scale")
    if not graph.is_param(name):
        op.refuse("its scale is no parameter", "quantise the model with fixed scales")
    return reals(np.asarray(graph.params[name] / _STEPS, np.float32).ravel())

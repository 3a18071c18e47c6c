"""The static int8 detector as ONNX, for engines other than Paddle Lite: used by scripts/bench_arm_engines.py.

What stays in floats is translated as in the fp32 files. Each convolution in int8 is written in one of three forms:

- ``QDQ``: QuantizeLinear and DequantizeLinear around a float convolution. Exact but for the last digits; what an engine
  makes of it is its own matter.
- ``INTEGER``: ConvInteger, then the scales and the bias in floats. Exact but for the last digits. ONNX Runtime has it,
  for unsigned numbers alone, and on x86-64 1.23.2 answers wrongly now and then (seen with AVX-512); on ARM it is right.
- ``QLINEAR``: QLinearConv, whose output is int8 too. OpenCV's int8 layers know nothing else. Paddle Lite's kernels end
  in floats, so the output's range, which the file does not hold, must be given, and one rounding is added.

QuantizeLinear rounds half to even and limits to -128; Paddle Lite rounds half away from zero and limits to -127.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.to_onnx import IR_VERSION, OPSET
from model_opt.nb.translate import encode_model, fold, translate
from model_opt.nb.translate.proto import Graph, Node
from model_opt.nb.types import NbModel
from model_opt.program import Attr, AttrType, Op
from model_opt.program.sizes import Shape

Float32 = NDArray[np.float32]
Range = tuple[float, float]
_OF_INT8 = frozenset({"enable_int8", "bit_length", "Filter0_scale", "Input0_scale", "Output0_scale"})
_NOTES = frozenset({"out_threshold", "Out0_threshold", "Output0_threshold"})
"""What quantisation notes down for itself; opt 2.12 leaves it in."""
_MARK = "Int8Conv"
_NO_SHIFT = np.int8(0)


class Form(Enum):
    """How a convolution in int8 is written."""

    QDQ = "QDQ"
    INTEGER = "ConvInteger"
    QLINEAR = "QLinear"


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution in int8: its filter as integers, and the scales of its input, filter and (int8) output."""

    steps: NDArray[np.int8]
    scales: Float32
    input_scale: np.float32
    output_scale: np.float32 | None


def static_int8_onnx(model: NbModel, form: Form, ranges: Mapping[str, Range] | None = None) -> bytes:
    """Return the ONNX file of a static int8 ``model``.

    ``ranges`` gives the range of the output of each convolution by the name of its filter, in front of its activation;
    only ``Form.QLINEAR`` needs them. See ``watched_onnx``.
    """
    layers, graph = _prepared(model)
    return _encoded(model, _Writer(graph, layers, form, ranges or {}).graph())


def watched_onnx(model: NbModel) -> tuple[bytes, dict[str, tuple[str, str]]]:
    """Return a file by ``Form.QDQ`` that also gives what each convolution in int8 computes.

    By the names of their filters: the name of that output, and the ONNX operator that alone reads it, if one does.
    """
    layers, graph = _prepared(model)
    written = _Writer(graph, layers, Form.QDQ, {}).graph()
    readers: dict[str, list[str]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node.op)
    found = {node.inputs[1]: node.outputs[0] for node in graph.nodes if node.op == _MARK}
    outputs: tuple[tuple[str, Shape | None], ...] = (*written.outputs, *((name, None) for name in found.values()))
    only = {filter_: readers[name][0] if len(readers[name]) == 1 else "" for filter_, name in found.items()}
    return _encoded(model, replace(written, outputs=outputs)), {f: (name, only[f]) for f, name in found.items()}


def _encoded(model: NbModel, graph: Graph) -> bytes:
    return encode_model(graph, opset=OPSET, ir_version=IR_VERSION, producer=("edge-kit", f"opt {model.opt_version}"))


def _prepared(model: NbModel) -> tuple[Mapping[str, Layer], Graph]:
    """Return the layers in int8 by filter, and the folded graph in floats in which they are marked."""
    layers = {op.inputs["Filter"][0]: _layer(model, op) for op in model.ops if _in_int8(op) and op.type != "calib"}
    graph = translate(_in_floats(model, layers))
    marked = tuple(replace(n, op=_MARK) if n.op == "Conv" and n.inputs[1] in layers else n for n in graph.nodes)
    return layers, fold(replace(graph, nodes=marked))


def _in_int8(op: Op) -> bool:
    return op.kernel is not None and op.kernel.precision_name == "int8"


def _layer(model: NbModel, op: Op) -> Layer:
    steps = model.params[op.inputs["Filter"][0]]
    scales = np.broadcast_to(np.array(op.attr("Filter0_scale"), np.float32), steps.shape[:1])
    output: Any = op.attr("Output0_scale")
    source: Any = op.attr("Input0_scale")
    return Layer(steps, scales, np.float32(source[0]), None if output is None else np.float32(output[0]))


def _in_floats(model: NbModel, layers: Mapping[str, Layer]) -> NbModel:
    """Return the model with the same filters in floats and nothing between floats and integers."""
    params = dict(model.params)
    for name, layer in layers.items():
        params[name] = layer.steps * layer.scales.reshape(-1, 1, 1, 1)
    ops = tuple(_without(_float_op(op) if _in_int8(op) else op, _NOTES) for op in model.ops)
    return replace(model.with_ops(ops), params=params)


def _float_op(op: Op) -> Op:
    assert op.kernel is not None
    kernel = replace(op.kernel, alias="def", precision=1)
    if op.type == "calib":  # a factor of one leaves no node behind
        attrs = {"scale": Attr(AttrType.FLOAT, 1.0)}
        return Op("scale", {"X": op.inputs["Input"]}, op.outputs, attrs, kernel=kernel)
    return _without(replace(op, kernel=kernel), _OF_INT8)


def _without(op: Op, names: frozenset[str]) -> Op:
    return replace(op, attrs={name: attr for name, attr in op.attrs.items() if name not in names})


class _Writer:
    """Writes the marked convolutions of a graph in one form."""

    def __init__(self, graph: Graph, layers: Mapping[str, Layer], form: Form, ranges: Mapping[str, Range]) -> None:
        self._source, self._layers, self._form, self._ranges = graph, layers, form, ranges
        self._constants: dict[str, NDArray[Any]] = dict(graph.constants)
        self._quantised: dict[tuple[str, float], str] = {}
        # ONNX Runtime's ConvInteger takes uint8 alone.
        self._zero: np.int8 | np.uint8 = np.uint8(128) if form is Form.INTEGER else np.int8(0)

    def graph(self) -> Graph:
        """Return the graph with every marked convolution written out."""
        nodes: list[Node] = []
        for node in self._source.nodes:
            nodes += self._conv(node) if node.op == _MARK else [node]
        used = {name for node in nodes for name in node.inputs}
        constants = {name: data for name, data in self._constants.items() if name in used}
        return Graph(tuple(nodes), constants, self._source.inputs, self._source.outputs)

    def _conv(self, node: Node) -> Iterator[Node]:
        layer = self._layers[node.inputs[1]]
        key = (node.inputs[0], float(layer.input_scale))
        if key not in self._quantised:
            self._quantised[key] = f"{key[0]}/int8"
            scale, zero = self._number(layer.input_scale), self._number(self._zero)
            yield Node("QuantizeLinear", (key[0], scale, zero), (self._quantised[key],), {})
        self._constants[f"{node.inputs[1]}/steps"] = layer.steps
        self._constants[f"{node.inputs[1]}/scales"] = layer.scales
        write = {Form.QDQ: self._qdq, Form.INTEGER: self._integer, Form.QLINEAR: self._qlinear}[self._form]
        yield from write(node, layer, self._quantised[key])

    def _qdq(self, node: Node, layer: Layer, x: str) -> Iterator[Node]:
        filter_, (y,) = node.inputs[1], node.outputs
        zeros = self._put(f"{filter_}/zeros", np.zeros(len(layer.scales), np.int8))
        names = (f"{filter_}/steps", f"{filter_}/scales", zeros)
        yield Node("DequantizeLinear", (x, *self._unit(layer.input_scale)), (f"{y}/input",), {})
        yield Node("DequantizeLinear", names, (f"{y}/filter",), {"axis": 0})
        yield Node("Conv", (f"{y}/input", f"{y}/filter", *node.inputs[2:]), (y,), node.attrs)

    def _integer(self, node: Node, layer: Layer, x: str) -> Iterator[Node]:
        (y,) = node.outputs
        factors = self._put(f"{y}/factors", (layer.scales * layer.input_scale).reshape(-1, 1, 1))
        zero = self._number(self._zero)
        steps = self._put(f"{node.inputs[1]}/steps", (layer.steps.astype(np.int16) + 128).astype(np.uint8))
        yield Node("ConvInteger", (x, steps, zero, zero), (f"{y}/sums",), node.attrs)
        yield Node("Cast", (f"{y}/sums",), (f"{y}/floats",), {"to": 1})
        if len(node.inputs) == 2:
            yield Node("Mul", (f"{y}/floats", factors), (y,), {})
            return
        bias = self._put(f"{y}/bias", self._constants[node.inputs[2]].reshape(-1, 1, 1))
        yield Node("Mul", (f"{y}/floats", factors), (f"{y}/scaled",), {})
        yield Node("Add", (f"{y}/scaled", bias), (y,), {})

    def _qlinear(self, node: Node, layer: Layer, x: str) -> Iterator[Node]:
        filter_, (y,) = node.inputs[1], node.outputs
        if layer.output_scale is not None:
            scale, zero = layer.output_scale, np.int8(0)
            self._quantised[y, float(scale)] = f"{y}/int8"
        else:
            low, high = self._ranges[filter_]
            scale = np.float32((high - low) / 255)
            zero = np.int8(round(-128 - low / float(scale)))
        zeros = self._put(f"{filter_}/zeros", np.zeros(len(layer.scales), np.int8))
        inputs = [x, *self._unit(layer.input_scale), f"{filter_}/steps", f"{filter_}/scales", zeros]
        inputs += self._unit(scale, zero)
        bias = self._constants[node.inputs[2]] if len(node.inputs) > 2 else np.zeros(len(layer.scales), np.float32)
        steps = np.rint(bias.astype(np.float64) / (layer.scales.astype(np.float64) * float(layer.input_scale)))
        inputs.append(self._put(f"{y}/bias", steps.astype(np.int32)))
        yield Node("QLinearConv", tuple(inputs), (f"{y}/int8",), node.attrs)
        if layer.output_scale is None:
            yield Node("DequantizeLinear", (f"{y}/int8", *self._unit(scale, zero)), (y,), {})

    def _unit(self, scale: np.float32, zero: np.int8 = _NO_SHIFT) -> tuple[str, str]:
        return self._number(scale), self._number(zero)

    def _number(self, value: np.float32 | np.int8 | np.uint8) -> str:
        return self._put(f"number {value.dtype} {value!r}", np.array(value))

    def _put(self, name: str, data: NDArray[Any]) -> str:
        self._constants[name] = data
        return name

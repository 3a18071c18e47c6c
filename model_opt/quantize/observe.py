"""Run a model on the host and record the inputs of its layers.

A layer is named by its weights (the filter of a convolution, the matrix of a product): opt's memory passes give the
same variable name to many tensors, but a parameter's name stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.errors import KitError
from model_opt.nb import NbModel
from model_opt.nb.to_onnx import IR_VERSION, OPSET
from model_opt.nb.translate import Graph, Node, encode_model, translate

Float32Array = NDArray[np.float32]
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})


@dataclass(frozen=True, eq=False)
class LayerView:
    """One layer in one run: its ``input`` and its ``output`` (bias included where the product holds it, before the
    activation), float32, batch first.
    """

    input: Float32Array
    output: Float32Array


@dataclass(frozen=True, eq=False)
class Observation:
    """One run: the model's first output, and what each layer asked for saw, by the name of its weights."""

    output: Float32Array
    layers: Mapping[str, LayerView]


class Session:
    """Runs a graph in ONNX Runtime, one thread. One session serves all shapes."""

    def __init__(self, graph: Graph, *, fused: bool = True) -> None:
        """Without ``fused`` no node is joined with another, which would hide the output of the first."""
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        if not fused:
            settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        data = encode_model(graph, opset=OPSET, ir_version=IR_VERSION, producer=("", ""))
        self._session: Any = ort.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
        self.input, self.output = graph.inputs[0][0], graph.outputs[0][0]

    def values(self, names: Sequence[str], x: Float32Array) -> dict[str, Float32Array]:
        """Return the values of these outputs of the graph for one input (float32 NCHW, batch 1)."""
        return dict(zip(names, self._session.run(names, {self.input: x}), strict=True))

    def run(self, x: Float32Array) -> Float32Array:
        """Return the first output for one input."""
        return self.values([self.output], x)[self.output]


class Observer:
    """Runs an fp32 or weight-only ``.nb`` model and keeps what its layers see. One session serves all shapes."""

    def __init__(self, model: NbModel, weights: Collection[str] | None = None) -> None:
        """Watch the layers with these weights, all convolutions and matrix products when None.

        Raises ``NbError`` for a model that cannot be translated and ``KitError`` for weights no layer has.
        """
        graph = translate(model)
        self._watched = _products(graph) if weights is None else _chosen(graph, weights)
        self._session = Session(_with_outputs(graph, self._watched), fused=False)

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of the watched layers' weights, in program order."""
        return tuple(self._watched)

    def run(self, x: Float32Array) -> Observation:
        """Run on one input (float32 NCHW, batch 1)."""
        first, given = self._session.output, self._session.input
        wanted = [first, *dict.fromkeys(n for pair in self._watched.values() for n in pair if n != given)]
        found = {**self._session.values(wanted, x), given: x}
        views = {name: LayerView(found[source], found[made]) for name, (source, made) in self._watched.items()}
        return Observation(found[first], views)


def _products(graph: Graph) -> dict[str, tuple[str, str]]:
    """Return (input, output) of every product with constant weights, by the weights' name."""
    found: dict[str, tuple[str, str]] = {}
    for node in graph.nodes:
        weights = _weights_of(node, graph)
        if weights is not None:
            source = next(name for name in node.inputs if name not in graph.constants)
            found[weights] = (source, node.outputs[0])
    return found


def _weights_of(node: Node, graph: Graph) -> str | None:
    if node.op not in _PRODUCTS:
        return None
    held = [name for name in node.inputs[:2] if name in graph.constants]
    return held[0] if len(held) == 1 else None


def _chosen(graph: Graph, weights: Collection[str]) -> dict[str, tuple[str, str]]:
    found = _products(graph)
    missing = sorted(set(weights) - found.keys())
    if missing:
        raise KitError(f"no layer has the weights {missing[0]!r}", hint="name the filters and matrices of the model")
    return {name: pair for name, pair in found.items() if name in weights}


def _with_outputs(graph: Graph, watched: Mapping[str, tuple[str, str]]) -> Graph:
    known = {name for name, _ in (*graph.outputs, *graph.inputs)}
    extra = [name for name in dict.fromkeys(n for pair in watched.values() for n in pair) if name not in known]
    return dataclasses.replace(graph, outputs=(*graph.outputs, *((name, None) for name in extra)))

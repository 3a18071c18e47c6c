"""Simulate static int8 in ONNX Runtime: the fp32 graph with rounded filters and rounded inputs of int8 convolutions.

A convolution of the device that rounds its output to int8 rounds by the scale of the next one's input, so a rounding
at every input says the same. What differs from the device is the order of float sums and a tie now and then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.errors import KitError
from model_opt.nb import NbModel
from model_opt.nb.translate import Graph, Node, translate
from model_opt.quantize.observe import Float32Array, Session
from model_opt.quantize.qdq import MOST, ChannelScaling, Int8Layer, scaling_key


class Simulator:
    """The fp32 ``.nb`` of a model, to be run with any choice of int8 layers."""

    def __init__(self, model: NbModel) -> None:
        """Raises ``NbError`` for a model that cannot be translated."""
        self._graph = translate(model)

    def compile(self, layers: Mapping[str, Int8Layer], biases: Mapping[str, Float32Array] | None = None) -> Session:
        """Return what runs with these layers, by the name of their filter, in int8 and with other biases, by name.

        Raises ``KitError`` for a name that no convolution has.
        """
        return Session(_with_biases(_quantised(self._graph, layers), biases or {}))


def _quantised(graph: Graph, layers: Mapping[str, Int8Layer]) -> Graph:
    constants = dict(graph.constants)
    rounded: dict[tuple[str, float, bytes], str] = {}
    nodes: list[Node] = []
    found: set[str] = set()
    for node in graph.nodes:
        name = node.inputs[1] if node.op == "Conv" else ""
        if name in layers:
            layer = layers[name]
            found.add(name)
            constants[name] = layer.weights * layer.scales.reshape(-1, 1, 1, 1)
            source = node.inputs[0]
            key = (source, float(layer.limit), scaling_key(layer.scaling))
            if key not in rounded:
                rounded[key] = f"{source}.int8.{len(rounded)}"
                if layer.scaling is not None:
                    nodes += _scaling_nodes(source, rounded[key], layer.scaling, constants)
                    source = f"{rounded[key]}.even"
                nodes += _rounding(source, rounded[key], layer.limit, constants)
            node = dataclasses.replace(node, inputs=(rounded[key], *node.inputs[1:]))
        nodes.append(node)
    missing = sorted(layers.keys() - found)
    if missing:
        raise KitError(f"no convolution has the filter {missing[0]!r}", hint="name filters of the model's convolutions")
    return dataclasses.replace(graph, nodes=tuple(nodes), constants=constants)


def _scaling_nodes(source: str, target: str, scaling: ChannelScaling, constants: dict[str, NDArray[Any]]) -> list[Node]:
    constants |= {
        f"{target}.factors": scaling.factors.reshape(-1, 1, 1),
        f"{target}.shifts": scaling.shifts.reshape(-1, 1, 1),
    }
    return [
        Node("Mul", (source, f"{target}.factors"), (f"{target}.wide",), {}),
        Node("Add", (f"{target}.wide", f"{target}.shifts"), (f"{target}.even",), {}),
    ]


def _rounding(source: str, target: str, limit: float, constants: dict[str, NDArray[Any]]) -> list[Node]:
    scale = np.float32(limit) / np.float32(MOST)
    named = {"scale": scale, "inverse": np.float32(1) / scale, "least": np.float32(-MOST), "most": np.float32(MOST)}
    constants |= {f"{target}.{name}": np.array(value, np.float32) for name, value in named.items()}
    scaled, whole, kept = (f"{target}.{part}" for part in ("scaled", "whole", "kept"))
    return [
        Node("Mul", (source, f"{target}.inverse"), (scaled,), {}),
        Node("Round", (scaled,), (whole,), {}),
        Node("Clip", (whole, f"{target}.least", f"{target}.most"), (kept,), {}),
        Node("Mul", (kept, f"{target}.scale"), (target,), {}),
    ]


def _with_biases(graph: Graph, biases: Mapping[str, Float32Array]) -> Graph:
    missing = sorted(biases.keys() - graph.constants.keys())
    if missing:
        raise KitError(f"the converted model has no bias {missing[0]!r}", hint="name the biases of its convolutions")
    shaped = {name: value.reshape(graph.constants[name].shape) for name, value in biases.items()}
    return dataclasses.replace(graph, constants={**graph.constants, **shaped})

"""Factors and summands around convolutions, moved into their weights.

The affine blocks of PP-LCNetV3 multiply and add one number behind every convolution and activation. Each costs a pass
over the tensor and keeps ONNX Runtime from its blocked layout. They are moved where that changes nothing but the
rounding: ``conv(c x) = (c w) x``, and a summand in front of a convolution only if it has no padding, whose zeros the
summand does not reach.

The half at the end of a gelu stays: without it neither ONNX Runtime nor OpenCV knows the group of nodes as one Gelu,
which OpenCV joins with the convolution in front of it, and weights that were quantised would no longer be integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.translate.proto import Graph, Node

_FAR = 1e3
"""A summand this much larger than the factor it is divided by would cost digits."""

_FILTER_SIDE = {"Conv": 0, "ConvTranspose": 1}
"""Which side of the filter counts output channels."""


def fold(graph: Graph) -> Graph:
    """Return a graph that computes the same with fewer operators; at every step the results are those of before."""
    work = _Work(graph)
    with np.errstate(all="ignore"):  # what is not finite is not folded
        for index in work.indices():
            while work.take_in_next(index):
                pass
        for index in work.indices():
            work.exchange(index)
        for index in reversed(work.indices()):  # the last first: what it leaves behind may be taken in too
            work.pass_on(index)
    return work.graph()


class _Work:
    """A graph under change: removed nodes are None, their outputs are known by another name."""

    def __init__(self, graph: Graph) -> None:
        self._source = graph
        self._nodes: list[Node | None] = list(graph.nodes)
        self._constants = dict(graph.constants)
        self._outputs = {name for name, _ in graph.outputs}
        self._gelus = _gelu_products(graph)
        self._consumers: dict[str, list[int]] = {}
        for index, node in enumerate(graph.nodes):
            for name in node.inputs:
                self._consumers.setdefault(name, []).append(index)

    def indices(self) -> range:
        """Return the places of nodes, in order."""
        return range(len(self._nodes))

    def graph(self) -> Graph:
        """Return the current graph."""
        nodes = tuple(node for node in self._nodes if node is not None)
        used = {name for node in nodes for name in node.inputs}
        constants = {name: data for name, data in self._constants.items() if name in used}
        return Graph(nodes, constants, self._source.inputs, self._source.outputs)

    def _node(self, index: int, *ops: str) -> Node | None:
        node = self._nodes[index]
        return node if node is not None and node.op in ops else None

    def _only_consumer(self, name: str) -> int | None:
        consumers = self._consumers.get(name, [])
        return consumers[0] if len(consumers) == 1 and name not in self._outputs else None

    def _operand(self, node: Node, data: str) -> NDArray[np.float64] | None:
        """Return the constant that ``node`` combines with the tensor ``data``, if it is one."""
        if node.inputs.count(data) != 1:
            return None
        other = node.inputs[1 - node.inputs.index(data)]
        constant = self._constants.get(other)
        return None if constant is None else constant.astype(np.float64)

    def _number(self, node: Node) -> tuple[str, float] | None:
        """Return the tensor and the number that ``node`` combines, None if its other operand is no single number."""
        for data in node.inputs:
            constant = self._operand(node, data)
            if constant is not None and constant.size == 1 and constant.ndim <= 1 and data not in self._constants:
                return data, float(constant.reshape(-1)[0])
        return None

    def _add_constant(self, near: str, data: NDArray[np.float64]) -> str | None:
        """Store a constant as float32; None when it does not fit."""
        small = data.astype(np.float32)
        if not np.isfinite(small).all():
            return None
        name = near
        while name in self._constants:
            name += "'"
        self._constants[name] = small
        return name

    def take_in_next(self, index: int) -> bool:
        """Let a convolution take in the factor or summand behind it; return whether it did."""
        conv = self._node(index, "Conv", "ConvTranspose")
        if conv is None or (conv.op == "ConvTranspose" and conv.attrs.get("group", 1) != 1):
            return False
        after = self._only_consumer(conv.outputs[0])
        node = None if after is None else self._node(after, "Mul", "Add")
        weights = self._constants.get(conv.inputs[1])
        if after is None or node is None or weights is None:
            return False
        operand = self._operand(node, conv.outputs[0])
        channels = weights.shape[_FILTER_SIDE[conv.op]]
        values = None if operand is None else _by_channel(operand, channels)
        if values is None:
            return False
        factor, summand = (values, np.zeros(channels)) if node.op == "Mul" else (np.ones(channels), values)
        if not self._rewrite(index, conv, factor, summand, node.outputs[0]):
            return False
        self._nodes[after] = None
        return True

    def _rewrite(
        self, index: int, conv: Node, factor: NDArray[np.float64], summand: NDArray[np.float64], output: str
    ) -> bool:
        """Replace ``conv`` by one that gives ``factor * conv + summand`` for each output channel."""
        weights = self._constants[conv.inputs[1]].astype(np.float64)
        side = [1] * weights.ndim
        side[_FILTER_SIDE[conv.op]] = -1
        has_bias = len(conv.inputs) > 2
        bias = self._constants[conv.inputs[2]].astype(np.float64) if has_bias else np.zeros(len(factor))
        names = [conv.inputs[0], self._scaled(conv.inputs[1], weights, factor.reshape(side))]
        if has_bias or summand.any():
            names.append(self._add_constant(conv.inputs[2] if has_bias else f"{output}/bias", bias * factor + summand))
        return self._replace(index, conv, names, output)

    def _scaled(self, name: str, weights: NDArray[np.float64], factor: NDArray[np.float64]) -> str | None:
        return name if (factor == 1).all() else self._add_constant(name, weights * factor)

    def _replace(self, index: int, conv: Node, names: list[str | None], output: str) -> bool:
        inputs = tuple(name for name in names if name is not None)
        if len(inputs) != len(names):
            return False
        self._nodes[index] = Node(conv.op, inputs, (output,), conv.attrs)
        return True

    def exchange(self, index: int) -> None:
        """Turn ``c x + d`` into ``c (x + d / c)`` where only convolutions use it, which then take in ``c``."""
        node = self._node(index, "Mul")
        number = None if node is None else self._number(node)
        after = None if node is None else self._only_consumer(node.outputs[0])
        following = None if after is None else self._node(after, "Add")
        added = None if following is None else self._number(following)
        if node is None or number is None or after is None or following is None or added is None:
            return
        data, factor = number
        summand = added[1]
        if factor == 0 or abs(summand) > _FAR * abs(factor) or not self._only_convs(following.outputs[0]):
            return
        shift = self._add_constant(f"{following.outputs[0]}/shift", np.array([summand / factor]))
        scale = self._add_constant(f"{following.outputs[0]}/scale", np.array([factor]))
        if shift is None or scale is None:
            return
        self._nodes[index] = Node("Add", (data, shift), node.outputs, {})
        self._nodes[after] = Node("Mul", (node.outputs[0], scale), following.outputs, {})

    def _only_convs(self, name: str) -> bool:
        """Return whether every use of a tensor is as the data of a convolution with constant weights."""
        if name in self._outputs or not self._consumers.get(name):
            return False
        users = [self._node(index, "Conv") for index in self._consumers[name]]
        return all(
            user is not None and user.inputs[0] == name and user.inputs.count(name) == 1 and self._is_constant(user)
            for user in users
        )

    def _is_constant(self, conv: Node) -> bool:
        return all(name in self._constants for name in conv.inputs[1:])

    def pass_on(self, index: int) -> None:
        """Let the convolutions behind a factor, or behind a summand if they have no padding, take it in."""
        node = self._node(index, "Mul", "Add")
        number = None if node is None else self._number(node)
        if node is None or number is None or not self._only_convs(node.outputs[0]):
            return
        data, value = number
        if node.op == "Mul" and (value == 1 or data in self._gelus):
            return  # the one stands there for OpenCV, see pool.py
        places = self._consumers[node.outputs[0]]
        convs = [conv for conv in (self._nodes[place] for place in places) if conv is not None]
        if node.op == "Add" and not all(_unpadded(conv) for conv in convs):
            return
        kept = list(convs)
        for place, conv in zip(places, convs, strict=True):
            if not (self._take_factor if node.op == "Mul" else self._take_summand)(place, conv, data, value):
                for back, old in zip(places, kept, strict=True):
                    self._nodes[back] = old
                return
        self._nodes[index] = None
        users = self._consumers[data]
        users.remove(index)
        users.extend(places)

    def _take_factor(self, place: int, conv: Node, data: str, value: float) -> bool:
        weights = self._constants[conv.inputs[1]].astype(np.float64)
        names = [data, self._add_constant(conv.inputs[1], weights * value), *conv.inputs[2:]]
        return self._replace(place, conv, names, conv.outputs[0])

    def _take_summand(self, place: int, conv: Node, data: str, value: float) -> bool:
        weights = self._constants[conv.inputs[1]].astype(np.float64)
        bias = weights.sum(axis=(1, 2, 3)) * value
        if len(conv.inputs) > 2:
            bias = bias + self._constants[conv.inputs[2]].astype(np.float64)
        names = [data, conv.inputs[1], self._add_constant(f"{conv.outputs[0]}/bias", bias)]
        return self._replace(place, conv, names, conv.outputs[0])


def _gelu_products(graph: Graph) -> frozenset[str]:
    """Return the tensors ``x (1 + erf(x / sqrt(2)))`` or ``x (1 + tanh(...))``: half of each is a gelu."""
    bent = {node.outputs[0] for node in graph.nodes if node.op in ("Erf", "Tanh")}
    gates = {node.outputs[0] for node in graph.nodes if node.op == "Add" and not bent.isdisjoint(node.inputs)}
    return frozenset(node.outputs[0] for node in graph.nodes if node.op == "Mul" and not gates.isdisjoint(node.inputs))


def _by_channel(operand: NDArray[np.float64], channels: int) -> NDArray[np.float64] | None:
    """Return one value for each channel if ``operand`` is a number or [C, 1, 1], with or without a batch of 1."""
    if operand.size == 1 and operand.ndim <= 4:
        return np.full(channels, operand.reshape(-1)[0])
    if operand.ndim in (3, 4) and operand.shape[-3:] == (channels, 1, 1) and operand.size == channels:
        return operand.reshape(channels)
    return None


def _unpadded(conv: Node) -> bool:
    pads = conv.attrs.get("pads", ())
    return "auto_pad" not in conv.attrs and isinstance(pads, tuple) and not any(pads)

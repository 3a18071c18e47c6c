"""Means over a map in another order of additions: engines differ in how many digits a long sum loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from model_opt.nb.translate.proto import Graph, Node

PAIRWISE = ((2, 3),)
"""All pixels at once: ONNX Runtime adds them pairwise."""

BY_ROWS = ((3,), (2,))
"""Each row, then these: short sums for an engine that adds one number after another."""


def with_means(graph: Graph, steps: Sequence[tuple[int, ...]]) -> Graph:
    """Return a graph that takes each global average in ``steps``, one ReduceMean over the axes of each."""
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op != "GlobalAveragePool":
            nodes.append(node)
            continue
        held = node.inputs
        for number, axes in enumerate(steps, 1):
            made = node.outputs if number == len(steps) else (f"{node.outputs[0]}/rows",)
            nodes.append(Node("ReduceMean", held, made, {"axes": axes, "keepdims": 1}))
            held = made
    return replace(graph, nodes=tuple(nodes))

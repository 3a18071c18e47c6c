"""Groups of nodes that are one operator: exporters to older opsets write them out.

Each is rewritten to the operator that later opsets of ONNX have for it (Gelu of 20, LayerNormalization of 17,
HardSwish of 14), and x * sigmoid(x) to ``Swish`` of 24, so that one rule for each operator is enough.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from model_opt.formats.onnx_model.graph import Attr, Graph, Node

_NEAR = 1e-6
"""Relative difference up to which a constant counts as the one of the formula: a few units of the last place."""


class _Finder:
    """Look-ups over the nodes of a graph, and the groups found."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers = {name: node for node in graph.nodes for name in node.outputs if name}
        self.readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(node)
        self.reads = Counter(name for node in graph.nodes for name in node.inputs)
        self.reads.update(value.name for value in graph.outputs)
        self.gone: set[int] = set()
        self.made: dict[int, Node] = {}

    def maker(self, name: str, *ops: str) -> Node | None:
        """Return the node that makes ``name`` when it is one of ``ops``."""
        node = self.makers.get(name)
        return node if node is not None and node.op in ops and id(node) not in self.gone else None

    def reader(self, node: Node, *ops: str) -> Node | None:
        """Return the one node that reads the result of ``node``, at one place, when it is one of ``ops``."""
        name = node.outputs[0]
        if self.reads[name] != 1 or name not in self.readers:
            return None
        found = self.readers[name][0]
        return found if found.op in ops else None

    def scalar(self, name: str) -> float | None:
        """Return the constant ``name`` when it is one number."""
        array = self.graph.constants.get(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 and array.ndim <= 1 else None

    def is_near(self, name: str, value: float) -> bool:
        """Return whether ``name`` is a constant equal to ``value`` but for its last digits."""
        found = self.scalar(name)
        return found is not None and abs(found - value) <= _NEAR * abs(value)

    def replace(self, parts: Sequence[Node], op: str, inputs: tuple[str, ...], **attrs: Attr) -> bool:
        """Put one node in the place of ``parts``; the last part makes the result."""
        last = parts[-1]
        self.gone.update(id(part) for part in parts)
        self.made[id(last)] = Node(op, inputs, last.outputs[:1], attrs, last.name)
        return True


def fused(graph: Graph) -> Graph:
    """Return the graph with each known group of nodes as one node."""
    finder = _Finder(graph)
    for node in graph.nodes:
        rule = _RULES.get(node.op)
        if rule is not None and id(node) not in finder.gone and len(node.outputs) == 1:
            rule(finder, node)
    nodes = tuple(_remaining(finder))
    return Graph(nodes, graph.constants, graph.inputs, graph.outputs, graph.opset)


def _remaining(finder: _Finder) -> Iterator[Node]:
    for node in finder.graph.nodes:
        if id(node) in finder.made:
            yield finder.made[id(node)]
        elif id(node) not in finder.gone:
            yield node


def _other(node: Node, name: str) -> str | None:
    """Return the operand of a sum or a product of two beside ``name``."""
    if len(node.inputs) != 2 or name not in node.inputs:
        return None
    return node.inputs[1] if node.inputs[0] == name else node.inputs[0]


def _gelu(finder: _Finder, erf: Node) -> bool:
    """Find x / 2 * (1 + erf(x / sqrt(2))), the two factors in any order."""
    inner = finder.maker(erf.inputs[0], "Div", "Mul")
    if inner is None or len(inner.inputs) != 2 or finder.reads[inner.outputs[0]] != 1:
        return False
    at = 1 if inner.op == "Div" or finder.scalar(inner.inputs[1]) is not None else 0
    x, root = inner.inputs[1 - at], math.sqrt(2) if inner.op == "Div" else math.sqrt(0.5)
    plus = finder.reader(erf, "Add")
    if not finder.is_near(inner.inputs[at], root) or plus is None:
        return False
    if not finder.is_near(_other(plus, erf.outputs[0]) or "", 1.0):
        return False
    parts, wanted = [inner, erf, plus], {"x", "half"}
    while wanted:
        product = finder.reader(parts[-1], "Mul")
        factor = None if product is None else _other(product, parts[-1].outputs[0])
        found = set() if factor is None else _factors(finder, factor, x, parts)
        if product is None or not found or not found <= wanted:
            return False
        wanted -= found
        parts.append(product)
    return finder.replace(parts, "Gelu", (x,))


def _factors(finder: _Finder, name: str, x: str, parts: list[Node]) -> set[str]:
    """Return which factors of a gelu ``name`` is: x, one half, or their product, whose node joins ``parts``."""
    if name == x:
        return {"x"}
    if finder.is_near(name, 0.5):
        return {"half"}
    both = finder.maker(name, "Mul")
    if both is None or finder.reads[name] != 1 or not finder.is_near(_other(both, x) or "", 0.5):
        return set()
    parts.insert(0, both)
    return {"x", "half"}


def _swish(finder: _Finder, sigmoid: Node) -> bool:
    product = finder.reader(sigmoid, "Mul")
    x = sigmoid.inputs[0]
    if product is None or _other(product, sigmoid.outputs[0]) != x:
        return False
    return finder.replace([sigmoid, product], "Swish", (x,))


def _hard_swish(finder: _Finder, sigmoid: Node) -> bool:
    """Find x * HardSigmoid(x) with the slope 1/6."""
    slope, offset = sigmoid.real("alpha", 0.2), sigmoid.real("beta", 0.5)
    product, x = finder.reader(sigmoid, "Mul"), sigmoid.inputs[0]
    if product is None or _other(product, sigmoid.outputs[0]) != x:
        return False
    if abs(slope * 6 - 1) > _NEAR or offset != 0.5:
        return False
    return finder.replace([sigmoid, product], "HardSwish", (x,))


def _written_hard_swish(finder: _Finder, clip: Node) -> bool:
    """Find x * clip(x + 3, 0, 6) / 6."""
    plus = finder.maker(clip.inputs[0], "Add")
    if plus is None or len(plus.inputs) != 2 or finder.reads[plus.outputs[0]] != 1 or not _is_relu6(finder, clip):
        return False
    three = [at for at in (0, 1) if finder.is_near(plus.inputs[at], 3.0)]
    product = finder.reader(clip, "Mul")
    if len(three) != 1 or product is None or _other(product, clip.outputs[0]) != plus.inputs[1 - three[0]]:
        return False
    last = finder.reader(product, "Div", "Mul")
    factor = None if last is None else _other(last, product.outputs[0])
    if last is None or factor is None or (last.op == "Div" and last.inputs[0] != product.outputs[0]):
        return False
    if not finder.is_near(factor, 6.0 if last.op == "Div" else 1 / 6):
        return False
    return finder.replace([plus, clip, product, last], "HardSwish", (plus.inputs[1 - three[0]],))


def _is_relu6(finder: _Finder, clip: Node) -> bool:
    low = clip.real("min", math.nan) if "min" in clip.attrs else finder.scalar(clip.given(1) or "")
    high = clip.real("max", math.nan) if "max" in clip.attrs else finder.scalar(clip.given(2) or "")
    return (low, high) == (0.0, 6.0)


def _layer_norm(finder: _Finder, root: Node) -> bool:
    """Find (x - mean) / sqrt(mean((x - mean)^2) + epsilon), and the factors and summands behind it."""
    plus = finder.maker(root.inputs[0], "Add")
    if plus is None or len(plus.inputs) != 2:
        return False
    at = 1 if finder.scalar(plus.inputs[1]) is not None else 0
    epsilon, variance = finder.scalar(plus.inputs[at]), finder.maker(plus.inputs[1 - at], "ReduceMean")
    square = None if variance is None else finder.maker(variance.inputs[0], "Pow", "Mul")
    if epsilon is None or variance is None or square is None or len(square.inputs) != 2:
        return False
    if square.inputs[0] != square.inputs[1] if square.op == "Mul" else not finder.is_near(square.inputs[1], 2.0):
        return False
    centred = finder.maker(square.inputs[0], "Sub")
    mean = None if centred is None or len(centred.inputs) != 2 else finder.maker(centred.inputs[1], "ReduceMean")
    quotient = finder.reader(root, "Div")
    if centred is None or mean is None or quotient is None or mean.inputs[0] != centred.inputs[0]:
        return False
    if quotient.inputs != (centred.outputs[0], root.outputs[0]) or not _last_axis(finder, mean, variance):
        return False
    parts = [mean, centred, square, variance, plus, root, quotient]
    inside = sum(finder.reads[part.outputs[0]] for part in (mean, square, variance, plus))
    if inside != 4 or finder.reads[centred.outputs[0]] != (2 if square.op == "Pow" else 3):
        return False
    inputs = [mean.inputs[0]]
    for op in ("Mul", "Add"):
        follower = finder.reader(parts[-1], op)
        held = None if follower is None else _other(follower, parts[-1].outputs[0])
        array = None if held is None else finder.graph.constants.get(held)
        if follower is None or held is None or array is None or array.shape[-1:] != (array.size,):
            return False
        inputs.append(held)
        parts.append(follower)
    return finder.replace(parts, "LayerNormalization", tuple(inputs), axis=-1, epsilon=epsilon)


def _last_axis(finder: _Finder, *means: Node) -> bool:
    """Return whether means are taken over the last side alone, which stays as 1."""
    for mean in means:
        axes = mean.numbers("axes")
        listed = finder.graph.constants.get(mean.given(1) or "")
        if listed is not None:
            axes = tuple(int(axis) for axis in np.asarray(listed).reshape(-1)[:2])
        if axes != (-1,) or mean.number("keepdims", 1) != 1:
            return False
    return True


_RULES: dict[str, Callable[[_Finder, Node], bool]] = {
    "Erf": _gelu,
    "Sigmoid": _swish,
    "HardSigmoid": _hard_swish,
    "Clip": _written_hard_swish,
    "Sqrt": _layer_norm,
}

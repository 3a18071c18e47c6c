"""Keep tensors in ONNX Runtime's blocked layout across element-wise operators: the same values, fewer copies.

ONNX Runtime computes convolutions on channels in blocks (operators of the domain ``com.microsoft.nchwc``). It puts
``ReorderOutput`` behind a convolution and ``ReorderInput`` before the next one wherever an operator it has no blocked
form of stands between: gelu, hard-swish, an addition of two such values. Element-wise operators give the same value for
an element wherever it lies, so they can run on the blocks themselves, and the two copies vanish.

In: the program as ONNX Runtime optimised it for this processor. Out: the same program with fewer reorders. The caller
compares the two on inputs before it uses the second.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from typing import Any

from model_opt.formats.onnx_model.messages import model_message

_NCHWC = b"com.microsoft.nchwc"
_UNARY = frozenset((b"Gelu", b"HardSigmoid", b"Sigmoid", b"Tanh", b"Relu", b"Erf", b"HardSwish", b"QuickGelu", b"Clip"))
_BINARY = frozenset((b"Add", b"Mul", b"Sub"))
_POOLS = frozenset((b"GlobalAveragePool", b"GlobalMaxPool", b"ReduceMean", b"ReduceMax"))


def keep_blocked(optimised: bytes) -> bytes | None:
    """Return the optimised program (ONNX) with fewer reorders, None where none can go."""
    model = model_message()()
    model.ParseFromString(optimised)
    if not model.graph.node:
        return None
    graph = _Graph(model.graph)
    if not graph.rewrite():
        return None
    graph.write()
    return bytes(model.SerializeToString())


class _Graph:
    """The nodes of a graph while values move to the blocked layout."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._nodes = list(graph.node)
        self._outputs = {value.name for value in graph.output}
        self._sizes = {one.name: _elements(one) for one in graph.initializer}
        self._users: dict[bytes, list[Any]] = defaultdict(list)
        for node in self._nodes:
            for name in node.input:
                self._users[name].append(node)
        self._blocked: dict[bytes, bytes] = {}
        """A plain value's name to that of the same value in blocks."""
        self._channels: dict[bytes, int] = {}
        self._pooled: set[bytes] = set()
        """Values of one element a channel: beside others they are broadcast, which depends on the layout."""
        self._alias: dict[bytes, bytes] = {}

    def rewrite(self) -> int:
        """Move what can move; return how many operators did."""
        self._note_layouts()
        wanted = self._wanted()
        moved = [node for node in list(self._nodes) if node.output and node.output[0] in wanted and self._move(node)]
        return len(moved)

    def write(self) -> None:
        """Put the nodes back: names resolved, what nothing uses left out, producers first."""
        for node in self._nodes:
            for i, name in enumerate(node.input):
                while name in self._alias:
                    name = self._alias[name]
                node.input[i] = name
        kept = _ordered(_alive(self._nodes, self._outputs))
        del self._graph.node[:]
        self._graph.node.extend(kept)

    def _note_layouts(self) -> None:
        """Collect which values exist in blocks, their channels, and which have one element a channel."""
        for node in self._nodes:
            sources = [name for name in node.input if name and name not in self._sizes]
            if node.op_type == b"ReorderOutput":
                self._blocked[node.output[0]] = node.input[0]
                self._channels[node.output[0]] = _integer(node, b"channels")
            elif node.op_type == b"ReorderInput" and not _integer(node, b"channels_last"):
                self._blocked.setdefault(node.input[0], node.output[0])
            elif node.op_type in _UNARY | _BINARY:
                known = [self._channels[name] for name in sources if name in self._channels]
                if known:
                    self._channels[node.output[0]] = known[0]
            if node.op_type in _POOLS or (sources and all(name in self._pooled for name in sources)):
                self._pooled.update(node.output)

    def _wanted(self) -> set[bytes]:
        """Return the outputs of element-wise operators that a convolution wants in blocks, directly or behind more."""
        wanted: set[bytes] = set()
        for node in reversed(self._nodes):
            if node.op_type in _UNARY | _BINARY and any(
                user.op_type == b"ReorderInput" or (user.output and user.output[0] in wanted)
                for user in self._users[node.output[0]]
            ):
                wanted.add(node.output[0])
        return wanted

    def _move(self, node: Any) -> bool:
        """Let an element-wise operator run on blocks if all it reads is there."""
        sources = [name for name in node.input if name]
        spread = [name for name in sources if self._sizes.get(name) != 1]
        out = node.output[0]
        if not spread or any(name not in self._blocked or name in self._pooled for name in spread):
            return False
        if node.op_type in _UNARY and len(spread) != 1:
            return False
        plain_users = [user for user in self._users[out] if user.op_type != b"ReorderInput"]
        if out not in self._channels and (plain_users or out in self._outputs):
            return False
        new = out + b".blocked"
        for i, name in enumerate(node.input):
            node.input[i] = self._blocked.get(name, name)
        node.output[0] = new
        for user in self._users[out]:
            if user.op_type == b"ReorderInput":
                self._alias[user.output[0]] = new
                self._nodes.remove(user)
        self._blocked[out] = new
        if out in self._channels:
            self._nodes.append(_reorder_output(self._graph, new, out, self._channels[out]))
        return True


def _reorder_output(graph: Any, source: bytes, target: bytes, channels: int) -> Any:
    node = type(graph).DESCRIPTOR.fields_by_name["node"].message_type._concrete_class()
    node.op_type, node.domain, node.name = b"ReorderOutput", _NCHWC, target + b".reorder"
    node.input.append(source)
    node.output.append(target)
    for name, value in ((b"channels", channels), (b"channels_last", 0)):
        attribute = node.attribute.add()
        attribute.name, attribute.i, attribute.type = name, value, 2
    return node


def _integer(node: Any, name: bytes) -> int:
    return next((int(one.i) for one in node.attribute if one.name == name), 0)


def _elements(tensor: Any) -> int:
    count = 1
    for size in tensor.dims:
        count *= size
    return count


def _alive(nodes: list[Any], outputs: set[bytes]) -> list[Any]:
    """Return the nodes that an output depends on."""
    makers = {name: node for node in nodes for name in node.output if name}
    seen: set[int] = set()
    todo = [makers[name] for name in outputs if name in makers]
    while todo:
        node = todo.pop()
        if id(node) not in seen:
            seen.add(id(node))
            todo.extend(makers[name] for name in node.input if name in makers)
    return [node for node in nodes if id(node) in seen]


def _ordered(nodes: list[Any]) -> list[Any]:
    """Return the nodes with producers before their users, else in the order given."""
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    waits = Counter({i: len({makers[n] for n in node.input if n in makers}) for i, node in enumerate(nodes)})
    users: dict[int, set[int]] = defaultdict(set)
    for i, node in enumerate(nodes):
        for name in node.input:
            if name in makers:
                users[makers[name]].add(i)
    ready = [i for i in range(len(nodes)) if not waits[i]]
    order: list[Any] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(nodes[i])
        for user in users[i]:
            waits[user] -= 1
            if not waits[user]:
                heapq.heappush(ready, user)
    return order

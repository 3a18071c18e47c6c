"""Nodes whose inputs are all constants, computed; and nodes that only hand a value on, taken out.

Exporters leave both behind: weights that are turned or given a side, shapes put together from numbers, Identity in
the place of a dropout or of a cast to the type that is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from model_opt.formats.onnx_model.graph import Array, Graph, Node

_MOST = 1 << 26
"""Elements beyond which nothing is computed: no weight of these models comes near."""


def plain(graph: Graph) -> Graph:
    """Return the graph without nodes on constants, and without nodes that hand a value on under another name.

    Such a node stays where the graph's output is its result: callers know the output by that name.
    """
    outputs = {value.name for value in graph.outputs}
    constants: dict[str, Array] = dict(graph.constants)
    alias: dict[str, str] = {}
    nodes: list[Node] = []
    for old in graph.nodes:
        node = dataclasses.replace(old, inputs=tuple(alias.get(name, name) for name in old.inputs))
        result = node.outputs[0] if node.outputs else ""
        inner = bool(result) and result not in outputs
        found = _computed(node, constants) if inner else None
        if found is not None:
            constants[result] = found
            continue
        source = _handed_on(node, constants) if inner else None
        if source is not None:
            alias[result] = source
        else:
            nodes.append(node)
    return dataclasses.replace(graph, nodes=_live(nodes, outputs), constants=constants)


def _handed_on(node: Node, constants: Mapping[str, Array]) -> str | None:
    """Return the value that a node only gives another name; None when it does more.

    A sum of a value and 0 is what paddle2onnx writes for Paddle's sum of one value.
    """
    if node.op in ("Identity", "Dropout"):
        return node.given(0)
    if node.op != "Add" or len(node.inputs) != 2:
        return None
    for name, other in (node.inputs, reversed(node.inputs)):
        array = constants.get(other)
        if array is not None and array.dtype == np.float32 and array.size == 1 and array.ndim <= 1 and not array.any():
            return name
    return None


def _live(nodes: Sequence[Node], outputs: set[str]) -> tuple[Node, ...]:
    """Return the nodes that an output depends on, in order."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.outputs) - {""}:
            needed.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def _computed(node: Node, constants: Mapping[str, Array]) -> Array | None:
    """Return what a node on constants gives; None when it reads others or is of a kind not computed here."""
    if node.op == "Constant":
        return _constant(node)
    rule = _RULES.get(node.op)
    arrays = [constants.get(name) for name in node.inputs if name]
    known = [array for array in arrays if array is not None]
    if rule is None or not known or len(known) != len(arrays) or sum(array.size for array in known) > _MOST:
        return None
    with np.errstate(all="ignore"):
        found = rule(node, known)
    if found is None or found.size > _MOST:
        return None
    found = np.ascontiguousarray(found).reshape(found.shape)
    found.flags.writeable = False
    return found


def _constant(node: Node) -> Array | None:
    value = next((node.attrs[key] for key in _CONSTANTS if key in node.attrs), None)
    if isinstance(value, np.ndarray):
        return value
    first = value[0] if isinstance(value, tuple) and value else value
    if value is None or isinstance(first, str):
        return None
    return np.array(value, np.float32 if isinstance(first, float) else np.int64)


_CONSTANTS = ("value", "value_int", "value_ints", "value_float", "value_floats")


def axes_of(node: Node, arrays: Sequence[Array]) -> tuple[int, ...] | None:
    """Return the axes of a squeeze or the like: an attribute before opset 13, then the second input."""
    if len(arrays) > 1:
        return tuple(int(axis) for axis in arrays[1].reshape(-1))
    return node.numbers("axes")


def _cast(node: Node, arrays: Sequence[Array]) -> Array | None:
    kinds: Mapping[int, type] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_}
    kind = kinds.get(node.number("to", 0))
    return None if kind is None else arrays[0].astype(kind)


def _reshape(node: Node, arrays: Sequence[Array]) -> Array | None:
    if len(arrays) != 2 or node.number("allowzero", 0):
        return None
    data, target = arrays[0], [int(side) for side in arrays[1].reshape(-1)]
    return data.reshape([data.shape[at] if side == 0 else side for at, side in enumerate(target)])


def _squeeze(node: Node, arrays: Sequence[Array]) -> Array | None:
    axes = axes_of(node, arrays)
    return arrays[0].squeeze() if axes is None else arrays[0].squeeze(axes)


def _unsqueeze(node: Node, arrays: Sequence[Array]) -> Array | None:
    axes = axes_of(node, arrays)
    return None if axes is None or arrays[0].ndim + len(axes) > 16 else np.expand_dims(arrays[0], axes)


def _transpose(node: Node, arrays: Sequence[Array]) -> Array | None:
    return arrays[0].transpose(node.numbers("perm") or tuple(reversed(range(arrays[0].ndim))))


def _concat(node: Node, arrays: Sequence[Array]) -> Array | None:
    return np.concatenate(arrays, node.number("axis", 0))


def _gather(node: Node, arrays: Sequence[Array]) -> Array | None:
    return arrays[0].take(arrays[1], node.number("axis", 0)) if len(arrays) == 2 else None


def _slice(node: Node, arrays: Sequence[Array]) -> Array | None:
    lists = [tuple(int(item) for item in array.reshape(-1)) for array in arrays[1:]]
    if not lists:
        lists = [node.numbers(key) or () for key in ("starts", "ends")]
        lists += [axes for axes in (node.numbers("axes"),) if axes is not None]
    starts, ends = lists[0], lists[1]
    axes = lists[2] if len(lists) > 2 else tuple(range(len(starts)))
    steps = lists[3] if len(lists) > 3 else (1,) * len(starts)
    cut = [slice(None)] * arrays[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 1:
            return None
        cut[axis] = slice(start, end, step)
    found: Array = arrays[0][tuple(cut)]
    return found


def _binary(function: Callable[[Array, Array], Array]) -> Callable[[Node, Sequence[Array]], Array | None]:
    def compute(node: Node, arrays: Sequence[Array]) -> Array | None:
        if len(arrays) != 2 or arrays[0].dtype != arrays[1].dtype or arrays[0].dtype.kind not in "fi":
            return None
        shape = np.broadcast_shapes(arrays[0].shape, arrays[1].shape)
        return function(*arrays) if np.prod(shape, dtype=np.float64) <= _MOST else None

    return compute


def _divide(a: Array, b: Array) -> Array:
    found: Array = a / b if a.dtype.kind == "f" else np.floor_divide(a, b)
    return found


_RULES: Mapping[str, Callable[[Node, Sequence[Array]], Array | None]] = {
    "Identity": lambda _, arrays: arrays[0],
    "Cast": _cast,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Shape": lambda _, arrays: np.array(arrays[0].shape, np.int64),
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _binary(_divide),
    "Sqrt": lambda _, arrays: np.sqrt(arrays[0]),
}

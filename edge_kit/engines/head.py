"""Compute a DB detector's last layers on the small map: two transposed convolutions as two plain ones and one shuffle.

The head ends with transposed convolution, relu, transposed convolution, each with a 2x2 kernel and stride 2. Such a
kernel never overlaps itself: each point of the small map becomes 4x4 points of the large one, and of no other's. So the
same sums can be made where the small map lies, with the points as channels, and only the one channel of the result is
brought into its place. The order of each sum stays; the added terms are zeros. ONNX Runtime still has other kernels for
the two forms on some processors: whoever wants the same bits compares the answers, as ``session.local_program`` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.formats.onnx_model.messages import ATTR_TYPES, FLOAT, model_message

Weights = NDArray[np.float32]


def fold_head(program: bytes) -> bytes | None:
    """Return the ONNX program with its head computed on the small map, None where it has no such head."""
    model = model_message()()
    model.ParseFromString(program)
    graph = model.graph
    constants = {one.name: one for one in graph.initializer}
    for first in list(graph.node):
        chain = _chain(graph, first)
        if chain is None:
            continue
        one, two = (_kernel(node, constants) for node in (chain[0], chain[2]))
        if one is None or two is None or two[0].shape[1] != 1:
            continue
        _replace(graph, chain, one, two)
        return bytes(model.SerializeToString())
    return None


def _chain(graph: Any, first: Any) -> list[Any] | None:
    """Return transposed convolution, relu, transposed convolution from ``first`` on, each the only user of the last."""
    chain = [first]
    for kind in (b"Relu", b"ConvTranspose"):
        users = [node for node in graph.node if chain[-1].output[0] in node.input]
        if len(users) != 1 or users[0].op_type != kind:
            return None
        chain.append(users[0])
    inner = {node.output[0] for node in chain[:2]}
    if first.op_type != b"ConvTranspose" or any(value.name in inner for value in graph.output):
        return None
    return chain


def _kernel(node: Any, constants: dict[bytes, Any]) -> tuple[Weights, Weights] | None:
    """Return weights [in, out, 2, 2] and bias [out] of a transposed convolution that never overlaps itself."""
    ints = {one.name: list(one.ints) for one in node.attribute if one.ints}
    plain = ints.get(b"strides") == [2, 2] and not any(ints.get(b"pads", ())) and b"output_padding" not in ints
    groups = next((one.i for one in node.attribute if one.name == b"group"), 1)
    padding = any(one.name in (b"auto_pad", b"output_shape") for one in node.attribute)
    tensors = [constants[name] for name in node.input[1:] if name in constants]
    if not plain or groups != 1 or padding or len(tensors) != 2 or len(node.input) != 3:
        return None
    if any(one.data_type != FLOAT or not one.raw_data for one in tensors):
        return None
    weights, bias = (np.frombuffer(one.raw_data, np.float32).reshape(tuple(one.dims)) for one in tensors)
    return (weights, bias) if len(tensors[0].dims) == 4 and list(tensors[0].dims[2:]) == [2, 2] else None


def _replace(graph: Any, chain: list[Any], one: tuple[Weights, Weights], two: tuple[Weights, Weights]) -> None:
    """Put convolution, relu, convolution and shuffle in the place of a chain."""
    source, middle, target = chain[0].input[0], chain[0].output[0], chain[2].output[0]
    wide = _as_convolution(*one)
    narrow = _beside_each_other(*_as_convolution(*two))
    at = list(graph.node).index(chain[0])
    rest = list(graph.node)[at:]
    fresh = [
        _node(graph, b"Conv", [source, *_constants(graph, middle, wide)], middle, kernel_shape=[1, 1]),
        _node(graph, b"Relu", [middle], chain[1].output[0]),
        _node(
            graph,
            b"Conv",
            [chain[1].output[0], *_constants(graph, target, narrow)],
            target + b".points",
            kernel_shape=[1, 1],
        ),
        _node(graph, b"DepthToSpace", [target + b".points"], target, blocksize=4),
    ]
    kept = [node for node in rest if not any(node is gone or node == gone for gone in chain)]
    copies = [type(node)() for node in kept]
    for copy, node in zip(copies, kept, strict=True):
        copy.CopyFrom(node)
    del graph.node[at:]
    graph.node.extend([*fresh, *copies])


def _as_convolution(weights: Weights, bias: Weights) -> tuple[Weights, Weights]:
    """Return the 1x1 convolution [4*out, in, 1, 1] whose channels are the four points, each with all its channels."""
    inputs, outputs = weights.shape[:2]
    return weights.transpose(2, 3, 1, 0).reshape(4 * outputs, inputs, 1, 1), np.tile(bias, 4)


def _beside_each_other(weights: Weights, bias: Weights) -> tuple[Weights, Weights]:
    """Return the convolution that applies one of four channels to each of four points: 16 channels, row by row."""
    inputs = weights.shape[1]
    kernel = np.zeros((16, 4 * inputs, 1, 1), np.float32)
    for point in range(4):
        for part in range(4):
            row, column = 2 * (point // 2) + part // 2, 2 * (point % 2) + part % 2
            kernel[4 * row + column, point * inputs : (point + 1) * inputs] = weights[part]
    return kernel, np.tile(bias, 4)


def _constants(graph: Any, name: bytes, values: tuple[Weights, Weights]) -> list[bytes]:
    names = []
    for suffix, value in zip((b".weights", b".bias"), values, strict=True):
        tensor = graph.initializer.add()
        tensor.name, tensor.data_type = name + suffix, FLOAT
        tensor.dims.extend(value.shape)
        tensor.raw_data = np.ascontiguousarray(value, np.float32).tobytes()
        names.append(tensor.name)
    return names


def _node(graph: Any, kind: bytes, inputs: list[bytes], output: bytes, **attributes: Any) -> Any:
    node = type(graph.node[0])()
    node.op_type, node.name = kind, output
    node.input.extend(inputs)
    node.output.append(output)
    for name, value in attributes.items():
        one = node.attribute.add()
        one.name = name.encode()
        if isinstance(value, list):
            one.ints.extend(value)
        else:
            one.i = value
        one.type = ATTR_TYPES["ints" if isinstance(value, list) else "i"]
    return node

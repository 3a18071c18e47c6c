"""Damage to the message of an ONNX file: nodes, attributes, weights, names and declared shapes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from model_opt.formats.onnx_model.messages import model_message
from model_opt.formats.onnx_model.reader import OPERATORS

_NUMBERS = (0, 1, -1, 2, 3, 4, 7, 13, 64, 1000, (1 << 31) - 1, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63))
_REALS = (0.0, 1.0, -1.0, 0.5, 1 / 6, 1e-5, 1e38, -1e38, float("inf"), float("nan"))
_TEXTS = (b"", b"nearest", b"SAME_UPPER", b"SAME_LOWER", b"VALID", b"tanh", b"floor", b"\xff", b"asymmetric")
_OPS = (*OPERATORS, "Shape", "Constant", "Erf", "Sqrt", "Pow", "QuantizeLinear", "If")


def mutate_onnx(rng: random.Random, data: bytes) -> bytes:
    """Return the file with one to three damages to what it holds; ``data`` must be a readable message."""
    message = model_message().FromString(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(_DAMAGES)(rng, message)
    return bytes(message.SerializePartialToString())


def _node(rng: random.Random, message: Any) -> Any:
    return rng.choice(list(message.graph.node) or [message.graph.node.add()])


def _names(message: Any) -> list[bytes]:
    graph = message.graph
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    return [*names, *(tensor.name for tensor in graph.initializer), b"", b"x", b"y", b"z"]


def _operator(rng: random.Random, message: Any) -> None:
    _node(rng, message).op_type = rng.choice(_OPS).encode()


def _argument(rng: random.Random, message: Any) -> None:
    node = _node(rng, message)
    side, name = rng.choice((node.input, node.output)), rng.choice(_names(message))
    if side and rng.random() < 0.7:
        at = rng.randrange(len(side))
        if rng.random() < 0.3:
            del side[at]
        else:
            side[at] = name
    else:
        side.append(name)


def _attribute(rng: random.Random, message: Any) -> None:
    node = _node(rng, message)
    if not node.attribute or rng.random() < 0.2:
        names = (b"axis", b"axes", b"pads", b"strides", b"group", b"perm", b"auto_pad", b"to", b"keepdims", b"split")
        node.attribute.add(name=rng.choice(names), type=rng.choice((1, 2, 3, 4, 5, 6, 7, 8)))
    attribute = rng.choice(list(node.attribute))
    kind = rng.randrange(6)
    if kind == 0:
        attribute.type = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 99))
    elif kind == 1:
        attribute.i, attribute.f, attribute.s = rng.choice(_NUMBERS), rng.choice(_REALS), rng.choice(_TEXTS)
    elif kind == 2 and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(_NUMBERS)
    elif kind == 3:
        attribute.ints.extend([rng.choice(_NUMBERS)] * rng.choice((1, 2, 20)))
    elif kind == 4:
        del attribute.ints[len(attribute.ints) // 2 :]
    else:
        node.attribute.remove(attribute)


def _order(rng: random.Random, message: Any) -> None:
    nodes = message.graph.node
    copies = [type(node).FromString(node.SerializePartialToString()) for node in nodes]
    if not copies:
        return
    at, to = rng.randrange(len(copies)), rng.randrange(len(copies))
    kind = rng.randrange(3)
    if kind == 0:
        del copies[at]
    elif kind == 1:
        copies[at], copies[to] = copies[to], copies[at]
    else:
        made = type(copies[at]).FromString(copies[at].SerializePartialToString())
        made.output[:] = [name + b".again" for name in made.output]
        copies.insert(to, made)
    del nodes[:]
    nodes.extend(copies)


def _weight(rng: random.Random, message: Any) -> None:
    if not message.graph.initializer:
        return
    tensor = rng.choice(list(message.graph.initializer))
    kind = rng.randrange(6)
    if kind == 0:
        tensor.data_type = rng.choice((1, 2, 6, 7, 9, 10, 11, 99))
    elif kind == 1 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(_NUMBERS)
    elif kind == 2:
        tensor.dims[:] = rng.sample(list(tensor.dims), len(tensor.dims))
    elif kind == 3:
        tensor.dims.append(1)
    elif kind == 4:
        size = len(tensor.raw_data)
        tensor.raw_data = rng.randbytes(size) if rng.random() < 0.5 else tensor.raw_data[: size // 2]
    else:
        tensor.name = rng.choice(_names(message))


def _declared(rng: random.Random, message: Any) -> None:
    values = [*message.graph.input, *message.graph.output]
    if not values:
        return
    value = rng.choice(values)
    tensor, kind = value.type.tensor_type, rng.randrange(5)
    if kind == 0:
        value.name = rng.choice(_names(message))
    elif kind == 1:
        tensor.elem_type = rng.choice((0, 1, 7, 10))
    elif kind == 2 and tensor.shape.dim:
        rng.choice(list(tensor.shape.dim)).dim_value = rng.choice(_NUMBERS)
    elif kind == 3:
        tensor.shape.dim.add(dim_param=rng.choice((b"", b"N", b"\xff")))
    else:
        tensor.ClearField("shape")


def _opset(rng: random.Random, message: Any) -> None:
    for entry in message.opset_import:
        entry.version = rng.choice((1, 7, 9, 10, 11, 12, 13, 17, 18, 20, 23, 24, *_NUMBERS))


_DAMAGES: tuple[Callable[[random.Random, Any], None], ...] = (
    _operator, _operator, _argument, _argument, _attribute, _attribute, _attribute, _order, _weight, _weight,
    _declared, _opset,
)  # fmt: skip

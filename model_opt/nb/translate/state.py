"""What is known half way through a program: the tensor that each variable holds now, and the nodes made so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.translate.proto import Attr, Graph, Node
from model_opt.nb.translate.view import OpView
from model_opt.program.sizes import Shape, Size, SizeError, Sizes, checked, show

Float32Array = NDArray[np.float32]
_MAX_RANK = 8


@dataclass(frozen=True, eq=False)
class Tensor:
    """A float32 tensor of the ONNX graph. ``data`` is its value when that is a constant of the file."""

    name: str
    shape: Shape
    data: Float32Array | None = None


@dataclass(frozen=True)
class Ints:
    """An integer tensor of at most one dimension, whose elements are known as sizes; it never becomes a node."""

    values: tuple[Size, ...]


Value = Tensor | Ints


class State:
    """The variables of a program and the graph under construction.

    Variables are reused by opt's memory passes, so a name of the file may stand for many tensors in turn.
    """

    def __init__(self, parameters: Mapping[str, Float32Array | Ints]) -> None:
        self.symbols = Sizes()
        self._values: dict[str, Value] = {}
        self._parameters = parameters
        self._nodes: list[Node] = []
        self._constants: dict[str, NDArray[Any]] = {}
        self._by_content: dict[tuple[object, ...], str] = {}
        self._taken: dict[str, int] = {}

    def take(self, op: OpView, name: str) -> Value:
        """Return what the variable ``name`` holds now."""
        value = self._values.get(name)
        if value is None:
            data = self._parameters.get(name)
            if data is None:
                op.fail(f"the variable {name!r} is read before anything is written to it")
            if not isinstance(data, Ints) and data.size == 0:
                op.fail(f"the parameter {name!r} is empty: its shape is {show(data.shape)}")
            value = data if isinstance(data, Ints) else self.constant_like(data, name)
            self._values[name] = value
        return value

    def tensor(self, op: OpView, slot: str) -> Tensor:
        """Return the float tensor in an input slot."""
        return self.as_tensor(op, op.argument(slot))

    def as_tensor(self, op: OpView, name: str) -> Tensor:
        """Return the float tensor that the variable ``name`` holds."""
        value = self.take(op, name)
        if isinstance(value, Ints):
            op.fail(f"the variable {name!r} holds a shape, a float tensor is expected")
        return value

    def constant_tensor(self, op: OpView, slot: str) -> Float32Array:
        """Return the values of a parameter; anything computed is refused."""
        data = self.tensor(op, slot).data
        if data is None:
            op.fail(f"the input {slot!r} is computed, a parameter of the file is expected")
        return data

    def sizes(self, op: OpView, slots: Sequence[str]) -> tuple[Size, ...]:
        """Return the elements of the integer tensors named, one after the other."""
        found: list[Size] = []
        for name in slots:
            value = self.take(op, name)
            if isinstance(value, Tensor):
                op.fail(f"the variable {name!r} is a float tensor, a shape known without a run is expected")
            found += value.values
        return tuple(found)

    def bind(self, op: OpView, slot: str, value: Value) -> None:
        """Let the variable in an output slot hold ``value``."""
        self._values[op.output(slot)] = value

    def bind_name(self, name: str, value: Value) -> None:
        """Let the variable ``name`` hold ``value``."""
        self._values[name] = value

    def spoil(self, op: OpView, *slots: str) -> None:
        """Forget the values of these output slots: the kernel overwrites them, and nothing reads the result."""
        for slot in slots:
            for name in op.outputs(slot):
                self._values.pop(name, None)

    def emit(
        self, op: OpView, onnx: str, inputs: Sequence[str], shape: Sequence[Size], near: str, **attrs: Attr
    ) -> Tensor:
        """Add a node with one output and return that; ``near`` is the variable its name is taken from."""
        name = self._fresh(near)
        self._nodes.append(Node(onnx, tuple(inputs), (name,), attrs))
        return Tensor(name, checked_shape(op, shape))

    def constant(self, data: NDArray[Any], near: str | None = None) -> str:
        """Return the name of a constant; equal ones are stored once."""
        data = np.ascontiguousarray(data)
        if near is None:
            near = f"const_{len(self._constants)}"
        key = (data.shape, data.dtype.str, data.tobytes()) if data.size <= 64 else (near, id(data))
        name = self._by_content.get(key)
        if name is None:
            name = self._by_content[key] = self._fresh(near)
            self._constants[name] = data
        return name

    def constant_like(self, data: Float32Array, near: str) -> Tensor:
        """Return a new constant as a tensor."""
        data = np.ascontiguousarray(data, dtype=np.float32)
        return Tensor(self.constant(data, near), data.shape, data)

    def feed(self, op: OpView, name: str, shape: Shape) -> Tensor:
        """Return an input of the graph as a tensor."""
        return Tensor(self._fresh(name), checked_shape(op, shape))

    def graph(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Graph:
        """Return the finished graph with the constants that its nodes use."""
        used = {name for node in self._nodes for name in node.inputs}
        return Graph(
            tuple(self._nodes),
            {name: data for name, data in self._constants.items() if name in used},
            tuple((tensor.name, tensor.shape) for tensor in inputs),
            tuple((tensor.name, tensor.shape) for tensor in outputs),
        )

    def _fresh(self, near: str) -> str:
        name = near
        while name in self._taken:
            self._taken[near] += 1
            name = f"{near}:{self._taken[near]}"
        self._taken[name] = 1
        return name


def checked_shape(op: OpView, shape: Sequence[Size]) -> Shape:
    """Return ``shape`` if a tensor can have it."""
    try:
        sizes = tuple(checked(dim) if isinstance(dim, int) else dim for dim in shape)
    except SizeError as error:
        op.fail(f"the output would have the shape {show(shape)}: {error}")
    if not 1 <= len(sizes) <= _MAX_RANK:
        op.fail(f"an output of {len(sizes)} dimensions, {_MAX_RANK} at most are known")
    return sizes

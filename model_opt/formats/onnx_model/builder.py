"""The Paddle program that grows while the nodes are read in order, and what is known of each value so far.

A value of the graph is a constant (an array), a list of sizes (integers that follow from the inputs' shapes, such as
the target of a reshape), or a tensor with a shape of numbers and symbols. Only tensors become variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from model_opt.formats.errors import FormatError
from model_opt.formats.onnx_model.graph import EXPORT, Array, Graph, Node, Value
from model_opt.paddle_model import complete
from model_opt.program import Attr, AttrType, Block, Model, Op, Program, Var, VarType
from model_opt.program.sizes import Shape, Size, Sizes, checked

_MAX_RANK = 8
_MOST_SIZES = 64
"""A list with more elements than this is no shape."""


@dataclass(frozen=True, slots=True)
class SizeList:
    """A tensor of integers, each a number or a symbol; ``scalar`` for one without sides."""

    sizes: tuple[Size, ...]
    scalar: bool = False


class Builder:
    """Values by the names of the graph, and the operators made of its nodes so far."""

    def __init__(self, graph: Graph, path: Path | None) -> None:
        self.opset = graph.opset
        self.sizes = Sizes()
        self._path = path
        self._graph = graph
        self._shapes: dict[str, Shape] = {}
        self._lists: dict[str, SizeList] = {}
        self._constants: dict[str, Array] = dict(graph.constants)
        self._alias: dict[str, str] = {}
        self._ops: list[Op] = []
        self._vars: dict[str, Var] = {}
        self._params: dict[str, Array] = {}
        names = (name for node in graph.nodes for name in node.outputs)
        self._taken = {*names, *graph.constants, *(value.name for value in graph.inputs)}
        self._reads: dict[str, int] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._reads[name] = self._reads.get(name, 0) + 1

    # ---- errors

    def refuse(self, node: Node, why: str) -> NoReturn:
        """Raise ``FormatError`` for a node that has no equal among Paddle's operators, or none known here."""
        raise FormatError(f"{node.label} cannot be read: {why}", path=self._path, hint=EXPORT)

    # ---- what is known

    def constant(self, name: str | None) -> Array | None:
        """Return a constant of the graph, None for anything else."""
        return None if name is None else self._constants.get(name)

    def shape(self, node: Node, name: str | None) -> Shape:
        """Return the shape of a tensor or a constant."""
        found = self._shapes.get(self._alias.get(name or "", name or ""))
        array = self.constant(name)
        if found is None and array is not None:
            found = array.shape
        if found is None:
            self.refuse(node, f"its input {name!r} is no tensor of floats")
        return found

    def integers(self, name: str | None) -> SizeList | None:
        """Return a list of sizes, or a constant that is one; None for anything else."""
        array = self.constant(name)
        if array is None:
            return self._lists.get(name or "")
        if array.dtype.kind != "i" or array.ndim > 1 or array.size > _MOST_SIZES:
            return None
        return SizeList(tuple(int(item) for item in array.reshape(-1)), array.ndim == 0)

    def numbers(self, node: Node, name: str | None) -> tuple[int, ...] | None:
        """Return a list of integers that must not depend on the input; None when it is left out."""
        if name is None:
            return None
        found = self.integers(name)
        sizes = tuple(size for size in found.sizes if isinstance(size, int)) if found is not None else ()
        if found is None or len(sizes) != len(found.sizes):
            self.refuse(node, f"its input {name!r} is no constant list of integers")
        return sizes

    def axes(self, node: Node, at: int = 1) -> tuple[int, ...] | None:
        """Return the axes of a node: an attribute in older opsets, later an input at position ``at``."""
        listed = node.numbers("axes")
        return listed if listed is not None else self.numbers(node, node.given(at))

    def is_output(self, name: str) -> bool:
        """Return whether callers know a value by its name."""
        return any(value.name == name for value in self._graph.outputs)

    def read_once(self, name: str) -> bool:
        """Return whether one node alone reads a value, and it is no output of the graph."""
        return self._reads.get(name) == 1 and not self.is_output(name)

    # ---- what grows

    def tensor(self, node: Node, name: str | None) -> str:
        """Return the variable of a tensor; a constant becomes a parameter."""
        array = self.constant(name)
        if name is not None and array is not None:
            return self.param(node, name, array)
        self.shape(node, name)
        return self._alias.get(name or "", name or "")

    def param(self, node: Node, name: str, array: Array) -> str:
        """Return the name of a parameter that holds ``array``: ``name`` when that is free or holds the same."""
        if array.dtype != np.float32:
            self.refuse(node, f"its constant {name!r} holds {array.dtype}, float32 is expected")
        held, number = name, 1
        while (held in self._params and not _same(self._params[held], array)) or (number > 1 and held in self._taken):
            held, number = f"{name}.{number}", number + 1
        if held not in self._params:
            self._taken.add(held)
            self._params[held] = array
            self._vars[held] = Var(
                held, data_type=VarType.FP32, dims=array.shape, lod_level=0, persistable=True, need_check_feed=False,
                is_parameter=True,
            )  # fmt: skip
        return held

    def fresh(self, hint: str) -> str:
        """Return a name that no value has."""
        number = 1
        while f"{hint}.{number}" in self._taken:
            number += 1
        self._taken.add(f"{hint}.{number}")
        return f"{hint}.{number}"

    def declare(self, node: Node, name: str, shape: Shape) -> str:
        """Declare the variable of a tensor and return its name."""
        if not name:
            self.refuse(node, "its result has no name")
        if len(shape) > _MAX_RANK:
            self.refuse(node, f"a result of {len(shape)} sides")
        self._shapes[name] = shape
        dims = tuple(side if isinstance(side, int) else -1 for side in shape)
        self._vars[name] = Var(name, data_type=VarType.FP32, dims=dims, lod_level=0, persistable=False)
        return name

    def emit(self, type_: str, inputs: Mapping[str, Sequence[str]], output: tuple[str, str], **attrs: Attr) -> None:
        """Add an operator; ``output`` is its parameter and the variable that it fills."""
        parts = {key: tuple(names) for key, names in inputs.items()}
        self._ops.append(Op(type_, parts, {output[0]: (output[1],)}, attrs))

    def last_op(self, name: str) -> Op | None:
        """Return the last operator when it makes ``name``."""
        return self._ops[-1] if self._ops and name in self._ops[-1].output_names else None

    def drop_last(self, name: str) -> None:
        """Take the last operator back, which makes ``name``."""
        self._ops.pop()
        del self._vars[name]

    def hand_on(self, name: str, result: str) -> None:
        """Let ``result`` mean the same value as ``name``."""
        self._alias[result] = self._alias.get(name, name)

    def set_list(self, name: str, found: SizeList) -> None:
        """Record a list of sizes."""
        self._lists[name] = found

    def feed(self, value: Value, column: int) -> None:
        """Declare an input of the graph and the operator that fills it."""
        node = Node("input", (), (value.name,), {})
        if value.element not in (None, 1):
            self.refuse(node, f"its elements have ONNX's type {value.element}, float32 is expected")
        if value.sides is None:
            self.refuse(node, "its shape is not declared")
        sides: list[Size] = []
        for at, side in enumerate(value.sides):
            open_side = self.sizes.named(side if isinstance(side, str) and side else f"{value.name}[{at}]")
            sides.append(checked(side) if isinstance(side, int) and side > 0 else open_side)
        self.declare(node, value.name, tuple(sides))
        holder = self._holder("feed", VarType.FEED_MINIBATCH)
        self.emit("feed", {"X": (holder,)}, ("Out", value.name), col=integer(column))

    def _holder(self, name: str, kind: VarType) -> str:
        """Return the variable that all inputs come from, or all outputs go to."""
        found = next((var.name for var in self._vars.values() if var.kind == kind), None)
        if found is None:
            found = self.fresh(name) if name in self._taken else name
            self._vars[found] = Var(found, kind=kind, persistable=True)
        return found

    def finish(self) -> Model:
        """Return the model: the operators, with the outputs that Paddle demands, and one ``fetch`` for each output."""
        for column, value in enumerate(self._graph.outputs):
            if value.name not in self._vars or value.name in self._params:
                raise FormatError(
                    f"the output {value.name!r} is no tensor that the model computes", path=self._path, hint=EXPORT
                )
            holder = self._holder("fetch", VarType.FETCH_LIST)
            self.emit("fetch", {"X": (value.name,)}, ("Out", holder), col=integer(column))
        block = Block(0, -1, tuple(self._vars.values()), tuple(self._ops))
        return complete(Model(Program((block,), version=0), self._params))[0]


def _same(a: Array, b: Array) -> bool:
    return a is b or (a.shape == b.shape and a.tobytes() == b.tobytes())


def flag(value: bool) -> Attr:
    """Return an attribute that is true or false."""
    return Attr(AttrType.BOOLEAN, value)


def integer(value: int) -> Attr:
    """Return an attribute that is an integer."""
    return Attr(AttrType.INT, value)


def real(value: float) -> Attr:
    """Return an attribute that is a float of 32 bits."""
    return Attr(AttrType.FLOAT, float(np.float32(value)))


def text(value: str) -> Attr:
    """Return an attribute that is text."""
    return Attr(AttrType.STRING, value)


def listed(values: Sequence[int]) -> Attr:
    """Return an attribute that is a list of integers."""
    return Attr(AttrType.INTS, tuple(values))

"""The working graph of the lowering: operators that steps replace, and the writer and readers of each variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from numpy.typing import NDArray

from model_opt.lower.errors import SIMPLIFY, refuse
from model_opt.program import Attr, AttrType, AttrValue, Kernel, Var, VarType

Arguments = Mapping[str, tuple[str, ...]]
CONVOLUTIONS = ("conv2d", "depthwise_conv2d", "conv2d_transpose")


@dataclass(slots=True, eq=False)
class LiteOp:
    """One operator during the lowering.

    ``number`` is opt's: that of the program at first, a new one for each operator that a fusion makes; the order of a
    file follows it. ``index`` is the operator's place in the program (of a fused one: of its first part).
    """

    number: int
    index: int
    type: str
    inputs: Arguments
    outputs: Arguments
    attrs: dict[str, Attr]
    kernel: Kernel | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables it reads, each once, in the order of its parameters."""
        return tuple(dict.fromkeys(name for names in self.inputs.values() for name in names))

    @property
    def writes(self) -> tuple[str, ...]:
        """The variables it writes, each once."""
        return tuple(dict.fromkeys(name for names in self.outputs.values() for name in names))

    def input(self, parameter: str) -> str:
        """Return the one variable given to ``parameter``; a ``LowerError`` when there is none or more than one."""
        return self._one(self.inputs, parameter, "reads")

    def output(self, parameter: str) -> str:
        """Return the one variable that ``parameter`` fills; a ``LowerError`` when there is none or more than one."""
        return self._one(self.outputs, parameter, "writes")

    def value(self, name: str, default: AttrValue | None = None) -> Any:
        """Return an attribute's value, ``default`` when the operator lacks it."""
        attr = self.attrs.get(name)
        return default if attr is None else attr.value

    def need(self, name: str) -> Any:
        """Return the value of an attribute that must be there: a ``LowerError`` when it is not."""
        if name not in self.attrs:
            self.refuse(f"it lacks the attribute {name!r}", "export the model again with all attributes")
        return self.attrs[name].value

    def refuse(self, what: str, hint: str = SIMPLIFY) -> NoReturn:
        """Raise the ``LowerError`` that names this operator."""
        refuse(self.type, self.index, what, hint)

    def _one(self, arguments: Arguments, parameter: str, does: str) -> str:
        names = arguments.get(parameter, ())
        if len(names) != 1:
            self.refuse(f"it {does} {len(names)} variables at {parameter}, not one", "export the model again")
        return names[0]


@dataclass(slots=True, eq=False)
class Graph:
    """The operators in an order that runs, with their variables and parameters.

    ``data_types`` says what each variable that is no parameter holds. ``params`` and ``variables`` are the program's
    own until a pass changes them.
    """

    version: int
    variables: dict[str, Var]
    params: dict[str, NDArray[Any]]
    data_types: dict[str, VarType] = field(default_factory=dict)
    _ops: dict[int, LiteOp] = field(default_factory=dict)
    _writer: dict[str, LiteOp] = field(default_factory=dict)
    _readers: dict[str, dict[int, LiteOp]] = field(default_factory=dict)
    _next: int = 0

    @property
    def ops(self) -> tuple[LiteOp, ...]:
        """The current operators; the graph may change during iteration."""
        return tuple(self._ops.values())

    def of_type(self, *types: str) -> tuple[LiteOp, ...]:
        """Return the operators of these types."""
        return tuple(op for op in self._ops.values() if op.type in types)

    def is_param(self, name: str) -> bool:
        """Return whether a variable is a parameter."""
        return name in self.params

    def readers(self, name: str) -> tuple[LiteOp, ...]:
        """Return the operators that read a variable, by rising number."""
        found = self._readers.get(name, {})
        return tuple(found[number] for number in sorted(found))

    def only_reader(self, name: str) -> LiteOp | None:
        """Return the only reader of a variable, None when there is none or more than one."""
        found = self._readers.get(name, {})
        return next(iter(found.values())) if len(found) == 1 else None

    def writer(self, name: str) -> LiteOp | None:
        """Return the operator that writes a variable, None for parameters and what nothing writes."""
        return self._writer.get(name)

    def dims(self, name: str) -> tuple[int, ...]:
        """Return the sizes of a parameter, or those that the program declares; none for a variable of a pass."""
        if name in self.params:
            return tuple(self.params[name].shape)
        variable = self.variables.get(name)
        return (variable.dims or ()) if variable is not None else ()

    def add(self, kind: str, inputs: Arguments, outputs: Arguments, attrs: Mapping[str, Attr], index: int) -> LiteOp:
        """Add an operator with the next number."""
        op = LiteOp(self._next, index, kind, dict(inputs), dict(outputs), dict(attrs))
        self._next += 1
        self._ops[op.number] = op
        self._link(op)
        return op

    def put_between(
        self, name: str, made: str, reader: LiteOp, kernel: Kernel, holds: VarType, attrs: Mapping[str, Attr]
    ) -> LiteOp:
        """Add the operator of ``kernel`` that makes the variable ``made`` of ``name`` for ``reader``."""
        self.skip_number()
        op = self.add(kernel.op, {"Input": (name,)}, {"Out": (made,)}, attrs, reader.index)
        op.kernel = kernel
        self.data_types[made] = holds
        return op

    def skip_number(self) -> None:
        """Use up one number: opt numbers a new variable too."""
        self._next += 1

    def remove(self, *ops: LiteOp) -> None:
        """Remove operators; their variables stay."""
        for op in ops:
            self._unlink(op)
            del self._ops[op.number]

    def rewire(self, op: LiteOp, *, inputs: Arguments | None = None, outputs: Arguments | None = None) -> None:
        """Give an operator other inputs or outputs."""
        self._unlink(op)
        op.inputs = op.inputs if inputs is None else dict(inputs)
        op.outputs = op.outputs if outputs is None else dict(outputs)
        self._link(op)

    def arrange(self, ops: Iterable[LiteOp]) -> None:
        """Put the operators into another order."""
        self._ops = {op.number: op for op in ops}

    def _link(self, op: LiteOp) -> None:
        for name in op.reads:
            self._readers.setdefault(name, {})[op.number] = op
        for name in op.writes:
            # In inference a batch norm names its mean and variance as outputs too, and leaves them as they are.
            if name not in self.params:
                self._writer[name] = op

    def _unlink(self, op: LiteOp) -> None:
        for name in op.reads:
            self._readers[name].pop(op.number, None)
        for name in op.writes:
            if self._writer.get(name) is op:
                del self._writer[name]


def renamed(arguments: Arguments, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return arguments with other names: ``{old: new}``; the others stay."""
    return {key: tuple(names.get(name, name) for name in held) for key, held in arguments.items()}


def flag(value: bool) -> Attr:
    """Return a BOOLEAN attribute."""
    return Attr(AttrType.BOOLEAN, value)


def text(value: str) -> Attr:
    """Return a STRING attribute."""
    return Attr(AttrType.STRING, value)


def integer(value: int) -> Attr:
    """Return an INT attribute."""
    return Attr(AttrType.INT, value)


def real(value: float) -> Attr:
    """Return a FLOAT attribute."""
    return Attr(AttrType.FLOAT, float(value))


def reals(values: Iterable[float]) -> Attr:
    """Return a FLOATS attribute."""
    return Attr(AttrType.FLOATS, tuple(float(value) for value in values))

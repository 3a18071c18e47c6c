"""A program of classic operators in the making, and what the rules of ``pir_ops`` ask about a PIR program.

Operands that are constants in PIR are attributes in ``framework.proto``; sizes that are computed while the model runs
are followed as far as they are known. What is made for such an operand and not read any more goes at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model_opt.formats.pir_json import PirOp, PirProgram, PirValue
from model_opt.program import Attr, AttrType, AttrValue, Block, Op, Program, Var, VarType

PADDLE_VERSION = 2_006_002
"""The version that the programs claim: the last Paddle that wrote such programs unless something else is given."""

_COMPUTED = "export the model again; PaddleOCR's own exports have a constant there"


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor of numbers that are known before the model runs; None for one that is not. ``dims`` is () or (n,)."""

    values: tuple[int | float | None, ...]
    dims: tuple[int, ...]


class Draft:
    """The program being made: operators, variables, and what each PIR value stands for."""

    def __init__(self, program: PirProgram) -> None:
        self.ops: list[Op] = []
        self.variables: dict[str, Var] = {}
        self.constants: dict[int, Constant] = {}
        self.parts: dict[int, tuple[int, ...]] = {}
        self.biases: dict[int, str] = {}
        self._last_part = 0
        self._values: dict[int, PirValue] = {}
        self._names: dict[int, str] = {}
        for name, value in program.params.items():
            self._declare(name, value, True)
            self._names[value.number] = name
            self._values[value.number] = value

    # ---- what an operator reads

    def name(self, op: PirOp, at: int) -> str:
        """Return the variable of the operand at position ``at``; refuses the operator when it has none."""
        number = self.number(op, at)
        found = self._names.get(number)
        if found is None:
            op.refuse(f"its operand {at} is a result that cannot be read here")
        return found

    def number(self, op: PirOp, at: int) -> int:
        """Return the number of the operand at position ``at``."""
        if at >= len(op.inputs) or op.inputs[at] == 0:
            op.refuse(f"it lacks the operand {at}")
        return op.inputs[at]

    def names(self, op: PirOp, at: int) -> tuple[str, ...]:
        """Return the variables of a vector of tensors."""
        parts = self.parts.get(self.number(op, at))
        if parts is None:
            op.refuse(f"its operand {at} is no list of tensors")
        found = tuple(self._names.get(part, "") for part in parts)
        if not all(found):
            op.refuse(f"its operand {at} holds a result that cannot be read here")
        return found

    def dims(self, op: PirOp, at: int) -> tuple[int, ...] | None:
        """Return the sizes of an operand, -1 where free."""
        value = self._values.get(self.number(op, at))
        return None if value is None else value.dims

    def param(self, op: PirOp, at: int) -> tuple[str, tuple[int, ...]] | None:
        """Return name and sizes of an operand that is a parameter."""
        name = self._names.get(self.number(op, at), "")
        var = self.variables.get(name)
        return (name, var.dims) if var is not None and var.is_param and var.dims is not None else None

    def data_type(self, op: PirOp, at: int) -> VarType:
        """Return the element type of an operand."""
        value = self._values.get(self.number(op, at))
        if value is None or value.data_type is None:
            op.refuse(f"the type of its operand {at} is not stated")
        return value.data_type

    def ints(self, op: PirOp, at: int) -> tuple[int, ...]:
        """Return an operand that is a constant list of integers; refuses the operator when it is computed."""
        held = self.sizes(op, at)
        known = tuple(value for value in held if value is not None)
        if len(known) != len(held):
            op.refuse(f"its operand {at} is computed while the model runs", _COMPUTED)
        return known

    def sizes(self, op: PirOp, at: int) -> tuple[int | None, ...]:
        """Return an operand that is a list of integers, None for those that are computed while the model runs."""
        held = self.constants.get(self.number(op, at))
        if held is None:
            op.refuse(f"its operand {at} is computed while the model runs", _COMPUTED)
        if any(isinstance(value, float) and not value.is_integer() for value in held.values):
            op.refuse(f"its operand {at} holds fractions")
        return tuple(None if value is None else int(value) for value in held.values)

    def scalar(self, op: PirOp, at: int) -> int | float:
        """Return an operand that is one constant number."""
        held = self.constants.get(self.number(op, at))
        if held is None or len(held.values) != 1 or held.values[0] is None:
            op.refuse(f"its operand {at} is no constant number", _COMPUTED)
        return held.values[0]

    # ---- what becomes of it

    def alias(self, op: PirOp, at: int = 0) -> None:
        """Let the first result be the operand at position ``at``: the operator changes nothing."""
        source, value = self.number(op, at), op.outputs[0]
        self._names[value.number] = self.name(op, at)
        self._values[value.number] = value
        for held in (self.constants, self.parts, self.biases):
            if source in held:
                held[value.number] = held[source]  # type: ignore[assignment]

    def emit(
        self,
        op: PirOp,
        kind: str,
        inputs: Mapping[str, Sequence[str] | str],
        outputs: Mapping[str, Sequence[PirValue] | PirValue],
        attrs: Mapping[str, tuple[AttrType, AttrValue]],
    ) -> None:
        """Add an operator of type ``kind`` for ``op``, with fresh variables for its results."""
        made = {
            key: tuple(self._fresh(kind, value) for value in ((held,) if isinstance(held, PirValue) else held))
            for key, held in outputs.items()
        }
        read = {key: (held,) if isinstance(held, str) else tuple(held) for key, held in inputs.items()}
        self.ops.append(Op(kind, read, made, {key: Attr(*held) for key, held in attrs.items()}))

    def feed(self, name: str, value: PirValue, column: int) -> None:
        """Add an input of the model under its own name."""
        self._declare(name, value, False)
        self._names[value.number] = name
        self._values[value.number] = value
        self.ops.append(Op("feed", {"X": ("feed",)}, {"Out": (name,)}, {"col": Attr(AttrType.INT, column)}))

    def fetch(self, name: str, column: int) -> None:
        """Add an output of the model."""
        self.ops.append(Op("fetch", {"X": (name,)}, {"Out": ("fetch",)}, {"col": Attr(AttrType.INT, column)}))

    def taken(self, name: str) -> bool:
        """Return whether a variable of this name is declared."""
        return name in self.variables or name in ("feed", "fetch")

    def fresh_numbers(self, count: int) -> tuple[int, ...]:
        """Return numbers for results that PIR does not number: negative ones, which no value has."""
        self._last_part -= count
        return tuple(self._last_part + at for at in range(count))

    def _fresh(self, kind: str, value: PirValue) -> str:
        name = f"{kind}_{value.number}.tmp_0"
        while self.taken(name):
            name += "_"
        self._declare(name, value, False)
        self._names[value.number] = name
        self._values[value.number] = value
        return name

    def _declare(self, name: str, value: PirValue, parameter: bool) -> None:
        self.variables[name] = Var(
            name,
            data_type=value.data_type if value.data_type is not None else VarType.FP32,
            dims=value.dims,
            lod_level=0,
            persistable=parameter,
            need_check_feed=None,
            is_parameter=parameter or None,
        )

    def finish(self) -> Program:
        """Return the program, without what nothing reads; parameters stay declared, for their file holds them all."""
        read = {"fetch"}
        kept: list[Op] = []
        for op in reversed(self.ops):
            if op.type in ("feed", "fetch") or read.intersection(op.output_names):
                read.update(op.input_names)
                kept.append(op)
        used = {name for op in kept for name in (*op.input_names, *op.output_names)}
        held = [var for name, var in self.variables.items() if name in used or var.is_param]
        ends = (
            Var("feed", VarType.FEED_MINIBATCH, persistable=True),
            Var("fetch", VarType.FETCH_LIST, persistable=True),
        )
        return Program((Block(0, -1, (*held, *ends), tuple(reversed(kept))),), PADDLE_VERSION)

"""Edit a program: look-ups over the main block, and changes that keep them true.

An editor lives inside one pass and ends in a new model; the model it began with is never changed. What a pass may rely
on: ``producer`` and ``consumers`` only answer for variables that are written once in the main block and unknown to
other blocks, so a name they know means one value everywhere. All other variables count as unknown and stay as they are.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.program.ir import Op, Program, Var, VarType
from model_opt.program.model import Model
from model_opt.program.report import Left, PassReport, op_count

Array = NDArray[Any]

_EFFECTS = frozenset(
    {"feed", "fetch", "while", "conditional_block", "print", "assert", "py_func", "run_program", "save"}
)


class GraphEditor:
    """A model being rewritten by the pass ``name``."""

    def __init__(self, model: Model, name: str) -> None:
        self._model = model
        self._name = name
        self._ops: list[Op] = list(model.program.main.ops)
        self._params: dict[str, Array] = dict(model.params)
        self._vars: dict[str, Var] = model.program.main.var_map()
        self._done: Counter[str] = Counter()
        self._left: dict[Left, None] = {}
        self._foreign = _foreign_names(model.program)
        self._index()

    # ---- queries

    @property
    def ops(self) -> tuple[Op, ...]:
        """The current operators, in order."""
        return tuple(self._ops)

    def each(self, *types: str) -> Iterator[Op]:
        """Yield the operators of these types one by one, in their current form; for loops that edit."""
        for outputs in [op.outputs for op in self._ops if op.type in types]:
            found = [op for op in self._ops if op.outputs == outputs and op.type in types]
            if len(found) == 1:
                yield found[0]

    def producer(self, name: str) -> Op | None:
        """Return the operator that writes ``name``; None for parameters, inputs and names that are not safe."""
        return self._producers.get(name)

    def consumers(self, name: str) -> tuple[Op, ...] | None:
        """Return the operators that read ``name``, once each; None when the name is not safe to follow."""
        if name in self._foreign or self._writers[name] > 1 or (name in self._params and self._writers[name]):
            return None
        return tuple(self._consumers.get(name, ()))

    def only_consumer(self, name: str) -> Op | None:
        """Return the one operator that reads ``name``, and reads it at one place; None otherwise."""
        readers = self.consumers(name)
        if readers is None or len(readers) != 1 or readers[0].input_names.count(name) != 1:
            return None
        return readers[0]

    def param(self, name: str) -> Array | None:
        """Return a parameter that nothing changes while the model runs; None for any other name.

        A ``batch_norm`` that names its statistics as outputs too does not write them outside training.
        """
        if name in self._foreign or name in self._written_params:
            return None
        return self._params.get(name)

    def var(self, name: str) -> Var | None:
        """Return the declaration of a variable."""
        return self._vars.get(name)

    def dims(self, name: str) -> tuple[int, ...] | None:
        """Return the declared shape of a variable, -1 where a side is free; None when nothing is declared."""
        var = self._vars.get(name)
        return None if var is None else var.dims

    def position(self, op: Op) -> int:
        """Return the position of an operator in the main block."""
        return self._positions[id(op)]

    # ---- edits

    def replace(self, old: Op, *new: Op) -> None:
        """Replace ``old`` by ``new``; without ``new`` the operator is removed."""
        at = self.position(old)
        self._ops[at : at + 1] = new
        self._index()

    def insert_before(self, op: Op, *new: Op) -> None:
        """Insert operators in front of ``op``."""
        at = self.position(op)
        self._ops[at:at] = new
        self._index()

    def move_reads(self, old: str, new: str) -> None:
        """Let everything that reads ``old`` read ``new``."""
        self._ops = [_reading(op, old, new) for op in self._ops]
        self._index()

    def bypass(self, op: Op, source: str, out: str) -> bool:
        """Remove ``op`` and let the readers of ``out`` read ``source``, which has the same value.

        False when that is impossible: the model's output uses the name, or a name is not safe to follow.
        """
        readers = self.consumers(out)
        if readers is None or self.consumers(source) is None or self.is_output(out):
            self.leave(out, "the model's output, or another block, uses the name")
            return False
        self.replace(op)
        self.move_reads(out, source)
        return True

    def is_output(self, name: str) -> bool:
        """True when a ``fetch`` reads the name: callers know the output by it."""
        return any(op.type == "fetch" for op in self.consumers(name) or ())

    def set_param(self, hint: str, array: Array) -> str:
        """Add a parameter under a fresh name made from ``hint`` and return the name."""
        name = self.fresh(hint)
        fixed = np.array(array, order="C")
        fixed.flags.writeable = False
        self._params[name] = fixed
        shown = Model(Program((self._model.program.main,)), {}).with_param(name, fixed)
        self._vars[name] = shown.program.main.var(name)
        return name

    def changed_param(self, op: Op, name: str, array: Array) -> str:
        """Return the name of a parameter that holds ``array`` for ``op``, which reads ``name`` until now.

        The name stays when no other operator reads it, so that a weight keeps its name.
        """
        sharers = [other for other in self._ops if other is not op and name in other.input_names]
        if sharers or op.input_names.count(name) > 1 or name in self._foreign:
            return self.set_param(name, array)
        fixed = np.array(array, order="C")
        fixed.flags.writeable = False
        self._params[name] = fixed
        self._vars[name] = dataclasses.replace(self._vars[name], dims=fixed.shape)
        return name

    def new_var(self, hint: str, dims: tuple[int, ...] | None, like: str | None = None) -> str:
        """Declare a tensor of type float32, or of the type of ``like``, and return its fresh name."""
        name = self.fresh(hint)
        kind = VarType.FP32
        known = self._vars.get(like) if like is not None else None
        if known is not None and known.data_type is not None:
            kind = VarType(known.data_type)
        self._vars[name] = Var(name, data_type=kind, dims=dims, lod_level=0, persistable=False)
        return name

    def set_dims(self, name: str, dims: tuple[int, ...] | None) -> None:
        """Change the declared shape of a variable."""
        if name in self._vars:
            self._vars[name] = dataclasses.replace(self._vars[name], dims=dims)

    def fresh(self, hint: str) -> str:
        """Return a name that no variable has: ``hint.1``, ``hint.2``, …"""
        taken = self._vars.keys() | self._foreign | self._writers.keys()
        number = 1
        while f"{hint}.{number}" in taken:
            number += 1
        return f"{hint}.{number}"

    def sweep(self) -> None:
        """Remove operators that nothing reads, except those that act on the outside or run other blocks.

        Paddle Inference crashes on a program that holds some.
        """
        while True:
            dead = [op for op in self._ops if op.type not in _EFFECTS and self._unread(op.output_names)]
            if not dead:
                return
            for op in dead:
                self.replace(op)
                self.note(f"unread {op.type}")

    def _unread(self, names: tuple[str, ...]) -> bool:
        """True when nothing reads any of ``names``; what is kept between runs and other blocks' values are read."""
        for name in names:
            var = self._vars.get(name)
            if self.consumers(name) != () or (var is not None and var.persistable):
                return False
        return bool(names)

    # ---- the report

    def note(self, what: str) -> None:
        """Count one thing done."""
        self._done[what] += 1

    def leave(self, where: str, why: str) -> None:
        """Record one thing left and why; the same entry counts once."""
        self._left[Left(where, why)] = None

    def finish(self) -> tuple[Model, PassReport]:
        """Return the new model, without the variables that nothing reads or writes any more, and the report."""
        if self._done:
            self.sweep()
        if not self._done:
            report = PassReport(self._name, op_count(self._model), op_count(self._model), (), tuple(self._left))
            return self._model, report
        used = {name for op in self._ops for name in (*op.input_names, *op.output_names)} | self._foreign
        main = self._model.program.main
        before = {var.name: None for var in main.vars}
        old = [self._vars[name] for name in before if name in used or self._vars[name].kind != VarType.LOD_TENSOR]
        added = [var for name, var in self._vars.items() if name not in before and name in used]
        block = dataclasses.replace(main, vars=(*old, *added), ops=tuple(self._ops))
        model = Model(self._model.program, self._params).with_program(self._model.program.with_main(block))
        done = tuple(sorted(self._done.items()))
        return model, PassReport(self._name, op_count(self._model), len(self._ops), done, tuple(self._left))

    def _index(self) -> None:
        self._positions = {id(op): at for at, op in enumerate(self._ops)}
        self._writers = Counter(name for op in self._ops for name in op.output_names)
        self._consumers: dict[str, list[Op]] = {}
        for op in self._ops:
            for name in dict.fromkeys(op.input_names):
                self._consumers.setdefault(name, []).append(op)
        self._producers = {
            name: op
            for op in self._ops
            for name in op.output_names
            if self._writers[name] == 1 and name not in self._foreign and name not in self._params
        }
        self._written_params = {
            name
            for op in self._ops
            for name in op.output_names
            if name in self._params and not _keeps_statistics(op, name)
        }


def _foreign_names(program: Program) -> frozenset[str]:
    """Return the names that other blocks use."""
    return frozenset(
        name for block in program.blocks[1:] for op in block.ops for name in (*op.input_names, *op.output_names)
    ) | frozenset(var.name for block in program.blocks[1:] for var in block.vars)


def _keeps_statistics(op: Op, name: str) -> bool:
    if op.type not in ("batch_norm", "sync_batch_norm") or name not in op.input_names:
        return False
    return bool(op.attr("is_test", False) or op.attr("use_global_stats", False)) and not op.attr("trainable_statistics")


def _reading(op: Op, old: str, new: str) -> Op:
    if old not in op.input_names:
        return op
    return dataclasses.replace(
        op, inputs={key: tuple(new if name == old else name for name in names) for key, names in op.inputs.items()}
    )

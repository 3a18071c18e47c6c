"""Programs that are damaged by chance: what a reader lets through and the lowering must refuse, or take."""

from __future__ import annotations

import dataclasses
import random

import numpy as np

from model_opt.program import Attr, Model
from model_opt.program import AttrType as T
from tests.model_opt.lower_programs import ONE_OP
from tests.model_opt.lower_random import FAMILIES, random_program

_VALUES = (
    (T.INT, 0), (T.INT, -7), (T.INT, 1 << 31), (T.INT, -(1 << 31)), (T.FLOAT, float("nan")), (T.FLOAT, 1e39),
    (T.STRING, "\udc80x"), (T.STRING, "relu"), (T.INTS, ()), (T.INTS, (1,)), (T.INTS, (0,) * 9), (T.FLOATS, ()),
    (T.FLOATS, (1.0,)), (T.BOOLEAN, True), (T.BOOLEAN, False), (T.LONG, 1 << 40), (T.LONGS, (1 << 40,)),
    (T.STRINGS, ("a",)), (T.FLOAT64, 0.1), (T.BLOCK, 0), (T.SCALAR, None),
)  # fmt: skip
_DIMS = (None, (), (-1,), (1, 2, 3), (4,) * 6, (8, 8), (-1, 8, -1, -1))
_ARRAYS = (
    np.zeros((), np.float32), np.zeros(8, np.float32), np.zeros((8, 8), np.float32), np.zeros((2, 2, 2, 2), np.int8),
    np.zeros(3, np.int64), np.full((8, 1, 1, 1), np.nan, np.float32), np.zeros((0, 4), np.float32),
)  # fmt: skip


def sound_programs() -> list[Model]:
    """Return the programs that damage starts from."""
    return [make() for make in ONE_OP.values()] + [random_program(f, seed) for f in FAMILIES for seed in range(3)]


def damaged(model: Model, chance: random.Random, types: list[str]) -> Model:
    """Return the model with one to three things changed: attributes, arguments, operators, variables, parameters."""
    ops, variables = list(model.program.main.ops), list(model.program.main.vars)
    params = dict(model.params)
    names = [var.name for var in variables]
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(ops))
        op, kind = ops[at], chance.randrange(9)
        if kind == 0 and op.attrs:
            ops[at] = op.without_attr(chance.choice(list(op.attrs)))
        elif kind == 1:
            name, value = chance.choice(list(op.attrs) or ["axis"]), Attr(*chance.choice(_VALUES))
            ops[at] = dataclasses.replace(op, attrs={**op.attrs, name: value})
        elif kind == 2 and op.inputs:
            ops[at] = op.with_input(chance.choice(list(op.inputs)), *_some(names, chance))
        elif kind == 3 and op.outputs:
            ops[at] = op.with_output(chance.choice(list(op.outputs)), *_some(names, chance))
        elif kind == 4:
            ops[at] = dataclasses.replace(op, type=chance.choice(types))
        elif kind == 5:
            ops.insert(chance.randrange(len(ops)), op)
        elif kind == 6 and len(ops) > 1:
            del ops[at]
        elif kind == 7:
            place = chance.randrange(len(variables))
            changes = {
                "data_type": chance.choice([0, 2, 3, 4, 5, 22, None]),
                "dims": chance.choice(_DIMS),
                "kind": chance.choice([7, 7, 7, 9, 10, 13]),
            }
            variables[place] = dataclasses.replace(variables[place], **changes)
        elif kind == 8 and params:
            params[chance.choice(list(params))] = chance.choice(_ARRAYS)
    block = dataclasses.replace(model.program.main, ops=tuple(ops), vars=tuple(variables))
    return Model(model.program.with_main(block), params)


def _some(names: list[str], chance: random.Random) -> list[str]:
    return [chance.choice(names) for _ in range(chance.randrange(3))]

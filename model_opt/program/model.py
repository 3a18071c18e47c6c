"""A model in memory: a program and its parameters, whatever files they came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.program.ir import ELEMENT_TYPES, Program, Var, VarType


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A program and the arrays of its persistable tensors by name, which are read-only."""

    program: Program
    params: Mapping[str, NDArray[Any]]

    def with_program(self, program: Program) -> Model:
        """Return the model with another program and the parameters that it still declares."""
        declared = program.declared_params()
        return Model(program, {name: array for name, array in self.params.items() if name in declared})

    def with_param(self, name: str, array: NDArray[Any]) -> Model:
        """Return the model with a parameter set or added: its variable in the main block and its array.

        Raises ``ValueError`` for an array type that Paddle does not have.
        """
        kind = ELEMENT_TYPES.get(array.dtype)
        if kind is None:
            raise ValueError(f"parameter {name!r} has the type {array.dtype}, which Paddle lacks")
        fresh = Var(name, persistable=True, need_check_feed=False, is_parameter=True, lod_level=0)
        var = self.program.main.var_map().get(name, fresh)
        var = dataclasses.replace(var, kind=VarType.LOD_TENSOR, persistable=True, data_type=kind, dims=array.shape)
        program = self.program.with_main(self.program.main.with_vars(var))
        return Model(program, {**self.params, name: _read_only(array)})


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    if not array.flags.writeable:
        return array
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy

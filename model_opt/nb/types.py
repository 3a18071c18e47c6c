"""The values of a ``.nb`` file: the program, and what only the file has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.program import Block, Op, Program, Var, VarType

KERNEL_ATTR = "__@kernel_type_attr@__"
"""The attribute that holds an operator's kernel in a file; in a program it stands in ``Op.kernel`` alone."""


@dataclass(frozen=True, slots=True, eq=False)
class NbTensor:
    """A parameter. ``data`` is a read-only view into the file's bytes, shaped as ``dims``.

    The view need not be aligned to its element size: the format does not align parameters in the file.
    """

    name: str
    dims: tuple[int, ...]
    data_type: VarType
    data: NDArray[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of the elements."""
        return self.data.dtype

    @property
    def nbytes(self) -> int:
        """The size of the data in bytes."""
        return self.data.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class NbModel:
    """A complete ``.nb`` file, checked: its program, whose operators have kernels, and its parameters by name.

    ``path`` is None when it was read from memory.
    """

    meta_version: int
    opt_version: str
    program: Program
    params: Mapping[str, NbTensor]
    op_versions: Mapping[str, int] = field(default_factory=dict)
    nbytes: int = 0
    is_canonical: bool = True
    path: str | None = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of the program."""
        return self.program.blocks

    @property
    def ops(self) -> tuple[Op, ...]:
        """The operators of the main block."""
        return self.program.ops

    @property
    def vars(self) -> tuple[Var, ...]:
        """The variables of the main block."""
        return self.program.vars

    def var(self, name: str) -> Var:
        """Return the variable ``name`` of the main block; ``KeyError`` when it is not declared."""
        return self.program.main.var(name)

    def with_ops(self, ops: Iterable[Op]) -> NbModel:
        """Return the model with other operators in the main block."""
        return dataclasses.replace(self, program=self.program.with_ops(ops))

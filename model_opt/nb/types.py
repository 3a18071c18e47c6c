"""The values of a ``.nb`` file: the program, and what only the file has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from model_opt.program import Block, Op, Program, Var

KERNEL_ATTR = "__@kernel_type_attr@__"
"""The attribute that holds an operator's kernel in a file; in a program it stands in ``Op.kernel`` alone."""


@dataclass(frozen=True, slots=True, eq=False)
class NbModel:
    """A complete ``.nb`` file, checked: its program, whose operators have kernels, and its parameters by name.

    Parameters that were read are read-only views into the file's bytes, which need not be aligned to their element
    size. ``path`` is None when the file was read from memory.
    """

    meta_version: int
    opt_version: str
    program: Program
    params: Mapping[str, NDArray[Any]]
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

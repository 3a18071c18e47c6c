"""What the lowering reads: a program as plain values, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from model_opt.nb.types import AttrType, AttrValue, VarType


@dataclass(frozen=True, slots=True)
class Attr:
    """A typed attribute."""

    type: AttrType
    value: AttrValue


@dataclass(frozen=True, slots=True)
class SourceOp:
    """One operator: argument names by parameter, and attributes."""

    type: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    attrs: Mapping[str, Attr]


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable; ``dims`` with -1 for any size. ``data_type`` is None for what is not a tensor."""

    kind: VarType
    data_type: VarType | None
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A program: operators in the order they run, variables and parameters by name.

    ``version`` is the number of the Paddle that saved it (2004001 for 2.4.1), 0 when unknown. Every parameter is also
    declared as a variable.
    """

    version: int
    ops: tuple[SourceOp, ...]
    variables: Mapping[str, Variable]
    params: Mapping[str, NDArray[Any]]

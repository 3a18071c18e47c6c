"""Judge metrics by the limits of ``configs/gates.yaml``: one row for each recipe and metric, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_kit.verify.compare import json_number
from model_opt.config import read_config
from model_opt.errors import KitError
from model_opt.resources import config_dir

Direction = Literal["at_most", "at_least"]
DIRECTIONS: tuple[Direction, ...] = ("at_most", "at_least")


class GateError(KitError):
    """The gates file is missing or malformed, or does not know a recipe."""


@dataclass(frozen=True)
class Gate:
    """One limit."""

    name: str
    """The metric."""
    title: str
    unit: str
    direction: Direction
    limit: float
    why: str


@dataclass(frozen=True)
class Limits:
    """The limits of one recipe."""

    name: str
    description: str
    gates: tuple[Gate, ...]


@dataclass(frozen=True)
class GateResult(Gate):
    """A limit and the measured value."""

    value: float
    """NaN when nothing was measured."""
    passed: bool

    @property
    def value_text(self) -> str:
        """The value as readable text, with enough digits to show on which side of the limit it is."""
        return _readable(self.value, self.limit, self.unit)

    @property
    def limit_text(self) -> str:
        """The limit as readable text, with its direction."""
        sign = "≤" if self.direction == "at_most" else "≥"
        return f"{sign} {_readable(self.limit, self.limit, self.unit)}"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types; a value that is NaN or infinite becomes ``None``."""
        return {"name": self.name, "value": json_number(self.value), "limit": self.limit, "passed": self.passed}


def load_gates(path: Path | None = None) -> tuple[Limits, ...]:
    """Load the limits from ``path`` (default: ``configs/gates.yaml``).

    Raises ``GateError`` naming the file, the key and what is allowed there.
    """
    path = path or config_dir() / "gates.yaml"
    document = read_config(path, config_dir() / "gates.schema.json", GateError)
    metrics = document["metrics"]
    return tuple(
        Limits(name, row["description"], _gates(name, row["gates"], metrics, path))
        for name, row in document["recipes"].items()
    )


def recipe_gates(recipe: str, recipes: Sequence[Limits] | None = None) -> Limits:
    """Return the limits of ``recipe`` from ``recipes`` (default: the gates file).

    Raises ``GateError`` that lists the known recipes.
    """
    recipes = load_gates() if recipes is None else recipes
    for row in recipes:
        if row.name == recipe:
            return row
    known = ", ".join(row.name for row in recipes)
    raise GateError(f"no gates for the recipe {recipe!r}", hint=f"use one of: {known}")


def apply_gates(
    metrics: Mapping[str, float], recipe: str, recipes: Sequence[Limits] | None = None
) -> tuple[GateResult, ...]:
    """Judge ``metrics`` by the limits of ``recipe``, in the order of the file.

    A metric that is NaN or absent fails: what was not measured is not proven. Raises ``GateError`` for an unknown
    recipe.
    """
    return tuple(_judge(gate, metrics.get(gate.name, math.nan)) for gate in recipe_gates(recipe, recipes).gates)


def all_passed(results: Sequence[GateResult]) -> bool:
    """Return whether there is a result and every one passed."""
    return bool(results) and all(result.passed for result in results)


def _judge(gate: Gate, value: float) -> GateResult:
    # Both comparisons are false for NaN.
    passed = value <= gate.limit if gate.direction == "at_most" else value >= gate.limit
    return GateResult(**vars(gate), value=value, passed=passed)


def _gates(recipe: str, rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any], path: Path) -> tuple[Gate, ...]:
    gates: list[Gate] = []
    for row in rows:
        name = row["metric"]
        where = f"recipes.{recipe}: metric {name!r}"
        if name not in metrics:
            raise GateError(f"{where} is not defined", path=path, hint=f"defined are: {', '.join(metrics)}")
        if any(gate.name == name for gate in gates):
            raise GateError(f"{where} occurs twice", path=path, hint="keep one of them")
        given = [way for way in DIRECTIONS if way in row]
        if len(given) != 1:
            raise GateError(f"{where} has {len(given)} limits", path=path, hint="give either at_most or at_least")
        direction = given[0]
        limit = float(row[direction])
        if not math.isfinite(limit):
            raise GateError(f"{where}: the limit {limit} judges nothing", path=path, hint="give a finite number")
        gates.append(Gate(name, metrics[name]["title"], metrics[name]["unit"], direction, limit, row["why"]))
    return tuple(gates)


def _readable(value: float, limit: float, unit: str) -> str:
    """Return ``value`` with the fewest digits that keep it on its side of ``limit``, of 0 and of 1.

    99.96 % must not read 100.0 %, nor one flipped pixel 0.0 %.
    """
    if not math.isfinite(value):
        return "not measured" if math.isnan(value) else "infinite"
    texts = [_text(value, unit, digits) for digits in range(1, 16)]
    sides = [_side(value, mark) for mark in (limit, 0.0, 1.0)]
    same = (text for text in texts if [_side(_number(text), mark) for mark in (limit, 0.0, 1.0)] == sides)
    return next(same, texts[-1])


def _text(value: float, unit: str, digits: int) -> str:
    if unit == "share":
        return f"{value * 100:.{digits}f} %"
    return f"{value:,.0f}" if unit in ("values", "pixels") else f"{value:.{digits + 1}g}"


def _number(text: str) -> float:
    return float(text.removesuffix(" %").replace(",", "")) / (100 if text.endswith("%") else 1)


def _side(value: float, limit: float) -> int:
    return 0 if math.isclose(value, limit, rel_tol=1e-12) else int(math.copysign(1, value - limit))

"""What a verification found: the comparison of each engine with the reference, judged once by its gates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from edge_kit.verify.compare import Comparison, ImageRun, json_number
from edge_kit.verify.gates import GateResult, all_passed

REFERENCE, ORACLE = "server", "lite_x86"
"""The engine that candidates are compared with, and the one that checks the conversion with independent code."""


@dataclass(frozen=True)
class Judged:
    """An engine's answers against the reference's, by the limits of a recipe."""

    candidate: str
    recipe: str
    comparison: Comparison
    gates: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all_passed(self.gates)

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """The gates that failed."""
        return tuple(gate for gate in self.gates if not gate.passed)

    def furthest(self, gate: GateResult) -> list[str]:
        """Return the names of the images that were measured for a gate, the one furthest on its wrong side first."""
        sign = -1 if gate.direction == "at_most" else 1
        values = [(sign * image.measures.metrics()[gate.name], image.name) for image in self.comparison.worst_first]
        return [name for value, name in sorted(values, key=lambda one: one[0]) if not math.isnan(value)]

    def to_dict(self) -> dict[str, Any]:
        """Return gates, metrics and counts as JSON types, as the manifest has them."""
        compared = self.comparison.to_dict()
        gates = [gate.to_dict() for gate in self.gates]
        kept = {key: compared[key] for key in ("metrics", "counts", "worst_first")}
        return {"candidate": self.candidate, "gates": gates, "passed": self.passed, **kept}


@dataclass(frozen=True)
class Verification:
    """The shipped files and, where it runs, the oracle of their conversion, against the reference on ``images``.

    ``not_checked`` says why there is no oracle. ``limit_side_len`` is the longest side that all engines worked at,
    ``specified_limit_side_len`` the specification's own. The runs are those of the reference and of the shipped files,
    without tensors, for pictures and for the app's self-test.
    """

    reference: str
    images: int
    shipped: Judged
    oracle: Judged | None
    not_checked: str
    limit_side_len: int | None
    specified_limit_side_len: int | None
    reference_runs: tuple[ImageRun, ...]
    shipped_runs: tuple[ImageRun, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed, the oracle's too where it was asked."""
        return self.shipped.passed and (self.oracle is None or self.oracle.passed)

    def furthest(self, count: int) -> tuple[str, ...]:
        """Return the names of up to ``count`` images by the gates that failed: the first of each, then the second."""
        judged = [one for one in (self.shipped, self.oracle) if one is not None]
        ranked = [one.furthest(gate) for one in judged for gate in one.failed]
        turns = [name for names in zip_longest(*ranked) for name in names if name is not None]
        return tuple(dict.fromkeys(turns))[:count]

    @property
    def failures(self) -> Iterator[str]:
        """Each failed gate with its number and limit, the oracle's behind those of the shipped files."""
        yield from (f"{gate.name} is {_numbers(gate)}" for gate in self.shipped.failed)
        if self.oracle is not None:
            of = self.oracle.candidate
            yield from (f"{gate.name} of {of} is {_numbers(gate)}" for gate in self.oracle.failed)

    def to_dict(self) -> dict[str, Any]:
        """Return what the manifest says of the verification, as JSON types."""
        return {
            "reference": self.reference,
            "images": self.images,
            **self.shipped.to_dict(),
            "passed": self.passed,
            "oracle": self._oracle_dict(),
            "limit_side_len": self.limit_side_len,
            "specified_limit_side_len": self.specified_limit_side_len,
        }

    def _oracle_dict(self) -> Mapping[str, Any]:
        about = {"candidate": ORACLE, "recipe": "fp32"}
        if self.oracle is None:
            return {**about, "images": 0, "passed": None, "gates": [], "not_checked": self.not_checked}
        return {**about, "images": len(self.oracle.comparison.images), **self.oracle.to_dict()}


def _numbers(gate: GateResult) -> str:
    return f"{json_number(gate.value)}, limit {gate.limit}"

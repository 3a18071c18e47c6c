"""The report of a quantisation, for manifests and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Fact = int | float | str | bool | None
QuantizeProgress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and a description of the work."""


@dataclass(frozen=True)
class LayerNote:
    """What was done to one layer: ``weight`` names its filter or matrix, ``facts`` its figures."""

    weight: str
    op: str
    facts: Mapping[str, Fact]


@dataclass(frozen=True)
class QuantReport:
    """What an algorithm did to a model: totals and one note for each layer, in program order."""

    algorithm: str
    totals: Mapping[str, Fact]
    layers: tuple[LayerNote, ...] = field(default=())

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON types."""
        layers = [{"weight": note.weight, "op": note.op, **note.facts} for note in self.layers]
        return {"algorithm": self.algorithm, "totals": dict(self.totals), "layers": layers}

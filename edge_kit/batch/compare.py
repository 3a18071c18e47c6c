"""A comparison at scale: what single images measured is added up, shard by shard, and judged by the gates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edge_kit.batch.rows import Answer
from edge_kit.engines.factory import ENGINES
from edge_kit.pipeline_files.names import engine_name
from edge_kit.verify.compare import Measures, json_metrics
from edge_kit.verify.gates import GateResult, all_passed, apply_gates, recipe_gates
from model_opt.errors import KitError


@dataclass(frozen=True)
class Verdict:
    """What a comparison found over all images that were read."""

    reference: str
    candidate: str
    recipe: str
    images: int
    equal: int
    """Images with the same texts and boxes."""
    metrics: Mapping[str, float]
    gates: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all_passed(self.gates)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types."""
        return {
            "reference": self.reference,
            "candidate": self.candidate,
            "recipe": self.recipe,
            "images": self.images,
            "equal": self.equal,
            "passed": self.passed,
            "metrics": json_metrics(self.metrics),
            "gates": [gate.to_dict() for gate in self.gates],
        }


def engines_of(text: str) -> tuple[str, str]:
    """Return the reference and the candidate of ``--compare server,nb``. Raises ``KitError``."""
    hint = f"give two of {', '.join(ENGINES)}: --compare server,nb"
    names = [engine_name(part.strip()) for part in text.split(",")]
    if len(names) != 2 or names[0] == names[1]:
        raise KitError(f"a comparison needs two engines, not {text!r}", hint=hint)
    for name in names:
        if name not in ENGINES:
            raise KitError(f"unknown engine {name!r}", hint=hint)
    return names[0], names[1]


def recipe_of(recipe: str | None, bundle: Path | None) -> str:
    """Return whose gates judge: the recipe that is named, the bundle's, else fp32. Raises ``GateError``."""
    if recipe is None and bundle is not None:
        from edge_kit.build.manifest import MANIFEST_NAME, read_manifest

        recipe = read_manifest(bundle / MANIFEST_NAME).recipe
    return recipe_gates(recipe or "fp32").name


def sums_of(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return what a shard's images measured, added up in their order, as JSON types that keep every digit."""
    rows = [
        json.loads(line)
        for answer in sorted(answers, key=lambda answer: answer.index)
        for line in answer.lines.splitlines()
    ]
    measured = [row for row in rows if "measures" in row]
    total = sum((measures_from(row["measures"]) for row in measured), start=Measures())
    return {"images": len(measured), "equal": sum(row["equal"] for row in measured), "measures": asdict(total)}


def measures_from(values: Mapping[str, Any]) -> Measures:
    """Return the measures of ``dataclasses.asdict``."""
    none = Measures()
    return Measures(**{part.name: type(getattr(none, part.name))(**values[part.name]) for part in fields(Measures)})


def judge(reference: str, candidate: str, recipe: str, shards: Iterable[Mapping[str, Any]]) -> Verdict:
    """Add up the sums of all shards, in their order, and apply the gates of ``recipe``."""
    listed = list(shards)
    total = sum((measures_from(one["measures"]) for one in listed), start=Measures())
    metrics = total.metrics()
    images, equal = (sum(one[key] for one in listed) for key in ("images", "equal"))
    return Verdict(reference, candidate, recipe, images, equal, metrics, apply_gates(metrics, recipe))

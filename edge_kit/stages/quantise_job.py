"""``edge-kit quantize``: one model, or both, through a recipe and its gates, without a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_kit.build.cache import StageResult, default_cache
from edge_kit.build.events import OnEvent
from edge_kit.build.graph import run_stages
from edge_kit.recipes import ModelRecipe, Recipe, load_recipes
from edge_kit.spec import profile
from edge_kit.stages.models import recogniser_of
from edge_kit.stages.oracle import find_oracle
from edge_kit.stages.quantisation import NOTES, model_stages
from edge_kit.stages.request import ROLES, BuildRequest, Role, check_converter, check_recipe
from edge_kit.stages.verification import images_of, verify_stage
from model_opt.convert import find_converter
from model_opt.errors import KitError
from model_opt.files import write_atomic

AS_IT_IS = ModelRecipe("fp32", "fp32")


@dataclass(frozen=True)
class QuantisedFile:
    """One file written: whose, where, its size and sum, and the algorithm's totals (empty where opt alone did it)."""

    role: Role
    path: Path
    nbytes: int
    sha256: str
    totals: Mapping[str, Any]


@dataclass(frozen=True)
class Quantised:
    """What ``quantise_models`` made, and what the gates said of it (the facts of the stage ``verify``)."""

    files: tuple[QuantisedFile, ...]
    verification: Mapping[str, Any]


def quantise_models(request: BuildRequest, roles: Sequence[Role], on_event: OnEvent) -> Quantised:
    """Make the ``.nb`` files of ``roles`` by the request's recipe in the folder ``request.out`` and judge them.

    The model of the other role stays in fp32, so the gates see what this one costs. Each ``<role>.nb`` has a
    ``<role>.json`` beside it: what was done to each layer, and the gates. Files are replaced one by one, each as a
    whole, and only when a gate did not fail or ``request.allow_failed_gates``. Raises ``KitError`` for bad options.
    """
    row = load_recipes().row(request.recipe)
    det, rec = (row.model(role) if role in roles else AS_IT_IS for role in ROLES)
    recipe = replace(row, det=det, rec=rec)
    check_recipe(recipe, request.target)
    _check_folder(request.out)
    check_converter(request)
    rules = profile().for_recogniser(recogniser_of(request))
    images = images_of(request.images)
    converter, oracle = find_converter(request.converter, offline=request.offline), find_oracle(offline=request.offline)
    stages = [*model_stages(request, recipe, rules, converter), verify_stage(request, rules, images, oracle)]
    cache = default_cache()
    with cache.in_use():
        results = run_stages(stages, cache, jobs=request.jobs, on_event=on_event)
        facts = results["verify"].facts
        wanted = roles if facts["passed"] or request.allow_failed_gates else ()
        return Quantised(tuple(_write(request, recipe, role, results) for role in wanted), facts)


def _check_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise KitError("the output is not a folder", path=out, hint="give the name of a folder")


def _write(request: BuildRequest, recipe: Recipe, role: Role, results: Mapping[str, StageResult]) -> QuantisedFile:
    """Write the file of ``role`` and its notes."""
    converted, quantised = results[f"convert-{role}"], results.get(f"quantise-{role}")
    data = (converted.folder / f"{role}.nb").read_bytes()
    notes = {
        "recipe": recipe.name,
        "target": request.target,
        "model": results[f"fetch-{role}"].facts["name"],
        "sha256": converted.facts["sha256"],
        "quantised": json.loads((quantised.folder / NOTES).read_text(encoding="utf-8")) if quantised else None,
        "verification": dict(results["verify"].facts),
    }
    path = request.out / f"{role}.nb"
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
        write_atomic(path.with_suffix(".json"), (json.dumps(notes, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise KitError(f"cannot write the model: {error.strerror}", path=path, hint="choose another --out") from error
    totals: Any = quantised.facts["totals"] if quantised else {}
    return QuantisedFile(role, path, len(data), str(converted.facts["sha256"]), totals)

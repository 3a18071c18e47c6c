"""``edge-kit quantize``: one model, or both, through a recipe and its gates, without a bundle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_kit.build.cache import default_cache
from edge_kit.build.events import OnEvent
from edge_kit.build.runner import running
from edge_kit.jobs.models import BuiltModel, facts_of_models, images_of, make_models, verify
from edge_kit.jobs.request import BuildRequest, check_converter, check_models, check_recipe
from edge_kit.recipes import AUTO, ModelRecipe, load_recipes
from edge_kit.spec import profile
from edge_kit.stages.oracle import find_oracle
from edge_kit.stages.results import ROLES, Role
from edge_kit.targets import target_of
from edge_kit.verify.verification import Verification
from model_opt.convert import find_converter
from model_opt.errors import KitError
from model_opt.fs import write_atomic

AS_IT_IS = ModelRecipe("fp32", "fp32")


@dataclass(frozen=True)
class WrittenModel:
    """A file that was written, and the model in it."""

    path: Path
    model: BuiltModel


def quantise_models(
    request: BuildRequest, roles: Sequence[Role], on_event: OnEvent
) -> tuple[tuple[WrittenModel, ...], Verification]:
    """Make the ``.nb`` files of ``roles`` by the request's recipe in the folder ``request.out`` and judge them.

    The model of the other role stays in fp32, so the gates see what this one costs. Each ``<role>.nb`` has a
    ``<role>.json`` beside it: what was done to each layer, and the gates. Files are replaced one by one, each
    atomically, and only when no gate failed or ``request.allow_failed_gates``. Raises ``KitError`` for bad options.
    """
    recipes = load_recipes()
    if request.recipe == AUTO:
        hint = f"name one of {', '.join(recipes.rows)}, or run 'edge-kit build --recipe auto'"
        raise KitError("quantize takes one recipe, and auto tries several", hint=hint)
    row = recipes.row(request.recipe)
    det, rec = (row.model(role) if role in roles else AS_IT_IS for role in ROLES)
    recipe = replace(row, det=det, rec=rec)
    check_recipe(recipe, target_of(request.target))
    check_models(request, recipe, roles)
    if request.out.exists() and not request.out.is_dir():
        raise KitError("the output is not a folder", path=request.out, hint="give the name of a folder")
    check_converter(request)
    rules = facts_of_models(request).applied(profile(request.profile))
    images = images_of(request.images)
    converter, oracle = find_converter(request.converter, offline=request.offline), find_oracle(offline=request.offline)
    with running(default_cache(), jobs=request.jobs, on_event=on_event) as run:
        models = make_models(run, request, recipe, rules, converter)
        sources = {role: model.fetched for role, model in models.items()}
        converted = {role: model.converted for role, model in models.items()}
        planned = verify(run, request, sources, converted, rules, images, oracle)
        models, verification = run.result((models, planned))
        wanted = roles if verification.passed or request.allow_failed_gates else ()
        return tuple(_write(request, role, models[role], verification) for role in wanted), verification


def _write(request: BuildRequest, role: Role, model: BuiltModel, verification: Verification) -> WrittenModel:
    """Write the file of ``role`` and its notes."""
    quantised = model.quantised
    notes = {
        "recipe": request.recipe,
        "target": request.target,
        "model": model.fetched.name,
        "sha256": model.converted.nb.sum.sha256,
        "quantised": json.loads(quantised.notes.path.read_text(encoding="utf-8")) if quantised else None,
        "verification": verification.to_dict(),
    }
    path = request.out / f"{role}.nb"
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        write_atomic(path, model.converted.nb.path.read_bytes())
        write_atomic(path.with_suffix(".json"), (json.dumps(notes, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise KitError(f"cannot write the model: {error.strerror}", path=path, hint="choose another --out") from error
    return WrittenModel(path, model)

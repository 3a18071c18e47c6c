"""The stages that make a recipe's ``.nb`` files, and among them ``quantise-det`` and ``quantise-rec``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_kit.build.cache import Facts
from edge_kit.build.fingerprint import code_fingerprint
from edge_kit.build.graph import Stage, StageContext
from edge_kit.calibration import calibration_images, calibration_inputs
from edge_kit.engines.base import EngineOptions
from edge_kit.engines.nb import NbEngine
from edge_kit.ocr.tensor import Float32Array
from edge_kit.recipes import ModelRecipe, Recipe
from edge_kit.spec import Profile
from edge_kit.stages.models import (
    PARAMETERS,
    PROGRAM,
    convert_stage,
    fetch_stage,
    optimise_stage,
)
from edge_kit.stages.request import ROLES, BuildRequest, Role, place_of_target
from model_opt.convert import Converter, ConvertOptions, ModelPair
from model_opt.errors import KitError
from model_opt.files import sha256_bytes, sha256_file
from model_opt.paddle_model import read_model, write_model
from model_opt.quantize import ALGORITHMS

NOTES = "quantisation.json"


def model_stages(request: BuildRequest, recipe: Recipe, rules: Profile, converter: Converter) -> Iterator[Stage]:
    """Yield fetch, optimise, quantise (where the recipe asks for it) and convert for each model."""
    before = request.unquantised
    looked_at = calibration_images(request.calibration) if recipe.needs_calibration else ()
    for role in ROLES:
        model = recipe.model(role)
        yield fetch_stage(role, request)
        if request.optimise:
            yield optimise_stage(role)
        if model.algorithm is not None:
            yield quantise_stage(role, model, looked_at, rules, converter, before)
        source = "quantise" if model.algorithm is not None else before
        yield convert_stage(role, model, place_of_target(request.target), converter, f"{source}-{role}")


def quantise_stage(
    role: Role, recipe: ModelRecipe, images: Sequence[Path], rules: Profile, converter: Converter, before: str
) -> Stage:
    """Return the stage that runs the recipe's algorithm on the model of ``<before>-<role>``.

    The recogniser is calibrated on the lines that the detector finds on the calibration images, by the rules of the
    specification; so its stage needs the detector too. Raises ``KitError`` for a recipe without an algorithm.
    """
    if recipe.algorithm is None:
        raise KitError(f"the recipe has no algorithm for {role}")
    algorithm = ALGORITHMS[recipe.algorithm]
    options = algorithm.options(recipe.options)
    sums = "".join(f"{sha256_file(path)} {path.name}\n" for path in images)
    key = {
        "algorithm": recipe.algorithm,
        "options": repr(options),
        "images": sha256_bytes(sums.encode()),
        "rules": repr(rules),
        "converter": converter.cache_key,
        "code": code_fingerprint(__name__),
    }  # fmt: skip

    def run(context: StageContext) -> Facts:
        inputs = _inputs(role, images, rules, converter, context, before, algorithm.most_lines)
        folder = context.inputs[f"{before}-{role}"]
        model = read_model(folder / PROGRAM, folder / PARAMETERS)
        made, report = algorithm.run(model, inputs, options, converter, context.progress)
        write_model(made, context.out / PROGRAM, context.out / PARAMETERS)
        (context.out / NOTES).write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
        return {"algorithm": report.algorithm, "inputs": len(inputs), "totals": dict(report.totals)}

    return Stage(f"quantise-{role}", run, needs=tuple(dict.fromkeys((f"{before}-det", f"{before}-{role}"))), key=key)


def _inputs(
    role: Role,
    images: Sequence[Path],
    rules: Profile,
    converter: Converter,
    context: StageContext,
    before: str,
    most_lines: int,
) -> tuple[Float32Array, ...]:
    """Return what the model of ``role`` sees of the calibration images, lines cut by the unquantised detector."""
    folder = context.inputs[f"{before}-det"]
    with tempfile.TemporaryDirectory(prefix="edge-kit-calibrate-") as name:
        path = Path(name) / "det.nb"
        converter.convert(ModelPair(folder / PROGRAM, folder / PARAMETERS), ConvertOptions(), path)
        detector = NbEngine(path, EngineOptions(threads=1))
    try:
        found = calibration_inputs(images, detector.run, rules, most_lines, context.progress)
    finally:
        detector.close()
    return found.det if role == "det" else found.rec

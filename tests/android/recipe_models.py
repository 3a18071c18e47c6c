"""The files of a recipe without what its algorithms do, which takes minutes: the same operators and precisions."""

from __future__ import annotations

from pathlib import Path

from edge_kit.android.whole_images import NbModels
from edge_kit.recipes import load_recipes
from edge_kit.stages.models import PARAMETERS, PROGRAM
from model_opt.opt_tool import ModelPair, ToolEnv, convert
from model_opt.paddle_model import read_model, write_model
from model_opt.passes import optimise
from model_opt.zoo import ModelFiles


def recipe_models(recipe: str, det: ModelFiles, rec: ModelFiles, tool: ToolEnv, folder: Path) -> NbModels:
    """Convert both models in ``folder`` as a build with passes does for ``recipe``, a row of recipes.yaml."""
    row = load_recipes().row(recipe)
    for role, files, how in (("det", det, row.det), ("rec", rec, row.rec)):
        pair = ModelPair(folder / f"{role}.{PROGRAM}", folder / f"{role}.{PARAMETERS}")
        model, _ = optimise(read_model(files.pdmodel, files.pdiparams))
        write_model(model, pair.pdmodel, pair.pdiparams)
        convert(pair, how.convert_options("arm"), folder / f"{role}.nb", env=tool)
    assert rec.dictionary is not None
    return NbModels(folder / "det.nb", folder / "rec.nb", rec.dictionary)

"""Recipes: how each model is quantised, read from ``configs/recipes.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from model_opt.config import read_config
from model_opt.convert import PLACE_OF_KERNELS, ConvertOptions
from model_opt.errors import KitError
from model_opt.quantize import ALGORITHMS
from model_opt.resources import config_dir

AUTO = "auto"
"""Asks for the first recipe of ``Recipes.auto`` that the device can run and whose gates pass."""

_WEIGHT_BITS: Mapping[str, Literal[8, 16]] = {"int8": 8, "int16": 16}


class RecipeError(KitError):
    """The recipes file is missing or malformed, or does not know a recipe."""


@dataclass(frozen=True)
class ModelRecipe:
    """What a recipe does to one model. ``algorithm`` is a name of ``model_opt.quantize.ALGORITHMS`` or None.

    ``options_of`` holds other options for single models, by their names in the zoo, and ``refused`` what was measured
    on models that the recipe is not for.
    """

    weights: str
    activations: str
    algorithm: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    options_of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)

    def options_for(self, model: str) -> Mapping[str, Any]:
        """Return the algorithm's options for a model: its own before the recipe's."""
        return {**self.options, **self.options_of.get(model, {})}

    def convert_options(self, place: str) -> ConvertOptions:
        """Return what the converter is asked for, with kernels for ``place`` (arm, opencl or x86)."""
        # A static int8 model says so in its own operators.
        bits = _WEIGHT_BITS.get(self.weights) if self.activations == "fp32" else None
        return ConvertOptions(PLACE_OF_KERNELS[place], fp16=self.activations == "fp16", weight_bits=bits)


@dataclass(frozen=True)
class Recipe:
    """One row: what it is, when to choose it, what it costs, where it runs, and what it does to each model."""

    name: str
    description: str
    choose: str
    costs: str
    places: tuple[str, ...]
    det: ModelRecipe
    rec: ModelRecipe

    @property
    def needs_calibration(self) -> bool:
        """Whether an algorithm of the recipe needs calibration images."""
        return self.det.algorithm is not None or self.rec.algorithm is not None

    def model(self, role: Literal["det", "rec"]) -> ModelRecipe:
        """Return what the recipe does to the model of ``role``."""
        return self.det if role == "det" else self.rec


@dataclass(frozen=True)
class Recipes:
    """All recipes by name, and the order in which ``auto`` tries them."""

    rows: Mapping[str, Recipe]
    auto: tuple[str, ...]

    def row(self, name: str) -> Recipe:
        """Return a recipe; raises ``RecipeError`` that lists the known ones."""
        if name not in self.rows:
            raise RecipeError(f"unknown recipe {name!r}", hint=f"use one of: {', '.join((*self.rows, AUTO))}")
        return self.rows[name]


def without_algorithms(recipes: Recipes) -> Recipes:
    """Return the recipes as opt alone carries them out: the same files' precisions, nothing done to models before."""

    def bare(model: ModelRecipe) -> ModelRecipe:
        return replace(model, algorithm=None, options={}, options_of={})

    rows = {name: replace(row, det=bare(row.det), rec=bare(row.rec)) for name, row in recipes.rows.items()}
    return replace(recipes, rows=rows)


def load_recipes(path: Path | None = None) -> Recipes:
    """Load the recipes from ``path`` (default: ``configs/recipes.yaml``).

    Raises ``RecipeError`` naming the file, the key and what is allowed there.
    """
    path = path or config_dir() / "recipes.yaml"
    document = read_config(path, config_dir() / "recipes.schema.json", RecipeError)
    rows = {name: _row(name, row, path) for name, row in document["recipes"].items()}
    unknown = [name for name in document["auto"] if name not in rows]
    if unknown:
        raise RecipeError(f"auto: {unknown[0]!r} is not a recipe", path=path, hint=f"use some of: {', '.join(rows)}")
    return Recipes(rows, tuple(document["auto"]))


def _row(name: str, row: Mapping[str, Any], path: Path) -> Recipe:
    models = {role: ModelRecipe(**given) for role, given in row["models"].items()}
    for role, model in models.items():
        where = f"recipes.{name}.models.{role}"
        if model.algorithm is None and (model.options or model.options_of):
            raise RecipeError(f"{where}: options without an algorithm", path=path)
        if model.algorithm is not None:
            _check_algorithm(model.algorithm, model.options, f"{where}.options", path)
            for one in model.options_of:
                _check_algorithm(model.algorithm, model.options_for(one), f"{where}.options_of.{one}", path)
    texts = {key: row[key] for key in ("description", "choose", "costs")}
    return Recipe(name, **texts, places=tuple(row["places"]), det=models["det"], rec=models["rec"])


def _check_algorithm(name: str, options: Mapping[str, Any], where: str, path: Path) -> None:
    if name not in ALGORITHMS:
        known = ", ".join(ALGORITHMS) or "none"
        raise RecipeError(f"{where}: the algorithm {name!r} is not known", path=path, hint=f"known are: {known}")
    try:
        ALGORITHMS[name].options(options)
    except KitError as error:
        raise RecipeError(f"{where}: {error.what}", path=path, hint=error.hint) from error

"""Recipes: every row is complete, and what is wrong in the file is named."""

import pytest

from edge_kit.devices import list_profiles
from edge_kit.jobs.request import check_recipe
from edge_kit.recipes import RecipeError, load_recipes
from edge_kit.targets import TARGETS, target_of
from edge_kit.verify.gates import load_gates
from model_opt.errors import KitError


def test_every_recipe_has_gates_and_a_device_that_runs_it():
    names = set(load_recipes().rows)
    assert names == {row.name for row in load_gates()}
    assert names == {name for profile in list_profiles() for name in profile.recipes}


def test_every_device_runs_recipes_that_its_target_has():
    recipes = load_recipes()
    for profile in list_profiles():
        for name in profile.recipes:
            check_recipe(recipes.row(name), target_of(profile.target))


def test_a_recipe_says_what_opt_is_asked_for():
    recipes = load_recipes()
    assert recipes.row("weight_int8").det.convert_options("arm").label == "arm-weight_int8"
    assert recipes.row("weight_int16").rec.convert_options("x86").label == "x86-weight_int16"
    assert recipes.row("fp16").det.convert_options("arm").label == "arm-fp16"
    assert recipes.row("fp32").det.convert_options("opencl").label == "opencl-fp32"


@pytest.mark.parametrize(("recipe", "target"), [("fp16", "arm64"), ("fp16", "x86"), ("weight_int8", "x86")])
def test_a_recipe_that_a_target_cannot_run_is_refused(recipe, target):
    with pytest.raises(KitError, match=target):
        check_recipe(load_recipes().row(recipe), target_of(target))


def test_fp32_runs_on_every_target():
    for target in TARGETS.values():
        check_recipe(load_recipes().row("fp32"), target)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["recipes"]["fp32"].pop("choose"), "choose"),
        (lambda d: d["recipes"]["fp32"]["models"]["det"].update(weights="int4"), "int4"),
        (lambda d: d["recipes"]["fp32"]["models"]["det"].update(weights="int8", activations="fp16"), "det"),
        (lambda d: d["recipes"]["fp32"]["models"]["det"].update(algorithm="magic"), "'magic' is not known"),
        (lambda d: d["recipes"]["fp32"]["models"]["rec"].update(options={"a": 1}), "options without an algorithm"),
        (lambda d: d["auto"].append("int4"), "'int4' is not a recipe"),
        (lambda d: d.update(recipes_version=2), "recipes_version"),
    ],
)
def test_a_wrong_row_is_named(changed_config, change, words):
    path = changed_config("recipes.yaml", change)
    with pytest.raises(RecipeError) as caught:
        load_recipes(path)
    assert words in str(caught.value)
    assert caught.value.path == str(path)


def test_an_unknown_recipe_is_answered_with_the_known_ones():
    with pytest.raises(RecipeError, match=r"fp32, .*auto"):
        load_recipes().row("int4")

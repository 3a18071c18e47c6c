"""Recipes: every row is complete, and what is wrong in the file is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_kit.devices import list_profiles
from edge_kit.jobs.build import build_bundle
from edge_kit.jobs.request import BuildRequest, check_models, check_recipe
from edge_kit.recipes import RecipeError, load_recipes
from edge_kit.targets import TARGETS, target_of
from edge_kit.verify.gates import load_gates
from model_opt.errors import KitError
from model_opt.zoo import load_zoo


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
        (lambda d: d["recipes"]["fp32"]["models"]["rec"].update(options_of={"M": {"a": 1}}), "without an algorithm"),
        (
            lambda d: d["recipes"]["weight_int8"]["models"]["det"].update(options_of={"M": {"magic": 1}}),
            "det.options_of.M: there is no option 'magic'",
        ),
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


def test_a_model_has_its_own_options_before_those_of_the_recipe(changed_config):
    def change(document):
        document["recipes"]["weight_int8"]["models"]["det"]["options_of"] = {"M": {"wide_bytes": 5}}

    det = load_recipes(changed_config("recipes.yaml", change)).row("weight_int8").det
    assert det.options_for("M") == {**det.options, "wide_bytes": 5}
    assert det.options_for("another") == det.options


def named_models():
    """Every (recipe, role, model) that configs/recipes.yaml names."""
    return [
        (recipe.name, role, name)
        for recipe in load_recipes().rows.values()
        for role in ("det", "rec")
        for name in (*recipe.model(role).options_of, *recipe.model(role).refused)
    ]


def test_models_with_options_of_their_own_are_in_the_zoo_and_have_the_role():
    zoo = load_zoo()
    assert all(zoo.row(name).kind == role for _, role, name in named_models())


def test_a_recipe_is_refused_for_a_model_with_what_was_measured():
    recipe = load_recipes().row("fp16")
    recipe = replace(recipe, det=replace(recipe.det, refused={"PP-OCRv6_tiny_det": "3 % of the mask flip"}))
    request = BuildRequest("arm64-fp16", "fp16", Path("unset"), models="pp-ocrv6-tiny")
    with pytest.raises(KitError, match="fp16 is not for PP-OCRv6_tiny_det: 3 % of the mask flip") as caught:
        check_models(request, recipe)
    assert caught.value.hint == "choose another --recipe, or add --allow-failed-gates"  # of build and of quantize
    check_models(request, recipe, ["rec"])
    check_models(replace(request, models="pp-ocrv6-small"), recipe)
    check_models(replace(request, allow_failed_gates=True), recipe)


@pytest.mark.parametrize(
    ("target", "recipe", "flips"), [("arm64-fp16", "fp16", r"0\.94"), ("armv7", "static_int8", r"2\.03")]
)
def test_a_build_that_was_measured_to_fail_ends_before_any_work(tmp_path, target, recipe, flips):
    request = BuildRequest(target, recipe, tmp_path / "out", models="pp-ocrv6-tiny")
    events = []
    with pytest.raises(KitError, match=f"not for PP-OCRv6_tiny_det: {flips} % of the mask flips"):
        build_bundle(request, events.append)
    assert events == []
    assert not list(tmp_path.iterdir())


def test_a_profile_that_the_app_lacks_is_refused_before_any_work(tmp_path):
    events = []
    with pytest.raises(KitError, match=r"paddlex-3\.0b1 is for reading on a host"):
        build_bundle(BuildRequest("arm64", "fp32", tmp_path / "out", spec="paddlex-3.0b1"), events.append)
    assert events == []

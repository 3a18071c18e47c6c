from __future__ import annotations

import json
import math

import pytest

from edge_kit.verify.compare import Measures
from edge_kit.verify.gates import (
    Gate,
    GateError,
    Limits,
    all_passed,
    apply_gates,
    load_gates,
    recipe_gates,
)
from model_opt.resources import config_dir

PERFECT = {
    "det_max_abs": 0.0,
    "det_mean_abs": 0.0,
    "det_non_finite": 0.0,
    "det_mask_flips": 0.0,
    "det_mask_flip_share": 0.0,
    "det_score_max_abs": 0.0,
    "boxes_identical": 1.0,
    "boxes_matched": 1.0,
    "box_mean_iou": 1.0,
    "rec_max_abs": 0.0,
    "rec_mean_abs": 0.0,
    "rec_non_finite": 0.0,
    "rec_step_flip_share": 0.0,
    "rec_score_max_abs": 0.0,
    "texts_equal": 1.0,
    "character_accuracy": 1.0,
}
RECIPES = ("fp32", "weight_int16", "weight_int8", "fp16", "static_int8")


def one(limit: float, direction: str = "at_most", unit: str = "probability") -> tuple[Limits, ...]:
    gate = Gate("m", "a metric", unit, direction, limit, "because")  # type: ignore[arg-type]
    return (Limits("r", "a recipe", (gate,)),)


def write(tmp_path, text: str):
    path = tmp_path / "gates.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def minimal(gate: str) -> str:
    return (
        "gates_version: 1\n"
        "metrics: {m: {title: a metric, unit: share}}\n"
        f"recipes: {{r: {{description: a recipe, gates: [{gate}]}}}}\n"
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_perfect_candidate_passes_every_recipe(recipe):
    results = apply_gates(PERFECT, recipe)
    assert all_passed(results)
    assert [r.name for r in results] == [g.name for g in recipe_gates(recipe).gates]


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_measured_fails_every_gate(recipe):
    for metrics in ({}, dict.fromkeys(PERFECT, math.nan), Measures().metrics()):
        results = apply_gates(metrics, recipe)
        assert not any(r.passed for r in results)
        assert {r.value_text for r in results} == {"not measured"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_nan_output_fails_every_recipe_for_both_models(recipe):
    for metric in ("det_non_finite", "rec_non_finite"):
        failed = [r.name for r in apply_gates({**PERFECT, metric: 1.0}, recipe) if not r.passed]
        assert failed == [metric]


def test_fp32_promises_the_servers_result():
    limits = {g.name: (g.direction, g.limit) for g in recipe_gates("fp32").gates}
    assert limits["det_max_abs"] == ("at_most", 3e-3)
    assert limits["det_mean_abs"] == ("at_most", 1e-6)
    assert limits["rec_mean_abs"] == ("at_most", 1e-8)
    assert limits["det_mask_flip_share"] == ("at_most", 2e-4)
    assert limits["texts_equal"] == ("at_least", 0.97)


ON_THE_SET = {"fp32": (58, 757)}
"""Boxes and characters of the regression images: those that the oracle sees, whom fp32's gates judge too; else all."""


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_box_line_step_or_pixel_that_float_noise_decides_fails_no_gate(recipe):
    count, characters = ON_THE_SET.get(recipe, (72, 817))
    shares = ("boxes_identical", "boxes_matched", "box_mean_iou", "texts_equal")
    noise = dict.fromkeys(shares, (count - 1) / count) | {
        "character_accuracy": 1 - 2 / characters,
        "det_mask_flips": 1.0,
        "det_mask_flip_share": 1 / 15_340,  # of the only picture
        "rec_step_flip_share": 1 / 4_000,
        "rec_max_abs": 6.6e-3,  # measured against float64: Paddle Lite on PP-OCRv6 small
    }
    assert all_passed(apply_gates(PERFECT | noise, recipe))


@pytest.mark.parametrize(
    "fault",
    [
        {"det_mean_abs": 3e-6},  # 16-bit weights
        {"rec_mean_abs": 2e-8},
        {"det_max_abs": 4e-3},
        {"det_mask_flip_share": 4e-4},
        {"boxes_identical": 55 / 58},
        {"boxes_matched": 56 / 58},
        {"texts_equal": 56 / 58},
        {"rec_max_abs": 0.03},
    ],
)
def test_a_real_fault_still_fails_fp32(fault):
    failed = [result.name for result in apply_gates(PERFECT | fault, "fp32") if not result.passed]
    assert failed == list(fault)


def test_coarser_weights_are_never_judged_more_strictly():
    finest = {g.name: g for g in recipe_gates("weight_int16").gates}
    for gate in recipe_gates("weight_int8").gates:
        if gate.name in finest:
            looser = gate.limit >= finest[gate.name].limit
            assert looser == (gate.direction == "at_most") or gate.limit == finest[gate.name].limit


def test_gates_and_comparison_know_the_same_metrics():
    import yaml

    defined = yaml.safe_load((config_dir() / "gates.yaml").read_text(encoding="utf-8"))["metrics"]
    assert set(defined) == set(Measures().metrics()) == set(PERFECT)


def test_every_limit_says_where_it_comes_from():
    assert all(len(g.why) > 20 for recipe in load_gates() for g in recipe.gates)


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(GateError, match="'int4'") as caught:
        apply_gates(PERFECT, "int4")
    assert all(name in (caught.value.hint or "") for name in RECIPES)


@pytest.mark.parametrize(
    ("value", "limit", "direction", "passed"),
    [
        (1e-4, 1e-4, "at_most", True),
        (1.0001e-4, 1e-4, "at_most", False),
        (0.95, 0.95, "at_least", True),
        (0.9499, 0.95, "at_least", False),
        (math.nan, 1.0, "at_most", False),
        (math.nan, 0.0, "at_least", False),
        (math.inf, 1.0, "at_most", False),
        (-math.inf, 0.0, "at_least", False),
    ],
)
def test_a_limit_includes_itself_and_no_nan(value, limit, direction, passed):
    (result,) = apply_gates({"m": value}, "r", one(limit, direction))
    assert result.passed is passed


def test_no_gate_is_no_proof():
    assert not all_passed(())


@pytest.mark.parametrize(
    ("value", "limit", "direction", "unit", "text"),
    [
        (0.9996, 1.0, "at_least", "share", "99.96 %"),
        (1.0, 1.0, "at_least", "share", "100.0 %"),
        (0.99996, 0.99, "at_least", "share", "99.996 %"),
        (3.4e-5, 0.001, "at_most", "share", "0.003 %"),
        (0.0150001, 0.015, "at_most", "share", "1.50001 %"),
        (128 / 129, 0.99, "at_least", "share", "99.2 %"),
        (4682.0, 0.0, "at_most", "pixels", "4,682"),
        (6.0e-5, 1e-4, "at_most", "probability", "6e-05"),
        (1.0001e-4, 1e-4, "at_most", "probability", "0.00010001"),
        (math.inf, 1.0, "at_most", "probability", "infinite"),
    ],
)
def test_the_number_shown_stands_on_the_side_of_the_limit_that_the_number_meant(value, limit, direction, unit, text):
    (result,) = apply_gates({"m": value}, "r", one(limit, direction, unit))
    assert result.value_text == text


@pytest.mark.parametrize(
    ("limit", "direction", "unit", "text"),
    [
        (0.015, "at_most", "share", "≤ 1.5 %"),
        (0.999, "at_least", "share", "≥ 99.9 %"),
        (1e-4, "at_most", "probability", "≤ 0.0001"),
        (0.0, "at_most", "values", "≤ 0"),
    ],
)
def test_a_limit_is_shown_with_its_direction(limit, direction, unit, text):
    (result,) = apply_gates({"m": 0.5}, "r", one(limit, direction, unit))
    assert result.limit_text == text


def test_results_are_json_even_when_nothing_was_measured():
    results = apply_gates({"det_max_abs": 1 / 3}, "fp32")
    rows = json.loads(json.dumps([r.to_dict() for r in results], allow_nan=False))
    assert rows[0] == {
        "name": "det_max_abs",
        "value": 0.333333,
        "limit": 3e-3,
        "passed": False,
    }
    assert rows[1]["value"] is None


@pytest.mark.parametrize(
    ("gate", "what"),
    [
        ("{metric: m, why: x}", "has 0 limits"),
        ("{metric: m, at_most: 1, at_least: 0, why: x}", "has 2 limits"),
        ("{metric: m, at_most: 1}", "why"),
        ("{metric: m, at_most: 1e-4, why: x}", "'1e-4' is not of type 'number'"),
        ("{metric: m, at_most: .nan, why: x}", "judges nothing"),
        ("{metric: m, at_most: .inf, why: x}", "judges nothing"),
        ("{metric: other, at_most: 1, why: x}", "'other' is not defined"),
        ("{metric: m, at_most: 1, why: x}, {metric: m, at_least: 0, why: y}", "occurs twice"),
        ("{metric: m, at_most: 1, why: x, extra: 1}", "extra"),
        ("", "non-empty|too short"),
    ],
)
def test_a_malformed_gate_is_refused_with_its_place(tmp_path, gate, what):
    path = write(tmp_path, minimal(gate))
    with pytest.raises(GateError, match=what) as caught:
        load_gates(path)
    assert caught.value.path == str(path)


def test_a_sound_file_of_ones_own_is_read(tmp_path):
    (recipe,) = load_gates(write(tmp_path, minimal("{metric: m, at_least: 0.5, why: half will do}")))
    assert recipe == Limits("r", "a recipe", (Gate("m", "a metric", "share", "at_least", 0.5, "half will do"),))


@pytest.mark.parametrize("text", ["gates_version: [", "gates_version: 2\nmetrics: {}\nrecipes: {}\n", ""])
def test_a_broken_file_is_refused(tmp_path, text):
    with pytest.raises(GateError):
        load_gates(write(tmp_path, text))


def test_a_missing_file_is_refused_with_its_path(tmp_path):
    with pytest.raises(GateError) as caught:
        load_gates(tmp_path / "no.yaml")
    assert caught.value.path == str(tmp_path / "no.yaml")

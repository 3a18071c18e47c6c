"""Quantisation as stages and as a command: the algorithm sees calibration inputs, its model is what gets converted."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_kit import recipes as recipes_module
from edge_kit.jobs import quantize
from edge_kit.jobs.quantize import quantise_models
from edge_kit.jobs.request import BuildRequest
from edge_kit.recipes import ModelRecipe, Recipe, Recipes
from model_opt.errors import KitError
from model_opt.nb import read_nb
from model_opt.quantize import Algorithm, QuantReport

ROOT = Path(__file__).resolve().parents[3]
REQUEST = BuildRequest("arm64", "weight_int16", Path("unset"))


@dataclass(frozen=True)
class NudgeOptions:
    """By how much to move the last bias."""

    by: float = 0.5


@pytest.fixture
def nudge(monkeypatch):
    """A recipe whose algorithm moves one bias of the model and keeps the shapes of what it saw."""
    seen = []

    def run(model, inputs, options, env, progress):
        progress(0.5, "nudging")
        seen.append([x.shape for x in inputs])
        name = next(n for n, a in sorted(model.params.items()) if a.ndim == 1 and a.dtype == np.float32)
        return model.with_param(name, model.params[name] + np.float32(options.by)), QuantReport("nudge", {"moved": 1})

    rows = {"nudge": Algorithm(run, NudgeOptions)}
    for module in ("edge_kit.recipes", "edge_kit.stages.quantise"):
        monkeypatch.setattr(f"{module}.ALGORITHMS", rows)
    moved = ModelRecipe("fp32", "fp32", "nudge", {"by": 0.25})
    row = Recipe("weight_int16", "d", "c", "c", ("arm",), moved, moved)
    monkeypatch.setattr(quantize, "load_recipes", lambda: Recipes({"weight_int16": row}, ()))
    return seen


def quantise(out, roles, **changes):
    return quantise_models(BuildRequest(**{**vars(REQUEST), "out": out, **changes}), roles, lambda _: None)


@pytest.mark.usefixtures("clean_cache", "two_images", "without_oracle")
def test_what_the_algorithm_made_is_what_is_written(tmp_path, nudge):
    (done,), _ = quantise(tmp_path / "q", ["rec"], allow_failed_gates=True)
    (lines,) = nudge
    assert len(lines) == 160
    assert {shape[1:3] for shape in lines} == {(3, 48)}
    assert [path.name for path in sorted((tmp_path / "q").iterdir())] == ["rec.json", "rec.nb"]
    notes = json.loads((tmp_path / "q" / "rec.json").read_text())
    assert notes["quantised"]["totals"] == {"moved": 1} == done.model.quantised.totals
    assert notes["verification"]["passed"] is False
    assert read_nb(tmp_path / "q" / "rec.nb").ops


@pytest.mark.usefixtures("clean_cache", "two_images", "without_oracle")
def test_a_failed_gate_writes_nothing(tmp_path, nudge):
    written, verification = quantise(tmp_path / "q", ["det"])
    assert nudge
    assert (written, verification.passed) == ((), False)
    assert not (tmp_path / "q").exists()


@pytest.mark.usefixtures("clean_cache", "two_images", "without_oracle")
def test_without_an_algorithm_opt_alone_rounds_the_weights(tmp_path):
    written, verification = quantise(tmp_path / "q", ["det", "rec"])
    assert [file.path.name for file in written] == ["det.nb", "rec.nb"]
    assert verification.passed
    kinds = {param.dtype.name for param in read_nb(tmp_path / "q" / "rec.nb").params.values()}
    assert "int16" in kinds


def test_bad_requests_are_refused_before_any_work(tmp_path):
    with pytest.raises(KitError, match="int4"):
        quantise(tmp_path, ["det"], recipe="int4")
    with pytest.raises(KitError, match="auto tries several"):
        quantise(tmp_path, ["det"], recipe="auto")
    with pytest.raises(KitError, match=r"ARMv8\.2"):
        quantise(tmp_path, ["det"], recipe="fp16")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(KitError, match="not a folder"):
        quantise(tmp_path / "file", ["det"])
    assert (tmp_path / "file").read_text() == "mine"


def test_an_option_that_an_algorithm_lacks_is_named(monkeypatch):
    monkeypatch.setattr(recipes_module, "ALGORITHMS", {"nudge": Algorithm(lambda *_: None, NudgeOptions)})
    for given, words in (({"b": 1}, "no option 'b'"), ({"by": "x"}, "a float is expected")):
        with pytest.raises(KitError, match=words):
            recipes_module.ALGORITHMS["nudge"].options(given)
    assert recipes_module.ALGORITHMS["nudge"].options({"by": 2}).by == 2


def test_the_recipes_are_listed():
    command = [sys.executable, "-m", "edge_kit.cli", "recipes", "list", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "weight_int8" in json.loads(done.stdout)

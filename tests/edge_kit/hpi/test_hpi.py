"""High-performance inference: what reads otherwise is not admitted, what is not quicker does not run."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge_kit.hpi import choice as choices
from edge_kit.hpi.choice import read_rows
from edge_kit.hpi.measure import CHECK_SET, measure, winner
from edge_kit.hpi.plan import HpiError, Plan, candidates, default_plan, read_config
from edge_kit.settings import PipelineSettings
from model_opt.errors import KitError
from model_opt.resources import config_dir

DEFAULT = default_plan(2)
SLOW, QUICK = Plan("paddle", "original", 1), Plan("onnxruntime", "original", 2)
IMAGES = [Path("a.png"), Path("b.png")]
BOX = np.array([[[0, 0], [4, 0], [4, 2], [0, 2]]], np.int32)


class Fake:
    """A pipeline that takes a given time an image and reads a given text."""

    def __init__(self, seconds: float, text: str = "text", box: int = 0) -> None:
        self.seconds, self.text, self.box, self.closed = seconds, text, box, False

    def predict(self, x):
        for _ in [x] if isinstance(x, str) else x:
            time.sleep(self.seconds)
            yield SimpleNamespace(dt_polys=BOX + self.box, rec_texts=(self.text,))

    def close(self) -> None:
        self.closed = True


def rows_of(made: dict[Plan, object], **more):
    def make(plan):
        if isinstance(made[plan], KitError):
            raise made[plan]
        return made[plan]

    return measure(list(made), make, IMAGES, progress=lambda text: None, **more)


def test_the_quickest_plan_that_reads_the_same_is_chosen():
    made = {DEFAULT: Fake(0.02), SLOW: Fake(0.03), QUICK: Fake(0.004)}
    rows = rows_of(made)
    assert winner(rows).plan == QUICK
    assert all(fake.closed for fake in made.values())


@pytest.mark.parametrize(
    ("fake", "reason"),
    [
        (Fake(0.0, text="other"), "other boxes on 0, other texts on 2 of 2 images"),
        (Fake(0.0, box=1), "other boxes on 2, other texts on 0 of 2 images"),
        (KitError("it does not load"), "failed: it does not load"),
    ],
)
def test_a_plan_that_reads_otherwise_or_fails_is_never_chosen_however_quick(fake, reason):
    rows = rows_of({DEFAULT: Fake(0.01), QUICK: fake})
    assert not rows[1].admitted
    assert rows[1].reason == reason
    assert rows[1].seconds is None
    assert winner(rows) is None


def test_nothing_is_chosen_that_is_not_quicker_by_the_margin():
    rows = rows_of({DEFAULT: Fake(0.001), QUICK: Fake(0.001)})
    rows = (replace(rows[0], seconds=1.0, folder_seconds=1.0), replace(rows[1], seconds=0.96, folder_seconds=0.96))
    assert winner(rows, margin=0.05) is None
    assert winner(rows, margin=0.03) == rows[1]


def test_a_failure_of_the_reference_is_the_users_error():
    with pytest.raises(KitError, match="no model"):
        rows_of({DEFAULT: KitError("no model"), QUICK: Fake(0.0)})


def test_one_round_is_measured_even_when_the_time_is_up():
    rows = rows_of({DEFAULT: Fake(0.001), QUICK: Fake(0.001)}, budget_s=0.0)
    assert all(row.seconds is not None for row in rows)


def test_the_check_set_is_there():
    assert [name for name in CHECK_SET if not (config_dir() / "regression" / name).is_file()] == []


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without models whose plans are fakes; counts how often it measures."""
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path))
    counted = SimpleNamespace(runs=0, facts={"cores": 2})
    fakes = {DEFAULT: Fake(0.01), QUICK: Fake(0.001)}

    def measured(settings, wish, make, progress):
        counted.runs += 1
        return rows_of(fakes)

    monkeypatch.setattr(choices, "_measured", measured)
    monkeypatch.setattr(choices, "_facts", lambda settings, wish: {**counted.facts, "wish": str(wish)})
    counted.fakes = fakes
    return counted


HPI = PipelineSettings(enable_hpi=True)


def choose(settings: PipelineSettings, *, again: bool = False):
    return choices.choose(settings, lambda given, plan: pytest.fail("measured"), again=again)


def test_a_choice_is_measured_once_and_anew_for_other_facts(machine):
    assert [choose(HPI).plan for _ in range(3)] == [QUICK] * 3
    assert machine.runs == 1
    machine.facts = {"cores": 4}
    choose(HPI)
    assert machine.runs == 2
    choose(HPI, again=True)
    assert machine.runs == 3


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[1]", b"\xff", None], ids=["empty", "no rows", "list", "bytes", "edited"]
)
def test_a_damaged_file_is_measured_anew(machine, damage):
    path = choose(HPI).path
    if damage is None:
        document = json.loads(path.read_text())
        document["rows"][0]["seconds"] = 0.0
        damage = json.dumps(document).encode()
    path.write_bytes(damage)
    assert read_rows(path) is None
    assert choose(HPI).plan == QUICK
    assert machine.runs == 2
    assert read_rows(path) is not None


def test_when_nothing_is_quicker_the_default_runs_and_says_so(machine):
    machine.fakes[QUICK] = Fake(0.02)
    chosen = choose(HPI)
    assert chosen.plan == DEFAULT
    assert "nothing is quicker" in chosen.sentence


def test_a_backend_by_name_that_reads_otherwise_is_an_error(machine):
    machine.fakes.clear()
    machine.fakes.update({DEFAULT: Fake(0.01), SLOW: Fake(0.0, text="other")})
    with pytest.raises(HpiError, match=r"paddle.*not admitted.*other texts"):
        choose(replace(HPI, hpi_config={"backend": "paddle"}))


def test_a_backend_by_name_runs_also_when_it_is_slower(machine):
    machine.fakes.clear()
    machine.fakes.update({DEFAULT: Fake(0.001), SLOW: Fake(0.01)})
    assert choose(replace(HPI, hpi_config={"backend": "paddle"})).plan == SLOW


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"engine": "server"}, "nothing to choose"),
        ({"bundle": "folder"}, "a bundle"),
        ({"device": "gpu:0"}, "CPU only"),
    ],
)
def test_settings_that_leave_nothing_to_choose_are_refused(machine, settings, match):
    with pytest.raises(HpiError, match=match):
        choose(replace(HPI, **settings))


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"backends": 1}, "unknown key 'backends'"),
        ({"backend": "tensorrt"}, "NVIDIA"),
        ({"backend": "om"}, "Ascend"),
        ({"backend": "ncnn"}, "unknown backend"),
        ({"auto_config": False}, "names no backend"),
        ({"backend_config": {"cpu_num_threads": 0}}, "from 1 to 256"),
        ({"backend_config": {"threads": 1}}, "unknown key 'threads'"),
        ({"backend_config": 4}, "must be a mapping"),
        ({"backend_config": {"precision": "int8"}}, "int8"),
        ({"backend_config": {"precision": "bf16"}}, "needs backend openvino"),
    ],
)
def test_what_hpi_config_cannot_have_is_refused(config, match):
    with pytest.raises(HpiError, match=match):
        read_config(config)


def test_a_backend_that_is_not_installed_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr("edge_kit.hpi.plan.installed", lambda backend: False)
    with pytest.raises(HpiError, match="not installed") as error:
        read_config({"backend": "openvino"})
    assert "edge-kit[openvino]" in str(error.value)


def test_threads_and_backend_of_hpi_config_are_taken():
    wish = read_config({"auto_config": True, "backend": "onnxruntime", "backend_config": {"cpu_num_threads": 3}})
    assert (wish.backend, wish.threads, wish.precision) == ("onnxruntime", 3, "f32")


def test_candidates_are_of_what_is_installed_and_of_the_models_kind(monkeypatch):
    monkeypatch.setattr("edge_kit.hpi.plan.installed", lambda backend: True)
    every = candidates(read_config(None), 2, ["paddle", "paddle"])
    assert any(plan.onednn for plan in every)
    assert default_plan(2) not in every
    assert not any(plan.backend == "paddle" for plan in candidates(read_config(None), 2, ["onnx", "onnx"]))
    assert not any(plan.onednn for plan in candidates(read_config(None), 2, ["pir", "pir"]))
    named = candidates(read_config({"backend": "openvino"}), 2, ["onnx", "onnx"])
    assert {plan.backend for plan in named} == {"openvino"}


def test_planning_imports_no_engine():
    """A pipeline without high-performance inference does not pay for it."""
    import subprocess

    code = (
        "import sys, edge_kit.hpi.plan; sys.exit(any(m in sys.modules for m in ('onnxruntime', 'openvino', 'paddle')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.integration
def test_the_choice_reads_what_the_default_reads(tmp_path, monkeypatch, mobile_det, mobile_rec):
    """The real thing, with one candidate: models, check set, cache, and the pipeline that takes the choice."""
    from edge_kit.api import create_pipeline

    monkeypatch.setattr(choices, "CHECK_SET", ("english.png", "tiny.png"))
    monkeypatch.setattr("edge_kit.hpi.measure.ROUNDS", 1)
    image = str(config_dir() / "regression" / "english.png")
    settings = {"threads": 2, "hpi_config": {"backend": "onnxruntime"}}
    with create_pipeline("ocr", threads=2) as plain, create_pipeline("ocr", enable_hpi=True, **settings) as quick:
        (a,), (b,) = plain.predict(image), quick.predict(image)
    assert a.rec_texts == b.rec_texts
    assert np.array_equal(a.dt_polys, b.dt_polys)

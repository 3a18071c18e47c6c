"""The stages that a build with quantisation and an app plans: what each depends on, without running one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge_kit.android.config import load_android
from edge_kit.android.lite import NoRuntime
from edge_kit.android.signing import SigningKey
from edge_kit.android.summary import ApkSummary
from edge_kit.build.codec import Promise, promises_in
from edge_kit.build.files import FileSum, SealedFile
from edge_kit.build.fingerprint import PACKAGES, Module, SourceTree, read_sources
from edge_kit.devices import default_profile
from edge_kit.jobs.app import AppPlan
from edge_kit.jobs.build import Job, run_job
from edge_kit.jobs.request import AppRequest, BuildRequest
from edge_kit.recipes import load_recipes
from edge_kit.spec import load_spec, profile
from edge_kit.stages.apk.results import Packaged
from edge_kit.stages.oracle import Oracle
from edge_kit.stages.results import Fetched, Verdict
from model_opt.convert import OwnWriter

ROOT = Path(__file__).resolve().parents[3]
FILE = SealedFile(Path("edge-ocr.apk"), FileSum("0" * 64, 1))
SUMMARY = ApkSummary("a.b", 1, "1", 26, 36, (), (), (), False, True, (), (), {})
KNOWN: dict[str, object] = {"gates": Verdict((), (), None), "apk-package": Packaged(FILE, SUMMARY, "", ())}


class PlannedError(Exception):
    """The build has planned all its stages."""


@dataclass
class Recorder:
    """Takes the place of a runner: keeps what is planned and runs nothing."""

    known: dict[str, object]
    modules: dict[str, str] = field(default_factory=dict)
    needs: dict[str, set[str]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    """The results that the job waited for, each with the number of stages planned before."""

    def __call__(self, name: str, function: Any, *args: object, **kwargs: object) -> Any:
        self.modules[name] = function.__module__
        self.needs[name] = {promise.stage for promise in promises_in((args, kwargs))}
        return Promise(name)

    def result(self, promise: Any) -> Any:
        if not isinstance(promise, Promise):
            raise PlannedError
        self.asked.append((promise.stage, len(self.modules)))
        return self.known[promise.stage]

    def before(self, name: str) -> set[str]:
        """Return every stage that must be done before ``name`` begins."""
        return self.needs[name].union(*map(self.before, self.needs[name]))


def planned(recipe: str) -> Recorder:
    rules, device = profile(), default_profile("arm64")
    app = AppPlan(
        AppRequest(("arm64-v8a",)), load_android(), NoRuntime("none"), SigningKey(Path("key"), debug=True), offline=True
    )
    job = Job(
        BuildRequest("arm64", recipe, Path("out"), app=app.request), load_recipes().row(recipe), device, rules,
        load_spec(), (), OwnWriter(), Oracle(None, "none"), {}, None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        dictionary = Path(folder) / "dict.txt"
        dictionary.write_text("a\nb\n", encoding="utf-8")
        reads = Fetched(FILE, None, "rec", "nowhere", SealedFile.of(dictionary), ())
        recorder = Recorder(KNOWN | {"fetch-rec": reads})
        with pytest.raises(PlannedError):
            run_job(job, app, recorder)  # type: ignore[arg-type]
    return recorder


FULL = planned("weight_int8")
STAGES = sorted(FULL.modules)


@pytest.fixture(scope="module")
def kit() -> SourceTree:
    return read_sources()


def test_a_build_plans_these_stages() -> None:
    assert set(STAGES) == {
        *(f"{stage}-{role}" for stage in ("fetch", "optimise", "quantise", "convert") for role in ("det", "rec")),
        "calibrate", "verify", "configure", "gates", "report",
        *(f"apk-{part}" for part in ("resources", "classes", "native", "shrink", "dex", "models", "assets", "package")),
    }  # fmt: skip


def test_calibration_runs_once_for_both_models_and_not_at_all_without_an_algorithm() -> None:
    assert FULL.needs["calibrate"] == {"optimise-det"}
    for role in ("det", "rec"):
        assert FULL.needs[f"quantise-{role}"] == {"calibrate", f"optimise-{role}"}
    assert "calibrate" not in planned("fp32").modules


def test_only_calibration_waits_for_a_stage_while_models_are_planned() -> None:
    """For the recogniser's dictionary, which says in which scripts its pages are."""
    assert [name for name, _ in FULL.asked][:2] == ["fetch-rec", "gates"]
    assert planned("fp32").asked[0][0] == "gates"


def test_what_the_models_decide_of_an_app_is_planned_behind_the_gates() -> None:
    name, before = FULL.asked[1]
    assert name == "gates"
    assert set(list(FULL.modules)[before:]) == {"apk-models", "apk-assets", "apk-package", "report"}
    decided = {"apk-models", "apk-assets", "apk-package", "report"}
    by_models = {stage for stage in STAGES if "convert-det" in FULL.before(stage)}
    assert by_models == {*decided, "verify", "configure", "gates"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_closure_holds_no_job_no_runner_and_no_other_stages_work(kit: SourceTree, stage: str) -> None:
    closure = kit.closure(FULL.modules[stage])
    shared = {f"edge_kit.stages{name}" for name in ("", ".apk", ".oracle", ".redistributed")}
    named = {name for name in closure if name.startswith("edge_kit.stages") and not name.endswith("results")}
    allowed = {FULL.modules[stage], "edge_kit.stages.apk.artifacts", *shared}
    assert named <= allowed | ({"edge_kit.stages.report"} if stage == "gates" else set())
    parts = {"jobs", "cli", "api", "build.runner", "build.cache", "build.output"}
    assert not {f"edge_kit.{part}" for part in parts} & closure


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_again_when_a_module_of_its_closure_changes_and_only_then(kit: SourceTree, stage: str) -> None:
    module = FULL.modules[stage]
    before, closure = kit.fingerprint(module), kit.closure(module)
    assert 5 < len(closure) < len(kit.modules)
    for name, source in kit.modules.items():
        changed = SourceTree({**kit.modules, name: Module("0" * 64, source.imports)})
        assert (changed.fingerprint(module) != before) == (name in closure), name


@pytest.mark.parametrize("module", sorted(set(FULL.modules.values())))
def test_what_importing_a_stage_loads_is_in_its_closure(kit: SourceTree, module: str) -> None:
    code = f"import sys, {module}\nprint(*(m for m in sys.modules if m.split('.')[0] in {PACKAGES}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= kit.closure(module)


def test_quantisation_runs_again_when_the_passes_it_uses_change(kit: SourceTree) -> None:
    assert {"model_opt.program.ops", "model_opt.program.editor"} <= kit.closure(FULL.modules["quantise-det"])

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edge_kit.build.cache import StageCache, StageResult
from edge_kit.build.events import BuildFinished, Event, StageCached, StageFailed, StageFinished
from edge_kit.build.files import Json
from edge_kit.build.graph import GraphError, Stage, StageContext, StageError
from edge_kit.build.make import BundlePlan, make_bundle
from edge_kit.build.manifest import Manifest, check_bundle, read_manifest
from edge_kit.build.output import OutputError
from model_opt.errors import KitError


def convert(ctx: StageContext) -> Mapping[str, Json]:
    ctx.progress(0.5, "det")
    (ctx.out / "det.nb").write_bytes(b"nb" * 1000)
    return {"ops": 199}


def verify(ctx: StageContext) -> Mapping[str, Json]:
    assert (ctx.inputs["convert"] / "det.nb").stat().st_size == 2000
    (ctx.out / "report.html").write_text("<p>fine")
    return {"max_diff": 1e-7, "ops": ctx.facts["convert"]["ops"]}


STAGES = [Stage("convert", convert, key={"opt": "2.14rc0"}), Stage("verify", verify, ("convert",))]


class Build:
    """One layout of a bundle, and all events of the builds that used it."""

    def __init__(self, cache: StageCache, manifest: Manifest, target: Path) -> None:
        self.cache = cache
        self.manifest = manifest
        self.target = target
        self.events: list[Event] = []

    def layout(self, results: Mapping[str, StageResult]) -> BundlePlan:
        files = {
            "models/det.nb": results["convert"].sealed("det.nb"),
            "report.html": results["verify"].sealed("report.html"),
        }
        return BundlePlan(files, replace(self.manifest, verification=dict(results["verify"].facts)))

    def __call__(self, stages: list[Stage] = STAGES) -> bool:
        self.events.clear()
        return make_bundle(
            stages, self.layout, self.target, cache=self.cache, jobs=2, on_event=self.events.append
        ).changed

    @property
    def last(self) -> BuildFinished:
        event = self.events[-1]
        assert isinstance(event, BuildFinished)
        return event


@pytest.fixture
def build(cache: StageCache, manifest: Manifest, tmp_path: Path) -> Build:
    return Build(cache, manifest, tmp_path / "build" / "arm64")


def test_a_build_leaves_a_whole_bundle_and_tells_so_last(build: Build) -> None:
    assert build()
    assert all(verdict.status == "ok" for verdict in check_bundle(build.target))
    found = read_manifest(build.target / "manifest.json")
    assert found.verification == {"max_diff": 1e-07, "ops": 199}
    assert set(found.files) == {"models/det.nb", "report.html"}
    last = build.last
    assert (last.ok, last.ran, last.cached, last.changed) == (True, 2, 0, True)
    assert last.output == str(build.target)


def test_an_unchanged_second_build_runs_and_writes_nothing(build: Build) -> None:
    build()
    before = build.target.stat()
    assert not build()
    assert build.target.stat().st_ino == before.st_ino
    assert [e for e in build.events if isinstance(e, StageFinished)] == []
    assert (build.last.ran, build.last.cached, build.last.changed) == (0, 2, False)


def test_two_builds_from_empty_caches_are_byte_identical(build: Build, tmp_path: Path) -> None:
    build()
    other = Build(StageCache(tmp_path / "other-cache"), build.manifest, tmp_path / "other")
    other()
    for name in ("manifest.json", "models/det.nb", "report.html"):
        assert (build.target / name).read_bytes() == (other.target / name).read_bytes()


def test_a_damaged_cache_is_made_anew_and_never_ships(build: Build) -> None:
    build()
    whole = (build.target / "manifest.json").read_bytes()
    for path in build.cache.root.glob("*/out/det.nb"):
        path.chmod(0o644)
        path.write_bytes(b"NB" * 1000)
    (build.target / "models/det.nb").write_bytes(b"so that the bundle is written again")
    assert build()
    assert [e.stage for e in build.events if isinstance(e, StageFinished)] == ["convert"]
    assert [e.stage for e in build.events if isinstance(e, StageCached)] == ["verify"]
    assert (build.target / "models/det.nb").read_bytes() == b"nb" * 1000
    assert (build.target / "manifest.json").read_bytes() == whole


def test_a_stage_that_damages_its_input_is_caught_before_shipping(build: Build) -> None:
    build()
    whole = (build.target / "models/det.nb").read_bytes()

    def vandal(ctx: StageContext) -> Mapping[str, Json]:
        (ctx.inputs["convert"] / "det.nb").chmod(0o644)
        (ctx.inputs["convert"] / "det.nb").write_bytes(b"NB" * 1000)
        (ctx.out / "report.html").write_text("<p>changed")
        return {}

    with pytest.raises(OutputError, match="not the one that was built"):
        build([STAGES[0], Stage("verify", vandal, ("convert",), {"v": "2"})])
    assert (build.target / "models/det.nb").read_bytes() == whole
    assert build.last.ok is False


def test_a_failing_stage_leaves_the_old_bundle_and_ends_with_a_finished_event(build: Build) -> None:
    build()
    before = (build.target / "manifest.json").read_bytes()

    def fail(ctx: StageContext) -> Mapping[str, Json]:
        raise KitError("NaN in rec", hint="use another recipe")

    with pytest.raises(StageError, match="stage 'verify' failed: NaN in rec"):
        build([STAGES[0], Stage("verify", fail, ("convert",), {"v": "2"})])
    assert [type(e) for e in build.events[-2:]] == [StageFailed, BuildFinished]
    assert (build.last.ok, build.last.output, build.last.changed) == (False, None, False)
    assert (build.target / "manifest.json").read_bytes() == before


def test_a_bad_output_or_graph_is_refused_before_any_stage_runs(build: Build) -> None:
    build.target.parent.mkdir(parents=True)
    build.target.write_bytes(b"a file")
    with pytest.raises(OutputError, match="a file, not a folder"):
        build()
    assert len(build.events) == 1
    assert not build.last.ok
    build.target.unlink()
    with pytest.raises(GraphError):
        build([Stage("a", convert, ("b",))])
    assert len(build.events) == 1

"""Stages and the bundle together: what a build leaves at its place, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge_kit.build.cache import StageCache
from edge_kit.build.events import Event, StageCached, StageFailed, StageFinished
from edge_kit.build.files import SealedFile
from edge_kit.build.manifest import Manifest, check_bundle, read_manifest
from edge_kit.build.output import OutputError, write_bundle
from edge_kit.build.runner import StageError, running
from edge_kit.build.stage import StageContext
from model_opt.errors import KitError


@dataclass(frozen=True)
class Converted:
    nb: SealedFile
    ops: int


@dataclass(frozen=True)
class Verified:
    report: SealedFile
    max_diff: float
    ops: int


def convert(context: StageContext, opt: str) -> Converted:
    context.progress(0.5, "det")
    (context.out / "det.nb").write_bytes(b"nb" * 1000)
    return Converted(SealedFile.of(context.out / "det.nb"), 199)


def verify(context: StageContext, converted: Converted) -> Verified:
    assert converted.nb.path.stat().st_size == converted.nb.sum.bytes == 2000
    (context.out / "report.html").write_text("<p>fine")
    return Verified(SealedFile.of(context.out / "report.html"), 1e-7, converted.ops)


class Build:
    """One layout of a bundle, and all events of the latest build that used it."""

    def __init__(self, cache: StageCache, manifest: Manifest, target: Path) -> None:
        self.cache = cache
        self.manifest = manifest
        self.target = target
        self.events: list[Event] = []

    def __call__(self, judge: Callable[[StageContext, Converted], Verified] = verify) -> bool:
        self.events.clear()
        with running(self.cache, jobs=2, on_event=self.events.append, fingerprint=str) as run:
            converted = run("convert", convert, "2.14rc0")
            converted, verified = run.result((converted, run("verify", judge, converted)))
            files = {"models/det.nb": converted.nb, "report.html": verified.report}
            figures = {"max_diff": verified.max_diff, "ops": verified.ops}
            return write_bundle(self.target, files, replace(self.manifest, verification=figures)).changed

    def names(self, kind: type[Event]) -> list[str]:
        return [event.stage for event in self.events if isinstance(event, kind)]


@pytest.fixture
def build(cache: StageCache, manifest: Manifest, tmp_path: Path) -> Build:
    return Build(cache, manifest, tmp_path / "build" / "arm64")


def test_a_build_leaves_a_complete_bundle(build: Build) -> None:
    assert build()
    assert all(verdict.status == "ok" for verdict in check_bundle(build.target))
    found = read_manifest(build.target / "manifest.json")
    assert found.verification == {"max_diff": 1e-07, "ops": 199}
    assert set(found.files) == {"models/det.nb", "report.html"}
    assert build.names(StageFinished) == ["convert", "verify"]


def test_an_unchanged_second_build_runs_and_writes_nothing(build: Build) -> None:
    build()
    before = build.target.stat()
    assert not build()
    assert build.target.stat().st_ino == before.st_ino
    assert (build.names(StageFinished), build.names(StageCached)) == ([], ["convert", "verify"])


def test_two_builds_from_empty_caches_are_byte_identical(build: Build, tmp_path: Path) -> None:
    build()
    other = Build(StageCache(tmp_path / "other-cache"), build.manifest, tmp_path / "other")
    other()
    for name in ("manifest.json", "models/det.nb", "report.html"):
        assert (build.target / name).read_bytes() == (other.target / name).read_bytes()


def test_a_damaged_cache_is_made_anew_and_never_ships(build: Build) -> None:
    build()
    before = (build.target / "manifest.json").read_bytes()
    for path in build.cache.root.glob("*/out/det.nb"):
        path.chmod(0o644)
        path.write_bytes(b"NB" * 1000)
    (build.target / "models/det.nb").write_bytes(b"so that the bundle is written again")
    assert build()
    assert (build.names(StageFinished), build.names(StageCached)) == (["convert"], ["verify"])
    assert (build.target / "models/det.nb").read_bytes() == b"nb" * 1000
    assert (build.target / "manifest.json").read_bytes() == before


def vandal(context: StageContext, converted: Converted) -> Verified:
    converted.nb.path.chmod(0o644)
    converted.nb.path.write_bytes(b"NB" * 1000)
    (context.out / "report.html").write_text("<p>changed")
    return Verified(SealedFile.of(context.out / "report.html"), 0.0, 0)


def test_a_stage_that_damages_its_input_is_caught_before_shipping(build: Build) -> None:
    build()
    before = (build.target / "models/det.nb").read_bytes()
    with pytest.raises(OutputError, match="not the one that was built"):
        build(vandal)
    assert (build.target / "models/det.nb").read_bytes() == before


def fail(context: StageContext, converted: Converted) -> Verified:
    raise KitError("NaN in rec", hint="use another recipe")


def test_a_failing_stage_leaves_the_old_bundle(build: Build) -> None:
    build()
    before = (build.target / "manifest.json").read_bytes()
    with pytest.raises(StageError, match="stage 'verify' failed: NaN in rec"):
        build(fail)
    assert isinstance(build.events[-1], StageFailed)
    assert (build.target / "manifest.json").read_bytes() == before

"""Real faults: processes killed at every step, full disks, read-only disks, Ctrl-C. The old bundle stays whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WRITER = Path(__file__).with_name("bundle_writer.py")
CHECKOUT = Path(__file__).resolve().parents[3]


def command(mode: str, target: Path) -> list[str]:
    return [sys.executable, str(WRITER), mode, str(target)]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def run(words: list[str]) -> dict[str, Any]:
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def own_namespace() -> list[str] | None:
    """Words that start a command where it may mount, out of everybody's sight; None when the machine forbids it."""
    if shutil.which("unshare") is None:
        return None
    for words in (["unshare", "-m"], ["unshare", "-Urm"]):
        probe = [*words, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
        if subprocess.run(probe, capture_output=True, timeout=60, check=False).returncode == 0:
            return words
    return None


def run_on_small_disk(mode: str, folder: Path) -> dict[str, Any]:
    namespace = own_namespace()
    if namespace is None:
        pytest.skip("needs root or user namespaces: no disk of its own can be mounted here")
    script = 'mount -t tmpfs -o size=4m,nr_inodes=60 tmpfs "$0" && exec "$@"'
    return run([*namespace, "sh", "-c", script, str(folder), *command(mode, folder / "arm64")])


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter (pytest's own are private)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "out").mkdir()
        yield Path(name) / "out"


def test_kill_at_every_system_call_leaves_the_old_bundle_or_the_new(tmp_path: Path) -> None:
    report = run(command("kill_at_every_call", tmp_path / "arm64"))
    assert report["bad"] == []
    assert report["absent"] == 0, "with an atomic exchange there is always a bundle"
    assert report["old"] > 50
    assert report["new"] > 5
    assert report["left"] == []


def test_kill_at_every_system_call_without_exchange_is_mended_by_the_next_build(tmp_path: Path) -> None:
    report = run(command("kill_at_every_call_without_exchange", tmp_path / "arm64"))
    assert report["bad"] == []
    assert report["absent"] in (1, 2), "the one moment between two renames must have been met"
    assert report["old"] > 50
    assert report["new"] > 5
    assert report["left"] == []


def test_kill_at_random_moments_leaves_a_whole_bundle(tmp_path: Path) -> None:
    report = run(command("kill_at_random", tmp_path / "arm64"))
    assert set(report["seen"]) <= {"A", "B"}
    assert sum(report["seen"].values()) == 60
    assert report["left"] == []


def test_killed_whole_builds_hurt_neither_the_bundle_nor_the_cache(tmp_path: Path) -> None:
    report = run(command("kill_whole_builds", tmp_path / "arm64"))
    seen = report["seen"]
    assert seen.pop("after, A") is True
    assert seen.pop("after, B") is True
    assert set(seen) <= {"A", "B"}
    assert report["left"] == []


def test_an_interrupted_build_leaves_the_old_bundle_and_no_half_state(tmp_path: Path) -> None:
    assert run(command("interrupt", tmp_path / "arm64")) == {
        "outcome": "interrupted",
        "state": "A",
        "left": ["cache"],
    }


def test_a_full_disk_leaves_the_old_bundle_whole(tmp_path: Path) -> None:
    report = run_on_small_disk("full_disk", tmp_path)
    assert report["bad"] == []
    assert report["after"] == "B", "with room again the same build must work"
    assert report["left"] == []
    for text in report["errors"]:
        assert "No space left on device" in text
        assert "next: free some space" in text
        assert f"file: {tmp_path}" in text


def test_a_limit_on_file_sizes_leaves_the_old_bundle_whole(tmp_path: Path) -> None:
    assert run(command("file_size_limit", tmp_path / "arm64")) == {"code": 1, "state": "A", "left": []}


def test_a_read_only_disk_leaves_the_old_bundle_whole(tmp_path: Path) -> None:
    report = run_on_small_disk("read_only_disk", tmp_path)
    assert "cannot be written: permissions or a read-only disk" in report["early"]
    assert "Read-only file system" in report["late"]
    assert "next: that file system is mounted read-only" in report["late"]
    assert report["states"] == ["A", "A"]
    assert report["left"] == []


def test_a_folder_without_permission_leaves_the_old_bundle_whole(open_folder: Path) -> None:
    report = run(command("no_permission", open_folder / "arm64"))
    assert report == {"codes": [1, 1], "state": "A", "left": []}


def test_two_builds_at_once_on_one_cache_run_each_stage_once(tmp_path: Path) -> None:
    words = [command("build_once", tmp_path / name) for name in ("one", "two")]
    builds = [subprocess.Popen(w, env=environment(), stdout=subprocess.PIPE, text=True) for w in words]
    reports = [json.loads(build.communicate(timeout=120)[0]) for build in builds]
    assert [build.returncode for build in builds] == [0, 0]
    assert sum(report["ran"] for report in reports) == 3
    assert sum(report["cached"] for report in reports) == 3
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in ("one", "two"))
    assert one == two

"""How the ARM lane finds sources, programs and classes; what runs on ARM itself is in tests/android/test_on_arm.py."""

from __future__ import annotations

import os
import re
from pathlib import Path

import android_library
import arm_lane
import pytest
from arm_lane import ARM64, PINS, Agreement, agreement, emulator, root_files, source_choices

from edge_kit.android.errors import ToolFailed, ToolMissing

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any program, and an empty cache; returns the folder of its programs."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGE_KIT_ARM_SOURCES", raising=False)
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_what_is_missing_is_named_with_its_packages(bare):
    for missing in (lambda: emulator(ARM64), lambda: root_files(ARM64)):
        with pytest.raises(ToolMissing) as caught:
            missing()
        assert "apt-get install mmdebstrap qemu-user-static" in str(caught.value)


def test_the_emulator_is_found_under_its_name_in_debian_13_too(bare):
    program(bare, "qemu-aarch64", "")
    assert emulator(ARM64) == bare / "qemu-aarch64"
    program(bare, "qemu-aarch64-static", "")
    assert emulator(ARM64) == bare / "qemu-aarch64-static"


def test_the_hosts_sources_are_tried_then_those_without_updates_then_the_default(bare):
    lines = "http://m/debian/ stable main\nhttp://m/debian/ stable contrib\nhttp://m/debian/ stable-updates main\n"
    program(bare, "apt-get", f"printf '%s' '{lines}http://other/ nodistro main\n'")
    every = ["deb http://m/debian/ stable main contrib", "deb http://m/debian/ stable-updates main"]
    assert source_choices("stable") == [every, every[:1], []]
    assert source_choices("testing") == [[]]


def test_named_sources_are_the_only_ones(bare, monkeypatch):
    monkeypatch.setenv("EDGE_KIT_ARM_SOURCES", "http://mine/debian")
    assert source_choices("stable") == [["http://mine/debian"]]


def test_a_root_file_system_is_made_once_and_completely(bare, tmp_path, monkeypatch):
    """A stand-in for mmdebstrap fails with the host's sources, as a mirror between two states makes it."""
    for name in ("sh", "tar", "mkdir", "ln", "cat", "rm"):
        (bare / name).symlink_to(next(p for p in (Path("/usr/bin") / name, Path("/bin") / name) if p.exists()))
    monkeypatch.setattr(arm_lane, "host_suite", lambda: "stable")
    program(bare, "apt-get", "echo http://m/debian/ stable main")
    tree = tmp_path / "tree"
    program(
        bare,
        "mmdebstrap",
        f'echo "$@" >>{tmp_path}/calls\n'
        'for a; do case $a in "deb "*) echo "E: hash mismatch"; exit 25;; *.tar) t=$a;; esac; done\n'
        f"mkdir -p {tree}/etc/java {tree}/usr/conf {tree}/dev\nln -sfn /etc/java {tree}/usr/conf/own\n"
        f"tar -C {tree} -cf $t ./etc ./usr ./dev",
    )
    root = root_files(ARM64)
    assert (root / "usr/conf/own").readlink() == Path("../../etc/java")
    assert not (root / "dev").exists()
    assert root_files(ARM64) == root
    assert len((tmp_path / "calls").read_text().splitlines()) == 3  # all sources, those without updates, none
    assert [path.name for path in root.parent.iterdir() if not path.name.startswith(".")] == [root.name]


def test_a_failure_says_where_sources_can_be_named(bare, monkeypatch):
    monkeypatch.setattr(arm_lane, "host_suite", lambda: "stable")
    (bare / "sh").symlink_to("/bin/sh")
    program(bare, "mmdebstrap", "echo 'E: no route'; exit 1")
    with pytest.raises(ToolFailed, match="no route") as caught:
        root_files(ARM64)
    assert "EDGE_KIT_ARM_SOURCES" in str(caught.value)


def test_the_pinned_versions_are_those_of_the_modules():
    pom = (ROOT / "android_app" / "pom.xml").read_text(encoding="utf-8")
    said = dict(re.findall(r"<(opencv|javacpp|openblas|kotlin)\.version>(.+?)</", pom))
    json = re.search(r"<artifactId>json</artifactId>\s*<version>(.+?)</", pom)
    assert json is not None
    wanted = {**said, "kotlin-stdlib": said["kotlin"], "kotlin-test": said["kotlin"], "json": json[1]}
    wanted["kotlin-test-junit5"] = said["kotlin"]
    junit = re.search(r"<junit\.version>5\.(.+?)</", pom)
    assert junit is not None
    wanted["junit-platform-console-standalone"] = f"1.{junit[1]}"
    assert {(pin.artifact, pin.version) for pin in PINS} == {(pin.artifact, wanted[pin.artifact]) for pin in PINS}


def read(*lines: tuple[int, str, float]) -> dict[str, list]:
    return {
        "dt_polys": [[[x, 0], [x + 9, 0], [x + 9, 5], [x, 5]] for x, _, _ in lines],
        "rec_texts": [text for _, text, _ in lines],
        "dt_scores": [0.5 for _ in lines],
        "rec_scores": [score for _, _, score in lines],
    }


def test_agreement_counts_boxes_texts_and_what_only_one_has():
    expected = read((0, "a", 0.9), (20, "b", 0.8), (40, "c", 0.7))
    assert agreement(expected, expected) == Agreement(3, 3, 3, 0, 0.0)
    assert agreement(expected, expected).identical
    found = read((0, "a", 0.9), (20, "B", 0.5), (41, "c", 0.7))
    compared = agreement(expected, found)
    assert (compared.lines, compared.boxes_equal, compared.lines_equal, compared.surplus) == (3, 2, 1, 1)
    assert compared.score_difference == pytest.approx(0.3)
    assert not compared.identical
    assert not (agreement(expected, expected) + agreement(read(), read((0, "a", 0.9)))).identical


def test_classes_beside_the_sources_count_while_no_source_is_newer(tmp_path):
    sources = tmp_path / "android_app"
    for module in arm_lane.MODULES:
        (sources / module / "src").mkdir(parents=True)
        (sources / module / "src" / "A.kt").touch()
        (sources / module / "pom.xml").touch()
    (sources / "pom.xml").touch()
    assert not arm_lane._up_to_date(sources)
    for folder in arm_lane._folders(sources):
        folder.mkdir(parents=True)
        (folder / "A.class").touch()
    later = (sources / "pom.xml").stat().st_mtime + 10
    for folder in arm_lane._folders(sources):
        os.utime(folder / "A.class", (later, later))
    assert arm_lane._up_to_date(sources)
    os.utime(sources / "engine-opencv" / "src" / "A.kt", (later + 1, later + 1))
    assert not arm_lane._up_to_date(sources)


def test_the_shim_jumps_to_glibc_but_for_its_own_names(tmp_path):
    names = {"malloc": True, "setjmp": True, "inflate": False, "AMediaCodec_start": False}
    android_library._write_jumps(names, {"setjmp"}, android_library._JUMP["arm64"], tmp_path / "jumps.S")
    text = (tmp_path / "jumps.S").read_text()
    assert ".symver shim_malloc, malloc@LIBC" in text
    assert "AMediaCodec_start: b abort" in text
    assert "setjmp" not in text
    assert "inflate" not in text

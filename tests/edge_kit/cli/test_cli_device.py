"""``verify --device`` and ``bench --device`` as scripts and people meet them, on a recorded adb."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_kit.build.manifest import Manifest
from edge_kit.build.output import write_bundle
from edge_kit.devices import load_profile
from tests.edge_kit.deploy.axml_writer import compiled_xml

ROOT = Path(__file__).resolve().parents[3]
FAKE = ROOT / "tests" / "edge_kit" / "deploy" / "fake_adb.py"
LINE = {"polygon": [1, 2, 30, 2, 30, 14, 1, 14], "box_score": 0.9, "text": "人民北路", "score": 0.99}


def run(*args):
    command = [sys.executable, "-m", "edge_kit.cli", *map(str, args)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=env)


@pytest.fixture
def bundle(tmp_path):
    apk = tmp_path / "made.apk"
    with zipfile.ZipFile(apk, "w") as archive:
        document = {"engine": "nb", "images": [{"file": "sign.png", "lines": [LINE]}]}
        archive.writestr("AndroidManifest.xml", compiled_xml("manifest", {"package": "com.example.reader"}))
        archive.writestr("assets/selftest/expected.json", json.dumps(document))
    manifest = Manifest("arm64", "fp32", "generic-arm64", {})
    write_bundle(tmp_path / "bundle", {"edge-ocr.apk": apk.read_bytes(), "labels.txt": b"A"}, manifest)
    return tmp_path / "bundle"


@pytest.fixture
def report():
    image = {
        "name": "sign.png", "boxes": [[[1, 2], [30, 2], [30, 14], [1, 14]]], "texts": ["人民北路"], "scores": [0.99],
        "seconds": {"total": 0.2},
    }  # fmt: skip
    return {
        "report_version": 2, "app_version": "0.1.0", "engine": "opencv", "opt_version": "v2.14-rc",
        "device": {"model": "Acme One", "abi": "arm64-v8a", "api": 34, "cores_mhz": []}, "bundle_recipe": "fp32",
        "golden": [{"name": "resize", "passed": True, "detail": ""}], "images": [image], "bench": [], "errors": [],
    }  # fmt: skip


@pytest.fixture
def replay(tmp_path, monkeypatch):
    """Let adb replay a device that writes a report."""
    program = tmp_path / "adb"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("EDGE_KIT_ADB", str(program))
    monkeypatch.setenv("FAKE_ADB_SCRIPT", str(tmp_path / "script.json"))

    def write(report, **script):
        (tmp_path / "device.json").write_text(json.dumps(report))
        replayed = {"devices": "A1\tdevice", "looks": ["ready"], "report": str(tmp_path / "device.json"), **script}
        (tmp_path / "script.json").write_text(json.dumps(replayed))

    return write


def test_a_device_that_reads_the_same_ends_with_zero(bundle, report, replay, tmp_path):
    replay(report)
    done = run("verify", bundle, "--device", "A1", "--report", tmp_path / "kept.json")
    assert done.returncode == 0, done.stderr
    assert "Acme One (arm64-v8a, API 34), engine opencv" in done.stdout
    assert "not measured on a device: det_max_abs" in done.stdout
    assert "golden vectors: 1 of 1 hold" in done.stdout
    assert json.loads((tmp_path / "kept.json").read_text()) == report
    assert done.stderr == ""


def test_a_failed_gate_ends_with_one_and_names_the_image(bundle, report, replay):
    report["images"][0]["texts"] = ["人民北跆"]
    report["golden"].append({"name": "offset", "passed": False, "detail": "12.5 instead of 12.25"})
    replay(report)
    done = run("verify", bundle, "--device", "auto")
    assert done.returncode == 1
    for words in ("FAILED", "texts_equal", "differs: sign.png: 0 of 1 lines equal", "offset: 12.5 instead of 12.25"):
        assert words in done.stdout
    assert "NOT PROVEN on this device" in done.stdout


def test_a_bench_suggests_a_valid_profile(bundle, report, replay, tmp_path):
    replay({**report, "engine": "paddle_lite"}, milliseconds={"1 LITE_POWER_HIGH": 900.0, "4 LITE_POWER_HIGH": 600.0})
    quick = ("--pause", "0", "--passes", "2")
    settings = ("--threads", "1,4", "--power", "LITE_POWER_HIGH")
    done = run("bench", bundle, *settings, *quick, "--save", tmp_path / "mine.yaml", "--report", tmp_path / "kept.json")
    assert done.returncode == 0, done.stderr
    assert load_profile(str(tmp_path / "mine.yaml")).value("threads") == 4
    for words in ("600.0", "held its clocks"):
        assert words in done.stdout
    kept = json.loads((tmp_path / "kept.json").read_text())
    assert [(row["threads"], len(row["total_ms"])) for row in kept["bench"]] == [(1, 4), (4, 4)]


def test_a_bench_on_a_hot_device_suggests_nothing(bundle, report, replay):
    replay(report, milliseconds={"2 LITE_POWER_HIGH": 900.0}, hot=3)
    done = run("bench", bundle, "--threads", "2", "--power", "LITE_POWER_HIGH", "--pause", "0")
    error(done, "too hot", "2 threads and LITE_POWER_HIGH: 6 of 6 rounds", "--cool-down")


def error(done, *words):
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for word in (*words, "next:"):
        assert word in done.stderr, done.stderr


def test_bad_input_is_an_error_that_says_what_to_do(bundle, report, replay, tmp_path):
    replay(report, devices="A1\tunauthorized")
    error(run("verify", bundle, "--device", "A1"), "unauthorized", "allow USB debugging")
    error(run("bench", bundle, "--threads", "0"), "--threads", "from 1 to 16")
    error(run("bench", bundle, "--power", "TURBO"), "--power", "LITE_POWER_HIGH")
    error(run("verify", bundle, "--device", "A1", "--apk", tmp_path / "absent.apk"), "absent.apk")
    (bundle / "labels.txt").write_text("changed")
    error(run("verify", bundle, "--device", "A1"), "labels.txt (changed)")

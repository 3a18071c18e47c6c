"""A recorded device: an adb that replays, an APK with expected answers, a report that agrees with them."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from tests.edge_kit.deploy.axml_writer import compiled_xml

PACKAGE = "com.example.reader"
LINES = {
    "sign.png": [([1, 2, 30, 2, 30, 14, 1, 14], "人民北路", 0.99), ([1, 20, 60, 20, 60, 34, 1, 34], "Renmin", 0.97)],
    "empty.png": [],
}


class FakeDevice:
    """Writes what the fake adb replays, and returns what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = {"devices": "A1B2\tdevice", "report": str(folder / "device.json")}
        self.report = report()
        self.save()

    def save(self) -> None:
        (self.folder / "device.json").write_text(json.dumps(self.report))
        (self.folder / "script.json").write_text(json.dumps(self.script))

    def says(self, **changes) -> None:
        """Change the script; None takes a key out."""
        self.script = {key: value for key, value in {**self.script, **changes}.items() if value is not None}
        self.save()

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


def report() -> dict:
    """Return what a device writes that computes as the build did."""
    images = []
    for name, lines in LINES.items():
        images.append(
            {
                "name": name,
                "boxes": [[polygon[i : i + 2] for i in range(0, 8, 2)] for polygon, _, _ in lines],
                "box_scores": [0.9 for _ in lines],
                "texts": [text for _, text, _ in lines],
                "scores": [score for _, _, score in lines],
                "seconds": {"det": 0.1, "total": 0.2},
            }
        )
    return {
        "report_version": 2, "app_version": "0.1.0", "engine": "opencv", "opt_version": "v2.14-rc",
        "device": {"model": "Acme One", "abi": "arm64-v8a", "api": 34, "cores_mhz": []}, "bundle_recipe": "fp32",
        "golden": [{"name": "resize", "passed": True, "detail": ""}], "images": images, "bench": [], "errors": [],
    }  # fmt: skip


@pytest.fixture
def device(tmp_path, monkeypatch) -> FakeDevice:
    program = tmp_path / "adb"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("fake_adb.py")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("EDGE_KIT_ADB", str(program))
    monkeypatch.setenv("FAKE_ADB_SCRIPT", str(tmp_path / "script.json"))
    return FakeDevice(tmp_path)


@pytest.fixture
def apk(tmp_path) -> Path:
    """An APK as far as the verification looks into it."""
    rows = [
        {"file": name, "lines": [{"polygon": p, "box_score": 0.9, "text": t, "score": s} for p, t, s in lines]}
        for name, lines in LINES.items()
    ]
    path = tmp_path / "edge-ocr.apk"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("AndroidManifest.xml", compiled_xml("manifest", {"package": PACKAGE}))
        archive.writestr("assets/selftest/expected.json", json.dumps({"engine": "nb", "images": rows}))
    return path

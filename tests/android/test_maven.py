"""The Android modules under Maven: they compile, and their JUnit tests pass on vectors of today's pipeline."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge_kit.android.sources import maven_env
from edge_kit.verify.regression import regression_set
from model_opt.resources import config_dir
from tests.cores import all_cores

ANDROID = Path(__file__).resolve().parents[2] / "android_app"
QUICK_TESTS = "-Dedgekit.jvm.args=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""The tests' Java machines live for a minute or two: compiling their code well would take longer than it saves."""
CLOSING = re.compile(r"Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)$", re.MULTILINE)


def run_maven(mvn: Path, *arguments: str) -> str:
    """Return what Maven wrote; fail with its own words when it does not end well."""
    repository = os.environ.get("EDGE_KIT_MAVEN_REPO")
    settings = [f"-Dmaven.repo.local={repository}"] if repository else []
    command = [str(mvn), "-B", "-ntp", "-f", str(ANDROID / "pom.xml"), *settings, *arguments]
    env = {**os.environ, **maven_env()}
    with all_cores():
        done = subprocess.run(command, capture_output=True, text=True, timeout=1400, check=False, env=env)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        pytest.fail("\n".join(errors[:40]) or done.stdout[-4000:] + done.stderr[-2000:])
    return done.stdout


@pytest.mark.timeout(1500)  # compiles and tests five modules: minutes, and many more on a busy machine
@pytest.mark.xdist_group("maven")
def test_the_modules_pass_their_tests(maven, vectors, whole_images, app_assets, pictures, capsys):
    """Also prints surefire's closing lines, so that a reader of the log sees how many tests ran."""
    given = {"vectors": vectors, "images": whole_images, "assets": app_assets, "pictures": pictures}
    log = run_maven(maven, *(f"-Dedgekit.{name}={folder}" for name, folder in given.items()), QUICK_TESTS, "verify")
    closing = CLOSING.findall(log)
    with capsys.disabled():
        print()
        for run, failures, errors, skipped in closing:
            print(f"Tests run: {run}, Failures: {failures}, Errors: {errors}, Skipped: {skipped}")
    assert len(closing) >= len(modules_with_tests())
    assert sum(int(run) for run, *_ in closing) > 0
    assert all(skipped == "0" for *_, skipped in closing)
    left = ANDROID / "app" / "target" / "screenshots"
    check_report(left / "selftest.json")
    assert len(keeps_the_schema(left / "bench.json")["bench"]) == 1


def check_report(path: Path) -> None:
    """Hold the report of the app's self-test to what it must say."""
    report = keeps_the_schema(path)
    assert report["errors"] == []
    assert len(report["images"]) == len(regression_set())


def keeps_the_schema(path: Path) -> dict[str, Any]:
    """Return a report of the app after a look at the schema that the kit reads it by."""
    report: dict[str, Any] = json.loads(path.read_bytes())
    jsonschema.validate(report, json.loads((config_dir() / "selftest_report.schema.json").read_bytes()))
    return report


def modules_with_tests() -> list[str]:
    """Return the modules of the parent that have tests."""
    names = re.findall(r"<module>(.+?)</module>", (ANDROID / "pom.xml").read_text())
    return [name for name in names if (ANDROID / name / "src" / "test").is_dir()]

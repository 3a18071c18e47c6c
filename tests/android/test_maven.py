"""The Android modules under Maven: their JUnit tests pass on vectors of today's pipeline; what an own app takes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from arm_lane import DIRECTIVES

from edge_kit.android.sources import maven_env
from edge_kit.verify.regression import regression_set
from model_opt.resources import config_dir
from tests.android.installed import assert_compiles, check_installed, without_modules
from tests.cores import all_cores

ANDROID = Path(__file__).resolve().parents[2] / "android_app"
pytestmark = pytest.mark.xdist_group("maven")
QUICK_TESTS = (
    "-Dedgekit.jvm.args=-XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:+DisplayVMOutputToStderr"
    f" -XX:CompilerDirectivesFile={os.path.relpath(DIRECTIVES, ANDROID / 'module')}"
)
"""The tests' Java machines live for a minute or two: compiling all of their code well takes longer than it saves."""
CLOSING = re.compile(r"Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)$", re.MULTILINE)


def run_maven(mvn: Path, repository: Path, *arguments: str) -> str:
    """Return what Maven wrote; fail with its own words when it does not end well."""
    command = [str(mvn), "-B", "-ntp", "-f", str(ANDROID / "pom.xml"), f"-Dmaven.repo.local={repository}", *arguments]
    env = {**os.environ, **maven_env()}
    with all_cores():
        done = subprocess.run(command, capture_output=True, text=True, timeout=1400, check=False, env=env)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        pytest.fail("\n".join(errors[:40]) or done.stdout[-4000:] + done.stderr[-2000:])
    return done.stdout


@dataclass(frozen=True)
class Modules:
    """What Maven wrote when it compiled and tested all modules, and the repository into which it installed them."""

    log: str
    repository: Path


@pytest.fixture(scope="module")
def modules(maven, vectors, whole_images, app_assets, pictures, tmp_path_factory) -> Modules:
    repository = tmp_path_factory.mktemp("maven") / "repository"
    without_modules(repository)
    given = {"vectors": vectors, "images": whole_images, "assets": app_assets, "pictures": pictures}
    properties = [f"-Dedgekit.{name}={folder}" for name, folder in given.items()]
    return Modules(run_maven(maven, repository, *properties, QUICK_TESTS, "install"), repository)


@pytest.mark.timeout(1500)  # compiles and tests five modules: minutes, and many more on a busy machine
def test_the_modules_pass_their_tests(modules, capsys):
    """Also prints surefire's closing lines, so that a reader of the log sees how many tests ran."""
    closing = CLOSING.findall(modules.log)
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


@pytest.mark.timeout(1500)
def test_what_maven_installs_is_a_valid_aar_and_jars_that_the_example_compiles_against(modules, tmp_path):
    check_installed(modules.repository)
    assert_compiles(ANDROID / "ocr-android" / "src" / "example" / "kotlin" / "Example.kt", tmp_path, modules.repository)


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

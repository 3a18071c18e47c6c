"""The package can be installed, and the launchers do nothing when nothing changed."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.serve.running import wait_until
from tests.wheel import ROOT, build, install

APP = "edge_kit/_android_app/"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return build(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def wheel(packages):
    return packages[0]


@pytest.fixture(scope="module")
def sdist(packages):
    return packages[1]


def test_the_wheel_carries_configuration_and_licence(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "edge_kit/cli/app.py",
        "model_opt/_configs/ocr_spec.yaml",
        "model_opt/_configs/regression/truth.json",
    } <= names
    assert "model_opt/_configs/devices/rk3399.yaml" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "scripts/", "labs/")) or "legacy" in name for name in names)


def test_every_extra_that_a_message_names_is_there(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
    declared = set(re.findall(r"^Provides-Extra: (.+)$", archive.read(metadata).decode(), re.MULTILINE))
    named = {
        extra
        for package in ("edge_kit", "model_opt")
        for path in (ROOT / package).rglob("*.py")
        for extra in re.findall(r"edge-kit\[(\w+)\]", path.read_text(encoding="utf-8"))
    }
    assert {"serve", "openvino"} <= named <= declared


def test_the_wheel_carries_what_the_app_is_built_of(wheel):
    from edge_kit.android.sources import MODULES

    names = {name.removeprefix(APP) for name in zipfile.ZipFile(wheel).namelist() if name.startswith(APP)}
    sources = committed("android_app")
    wanted = {
        name
        for name in sources
        if name.endswith("pom.xml") or "/src/main/" in name or name.startswith("golden/") or name == "app/resources.xml"
    }
    assert {f"{module}/pom.xml" for module in MODULES} <= wanted
    assert wanted <= names
    # Nothing of a build, of the tests or of the Gradle project is there, though it may be in the checkout.
    assert names - wanted == {"LICENSE", "ocr-core/README.md"}


def committed(folder: str) -> set[str]:
    """Return the names of the files below ``folder`` of the checkout that are not Maven's or Gradle's output."""
    root = ROOT / folder
    made = {"__pycache__", *(("target", "build", "libs", ".gradle") if folder == "android_app" else ())}
    names = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {name.as_posix() for name in names if not made & set(name.parts)}


def unpack(archive, folder):
    """Unpack an archive of ours; Debian 12's CPython 3.11.2 has no filters yet, later ones warn without one."""
    archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))


def test_the_sdist_holds_what_wheel_and_tests_are_made_of_and_no_picture_of_the_documentation(sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        names = {member.name.split("/", 1)[1] for member in archive.getmembers() if member.isfile()}
        unpack(archive, tmp_path)
    for folder in ("android_app", "configs", "edge_kit", "model_opt", "scripts", "tests"):
        assert {f"{folder}/{name}" for name in committed(folder)} == {n for n in names if n.startswith(f"{folder}/")}
    assert {"pyproject.toml", "README.md", "LICENSE", "requirements-dev.lock", "docs/serve.md"} <= names
    assert not [name for name in names if name.startswith(("docs/images/", ".github/", ".ci/", "docker/"))]


def test_wheel_and_sdist_are_byte_identical_wherever_they_are_built(wheel, sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        unpack(archive, tmp_path / "unpacked")
    (source,) = (tmp_path / "unpacked").iterdir()
    for path in source.rglob("*.yaml"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o600)
    again = build(tmp_path / "again", source=source)
    assert [path.name for path in again] == [wheel.name, sdist.name]
    assert [path.read_bytes() for path in again] == [wheel.read_bytes(), sdist.read_bytes()]


def test_the_times_in_the_packages_are_source_date_epoch(tmp_path):
    (made,) = build(tmp_path, "-t", "wheel", SOURCE_DATE_EPOCH="1500000000")
    assert {info.date_time for info in zipfile.ZipFile(made).infolist()} == {(2017, 7, 14, 2, 40, 0)}


def test_an_editable_installation_takes_everything_from_the_checkout(tmp_path):
    (wheel,) = build(tmp_path, "-t", "wheel:editable")
    made = zipfile.ZipFile(wheel)
    (pointer,) = [name for name in made.namelist() if name.endswith(".pth")]
    assert made.read(pointer).decode().strip() == str(ROOT)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return install(wheel, tmp_path_factory.mktemp("installed"))


def test_the_wheel_alone_has_command_configuration_and_app_sources(installed):
    code = (
        "import edge_kit.android.sources as s, model_opt.resources as r; print(s.sources_dir()); print(r.config_dir())"
    )
    found = installed.run("-c", code, program="python").stdout.splitlines()
    assert len(found) == 2
    assert all(Path(path).is_relative_to(installed.folder) for path in found)
    assert "build" in installed.run("--help").stdout


FEW = """
import sys
from edge_kit.cli import main
from edge_kit.jobs import models
from edge_kit.verify.regression import regression_set

few = tuple(image for image in regression_set() if image.name in {"street_sign.png", "empty.png"})
models.regression_set = lambda: few
main()
"""
"""The command line, verifying on two small images."""


REQUEST = ("--target", "arm64", "--models", "pp-ocrv6-tiny", "--no-apk")


@dataclass(frozen=True)
class Built:
    """Bundles built from the wheel and from the checkout, and how to run another command with the wheel."""

    folder: Path
    command: tuple[str | Path, ...]
    env: dict[str, str]

    def run(self, *arguments: str | Path) -> str:
        """Run ``edge-kit`` from the wheel, and return what it printed; it must succeed."""
        command = [*self.command, *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def files(self, name: str) -> dict[str, bytes]:
        """Return the files of a bundle."""
        paths = (path for path in (self.folder / name).rglob("*") if path.is_file())
        return {path.relative_to(self.folder / name).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def built(installed, clean_downloads, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    (folder / "few.py").write_text(FEW)
    pythons = {"checkout": (sys.executable, str(ROOT)), "wheel": (installed.bin / "python", "")}
    for name, (python, path) in pythons.items():
        env = {**installed.env, "EDGE_KIT_CACHE": str(clean_downloads(folder / f"{name}-cache")), "PYTHONPATH": path}
        made = Built(folder, (python, folder / "few.py"), env)
        made.run("build", *REQUEST, "--out", folder / name)
    return made


@pytest.fixture(scope="module")
def clean_downloads():
    """Makes a cache that has the downloads of the shared one and no result."""
    from model_opt.resources import cache_dir

    def make(cache: Path) -> Path:
        cache.mkdir()
        for folder in ("files", "tools", "models"):
            (cache_dir() / folder).mkdir(parents=True, exist_ok=True)
            (cache / folder).symlink_to(cache_dir() / folder)
        return cache

    return make


@pytest.mark.integration
def test_a_bundle_built_from_the_wheel_is_the_checkouts(built):
    found = built.files("wheel")
    assert {"manifest.json", "models/det.nb", "models/rec.nb", "report.html"} <= set(found)
    assert found == built.files("checkout")


@pytest.mark.integration
def test_the_wheel_reads_text_and_quantises(built):
    image = ROOT / "configs" / "regression" / "street_sign.png"
    assert "{" in built.run("ocr", image, "--bundle", "wheel", "--json", "-")
    built.run("quantize", "--models", "pp-ocrv6-tiny", "--recipe", "weight_int16", "--out", "quantised")
    sizes = {name: len(data) for name, data in built.files("quantised").items()}
    assert sizes["det.nb"] < 0.6 * len(built.files("wheel")["models/det.nb"])


@pytest.mark.integration
def test_the_wheel_serves(built):
    command = [*built.command, "serve", "--bundle", "wheel", "--port", "0", "--workers", "1"]
    with subprocess.Popen(command, cwd=built.folder, env=built.env, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = next(word for word in process.stderr.readline().split() if word.startswith("http://"))
            with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
                wait_until(lambda: client.get("/ready").status_code == 200, 60)
                image = (ROOT / "configs" / "regression" / "street_sign.png").read_bytes()
                answer = client.post("/ocr", json={"file": base64.b64encode(image).decode(), "fileType": 1})
        finally:
            process.terminate()
    assert answer.json()["errorCode"] == 0
    assert answer.json()["result"]["ocrResults"][0]["prunedResult"]["rec_texts"]


def test_only_the_app_needs_the_android_tools(installed, tmp_path):
    env = {**installed.env, "PATH": str(tmp_path), "JAVA_HOME": "", "EDGE_KIT_CACHE": str(tmp_path / "cache")}
    command = [installed.bin / "edge-kit", "build", "--target", "arm64", "--offline", "--out", tmp_path / "app"]
    refused = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "aapt2" in refused.stderr
    assert "--no-apk" in refused.stderr
    assert not (tmp_path / "app").exists()


def test_the_launcher_leaves_a_ready_environment_alone():
    stamp = ROOT / ".venv" / ".edge-kit-stamp"
    if not stamp.exists():
        pytest.skip("these tests do not run in the launcher's own environment")
    before = stamp.stat().st_mtime_ns
    done = subprocess.run([ROOT / "scripts" / "edge-kit", "--help"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert stamp.stat().st_mtime_ns == before


def test_the_launcher_names_what_to_install_without_a_python(tmp_path):
    copy = tmp_path / "checkout"
    (copy / "scripts").mkdir(parents=True)
    for name in ("bootstrap", "edge-kit"):
        (copy / "scripts" / name).write_bytes((ROOT / "scripts" / name).read_bytes())
        (copy / "scripts" / name).chmod(0o755)
    (copy / "requirements.lock").write_text("")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname", "readlink", "sha256sum", "cut", "flock", "grep", "mkdir", "rm"):
        (tools / tool).symlink_to(subprocess.check_output(["which", tool], text=True).strip())
    done = subprocess.run(
        [tools / "bash", copy / "scripts" / "edge-kit", "--help"],
        env={"PATH": str(tools), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no CPython 3.10-3.13" in done.stderr
    assert "python3-venv" in done.stderr


def test_locked_dependencies_have_hashes_and_no_address():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert len(pins) > 30
        assert all("==" in pin and pin.endswith("\\") for pin in pins)
        assert text.count("--hash=sha256:") >= len(pins)
        assert "://" not in text

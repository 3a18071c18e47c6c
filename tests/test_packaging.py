"""The package can be installed, and the launchers do nothing when nothing changed."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


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


def test_the_installed_package_says_where_a_study_of_the_checkout_is(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "from edge_kit.cli import main; main()", "legacy-report"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "not part of the installed package" in done.stderr
    assert "in a checkout" in done.stderr


def test_the_installed_package_finds_its_configuration(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "import edge_kit.spec, model_opt.resources as r; edge_kit.spec.profile(); print(r.config_dir())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(tmp_path / "model_opt" / "_configs")


def test_the_console_script_is_declared(wheel):
    archive = zipfile.ZipFile(wheel)
    (entry,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "edge-kit = edge_kit.cli:main" in archive.read(entry).decode()


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
    for tool in ("bash", "dirname", "readlink", "sha256sum", "cut", "flock", "grep", "rm"):
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

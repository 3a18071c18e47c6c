"""The launchers bring the Android app's tools along where they may: root, Debian, once."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import android_library
import pytest
from arm_lane import PACKAGES

from edge_kit.android.tools import TOOLS

ROOT = Path(__file__).resolve().parents[1]
ARM_PROGRAMS = (
    *("mmdebstrap", "qemu-aarch64-static", "qemu-arm"),
    *(f"{prefix}-gcc" for prefix in android_library.COMPILERS.values()),
)
BASICS = ("bash", "flock", "cat", "touch", "mkdir")


@pytest.fixture
def machine(tmp_path):
    """A machine whose apt-get notes its calls and installs every tool; returns a function that starts a launcher."""
    bin_dir, root = tmp_path / "bin", tmp_path / "kit"
    bin_dir.mkdir()
    (root / ".venv").mkdir(parents=True)
    for name in BASICS:
        (bin_dir / name).symlink_to(shutil.which(name) or name)

    def program(name: str, text: str) -> None:
        (bin_dir / name).write_text(f"#!/bin/bash\n{text}\n")
        (bin_dir / name).chmod(0o755)

    tools = " ".join((*TOOLS, *ARM_PROGRAMS))
    program("id", "echo ${FAKE_UID:-0}")
    # As apt does: a name without a package is an error, one that others refer to shows nothing.
    program(
        "apt-cache",
        'case " ${FAKE_LACKS:-} " in *" $2 "*) exit 100;; esac\n'
        'case " ${FAKE_VIRTUAL:-} " in *" $2 "*) exit 0;; esac\necho "Package: $2"',
    )
    program(
        "apt-get",
        f'echo "$@" >>{tmp_path}/apt.log\n[ -z "$FAKE_FAIL" ] || {{ echo no route >&2; exit 100; }}\n'
        f'case "$*" in *install*) for t in {tools}; do printf "#!/bin/bash\\n" >{bin_dir}/$t; '
        f"/bin/chmod +x {bin_dir}/$t; done;; esac",
    )

    def start(what: str = "android_tools", **env: str) -> tuple[str, list[str]]:
        script = f"set -euo pipefail; root={root}; . {ROOT}/scripts/bootstrap; {what}; echo went on"
        done = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": str(bin_dir), **env},
        )
        assert done.stdout == "went on\n"
        log = tmp_path / "apt.log"
        return done.stderr, log.read_text().splitlines() if log.exists() else []

    return start


def test_root_gets_the_missing_packages_once(machine):
    said, calls = machine()
    assert "installing the Android app's tools" in said
    assert [line.split()[1] for line in calls] == ["update", "install"]
    assert set(TOOLS.values()) <= set(calls[1].split())
    assert machine() == ("", calls)


def test_a_package_has_the_name_of_the_distribution(machine):
    wanted = "install_packages -x things 'one two-new|two three four'"
    said, calls = machine(wanted, FAKE_LACKS="two-new three", FAKE_VIRTUAL="four")
    assert calls[1].split()[-2:] == ["one", "two"]
    assert said.splitlines() == [
        "edge-kit: installing things once: apt-get install one two",
        "edge-kit: this system has no package three",
        "edge-kit: this system has no package four",
    ]


def test_root_gets_python_and_the_libraries_before_the_environment_is_made(machine, tmp_path):
    said, calls = machine("base_tools", HOME=str(tmp_path))
    assert "installing what edge-kit runs on once: apt-get install python3 python3-venv" in said
    assert {"python3", "python3-venv", "libgl1", "libglib2.0-0t64", "libgomp1"} <= set(calls[1].split())
    assert machine("base_tools", HOME=str(tmp_path), FAKE_UID="1000") == ("", calls)


def test_a_machine_with_python_and_the_libraries_asks_for_nothing(machine, tmp_path):
    for name, text in {
        "python3": "exit 0",
        "ldconfig": "echo libGL.so.1 libglib-2.0.so.0 libgomp.so.1",
    }.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    assert machine("base_tools") == ("", [])


def test_another_user_and_one_who_declines_are_left_alone(machine):
    assert machine(FAKE_UID="1000") == ("", [])
    assert machine(EDGE_KIT_NO_APT="1") == ("", [])


def test_a_failure_is_reported_once_and_stops_nothing(machine):
    said, calls = machine(FAKE_FAIL="1")
    assert "could not be installed" in said
    assert f"next: apt-get update && apt-get install {' '.join(dict.fromkeys(TOOLS.values()))}" in said
    assert machine(FAKE_FAIL="1") == ("", calls)


def test_root_gets_the_arm_lanes_programs_once_too(machine):
    said, calls = machine("arm_tools")
    assert "installing QEMU's emulation of ARM" in said
    compilers = " ".join(android_library.PACKAGES.values()).split()
    assert {*PACKAGES, *compilers} <= set(calls[1].split())
    assert machine("arm_tools") == ("", calls)


def test_a_machine_with_the_tools_asks_for_nothing(tmp_path):
    if any(shutil.which(name) is None for name in TOOLS):
        pytest.skip("the tools are not installed")
    (tmp_path / ".venv").mkdir()
    script = f"set -eu; root={tmp_path}; . {ROOT}/scripts/bootstrap; android_tools"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("home", [{}, {"HOME": ""}])
def test_a_launcher_without_home_takes_the_users_own(machine, home):
    said, _ = machine('echo "$HOME" >&2; bash -c "echo for programs: \\$HOME" >&2', **home)
    own = pwd.getpwuid(os.getuid()).pw_dir
    assert said.splitlines() == [own, f"for programs: {own}"]


@pytest.mark.parametrize("name", ["edge-kit", "test"])
def test_a_launcher_without_home_gets_as_far_as_setting_up(tmp_path, name):
    """Python is found and pip is asked, which here has nothing to install."""
    (tmp_path / "scripts").mkdir()
    for file in ("bootstrap", name):
        shutil.copy(ROOT / "scripts" / file, tmp_path / "scripts")
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / lock).write_text("")
    (tmp_path / "bin").mkdir()
    for program in (*BASICS, "dirname", "readlink", "sha256sum", "cut", "grep", "id", "env", "rm"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or program)
    (tmp_path / "bin" / "python3").write_text(
        '#!/bin/bash\ncase "$*" in\n'
        '*venv*--clear*) mkdir -p "${@: -1}/bin"; cp "$0" "${@: -1}/bin/python";;\n'
        f"*purelib*) echo {tmp_path};;\n"
        '*-m\\ edge_kit*|*-m\\ pytest*) echo "started, home $HOME";;\nesac\n'
    )
    (tmp_path / "bin" / "cp").symlink_to(shutil.which("cp") or "cp")
    (tmp_path / "bin" / "python3").chmod(0o755)
    command = [str(tmp_path / "scripts" / name), *(["unit", "-k", "x"] if name == "test" else ["--help"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": str(tmp_path / "bin")})
    assert done.stdout == f"started, home {pwd.getpwuid(os.getuid()).pw_dir}\n", done.stderr

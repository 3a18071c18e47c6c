"""The lanes of the tests: what each runs, and that a unit test reaches nothing beyond this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
APT = ["apt: enjarify", "apt: arm", "apt: browser"]
STATIC = ["ruff format --check .", "ruff check .", "mypy"]
UNIT = "python -m pytest -m not integration and not app"


@pytest.fixture
def launcher(tmp_path):
    """A checkout whose set-up and programs only print how they were called; returns a function that runs it."""
    scripts, programs = tmp_path / "scripts", tmp_path / ".venv" / "bin"
    scripts.mkdir()
    programs.mkdir(parents=True)
    (scripts / "test").write_bytes((ROOT / "scripts" / "test").read_bytes())
    (scripts / "bootstrap").write_text(
        'bootstrap() { :; }\nandroid_tools() { echo "apt: $*"; }\narm_tools() { echo "apt: arm"; }\n'
        'browser_tools() { echo "apt: browser"; }\n'
    )
    for name in ("ruff", "mypy", "python"):
        (programs / name).write_text('#!/bin/sh\necho "$(basename "$0")${1:+ $*}"\n')
        (programs / name).chmod(0o755)

    def run(*arguments: str) -> list[str]:
        done = subprocess.run(
            ["bash", scripts / "test", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    return run


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [
        ((), [*APT, *STATIC, "python -m pytest"]),
        (("unit",), [*STATIC, UNIT]),
        (("integration",), ["python -m pytest -m integration"]),
        (("app",), [*APT, "python -m pytest -m app"]),
        (("unit", "-k", "zoo"), [f"{UNIT} -k zoo"]),
        (("tests/model_opt", "-x"), [*APT, "python -m pytest tests/model_opt -x"]),
    ],
    ids=" ".join,
)
def test_a_lane_runs_its_checks_and_installs_what_it_needs(launcher, arguments, calls):
    found = launcher(*arguments)
    # apt-get works beside the checks, and is done before the tests.
    assert sorted(found, key=lambda call: not call.startswith("apt:")) == calls
    assert found[-1] == calls[-1]


def test_no_test_is_in_two_lanes(request):
    both = [
        i.nodeid for i in request.session.items if {"integration", "app"} <= {mark.name for mark in i.iter_markers()}
    ]
    assert both == []


def test_a_unit_test_cannot_reach_another_machine():
    with socket.socket() as one, pytest.raises(RuntimeError, match=r"connects to .* mark it 'integration'"):
        one.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match=r"looks up 'example\.invalid': mark it 'integration'"):
        socket.create_connection(("example.invalid", 80), timeout=1)


def test_a_unit_test_reaches_its_own_servers():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


def test_a_program_that_a_unit_test_starts_finds_no_way_out():
    code = "import urllib.request as r; r.urlopen('https://example.invalid', timeout=5)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "refused" in done.stderr


def test_a_unit_test_finds_an_empty_cache():
    assert [*Path(os.environ["EDGE_KIT_CACHE"]).iterdir()] == []

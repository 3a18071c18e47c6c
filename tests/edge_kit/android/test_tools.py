from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from edge_kit.android.errors import ToolFailed, ToolMissing
from edge_kit.android.tools import TOOLS, find_tool, missing_tools, require_tools, run_tool


@pytest.fixture
def bare_path(tmp_path, monkeypatch):
    """A PATH of one empty folder, and no JAVA_HOME."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_everything_that_lacks_is_named_at_once_with_its_packages(bare_path):
    with pytest.raises(ToolMissing) as caught:
        require_tools()
    assert caught.value.what.endswith(", ".join(TOOLS))
    assert "apt-get install default-jdk-headless maven aapt apksigner" in (caught.value.hint or "")
    assert "--no-apk" in (caught.value.hint or "")
    assert missing_tools() == tuple(TOOLS)


def test_the_jdk_of_java_home_comes_before_path(bare_path, monkeypatch):
    program(bare_path / "java", "exit 0")
    own = program(bare_path / "jdk" / "bin" / "java", "exit 0")
    assert find_tool("java") == bare_path / "java"
    monkeypatch.setenv("JAVA_HOME", str(bare_path / "jdk"))
    assert find_tool("java") == own


def test_a_failure_holds_the_programs_own_message(tmp_path):
    tool = program(tmp_path / "aapt2", "echo reading; echo 'error: no such attribute' >&2; exit 3")
    with pytest.raises(ToolFailed, match="cannot link: aapt2 ended with code 3\n  error: no such attribute"):
        run_tool("link", [tool])


def test_the_exception_of_a_java_program_is_reported_without_its_trace(tmp_path):
    lines = "Unexpected error\njava.io.IOException: no space\n\tat a.B.c(B.java:3)\n\t... 7 more"
    tool = program(tmp_path / "java", f"cat <<'END'\nProGuard, version 7\n{lines}\nEND\nexit 1")
    with pytest.raises(ToolFailed) as caught:
        run_tool("shrink", [tool])
    assert caught.value.what == "\n  ".join(
        ["cannot shrink: java ended with code 1", "Unexpected error", "java.io.IOException: no space"]
    )


def test_both_streams_are_returned_in_a_fixed_locale(tmp_path):
    tool = program(tmp_path / "t", "echo $LC_ALL $TZ $OWN; echo err >&2")
    assert run_tool("look", [tool], env={"OWN": "x"}) == "C.UTF-8 UTC x\nerr\n"


def test_a_stopped_build_ends_the_program_and_its_children(tmp_path):
    note = tmp_path / "pid"
    tool = program(tmp_path / "slow", f"sleep 60 & echo $! > {note}; wait")

    def on_poll() -> None:
        if note.exists() and note.read_text().strip():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tool("wait", [tool], on_poll=on_poll)
    child = note.read_text().strip()
    for _ in range(100):
        state = subprocess.run(["ps", "-o", "stat=", "-p", child], capture_output=True, text=True, check=False).stdout
        if not state.strip() or state.strip().startswith("Z"):
            return
        time.sleep(0.05)
    os.kill(int(child), 9)
    pytest.fail("the child outlived its parent")

"""Run the child scripts: on the tool's interpreter, cut off from the caller's Python, within a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_opt.fs import sha256_bytes, sha256_file
from model_opt.machine import end_group

_CHILD = Path(__file__).resolve().parent / "child"
_FOREIGN = ("PYTHON", "GLOG_", "FLAGS_", "KMP_", "MKL_", "OMP_", "MALLOC_")
"""Settings of the caller that would change what a child does or prints."""


def child_command(python: Path, script: str, *arguments: str | Path) -> list[str]:
    """Return the command that runs a script of ``child/`` isolated: no user site, no site-packages, no bytecode."""
    return [str(python), "-I", "-S", "-B", str(_CHILD / script), *map(str, arguments)]


def child_fingerprint() -> str:
    """Return one SHA-256 over the scripts of ``child/``, which no module imports, for the keys of caches."""
    return sha256_bytes("".join(f"{sha256_file(path)} {path.name}\n" for path in sorted(_CHILD.glob("*.py"))).encode())


def child_environment(**extra: str) -> Mapping[str, str]:
    """Return the caller's environment without what would steer Python or Paddle Lite, plus ``extra``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "OMP_NUM_THREADS": "1", **extra}


def run_limited(command: Sequence[str], *, cwd: Path, log: Path, timeout_s: float) -> int | None:
    """Run ``command`` with its output in the file ``log``; return its exit code, or None when time ran out.

    A negative code is the signal that ended it, as in ``subprocess``. However this call ends, the child's process
    group is gone and reaped afterwards. Raises ``OSError`` when the command cannot be started.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            end_group(process)


def ask(command: Sequence[str | Path], timeout_s: float, **environment: str) -> subprocess.CompletedProcess[str] | str:
    """Run a program that answers in its output and return how it ended; as text why it did not start or answer."""
    try:
        return subprocess.run(
            list(map(str, command)),
            env=child_environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        return f"does not answer within {timeout_s:.0f} s"
    except OSError as error:
        return f"cannot be started: {error.strerror or error}"


def how_it_ended(returncode: int) -> str:
    """Return an exit code in words: ``ended with code 3``, ``was ended by signal SIGABRT``."""
    if returncode >= 0:
        return f"ended with code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = str(-returncode)
    return f"was ended by signal {name}"


def last_lines(text: str, count: int = 6) -> tuple[str, ...]:
    """Return the last lines of a log that say something; from Paddle Lite's last fatal line on when there is one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = max((index for index, line in enumerate(lines) if line.startswith("[F ")), default=None)
    return tuple(lines[fatal:] if fatal is not None else lines[-count:])[:count]

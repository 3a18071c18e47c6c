"""The external programs of the chain: where they are, which Debian package brings them, and how they are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge_kit.android.errors import ToolFailed, ToolMissing
from model_opt.machine import end_group

TOOLS: Mapping[str, str] = {
    "java": "default-jdk-headless",
    "javac": "default-jdk-headless",
    "keytool": "default-jdk-headless",
    "mvn": "maven",
    "aapt2": "aapt",
    "apksigner": "apksigner",
}
"""Every program that a build with an app runs, and the Debian package that holds it."""

_OF_THE_JDK = ("java", "javac", "keytool")
_FAULTS = (re.compile(r"(error|exception)\b", re.IGNORECASE), re.compile(r"\bwarning\b", re.IGNORECASE))
_TRACE = re.compile(r"\s+(at [\w.$/@]+\(|\.\.\. \d+ more)")
"""Lines of Java's stack traces, which do not help a user."""
_LAST_LINES = 12
_POLL = 0.05
"""Seconds between two polls of a running program."""

OnPoll = Callable[[], None]
"""Called while a program runs; whatever it raises ends the program."""


def find_tool(name: str) -> Path | None:
    """Return the path of program ``name`` (a key of ``TOOLS``), or None. ``JAVA_HOME`` comes before ``PATH``."""
    home = os.environ.get("JAVA_HOME")
    if name in _OF_THE_JDK and home and os.access(Path(home) / "bin" / name, os.X_OK):
        return Path(home) / "bin" / name
    found = shutil.which(name)
    return Path(found) if found else None


def missing_tools(names: Sequence[str] = tuple(TOOLS)) -> tuple[str, ...]:
    """Return those of ``names`` that are not installed."""
    return tuple(name for name in names if find_tool(name) is None)


def require_tools(names: Sequence[str] = tuple(TOOLS)) -> dict[str, Path]:
    """Return the path of each program; ``ToolMissing`` names every absent one and the packages to install."""
    found = {name: find_tool(name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = " ".join(dict.fromkeys(TOOLS[name] for name in missing))
        raise ToolMissing(
            f"the Android app needs programs that are not installed: {', '.join(missing)}",
            hint=f"on Debian: apt-get install {packages}; or build without the app: --no-apk",
        )
    return {name: path for name, path in found.items() if path is not None}


def java_home() -> Path:
    """Return the home of the JDK in use; ``ToolMissing`` when it is no full JDK (``jmods/java.base.jmod``)."""
    home = require_tools(("javac",))["javac"].resolve().parent.parent
    if not (home / "jmods" / "java.base.jmod").is_file():
        raise ToolMissing(
            f"the JDK lacks jmods/java.base.jmod, which shrinking reads: {home}",
            hint="on Debian: apt-get install default-jdk-headless; or build without the app: --no-apk",
        )
    return home


def run_tool(
    what: str,
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    hint: str | None = None,
    on_poll: OnPoll | None = None,
) -> str:
    """Run a program to its end and return what it wrote (both streams, UTF-8).

    ``what`` says for the user what was attempted; ``env`` is added to this process's environment. If ``on_poll``
    raises, the program and its children are ended. Raises ``ToolFailed`` with the program's error lines.
    """
    words = [str(word) for word in command]
    # A fixed locale and zone: messages and file names mean the same on every machine.
    full_env = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(env or {})}
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                words, cwd=cwd, env=full_env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise ToolFailed(f"cannot {what}: {Path(words[0]).name} does not start: {error.strerror}") from error
        try:
            _wait(process, on_poll)
        except BaseException:
            end_group(process)
            raise
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if process.returncode != 0:
        raise ToolFailed(f"cannot {what}: {_message(Path(words[0]).name, process.returncode, said)}", hint=hint)
    return said


def _wait(process: subprocess.Popen[bytes], on_poll: OnPoll | None) -> None:
    if on_poll is None:
        process.wait()
        return
    while process.poll() is None:
        on_poll()
        time.sleep(_POLL)


def _message(name: str, code: int, said: str) -> str:
    """Return the lines of a program's output that report an error, else its last lines; errors come before warnings.

    Warnings stay: ProGuard ends with a plain error because of them.
    """
    lines = [line.rstrip()[:400] for line in said.splitlines() if line.strip() and not _TRACE.match(line)]
    faults = list(dict.fromkeys(line for kind in _FAULTS for line in lines if kind.search(line)))
    return "\n  ".join([f"{name} ended with code {code}", *(faults[:_LAST_LINES] or lines[-_LAST_LINES:])])

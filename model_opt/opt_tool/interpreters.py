"""Where a CPython that paddlelite has wheels for may be found, and whether it really runs.

An interpreter is judged by running it: pyenv's shims, for one, stand on PATH for versions that nobody selected and
fail when they are called.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model_opt.opt_tool.pins import FALLBACK, PINS, PREFERRED, ToolPins
from model_opt.opt_tool.process import ask
from model_opt.resources import cache_dir, expanded, home_dir

SETTING = "EDGE_KIT_OPT_PYTHON"
"""The environment variable that names the interpreter to use; no other is tried then."""

GROUPS = (PREFERRED, FALLBACK)
"""Versions in the order of preference; within a group, what is there comes before what uv would have to install."""

_PROBE_SECONDS = 20.0
_UV_FIND_SECONDS = 30.0
_UV_INSTALL_SECONDS = 600.0

_PROBE = """
import json, platform, struct, sys, sysconfig
print(json.dumps({
    "implementation": platform.python_implementation(),
    "version": platform.python_version(),
    "soabi": sysconfig.get_config_var("SOABI") or "",
    "bits": struct.calcsize("P") * 8,
    "machine": platform.machine(),
    "system": platform.system(),
    "libc": platform.libc_ver()[0],
}))
"""


@dataclass(frozen=True)
class Candidate:
    """An interpreter that may exist: where the name comes from, and its path (None: uv was asked and has none)."""

    source: str
    path: Path | None
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """What came of a candidate: ``opt_version`` is the paddlelite it can run, ``reason`` says why it can or cannot."""

    source: str
    path: Path | None
    ok: bool
    reason: str
    python_version: str | None = None
    opt_version: str | None = None

    def __str__(self) -> str:
        where = f" ({self.path})" if self.path is not None and str(self.path) != self.source else ""
        return f"{self.source}{where}: {self.reason}"


def candidates(*, install: bool) -> Iterator[Candidate]:
    """Yield interpreters in the order of preference, found lazily: the later ones cost a call of uv.

    With ``install``, uv (where present) is asked to install what it does not have. An interpreter named in
    ``EDGE_KIT_OPT_PYTHON`` is the only candidate.
    """
    by_user = named()
    if by_user is not None:
        yield by_user
        return
    for versions in GROUPS:
        for version in versions:
            yield from on_disk(version)
        uv = shutil.which("uv")
        if uv is not None:
            for version in versions:
                yield _uv_find(uv, version)
            if install:
                yield _uv_install(uv, versions[0])


def named() -> Candidate | None:
    """Return the interpreter that the user names in the environment, if any."""
    name = os.environ.get(SETTING)
    return Candidate(SETTING, expanded(shutil.which(name) or name)) if name else None


def on_disk(version: str) -> Iterator[Candidate]:
    """Yield what a look at the disk finds for ``version`` ("3.7"): PATH, pyenv's versions, the kit's own, this one."""
    name = f"python{version}"
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder or ".") / name
        if path.is_file() and os.access(path, os.X_OK):
            yield Candidate(f"{name} on PATH", path.absolute())
    for root in _pyenv_roots():
        for path in sorted((root / "versions").glob(f"{version}.*/bin/python"), key=_newest_first):
            yield Candidate(f"pyenv {path.parent.parent.name}", path)
    for path in sorted(own_installs().glob(f"cpython-{version}.*/bin/{name}"), key=_newest_first):
        yield Candidate(f"{name} installed by uv for the kit", path)
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        yield Candidate("the interpreter of edge-kit", Path(getattr(sys, "_base_executable", sys.executable)))


def own_installs() -> Path:
    """Return the folder for interpreters that the kit lets uv install."""
    return cache_dir() / "tools" / "python"


def _pyenv_roots() -> list[Path]:
    roots = [Path(os.environ["PYENV_ROOT"])] if os.environ.get("PYENV_ROOT") else []
    home = home_dir() / ".pyenv"
    return [*roots, home] if home not in roots else roots


def _newest_first(path: Path) -> list[int]:
    """Order ``.../3.7.16/bin/python`` before ``.../3.7.9/bin/python``."""
    numbers = "".join(c if c.isdigit() else " " for c in path.parent.parent.name.split("-linux")[0]).split()
    return [-int(number) for number in numbers]


def _uv_find(uv: str, version: str) -> Candidate:
    source = f"uv python find {version}"
    done = _run_uv(uv, ["python", "find", version], _UV_FIND_SECONDS)
    if isinstance(done, str):
        return Candidate(source, None, done)
    lines = done.stdout.split("\n")
    return Candidate(source, Path(lines[0].strip())) if lines[0].strip() else Candidate(source, None, "uv named none")


def _uv_install(uv: str, version: str) -> Candidate:
    """Let uv install an interpreter into the cache of the kit."""
    source = f"uv python install {version}"
    done = _run_uv(uv, ["python", "install", version], _UV_INSTALL_SECONDS)
    if isinstance(done, str):
        return Candidate(source, None, done)
    found = sorted(own_installs().glob(f"cpython-{version}.*/bin/python{version}"), key=_newest_first)
    return Candidate(source, found[0]) if found else Candidate(source, None, "uv installed nothing")


def _run_uv(uv: str, arguments: list[str], timeout_s: float) -> subprocess.CompletedProcess[str] | str:
    """Run uv on its own interpreters only (PATH was looked at already); return why it failed as text."""
    allowed = {"UV_PYTHON_DOWNLOADS": "never"}
    if arguments[1] == "install":
        allowed = {"UV_PYTHON_INSTALL_DIR": str(own_installs())}
    done = ask([uv, *arguments], timeout_s, UV_PYTHON_PREFERENCE="only-managed", UV_NO_CONFIG="1", **allowed)
    if isinstance(done, str):
        return f"uv {done}"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return done if done.returncode == 0 else " ".join(lines[-2:]) or f"uv ended with code {done.returncode}"


def examine(candidate: Candidate) -> tuple[Verdict, ToolPins | None]:
    """Run a candidate and say whether paddlelite has wheels for it; never raises for a bad interpreter."""
    if candidate.path is None:
        return Verdict(candidate.source, None, False, candidate.note), None
    found = _probe(candidate.path)
    if isinstance(found, str):
        return Verdict(candidate.source, candidate.path, False, found), None
    version = str(found["version"])
    pins = PINS.get(".".join(version.split(".")[:2]))
    reason = _unfit(found, pins)
    if reason or pins is None:
        return Verdict(candidate.source, candidate.path, False, reason, version), None
    reason = f"CPython {version} runs paddlelite {pins.opt_version}"
    return Verdict(candidate.source, candidate.path, True, reason, version, pins.opt_version), pins


def _unfit(found: dict[str, object], pins: ToolPins | None) -> str:
    """Return why no wheel fits an interpreter, or nothing."""
    version = found["version"]
    if found["implementation"] != "CPython" or pins is None:
        return f"{found['implementation']} {version}: paddlelite has wheels for CPython 3.7 to 3.10 only"
    system = f"{found['system']} {found['machine']} with {found['bits']} bits"
    if (found["system"], found["machine"], found["bits"]) != ("Linux", "x86_64", 64) or found["libc"] != "glibc":
        return f"{system}, C library {found['libc'] or 'unknown'}: the wheels are for 64-bit x86 Linux with glibc"
    if not str(found["soabi"]).startswith(pins.abi):
        return f"CPython {version} is built with the ABI {found['soabi']}, the wheels need {pins.abi}*"
    return ""


def _probe(python: Path) -> dict[str, object] | str:
    """Return what an interpreter says of itself, or why it does not run."""
    done = ask([python, "-I", "-S", "-B", "-c", _PROBE], _PROBE_SECONDS)
    if isinstance(done, str):
        return done
    lines = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    if done.returncode != 0:
        return f"exists but fails with code {done.returncode}: {lines[0] if lines else 'no message'}"
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return f"does not answer like a Python: {lines[0] if lines else 'no output'}"
    return answer if isinstance(answer, dict) else "does not answer like a Python"


def what_to_install() -> str:
    """Return the way out for a machine without a fitting interpreter."""
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        return "run edge-kit on 64-bit x86 Linux (a container will do): Paddle Lite's opt has no wheels elsewhere"
    return (
        f"install CPython 3.7 (pyenv install 3.7, or conda create -n opt python=3.7), or CPython 3.10 for the older "
        f"opt (apt-get install python3.10, or uv python install 3.10), or name an interpreter in {SETTING}"
    )

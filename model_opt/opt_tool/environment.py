"""The isolated environment that Paddle Lite's opt and its x86 engine run in: found or made once, then remembered."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from model_opt.fs import ensure_folder, file_state, write_atomic
from model_opt.opt_tool.convert import ToolEnv
from model_opt.opt_tool.errors import ToolError
from model_opt.opt_tool.interpreters import (
    GROUPS,
    SETTING,
    Candidate,
    Verdict,
    candidates,
    examine,
    named,
    on_disk,
    what_to_install,
)
from model_opt.opt_tool.pins import PINS, ToolPins
from model_opt.opt_tool.process import ask, child_command, how_it_ended, last_lines
from model_opt.resources import cache_dir

_LOAD_SECONDS = 120.0


@dataclass(frozen=True)
class Diagnosis:
    """What ``edge-kit doctor`` shows: every candidate with its verdict, the one that would be used, what to do.

    ``env`` is the ready environment; it is None while the wheels of ``chosen`` are not yet unpacked.
    """

    tried: tuple[Verdict, ...]
    chosen: Verdict | None
    env: ToolEnv | None
    hint: str | None


def find_tool(*, offline: bool = False, install: bool = True) -> ToolEnv:
    """Return the environment for opt; find the interpreter and unpack the pinned wheels at the first call.

    The result is remembered in the cache folder and holds until an interpreter appears, goes or changes. ``offline``
    forbids downloads of wheels and interpreters; without ``install`` uv is not asked for an interpreter either. Raises
    ``ToolError`` when no interpreter fits, naming each that was tried and why it failed, and what ``fetch_wheel``
    raises when a wheel cannot be had.
    """
    key = _state_key()
    remembered = _recall(key)
    if remembered is not None:
        return remembered
    tried: list[Verdict] = []
    for candidate in _distinct(candidates(install=install and not offline)):
        verdict, env = _judge(candidate, partial(_unpacked, offline=offline))
        if env is not None:
            # uv may have installed the interpreter just now, so the state is read again.
            _remember(_state_key(), env)
            return env
        tried.append(verdict)
    raise _nothing_found(tried)


def diagnose() -> Diagnosis:
    """Try every candidate afresh, without downloading or changing anything; never raises for what it finds."""
    judged = [_judge(candidate, _site) for candidate in _distinct(candidates(install=False))]
    chosen, env = next(((verdict, env) for verdict, env in judged if verdict.ok), (None, None))
    return Diagnosis(tuple(verdict for verdict, _ in judged), chosen, env, None if chosen else what_to_install())


def _judge(candidate: Candidate, site_of: Callable[[ToolPins], Path]) -> tuple[Verdict, ToolEnv | None]:
    """Return what comes of a candidate, with its environment when the wheels are unpacked and load."""
    verdict, pins = examine(candidate)
    if pins is None or candidate.path is None or not (site := site_of(pins)).is_dir():
        return verdict, None
    fault = _load_fault(candidate.path, site)
    if fault is not None:
        return replace(verdict, ok=False, reason=fault, opt_version=None), None
    return verdict, ToolEnv(candidate.path, str(verdict.python_version), pins.opt_version, site)


def _distinct(found: Iterable[Candidate]) -> Iterable[Candidate]:
    """Drop later names of an interpreter already seen."""
    seen: set[Path] = set()
    for candidate in found:
        if candidate.path is None or candidate.path not in seen:
            yield candidate
        if candidate.path is not None:
            seen.add(candidate.path)


def _nothing_found(tried: list[Verdict]) -> ToolError:
    lines = "".join(f"\n  - {verdict}" for verdict in tried) or "\n  - no python3.7 to python3.10 on PATH or in pyenv"
    what = f"no Python interpreter here can run Paddle Lite's opt; tried:{lines}"
    if os.environ.get(SETTING):
        return ToolError(what, hint=f"unset {SETTING}, or point it at a CPython 3.7", tried=tried)
    return ToolError(what, hint=what_to_install(), tried=tried)


# --- the folder with the wheels


def _site(pins: ToolPins) -> Path:
    return _place(pins.key)


def _place(key: str) -> Path:
    return cache_dir() / "tools" / key / "site"


def _unpacked(pins: ToolPins, *, offline: bool) -> Path:
    """Return the folder with the pinned wheels unpacked; make it if it is not there."""
    site = _site(pins)

    def fill(folder: Path) -> None:
        from model_opt.wheels import fetch_wheel, unpack_wheels

        unpack_wheels([fetch_wheel(pin, offline=offline) for pin in (pins.opt, pins.numpy)], folder / site.name)

    ensure_folder(site.parent, "unpack the wheels", fill, site.is_dir)
    return site


def _load_fault(python: Path, site: Path) -> str | None:
    """Return why paddlelite does not load from ``site``, or None when it does."""
    done = ask(child_command(python, "check.py", site), _LOAD_SECONDS)
    if isinstance(done, str):
        return f"loading paddlelite: {python} {done}"
    if done.returncode == 0:
        return None
    last = last_lines(done.stdout + "\n" + done.stderr, 1)
    words = last[0] if last else how_it_ended(done.returncode)
    return f"paddlelite does not load from {site}: {words} (if files are missing there, remove the folder)"


# --- what was found the last time


def _memory() -> Path:
    return cache_dir() / "tools" / "found.json"


def _state_key() -> str:
    """Return a sum of all that the choice depends on and that is cheap to look at: settings, files on disk, pins."""
    by_user = named()
    versions = [version for group in GROUPS for version in group]
    found = [by_user] if by_user else [candidate for version in versions for candidate in on_disk(version)]
    state: list[object] = [shutil.which("uv")]
    state += [[candidate.source, str(candidate.path), _identity(candidate.path)] for candidate in found]
    state += [pins.key for pins in PINS.values()]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _identity(path: Path | None) -> list[int]:
    """Return the state of an interpreter's file, nothing when it is not there."""
    try:
        return file_state(path) if path is not None else []
    except OSError:
        return []


def _recall(key: str) -> ToolEnv | None:
    """Return the remembered environment if nothing it rests on has changed."""
    try:
        note = json.loads(_memory().read_bytes())
        env = ToolEnv(Path(note["python"]), note["python_version"], note["opt_version"], _place(note["tool"]))
        valid = note["key"] == key and note["identity"] == _identity(env.python) and env.site.is_dir()
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no note, or one that cannot be read: look again
    return env if valid else None


def _remember(key: str, env: ToolEnv) -> None:
    tool = env.site.parent.name  # and no path: the cache may move, or be shared under another one
    note = {"python": str(env.python), "python_version": env.python_version, "opt_version": env.opt_version}
    text = json.dumps({**note, "tool": tool, "key": key, "identity": _identity(env.python)}, indent=1)
    with suppress(OSError):  # a read-only cache is fine, only slower
        write_atomic(_memory(), text.encode())

"""Writes bundles in processes that are then killed, starved of disk or locked out; reports as JSON on stdout.

usage: python bundle_writer.py MODE FOLDER   (see ``MODES`` below; run by test_output_faults.py)
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from unittest import mock

from edge_kit.build.cache import StageCache
from edge_kit.build.events import Event, StageProgress
from edge_kit.build.files import Json, SealedFile
from edge_kit.build.manifest import Manifest, check_bundle, listed_names
from edge_kit.build.output import Source, write_bundle
from edge_kit.build.runner import running
from edge_kit.build.stage import StageContext
from model_opt import fs
from model_opt.errors import KitError

MANIFEST = Manifest("arm64", "fp32", "generic-arm64", {})
VERSIONS: dict[str, dict[str, Source]] = {
    "A": {"models/det.nb": b"A" * 200_000, "labels.txt": b"A", "only-a/x": b"A" * 10_000},
    "B": {"models/det.nb": b"B" * 210_000, "models/rec.nb": b"B" * 150_000, "labels.txt": b"B"},
}


def state(target: Path) -> str:
    """Say which whole bundle is at ``target``: A, B, "absent", or what is broken."""
    if not os.path.lexists(target):
        return "absent"
    try:
        bad = [(v.path, v.status) for v in check_bundle(target) if v.status != "ok"]
        if bad:
            return f"broken: {bad}"
        version = (target / "labels.txt").read_text()[:1]
        expected = {name: data for name, data in VERSIONS[version].items() if isinstance(data, bytes)}
        found = {name: (target / name).read_bytes() for name in listed_names(target) or ()}
    except (KitError, OSError) as error:
        return f"broken: {error}"
    return version if found == expected else "broken: mixed"


def put(target: Path, version: str) -> None:
    write_bundle(target, VERSIONS[version], MANIFEST)


def in_child(work: Callable[[], None]) -> int:
    """Fork, work, and return the child's process id; its exit code is 1 for a KitError, 3 for other faults."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            work()
            code = 0
        except KitError:
            code = 1
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    """Wait for a child; its exit code, or the signal that ended it as a negative number."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def siblings(target: Path) -> list[str]:
    return sorted(p.name for p in target.parent.iterdir() if p != target)


def unfinished(cache: Path) -> list[str]:
    """Names of results in the cache that no build finished."""
    return [p.name for p in cache.iterdir() if p.name.startswith(".") and p.name != ".locks"] if cache.is_dir() else []


def die_before_call(number: int) -> None:
    """Kill this process right before its ``number``-th call into the operating system."""
    left = number

    def watch(frame: FrameType, event: str, arg: object) -> None:
        nonlocal left
        if event != "c_call":
            return
        owner = getattr(arg, "__self__", None)
        if getattr(arg, "__module__", None) in ("posix", "fcntl") or isinstance(owner, io.IOBase):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.setprofile(watch)


def kill_at_every_call(target: Path) -> dict[str, Json]:
    """Replace A by B (or B by A) once per system call, killed before that call; then see what is left."""
    put(target, "A")
    outcomes = {"old": 0, "new": 0, "absent": 0}
    bad: list[str] = []
    number = 0
    while True:
        old = state(target)
        new = "B" if old == "A" else "A"

        def work(number: int = number, new: str = new) -> None:
            die_before_call(number)
            put(target, new)

        code = ended(in_child(work))
        found = state(target)
        outcomes["old" if found == old else "new" if found == new else "absent"] += 1
        if found == "absent":
            fs.restore_folder(target)  # what the next build begins with
            found = state(target)
        if found not in (old, new):
            bad.append(f"call {number}: {found}")
        if code == 0:
            break
        if code != -signal.SIGKILL:
            bad.append(f"call {number}: the child ended with {code}")
        number += 1
    put(target, "B" if state(target) == "A" else "A")
    return {"calls": number, **outcomes, "bad": bad, "left": siblings(target)}


def kill_at_every_call_without_exchange(target: Path) -> dict[str, Json]:
    mock.patch.object(fs, "exchange", return_value=False).start()
    return kill_at_every_call(target)


def kill_at_random(target: Path) -> dict[str, Json]:
    """Kill a process that writes A and B in turn at random moments."""
    put(target, "A")
    chance = random.Random(20240229)
    seen: dict[str, int] = {}

    def work() -> None:
        while True:
            put(target, "B" if state(target) == "A" else "A")

    for _ in range(60):
        child = in_child(work)
        time.sleep(chance.uniform(0.002, 0.05))
        os.kill(child, signal.SIGKILL)
        ended(child)
        found = state(target)
        seen[found] = seen.get(found, 0) + 1
    put(target, "B" if state(target) == "A" else "A")
    return {"seen": seen, "left": siblings(target)}


@dataclass(frozen=True)
class Files:
    """The files of a version, or the first half of each, by their places in ``VERSIONS``."""

    files: tuple[SealedFile, ...]


def written(context: StageContext, files: dict[str, bytes]) -> Files:
    for name, data in files.items():
        context.progress(None, name)
        (context.out / name).parent.mkdir(parents=True, exist_ok=True)
        (context.out / name).write_bytes(data)
    return Files(tuple(SealedFile.of(context.out / name) for name in files))


def contents(version: str) -> dict[str, bytes]:
    return {name: data for name, data in VERSIONS[version].items() if isinstance(data, bytes)}


def half(context: StageContext, version: str) -> Files:
    return written(context, {name: data[: len(data) // 2] for name, data in contents(version).items()})


def whole(context: StageContext, version: str, first: Files, other: Files) -> Files:
    pairs = zip(contents(version).items(), first.files, strict=True)
    return written(context, {n: part.path.read_bytes() + data[len(data) // 2 :] for (n, data), part in pairs})


def build(target: Path, version: str, on_event: Callable[[Event], None] = lambda event: None) -> None:
    """Make version A or B through three stages and the cache beside the target."""
    cache = StageCache(target.parent / "cache" / "stages")
    with running(cache, jobs=2, on_event=on_event, fingerprint=str) as run:
        first, other = run("half", half, version), run("other", half, version)
        made = run.result(run("whole", whole, version, first, other))
        write_bundle(target, dict(zip(contents(version), made.files, strict=True)), MANIFEST)


def kill_whole_builds(target: Path) -> dict[str, Json]:
    """Kill whole builds, cache included, at random moments; the cache forgets now and then."""
    chance = random.Random(7)
    put(target, "A")
    cache = StageCache(target.parent / "cache" / "stages")
    seen: dict[str, int] = {}
    for turn in range(40):
        if turn % 3 == 0:
            cache.prune(0)
        new = "B" if state(target) == "A" else "A"
        child = in_child(lambda new=new: build(target, new))  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.06))
        os.kill(child, signal.SIGKILL)
        ended(child)
        found = state(target)
        seen[found] = seen.get(found, 0) + 1
    for version in ("A", "B"):
        build(target, version)
        seen[f"after, {version}"] = state(target) == version
    cache.prune(1 << 30)
    return {"seen": seen, "left": [*unfinished(cache.root), *(name for name in siblings(target) if name != "cache")]}


def interrupt(target: Path) -> dict[str, Json]:
    """Send Ctrl-C to a build whose stages are running."""
    put(target, "A")

    def on_event(event: Event) -> None:
        if isinstance(event, StageProgress):
            os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        build(target, "B", on_event)
        outcome = "no interrupt"
    except KeyboardInterrupt:
        outcome = "interrupted"
    left = [*unfinished(target.parent / "cache" / "stages"), *siblings(target)]
    return {"outcome": outcome, "state": state(target), "left": left}


def fault_of(work: Callable[[], None]) -> str:
    """Return what a user would read, or "none"."""
    try:
        work()
    except KitError as error:
        return str(error)
    return "none"


def full_disk(target: Path) -> dict[str, Json]:
    """On a small disk of its own (4 MB, 60 inodes): fill it to many levels, then try to replace A by B."""
    put(target, "A")
    filler = target.parent / "filler"
    errors, bad = [], []
    for free in (0, 4096, 20_000, 100_000, 215_000, 300_000, 350_000):
        space = os.statvfs(target.parent)
        filler.write_bytes(bytes(space.f_bavail * space.f_frsize - free // 4096 * 4096))
        errors.append(fault_of(lambda: put(target, "B")))
        if state(target) != "A" or siblings(target) != ["filler"]:
            bad.append(f"{free} bytes free: {state(target)}, {siblings(target)}")
        stage_error = fault_of(lambda: build(target, "B"))
        errors.append(stage_error)
        if state(target) != "A":
            bad.append(f"{free} bytes free, whole build: {state(target)}")
        cache = target.parent / "cache"
        bad += [f"{free}: {name}" for name in unfinished(cache / "stages")]
        subprocess.run(["rm", "-rf", str(cache)], check=True)
        filler.unlink()
    crowd = target.parent / "crowd"
    crowd.mkdir()
    while os.statvfs(target.parent).f_favail > 3:
        (crowd / str(len(list(crowd.iterdir())))).touch()
    errors.append(fault_of(lambda: put(target, "B")))
    if state(target) != "A" or siblings(target) != ["crowd"]:
        bad.append(f"no inodes: {state(target)}, {siblings(target)}")
    subprocess.run(["rm", "-r", str(crowd)], check=True)
    put(target, "B")
    return {"errors": errors, "bad": bad, "after": state(target), "left": siblings(target)}


def file_size_limit(target: Path) -> dict[str, Json]:
    """Without any privilege: files may not grow beyond 100 kB."""
    put(target, "A")

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        put(target, "B")

    code = ended(in_child(work))
    return {"code": code, "state": state(target), "left": siblings(target)}


def read_only_disk(target: Path) -> dict[str, Json]:
    """On a disk of its own: make it read-only before the build, and between its check and its first write."""
    put(target, "A")
    disk = str(target.parent)
    subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
    early = fault_of(lambda: put(target, "B"))
    states = [state(target)]
    mock.patch.object(os, "access", return_value=True).start()
    late = fault_of(lambda: put(target, "B"))
    states.append(state(target))
    subprocess.run(["mount", "-o", "remount,bind,rw", disk], check=True)
    return {"early": early, "late": late, "states": states, "left": siblings(target)}


def no_permission(target: Path) -> dict[str, Json]:
    """In a folder of another mode: as an ordinary user (root gives itself up first)."""
    put(target, "A")
    target.parent.chmod(0o555)

    def refused(part: str) -> Callable[[], None]:
        def work() -> None:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            if part == "late":
                mock.patch.object(os, "access", return_value=True).start()
            text = fault_of(lambda: put(target, "B"))
            os._exit(1 if "permission" in text else 4)

        return work

    codes: list[Json] = [ended(in_child(refused(part))) for part in ("early", "late")]
    target.parent.chmod(0o755)
    return {"codes": codes, "state": state(target), "left": siblings(target)}


def build_once(target: Path) -> dict[str, Json]:
    """One whole build of version A, logging each stage that really runs."""
    events: list[str] = []
    build(target, "A", lambda event: events.append(type(event).__name__))
    return {"ran": events.count("StageFinished"), "cached": events.count("StageCached")}


MODES = [
    kill_at_every_call,
    kill_at_every_call_without_exchange,
    kill_at_random,
    kill_whole_builds,
    interrupt,
    full_disk,
    file_size_limit,
    read_only_disk,
    no_permission,
    build_once,
]

if __name__ == "__main__":
    mode = next(function for function in MODES if function.__name__ == sys.argv[1])
    sys.stdout.write(json.dumps(mode(Path(sys.argv[2]))) + "\n")

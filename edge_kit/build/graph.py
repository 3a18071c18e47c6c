"""Stages and their scheduler: each stage runs once, after what it needs, side by side with what it doesn't."""

from __future__ import annotations

import errno
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

from edge_kit.build.cache import Facts, StageCache, StageResult, content_key
from edge_kit.build.disk import disk_error
from edge_kit.build.events import (
    Event,
    OnEvent,
    StageCached,
    StageFailed,
    StageFinished,
    StageProgress,
    StageStarted,
)
from model_opt.errors import KitError

Progress: TypeAlias = Callable[[float | None, str], None]
Judge: TypeAlias = Callable[[str, StageResult], None]
"""Told name and result of each stage as soon as it is done; raising ends the build."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


class GraphError(KitError):
    """The stages do not form a graph that can run: a cycle, an unknown need, a name used twice."""


class StageError(KitError):
    """Stage ``stage`` failed because of ``cause``, which ``fault`` tells in the user's words."""

    def __init__(self, stage: str, cause: BaseException, fault: KitError) -> None:
        self.stage = stage
        self.cause = cause
        super().__init__(f"stage {stage!r} failed: {fault.what}", path=fault.path, hint=fault.hint)


class StageCancelled(Exception):
    """Raised inside a stage by ``ctx.progress`` when the build is stopping; let it pass."""


@dataclass(frozen=True)
class StageContext:
    """What a running stage may use.

    ``out``: a fresh, empty folder for its files. ``inputs`` and ``facts``: folder (read only!) and facts of each
    needed stage. ``progress(fraction or None, message)``: tells how far it is, and ends the stage
    (``StageCancelled``) when the build is stopping, so a long stage calls it often.
    """

    out: Path
    inputs: Mapping[str, Path]
    facts: Mapping[str, Facts]
    progress: Progress


@dataclass(frozen=True)
class Stage:
    """One step of a build.

    ``key`` holds everything that determines the result beside the needed stages' outputs: parameters,
    fingerprints of inputs, tool and code versions. ``run`` writes files into ``ctx.out`` (no links), reads only
    ``ctx.inputs`` and what ``key`` names, and returns its facts, a JSON object. It must be deterministic:
    its outputs may hold no time, no absolute path, no random number.
    """

    name: str
    run: Callable[[StageContext], Facts]
    needs: tuple[str, ...] = ()
    key: Mapping[str, str] = field(default_factory=dict)


def order_stages(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages so that each stands behind those it needs; ties keep the given order.

    Raises ``GraphError`` for a bad or repeated name, an unknown need or a cycle (which it spells out).
    """
    known = {stage.name: stage for stage in stages}
    for stage in stages:
        if not _NAME.fullmatch(stage.name):
            raise GraphError(f"{stage.name!r} cannot name a stage", hint="use lower-case letters, digits, - and _")
        if known[stage.name] is not stage:
            raise GraphError(f"two stages are called {stage.name!r}", hint="give each stage its own name")
        for need in stage.needs:
            if need not in known:
                raise GraphError(
                    f"stage {stage.name!r} needs {need!r}, which does not exist",
                    hint="known stages: " + ", ".join(sorted(known)),
                )
    ordered: dict[str, Stage] = {}
    waiting = list(stages)
    while waiting:
        ready = next((s for s in waiting if all(need in ordered for need in s.needs)), None)
        if ready is None:
            cycle = " -> ".join(_cycle(known, ordered, waiting[0].name))
            raise GraphError(f"stages need each other in a circle: {cycle}", hint="remove one of these needs")
        ordered[ready.name] = ready
        waiting.remove(ready)
    return list(ordered.values())


def _cycle(known: Mapping[str, Stage], done: Iterable[str], start: str) -> list[str]:
    """Walk from ``start`` along needs that never get ready until a name comes again."""
    way = [start]
    while True:
        step = next(need for need in known[way[-1]].needs if need not in done)
        if step in way:
            return [*way[way.index(step) :], step]
        way.append(step)


def run_stages(
    stages: Sequence[Stage], cache: StageCache, *, jobs: int, on_event: OnEvent, judge: Judge | None = None
) -> dict[str, StageResult]:
    """Run the stages, at most ``jobs`` at once, and return their results in the order given.

    ``on_event`` is always called in the caller's thread. The result does not depend on ``jobs``. On the first
    failure nothing new starts, running stages are asked to stop, and when they are still ``StageError`` is
    raised (of several failures, that of the stage given first). Ctrl-C and an exception of ``on_event`` or ``judge``
    stop the build in the same way; ``judge`` is called in the caller's thread too, before anything that needs the
    stage starts. Hold ``cache.in_use()`` around this call and the use of the results.
    """
    if jobs < 1:
        raise KitError(f"{jobs} jobs cannot run anything", hint="ask for at least one job")
    ordered = order_stages(stages)
    stop = threading.Event()
    with cache.in_use(), ThreadPoolExecutor(jobs, thread_name_prefix="stage") as pool:
        try:
            results = _drive(_Board(ordered, cache, jobs, pool, stop, SimpleQueue()), on_event, judge)
        finally:
            stop.set()  # leaving the pool's block waits for what still runs
    return {stage.name: results[stage.name] for stage in stages}


@dataclass(frozen=True)
class _Done:
    """A worker is through with a stage."""

    stage: Stage
    future: Future[StageResult]


@dataclass(frozen=True)
class _Board:
    """What the scheduler and its workers share; ``inbox`` is the only way from a worker to the scheduler."""

    ordered: list[Stage]
    cache: StageCache
    jobs: int
    pool: ThreadPoolExecutor
    stop: threading.Event
    inbox: SimpleQueue[Event | _Done]


def _drive(board: _Board, on_event: OnEvent, judge: Judge | None) -> dict[str, StageResult]:
    waiting = list(board.ordered)
    running: set[str] = set()
    results: dict[str, StageResult] = {}
    failures: dict[str, BaseException] = {}
    while True:
        if not failures:
            ready = [stage for stage in waiting if all(need in results for need in stage.needs)]
            for stage in ready[: board.jobs - len(running)]:
                waiting.remove(stage)
                running.add(stage.name)
                _submit(board, stage, {need: results[need] for need in stage.needs})
        if not running:
            break
        message = board.inbox.get()
        if not isinstance(message, _Done):
            on_event(message)
            continue
        name, error = message.stage.name, message.future.exception()
        running.remove(name)
        if error is None:
            results[name] = message.future.result()
            if judge is not None and not failures:
                judge(name, results[name])
        elif not (failures and isinstance(error, StageCancelled)):
            board.stop.set()
            failures[name] = error
            fault = _as_kit_error(error, board.cache.root)
            on_event(StageFailed(name, fault.what, fault.path, fault.hint))
    for stage in board.ordered:
        if stage.name in failures:
            cause = failures[stage.name]
            raise StageError(stage.name, cause, _as_kit_error(cause, board.cache.root)) from cause
    return results


def _submit(board: _Board, stage: Stage, needs: Mapping[str, StageResult]) -> None:
    future = board.pool.submit(_run_stage, board, stage, needs)
    future.add_done_callback(lambda done: board.inbox.put(_Done(stage, done)))


def _run_stage(board: _Board, stage: Stage, needs: Mapping[str, StageResult]) -> StageResult:
    """Find or make the result of one stage (in a worker thread)."""
    key = content_key(stage.name, stage.key, {name: result.digest for name, result in needs.items()})
    found = board.cache.find(stage.name, key)
    if found is not None:
        board.inbox.put(StageCached(stage.name))
        return found
    board.inbox.put(StageStarted(stage.name))
    began = time.monotonic()

    def check_stop() -> None:
        if board.stop.is_set():
            raise StageCancelled(stage.name)

    def progress(fraction: float | None, message: str) -> None:
        check_stop()
        board.inbox.put(StageProgress(stage.name, fraction, message))

    def fill(out: Path) -> Facts:
        check_stop()
        inputs = {name: result.folder for name, result in needs.items()}
        facts = {name: result.facts for name, result in needs.items()}
        return stage.run(StageContext(out, inputs, facts, progress))

    result, by_another = board.cache.make(stage.name, key, fill, check_stop)
    seconds = time.monotonic() - began
    board.inbox.put(StageCached(stage.name) if by_another else StageFinished(stage.name, seconds))
    return result


def _as_kit_error(cause: BaseException, cache_root: Path) -> KitError:
    if isinstance(cause, KitError):
        return cause
    if isinstance(cause, OSError):
        # A write that fails tells no name; a stage writes below the cache.
        unnamed = cache_root if cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) else None
        where = Path(cause.filename) if isinstance(cause.filename, str) else unnamed
        return disk_error(cause, "reading or writing a file", where)
    return KitError(
        f"{type(cause).__name__}: {cause}",
        hint="this is a fault of the kit, not of your input: please report it with the traceback",
    )

"""Runs the stages of a build: each once, after those it depends on, in parallel with the others.

A build reads as straight-line code: ``run(name, function, ...)`` plans a stage and returns a promise of its result,
which other stages take as an argument; that states the dependency. ``run.result(promise)`` runs stages until the result
is available.
"""

from __future__ import annotations

import errno
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar, cast, get_type_hints

from edge_kit.build.cache import StageCache, StageResult, content_key
from edge_kit.build.codec import Promise, decode, encode, key_of, promises_in, resolve
from edge_kit.build.events import (
    Event,
    OnEvent,
    StageCached,
    StageFailed,
    StageFinished,
    StageProgress,
    StageStarted,
)
from edge_kit.build.files import Json
from edge_kit.build.fingerprint import read_sources
from edge_kit.build.stage import StageCancelled, StageContext, used_by
from model_opt.errors import KitError
from model_opt.fs import disk_error

P = ParamSpec("P")
T = TypeVar("T")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


class PlanError(KitError):
    """A stage cannot be planned: a bad name, a name used twice, or a promise of another build."""


class StageError(KitError):
    """Stage ``stage`` failed because of ``cause``, which ``fault`` explains to the user."""

    def __init__(self, stage: str, cause: BaseException, fault: KitError) -> None:
        self.stage = stage
        self.cause = cause
        super().__init__(f"stage {stage!r} failed: {fault.what}", path=fault.path, hint=fault.hint)


@dataclass(frozen=True)
class _Call:
    """A planned stage: its function, the arguments with promises in them, the stages it needs, and its key so far."""

    name: str
    function: Callable[..., object]
    arguments: tuple[object, ...]
    options: Mapping[str, object]
    needs: tuple[str, ...]
    key: Mapping[str, Json]


@dataclass(frozen=True)
class _Done:
    """A worker has finished a stage."""

    name: str
    future: Future[StageResult]


class Runner:
    """Plans stages and runs them, at most ``jobs`` at once; made by ``running``. Not for use from several threads.

    ``fingerprint`` gives the code part of the key for the module of a stage's function.
    """

    def __init__(self, cache: StageCache, jobs: int, on_event: OnEvent, fingerprint: Callable[[str], str]) -> None:
        if jobs < 1:
            raise KitError(f"{jobs} jobs cannot run anything", hint="ask for at least one job")
        self._cache, self._jobs, self._on_event, self._fingerprint = cache, jobs, on_event, fingerprint
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="stage")
        self._stop = threading.Event()
        self._inbox: SimpleQueue[Event | _Done] = SimpleQueue()
        self._calls: dict[str, _Call] = {}
        self._waiting: list[_Call] = []
        self._running: set[str] = set()
        self._results: dict[str, StageResult] = {}
        self._failures: dict[str, BaseException] = {}

    def __call__(
        self, name: str, function: Callable[Concatenate[StageContext, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Plan the stage ``name`` and return a promise of its result, to be given to other stages and to ``result``.

        Arguments may hold promises anywhere in tuples, mappings and dataclasses. Files among them are read now, for
        the key. Raises ``PlanError`` for a bad name, and ``KitError`` for an argument that has no key.
        """
        if not _NAME.fullmatch(name):
            raise PlanError(f"{name!r} cannot name a stage", hint="use lower-case letters, digits, - and _")
        if name in self._calls:
            raise PlanError(f"two stages are called {name!r}", hint="give each stage its own name")
        needs = tuple(dict.fromkeys(promise.stage for promise in promises_in((args, kwargs))))
        for need in needs:
            if need not in self._calls:
                raise PlanError(f"stage {name!r} needs {need!r}, which this build has not planned")
        key = {
            "code": self._fingerprint(function.__module__),
            "function": function.__qualname__,
            "arguments": key_of((args, kwargs)),
            "uses": key_of(used_by(function)),
        }
        call = _Call(name, function, args, kwargs, needs, key)
        self._calls[name] = call
        self._waiting.append(call)
        return cast("T", Promise(name))

    def result(self, promise: T) -> T:
        """Run stages until the promised result is available and return it; promises inside a value are resolved too.

        Independent stages run in parallel, in the order of planning. On the first failure nothing new starts, running
        stages are asked to stop, and once they have, ``StageError`` is raised (of several failures, that of the stage
        planned first). Events are delivered in the caller's thread; an exception there, or Ctrl-C, stops the build in
        the same way.
        """
        for needed in promises_in(promise):
            while needed.stage not in self._results:
                self._work()
        return resolve(promise, self._value)

    def close(self) -> None:
        """Ask running stages to stop and wait for them."""
        self._stop.set()
        self._pool.shutdown(wait=True)

    def _work(self) -> None:
        """Start what can start and deal with one message of a worker."""
        if not self._failures:
            ready = [call for call in self._waiting if all(need in self._results for need in call.needs)]
            for call in ready[: self._jobs - len(self._running)]:
                self._start(call)
        if not self._running:
            self._raise_failure()
        message = self._inbox.get()
        if not isinstance(message, _Done):
            self._on_event(message)
            return
        self._running.remove(message.name)
        error = message.future.exception()
        if error is None:
            self._results[message.name] = message.future.result()
        elif not (self._failures and isinstance(error, StageCancelled)):
            self._stop.set()
            self._failures[message.name] = error
            fault = _as_kit_error(error, self._cache.root)
            self._on_event(StageFailed(message.name, fault.what, fault.path, fault.hint))

    def _raise_failure(self) -> None:
        """Raise the failure of the stage that was planned first."""
        name = next(name for name in self._calls if name in self._failures)
        cause = self._failures[name]
        raise StageError(name, cause, _as_kit_error(cause, self._cache.root)) from cause

    def _start(self, call: _Call) -> None:
        self._waiting.remove(call)
        self._running.add(call.name)
        needs = {need: self._results[need] for need in call.needs}
        future = self._pool.submit(self._make, call, needs)
        future.add_done_callback(lambda done: self._inbox.put(_Done(call.name, done)))

    def _make(self, call: _Call, needs: Mapping[str, StageResult]) -> StageResult:
        """Find or make the result of one stage (in a worker thread)."""
        key = content_key(call.name, call.key, {name: result.digest for name, result in needs.items()})
        found = self._cache.find(call.name, key)
        if found is not None:
            self._inbox.put(StageCached(call.name))
            return found
        self._inbox.put(StageStarted(call.name))
        began = time.monotonic()

        def check_stop() -> None:
            if self._stop.is_set():
                raise StageCancelled(call.name)

        def progress(fraction: float | None, message: str) -> None:
            check_stop()
            self._inbox.put(StageProgress(call.name, fraction, message))

        def fill(out: Path) -> Json:
            check_stop()
            arguments, options = resolve((call.arguments, call.options), self._value)
            return encode(call.function(StageContext(out, progress), *arguments, **options), out)

        result, by_another = self._cache.make(call.name, key, fill, check_stop)
        seconds = time.monotonic() - began
        self._inbox.put(StageCached(call.name) if by_another else StageFinished(call.name, seconds))
        return result

    def _value(self, stage: str) -> Any:
        """Return the typed result of a stage that is done."""
        result = self._results[stage]
        return decode(get_type_hints(self._calls[stage].function)["return"], result.value, result.folder)


@contextmanager
def running(
    cache: StageCache, *, jobs: int, on_event: OnEvent, fingerprint: Callable[[str], str] | None = None
) -> Iterator[Runner]:
    """Give a runner whose results stay in the cache, at least until the block ends; leaving it stops what still runs.

    ``fingerprint`` defaults to the import closure of a module of this kit, as its sources are now.
    """
    runner = Runner(cache, jobs, on_event, fingerprint or read_sources().fingerprint)
    with cache.in_use():
        try:
            yield runner
        finally:
            runner.close()


def _as_kit_error(cause: BaseException, cache_root: Path) -> KitError:
    if isinstance(cause, KitError):
        return cause
    if isinstance(cause, OSError):
        # A write that fails names no file; a stage writes below the cache.
        unnamed = cache_root if cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) else None
        where = Path(cause.filename) if isinstance(cause.filename, str) else unnamed
        return disk_error(cause, "read or write a file", where)
    return KitError(
        f"{type(cause).__name__}: {cause}",
        hint="this is a bug in the kit, not in your input: please report it with the traceback",
    )

"""The worker processes and the requests that wait for them.

Each worker answers one request at a time. One that dies, is too slow or too large is replaced; the request it was
busy with is refused, and no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from edge_kit.serve.errors import RequestError
from edge_kit.serve.metrics import Metrics
from edge_kit.serve.settings import Limits, ServeSettings
from edge_kit.wire import WorkerGone, pack, receive_message, worker_command, worker_environment
from model_opt.errors import KitError

MEMORY_SECONDS = 0.25
"""How often the workers' memory is looked at."""

MAX_PAUSE = 10.0
"""Longest pause in seconds between two starts of a worker that fail."""

START_SECONDS = 600.0
"""How long a worker may take to load its models; the first may have to fetch them."""


@dataclass(frozen=True)
class Reply:
    """What a worker answered: the HTTP status and more, and the body."""

    header: Mapping[str, Any]
    body: bytes


@dataclass(frozen=True, eq=False)
class Job:
    """A request that waits for an answer until ``deadline`` (the event loop's time)."""

    header: Mapping[str, Any]
    body: bytes
    deadline: float
    reply: asyncio.Future[Reply] = field(repr=False)

    def refuse(self, error: KitError) -> None:
        """Answer with an error, unless the client has left."""
        if not self.reply.done():
            self.reply.set_exception(error)


class Waiting:
    """Requests in the order they came, at most ``bound``."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._jobs: deque[Job] = deque()
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job) -> bool:
        """Append a request; return whether there was room."""
        if len(self._jobs) >= self._bound:
            return False
        self._jobs.append(job)
        self._some.set()
        return True

    def discard(self, job: Job) -> bool:
        """Take a request out; return whether it was still waiting."""
        if job not in self._jobs:
            return False
        self._jobs.remove(job)
        return True

    def take(self) -> Job | None:
        """Return the oldest request, None when there is none."""
        if self._jobs:
            return self._jobs.popleft()
        self._some.clear()
        return None

    async def some(self) -> None:
        """Wait until a request may be there."""
        await self._some.wait()


class Worker:
    """A worker process as the front process sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid
        self.exited = asyncio.create_task(process.wait())
        self.end_reason = ""
        """Why it ended or will end: ``died``, ``memory``, ``deadline``, ``start``, ``close``; empty while it runs."""

    @classmethod
    async def start(cls, settings: ServeSettings) -> Worker:
        """Start a process and send it the settings."""
        process = await asyncio.create_subprocess_exec(
            *worker_command(settings.worker), stdin=PIPE, stdout=PIPE, limit=1 << 20, start_new_session=True,
            env=worker_environment(settings.worker_threads),
        )  # fmt: skip
        worker = cls(process)
        with contextlib.suppress(WorkerGone):
            await worker._send(settings.for_worker(), b"")
        return worker

    async def ready(self) -> None:
        """Wait until the models are loaded. Raises ``KitError`` with the worker's own message, ``WorkerGone``."""
        reply = await asyncio.wait_for(self._receive(), START_SECONDS)
        if "failed" in reply.header:
            raise KitError(reply.header["failed"])

    async def call(self, header: Mapping[str, Any], body: bytes) -> Reply:
        """Send one request and return the reply. Raises ``WorkerGone``."""
        await self._send(header, body)
        return await self._receive()

    def memory(self) -> int:
        """Return the resident bytes of the process, 0 when it has ended."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def kill(self, reason: str) -> None:
        """End the process, and what it started, at once."""
        self.end_reason = self.end_reason or reason
        if self.exited.done():
            return
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()

    async def _send(self, header: Mapping[str, Any], body: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(pack(header, body))
            self._process.stdin.write(body)
            await self._process.stdin.drain()
        except (OSError, RuntimeError) as error:
            raise WorkerGone("the worker ended") from error

    async def _receive(self) -> Reply:
        assert self._process.stdout is not None
        try:
            return Reply(*await receive_message(self._process.stdout))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerGone("the worker ended") from error


class Pool:
    """All workers, and the queue in front of them."""

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._limits: Limits = settings.limits
        self._metrics = metrics
        self._waiting = Waiting(settings.limits.queue)
        self._workers: dict[int, Worker] = {}
        self._busy: dict[int, Job] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._mean_seconds = 1.0
        self.failure: asyncio.Future[KitError] = asyncio.get_running_loop().create_future()
        """Set when no worker can be started at all: the service should end with this error."""
        self.first_ready = asyncio.Event()
        """Set when a worker has its models loaded for the first time."""

    def start(self) -> None:
        """Start the workers; requests may come at once and wait."""
        slots = range(self._settings.worker_count)
        self._tasks = [asyncio.create_task(self._run_slot(slot)) for slot in slots]
        self._tasks.append(asyncio.create_task(self._watch_memory()))

    async def close(self) -> None:
        """Refuse what still waits and end the workers."""
        self.refuse_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def refuse_all(self) -> None:
        """Answer everything that waits or runs with 503: the service ends."""
        error = RequestError(503, "the service is shutting down", retry_after=self.expected_wait())
        while (job := self._waiting.take()) is not None:
            job.refuse(error)
        for job in self._busy.values():
            job.refuse(error)

    @property
    def ready_workers(self) -> int:
        """Workers with their models loaded."""
        return len(self._workers)

    def expected_wait(self) -> int:
        """Return about how many seconds a new request would wait, from 1 to 60."""
        ahead = (len(self._waiting) + 1) * self._mean_seconds / max(1, self.ready_workers)
        return min(60, max(1, math.ceil(ahead)))

    async def answer(self, header: Mapping[str, Any], body: bytes, deadline: float) -> Reply:
        """Return a worker's reply to a request; ``deadline`` is a time of the event loop.

        Raises ``RequestError``: 429 when too many wait, 503 when the deadline passed in the queue or the worker died,
        504 when it passed in the worker.
        """
        loop = asyncio.get_running_loop()
        job = Job(header, body, deadline, loop.create_future())
        if not self._waiting.add(job):
            raise RequestError(429, "too many requests are waiting", retry_after=self.expected_wait())
        self._metrics.waiting.set(len(self._waiting))
        timer = loop.call_at(job.deadline, self._expire, job)
        try:
            return await job.reply
        finally:
            timer.cancel()
            self._waiting.discard(job)
            self._metrics.waiting.set(len(self._waiting))

    def _expire(self, job: Job) -> None:
        if self._waiting.discard(job):
            job.refuse(RequestError(503, "no worker was free before the deadline", retry_after=self.expected_wait()))

    async def _run_slot(self, slot: int) -> None:
        """Keep one worker alive until cancelled; wait longer after each start that failed."""
        failures = 0
        while True:
            worker = await Worker.start(self._settings)
            try:
                failures = 0 if await self._load(worker) else failures + 1
                if failures == 0:
                    await self._serve(slot, worker)
            finally:
                self._workers.pop(slot, None)
                self._metrics.workers.set(len(self._workers))
                worker.kill("died" if worker.exited.done() else "close")
                await worker.exited
            self._metrics.worker_ends.labels(worker.end_reason).inc()
            if failures:
                await asyncio.sleep(min(MAX_PAUSE, 0.5 * 2**failures))

    async def _load(self, worker: Worker) -> bool:
        """Return whether the worker is ready; a failure before any worker was is the service's."""
        try:
            await worker.ready()
        except (KitError, asyncio.TimeoutError) as error:
            worker.end_reason = "start"
            worker.kill("start")
            if not self.first_ready.is_set() and not self.failure.done():
                own_message = isinstance(error, KitError) and not isinstance(error, WorkerGone)
                self.failure.set_result(error if own_message else KitError("a worker process did not start"))  # type: ignore[arg-type]
            return False
        self.first_ready.set()
        return True

    async def _serve(self, slot: int, worker: Worker) -> None:
        """Give the worker one request after another until it ends."""
        self._workers[slot] = worker
        self._metrics.workers.set(len(self._workers))
        while not worker.exited.done():
            job = self._waiting.take()
            if job is None:
                news = asyncio.create_task(self._waiting.some())
                try:
                    await asyncio.wait({news, worker.exited}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    news.cancel()
                continue
            self._busy[slot] = job
            try:
                await self._handle(worker, job)
            finally:
                del self._busy[slot]

    async def _handle(self, worker: Worker, job: Job) -> None:
        """Have one request answered; a worker that must not go on is killed."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            reply = await asyncio.wait_for(worker.call(job.header, job.body), job.deadline - begin)
        except asyncio.TimeoutError:
            worker.kill("deadline")
            job.refuse(RequestError(504, f"not done within {self._limits.seconds:g} seconds"))
        except WorkerGone:
            worker.kill("died")
            why = "needed more memory than a worker may have" if worker.end_reason == "memory" else "ended"
            job.refuse(RequestError(503, f"the worker process of this request {why}", retry_after=1))
        else:
            self._mean_seconds += 0.1 * (loop.time() - begin - self._mean_seconds)
            if not job.reply.done():
                job.reply.set_result(reply)
            return
        await worker.exited

    async def _watch_memory(self) -> None:
        """Kill a worker that holds more than its limit, busy or not."""
        while True:
            for slot, worker in list(self._workers.items()):
                held = worker.memory()
                self._metrics.worker_memory.labels(str(slot)).set(held)
                if held > self._limits.worker_memory:
                    worker.kill("memory")
            await asyncio.sleep(MEMORY_SECONDS)

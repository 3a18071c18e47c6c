"""Worker processes on this machine. One that dies is replaced; the input that it read twice in vain gets its error."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

from edge_kit.batch.inputs import Entry
from edge_kit.batch.rows import Answer, lost_entry
from edge_kit.batch.work import Work
from edge_kit.scheduling import in_order
from edge_kit.wire import WorkerGone, read_message, send_message, worker_command, worker_environment
from model_opt.errors import KitError
from model_opt.machine import end_group

AHEAD = 16
"""Inputs that may be read before their turn, for each worker: a long document does not stop the others."""


class Lane:
    """One worker process at a time, and its replacements. For one thread; ``close`` may come from another."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._closed = False
        self._process = self._start()

    def ready(self) -> None:
        """Wait until the models are loaded. Raises ``KitError`` with the worker's own error message."""
        try:
            header, _ = self._receive()
        except WorkerGone as error:
            why = f"a worker process did not start: {error.what}"
            raise KitError(
                why, hint="fewer --workers need less memory; 'edge-kit doctor' checks the engines"
            ) from error
        if "failed" in header:
            raise KitError(header["failed"])

    def ask(self, entry: Entry) -> Answer:
        """Return the rows of an entry; the second worker that dies of it makes them its error."""
        for _ in range(2):
            try:
                self._send(entry.to_dict())
                header, lines = self._receive()
                return Answer(entry.index, header["rows"], header["failed"], lines)
            except WorkerGone as gone:
                why = gone.what
                self._replace()
        return lost_entry(entry, self._work.engine, f"the worker process ended while it read this file: {why}")

    def close(self) -> None:
        """End the process at once."""
        with self._lock:
            self._closed = True
            _end(self._process)

    def _replace(self) -> None:
        with self._lock:
            _end(self._process)
            if self._closed:
                raise KitError("the run has ended")
            self._process = self._start()
        self.ready()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            worker_command(self._work.module), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env=worker_environment(self._work.threads), cwd=self._work.folder,
        )  # fmt: skip
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # ``ready`` finds that it has ended
            send_message(process.stdin, {"settings": list(self._work.settings)})
        return process

    def _send(self, header: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            send_message(self._process.stdin, header)
        except (OSError, ValueError) as error:
            raise WorkerGone(self._end_reason()) from error

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdout is not None
        try:
            message = read_message(self._process.stdout)
        except (OSError, ValueError) as error:
            raise WorkerGone(self._end_reason()) from error
        if message is None:
            raise WorkerGone(self._end_reason())
        return message

    def _end_reason(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        if code is None:
            return "it closed its output"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def run_local(entries: Iterator[Entry], work: Work, workers: int) -> Iterator[Answer]:
    """Yield the answer to each entry, in order, from that many worker processes.

    Raises ``KitError`` when no worker can be started at all. However it ends, no worker is left.
    """
    lanes: list[Lane] = []
    idle: SimpleQueue[Lane] = SimpleQueue()

    def ask(entry: Entry) -> Answer:
        lane = idle.get()
        try:
            return lane.ask(entry)
        finally:
            idle.put(lane)

    def close() -> None:
        for lane in lanes:
            lane.close()

    try:
        for _ in range(workers):
            lanes.append(Lane(work))
        for lane in lanes:
            lane.ready()
            idle.put(lane)
        with contextlib.closing(in_order(entries, ask, workers, AHEAD * workers, close)) as answered:  # type: ignore[type-var]
            for _, answer in answered:
                yield answer
    finally:
        close()


def _end(process: subprocess.Popen[bytes]) -> None:
    end_group(process)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()

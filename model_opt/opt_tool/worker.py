"""A warm child process that runs one x86 ``.nb`` model with Paddle Lite's own kernels; tensors go over pipes.

The protocol is described in ``child/serve.py``. Standard output and error of the child are Paddle Lite's log; they go
to an unnamed file, whose last lines explain why a worker died.
"""

from __future__ import annotations

import math
import os
import select
import struct
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from model_opt.errors import KitError
from model_opt.machine import end_group
from model_opt.opt_tool.convert import ToolEnv
from model_opt.opt_tool.process import child_command, child_environment, how_it_ended, last_lines

KEPT_BYTES = 160 << 20
"""Memory that a worker's idle predictors may hold.

Measured: a predictor takes about 1.2 KB for each pixel of the detector's input and 9.5 KB for each of the
recogniser's (det 640x640: 0.5 GB, 960x960: 1.1 GB; rec 48x320: 0.15 GB, 48x1280: 0.56 GB), so a count of shapes would
bound nothing. A new predictor costs 15 ms, and its first run a third more than a later one: forgetting one is cheap.
This bound keeps one recogniser of 48x320, the width of every short line, and leaves a detector of 960x960 at work
beside an idle recogniser below 1.5 GB together.
"""

_TENSOR = b"EKTENSOR"
_FAILED = b"EKFAILED"
_HEADER = struct.Struct("<8sII")
_START_SECONDS = 60.0
_CHUNK = 1 << 20
_LOG_TAIL = 1 << 16


class WorkerFault(KitError):
    """The worker gave no answer: it died, refused, or ran out of time. It cannot be asked again.

    ``words`` are the last lines it wrote, ``returncode`` its exit code (negative: the signal) when it is gone.
    """

    def __init__(self, what: str, *, hint: str, words: tuple[str, ...] = (), returncode: int | None = None) -> None:
        self.words = words
        self.returncode = returncode
        said = "; its last output:" + "".join(f"\n    {line}" for line in words) if words else "; it left no message"
        super().__init__(f"the Paddle Lite worker {what}{said}", hint=hint)


class LiteWorker:
    """One child process with its two pipes and its log. Not for use from several threads at once.

    ``stop`` ends the process and frees the pipes; it runs by itself when the object is dropped and when the
    interpreter exits, and a second call is harmless.
    """

    def __init__(self, model: Path, env: ToolEnv, *, kept_bytes: int = KEPT_BYTES) -> None:
        """Start a worker on the ``.nb`` file ``model``; raises ``KitError`` when the interpreter cannot be started."""
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="edge-kit-lite-")  # noqa: SIM115  stop() closes it
        self._reply, reply_end = os.pipe()
        request_end, self._request = os.pipe()
        arguments = (env.site, model.absolute(), str(kept_bytes), str(reply_end))
        try:
            self._process = subprocess.Popen(
                child_command(env.python, "serve.py", *arguments),
                # Large blocks of memory go back to the system as soon as a predictor is freed.
                env=child_environment(MALLOC_MMAP_THRESHOLD_="65536"),
                stdin=request_end,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=(reply_end,),
                start_new_session=True,
            )
        except OSError as error:
            _close(self._log, self._request, self._reply)
            raise KitError(
                f"the interpreter for Paddle Lite cannot be started: {error.strerror or error}",
                path=env.python,
                hint="see what 'edge-kit doctor' says",
            ) from error
        finally:
            os.close(reply_end)
            os.close(request_end)
        self.stop = weakref.finalize(self, _end, self._process, self._log, self._request, self._reply, os.getpid())
        os.set_blocking(self._request, False)
        os.set_blocking(self._reply, False)
        self._loaded = False

    @property
    def pid(self) -> int:
        """The process id of the child."""
        return self._process.pid

    def alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.poll() is None

    def ask(self, x: NDArray[np.float32], timeout_s: float) -> NDArray[np.float32]:
        """Send the input tensor (float32, any shape) and return the model's first output.

        Raises ``WorkerFault`` when there is no answer within ``timeout_s`` (the first call may take longer by the
        time to load). The worker is of no use afterwards: stop it.
        """
        if not self._loaded:
            self._receive(time.monotonic() + _START_SECONDS)
            self._loaded = True
        deadline = time.monotonic() + timeout_s
        os.ftruncate(self._log.fileno(), 0)
        os.lseek(self._log.fileno(), 0, os.SEEK_SET)
        self._send(_HEADER.pack(_TENSOR, x.ndim, 0) + struct.pack(f"<{x.ndim}q", *x.shape), deadline)
        self._send(np.ascontiguousarray(x, dtype="<f4").tobytes(), deadline)
        return self._receive(deadline)

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._request, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._request, view[:_CHUNK]) :]
            except BlockingIOError:
                continue  # the pipe has room for less than it takes at once: wait again
            except BrokenPipeError:
                raise self._death() from None

    def _receive(self, deadline: float) -> NDArray[np.float32]:
        kind, ndim, _ = _HEADER.unpack(self._read(_HEADER.size, deadline))
        if kind not in (_TENSOR, _FAILED):
            raise WorkerFault("answered out of turn", hint="run again", words=self._words())
        shape = struct.unpack(f"<{ndim}q", self._read(8 * ndim, deadline))
        if kind == _FAILED:
            text = self._read(shape[0], deadline).decode("utf-8", errors="replace")
            raise WorkerFault("refused to run", hint="check the model with --engine server", words=(text,))
        data = self._read(4 * math.prod(shape), deadline)
        return np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float32, copy=False)

    def _read(self, count: int, deadline: float) -> bytearray:
        data = bytearray(count)
        view = memoryview(data)
        while view:
            self._wait(self._reply, select.POLLIN, deadline)
            got = os.readv(self._reply, [view[:_CHUNK]])
            if got == 0:
                raise self._death()
            view = view[got:]
        return data

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        """Wait until ``fd`` is ready or its other end is gone."""
        poll = select.poll()
        poll.register(fd, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(math.ceil(left * 1000)):
            hint = "the input may be very large or the machine busy: allow more time, or use --engine server"
            raise WorkerFault("did not answer in time", hint=hint, words=self._words())

    def _death(self) -> WorkerFault:
        """Say how the process ended: it closed its pipe, so it is gone or about to go."""
        hint = "the model may not take an input of this shape: see what --engine server says to it"
        try:
            returncode = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return WorkerFault("closed its pipe", hint=hint, words=self._words())
        if returncode == -9:
            hint = "the system may have run out of memory: use a smaller image, or --engine server"
        return WorkerFault(how_it_ended(returncode), hint=hint, words=self._words(), returncode=returncode)

    def _words(self) -> tuple[str, ...]:
        fd = self._log.fileno()
        start = max(os.fstat(fd).st_size - _LOG_TAIL, 0)
        return last_lines(os.pread(fd, _LOG_TAIL, start).decode("utf-8", errors="replace"))


def _end(process: subprocess.Popen[bytes], log: IO[bytes], request: int, reply: int, owner: int) -> None:
    """End a worker and free its pipes; in a forked copy of the starting process leave the worker alone."""
    if os.getpid() == owner:
        end_group(process)
    _close(log, request, reply)


def _close(log: IO[bytes], request: int, reply: int) -> None:
    log.close()
    os.close(request)
    os.close(reply)

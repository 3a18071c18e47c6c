"""The lite_x86 engine: a model converted for x86 and run by Paddle Lite's own kernels in a worker process."""

from __future__ import annotations

import threading
from pathlib import Path

from edge_kit.engines.base import (
    EngineError,
    EngineOptions,
    Float32Array,
    check_input,
    check_output,
)
from edge_kit.engines.devices import check_device
from model_opt.convert import ConvertOptions, converted
from model_opt.nb import guard_place, guard_version, inspect_nb, read_nb
from model_opt.opt_tool import ToolEnv, find_tool
from model_opt.opt_tool.worker import LiteWorker, WorkerFault
from model_opt.zoo import ModelFiles


class LiteX86Engine:
    """Paddle Lite's x86 kernels on one model; one run at a time, from any thread.

    The worker process starts with the first run and stays warm. When it dies during a run, that run fails with the
    worker's final output and the next run starts another; a worker that died in between is replaced silently.
    ``EngineOptions.threads`` has no effect: Paddle Lite's Python interface has no setting for it, and its x86 kernels
    were measured to use one thread whatever OMP_NUM_THREADS says.
    """

    name = "lite_x86"

    def __init__(
        self, model: ModelFiles, options: EngineOptions, *, env: ToolEnv | None = None, timeout_s: float = 300.0
    ) -> None:
        """Make an engine on a Paddle model, converted for x86 unless the cache has it.

        ``env`` is the tool environment (default: ``find_tool()``), ``timeout_s`` the limit of one run. Raises
        ``EngineError`` for a device other than the CPU, ``ToolError`` and ``OptError`` when opt is not available or
        cannot convert the model.
        """
        _refuse_other_devices(options)
        env = env or find_tool(offline=options.offline)
        path = converted(model, ConvertOptions(place="x86"), env)
        self._setup(path, _guarded(path, env), env, timeout_s)

    @classmethod
    def from_nb(
        cls, path: Path, options: EngineOptions, *, env: ToolEnv | None = None, timeout_s: float = 300.0
    ) -> LiteX86Engine:
        """Make an engine on a ``.nb`` file for x86 by the tool's version of opt; ``NbError`` for any other file."""
        _refuse_other_devices(options)
        env = env or find_tool(offline=options.offline)
        engine = cls.__new__(cls)
        engine._setup(path, _guarded(path, env), env, timeout_s)
        return engine

    def _setup(self, path: Path, channels: int | None, env: ToolEnv, timeout_s: float) -> None:
        self._path = path
        self._channels = channels
        self._env = env
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._worker: LiteWorker | None = None
        self._closed = False

    def run(self, x: Float32Array) -> Float32Array:
        """Run the model on float32 NCHW and return its first output; see ``Engine.run``."""
        x = check_input(x, engine=self.name)
        if self._channels not in (None, x.shape[1]):
            # Paddle Lite would read the weights past their end and answer.
            raise EngineError(
                f"engine {self.name} got {x.shape[1]} channels, the model takes {self._channels}",
                path=self._path,
                hint="prepare the input with edge_kit.ocr: [n, c, h, w]",
            )
        with self._lock:
            y = self._ask(x)
        return check_output(y, engine=self.name, model=self._path)

    def _ask(self, x: Float32Array) -> Float32Array:
        if self._closed:
            raise EngineError("the engine was closed", path=self._path)
        if self._worker is not None and not self._worker.alive():
            self._drop()
        if self._worker is None:
            self._worker = LiteWorker(self._path, self._env)
        try:
            return self._worker.ask(x, self._timeout_s)
        except WorkerFault as fault:
            self._drop()
            shape = "x".join(map(str, x.shape))
            raise EngineError(
                f"no answer to an input of {shape}: {fault.what}", path=self._path, hint=fault.hint
            ) from fault
        except BaseException:
            self._drop()  # an exchange that was interrupted half way cannot be taken up again
            raise

    def close(self) -> None:
        """End the worker; calling it twice is harmless."""
        with self._lock:
            self._closed = True
            self._drop()

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
        self._worker = None


def _refuse_other_devices(options: EngineOptions) -> None:
    check_device(options.device, "lite_x86")


def _guarded(path: Path, env: ToolEnv) -> int | None:
    """Return the input channels that the ``.nb`` file at ``path`` states, None when it leaves them open.

    Raises ``NbError`` unless the file is complete, for x86, and by the version of opt that ``env`` has: Paddle Lite
    checks none of it, a file for ARM runs here and answers garbage.
    """
    model = read_nb(path)
    guard_place(model, "x86")
    guard_version(model, env.opt_version)
    inputs = inspect_nb(model).inputs
    dims = (inputs[0].shape if inputs else None) or ()
    return dims[1] if len(dims) == 4 and dims[1] > 0 else None

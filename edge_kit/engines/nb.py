"""The nb engine: the very ``.nb`` file that ships, translated to ONNX and run by ONNX Runtime on any machine."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from edge_kit.engines.base import (
    EngineError,
    EngineOptions,
    Float32Array,
    check_input,
    check_output,
)
from edge_kit.engines.devices import check_device
from edge_kit.engines.session import make_session
from model_opt.emulator import emulate
from model_opt.nb import inspect_nb, needs_emulation, read_nb
from model_opt.nb.to_onnx import to_onnx


class NbEngine:
    """One fp32 or weight-only ``.nb`` file for ARM, OpenCL or x86; runs from several threads at once are allowed.

    One session serves every height and width of one image, a second one, made when it is first asked for, several
    images at once. The result does not depend on ``EngineOptions.threads``.
    """

    name = "nb"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        """Read and translate ``path``.

        Raises ``NbError`` for a damaged file, one whose kernels compute in fp16 or int8, and for an operator that is
        not known; ``EngineError`` for a device other than the CPU.
        """
        check_device(options.device, "nb")
        self._path = path
        self._options = options
        self._session = self._open(free_batch=False)
        self._batches: Any = None
        self._making = threading.Lock()

    def _open(self, *, free_batch: bool) -> Any:
        # Made anew each time (some hundredths of a second), so there is no cache that could be out of date.
        model = to_onnx(read_nb(self._path), accurate_means=True, free_batch=free_batch)
        return make_session(model, self._options, self._path)

    def _session_for(self, images: int) -> Any:
        """Return the session for as many images at once."""
        if images == 1 or self._session is None:
            return self._session
        with self._making:
            if self._batches is None:
                self._batches = self._open(free_batch=True)
            return self._batches

    def run(self, x: Float32Array) -> Float32Array:
        """Run the model on float32 NCHW and return its first output; see ``Engine.run``."""
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        x = check_input(x, engine=self.name)
        session = self._session_for(x.shape[0])
        if session is None:
            raise EngineError("the engine was closed", path=self._path)
        source = session.get_inputs()[0]
        self._check_shape(x, tuple(source.shape))
        try:
            y = session.run(None, {source.name: x})[0]
        except (Fail, InvalidArgument, RuntimeException) as error:
            raise EngineError(
                f"the model does not run on an input of {list(x.shape)}: {error}",
                path=self._path,
                hint="check the size of the input: the detector needs multiples of 32",
            ) from error
        return check_output(np.asarray(y, dtype=np.float32), engine=self.name, model=self._path)

    def _check_shape(self, x: Float32Array, shape: tuple[object, ...]) -> None:
        """Refuse an input that differs from the model's in a side that the model fixes."""
        fits = len(shape) == x.ndim and all(
            not isinstance(wanted, int) or wanted == size for wanted, size in zip(shape, x.shape, strict=True)
        )
        if not fits:
            shown = ", ".join(str(size) if isinstance(size, int) else "any" for size in shape)
            raise EngineError(
                f"the model takes inputs of [{shown}], got {list(x.shape)}",
                path=self._path,
                hint="run images one at a time, in the size that the model was made for",
            )

    def close(self) -> None:
        """Free the sessions."""
        self._session = self._batches = None


class ExactNbEngine:
    """One fp16 or static int8 ``.nb`` file for ARM, computed value by value as the ARM kernels do; on numpy, slow.

    Runs from several threads at once are allowed.
    """

    name = "nb (exact)"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        """Read ``path``; raises ``NbError`` for a damaged file and ``EngineError`` for a device other than the CPU."""
        check_device(options.device, "nb")
        self._path = path
        self._model = read_nb(path)
        self._input = inspect_nb(self._model).inputs[0].name

    def run(self, x: Float32Array) -> Float32Array:
        """Run the model on float32 NCHW and return its first output; see ``Engine.run``."""
        return check_output(self.compute(x), engine=self.name, model=self._path)

    def compute(self, x: Float32Array) -> Float32Array:
        """Return what ``run`` returns, but with the NaN and infinite values that the device would show.

        Raises ``NbError`` for an operator, kernel or shape that is not known.
        """
        x = check_input(x, engine=self.name)
        (first, *_) = emulate(self._model, {self._input: x}).values()
        return np.asarray(first, dtype=np.float32)

    def close(self) -> None:
        """Nothing is held beside the file's bytes."""


def open_nb(path: Path, options: EngineOptions) -> NbEngine | ExactNbEngine:
    """Return the engine for a ``.nb`` file: exact for ARM's fp16 and int8 kernels, else by ONNX."""
    return ExactNbEngine(path, options) if needs_emulation(read_nb(path)) else NbEngine(path, options)

"""The server engine: the original model on Paddle Inference, the reference of every comparison."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np

from edge_kit.engines.base import EngineError, EngineOptions, Float32Array, check_input, check_output, split_device
from model_opt.zoo import ModelFiles

_ALLOCATOR = threading.Lock()
"""Held while a predictor runs and gives memory back: all predictors of a process share one allocator, and a crash was
seen once when one freed while another ran."""


class ServerEngine:
    """Paddle Inference on a model's ``.pdmodel`` and ``.pdiparams``; one run at a time in a process."""

    name = "server"

    def __init__(self, model: ModelFiles, options: EngineOptions) -> None:
        self._model = model
        self._predictor = _make_predictor(model, options)

    def run(self, x: Float32Array) -> Float32Array:
        """Run the model on float32 NCHW and return its first output; see ``Engine.run``."""
        x = check_input(x, engine=self.name)
        with _ALLOCATOR:
            if self._predictor is None:
                raise EngineError("the engine was closed", path=self._model.pdmodel)
            source = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
            source.copy_from_cpu(x)
            try:
                self._predictor.run()
            except (RuntimeError, ValueError) as error:
                lines = [line for line in str(error).splitlines() if line.strip()]
                raise EngineError(
                    f"Paddle Inference failed: {lines[-1] if lines else error}", path=self._model.pdmodel
                ) from error
            target = self._predictor.get_output_handle(self._predictor.get_output_names()[0])
            y = np.asarray(target.copy_to_cpu(), dtype=np.float32)
            # Otherwise the memory of every shape ever seen is kept: 1.1 GB instead of 0.6 GB over 14 small pages.
            self._predictor.try_shrink_memory()
        return check_output(y, engine=self.name, model=self._model.pdiparams)

    def close(self) -> None:
        """Free the predictor."""
        self._predictor = None


def _make_predictor(model: ModelFiles, options: EngineOptions) -> Any:
    """Create the predictor; the device string is Paddle's own (``cpu``, ``gpu:0``)."""
    # Paddle 3.3 asks every user for a compiler cache that only builders of extensions need.
    warnings.filterwarnings("ignore", message="No ccache found", category=UserWarning)
    try:
        import cv2  # noqa: F401  paddle before cv2 crashes on the first PNG
        import paddle
        from paddle import inference
    except ImportError as error:
        raise EngineError(
            f"engine server needs paddlepaddle, which does not load: {error}",
            hint="install paddlepaddle 3.3.1 (there is none for Linux on ARM), or use another --engine",
        ) from error
    config = inference.Config(str(model.pdmodel), str(model.pdiparams))
    kind, index = split_device(options.device, engine="server")
    if kind == "gpu" and paddle.is_compiled_with_cuda():
        config.enable_use_gpu(256, index)
    elif kind == "cpu":
        config.disable_gpu()
        config.set_cpu_math_library_num_threads(options.threads)
    else:
        raise EngineError(
            f"engine server cannot run on device {options.device!r}: the installed paddlepaddle supports cpu only",
            hint="use --device cpu, or install a GPU build of paddlepaddle 3.3.1",
        )
    config.disable_glog_info()
    config.switch_ir_optim(True)
    config.enable_memory_optim()
    try:
        return inference.create_predictor(config)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise EngineError(
            f"Paddle Inference cannot load the model: {str(error).strip().splitlines()[-1]}",
            path=model.pdmodel,
            hint="check the files with 'edge-kit models verify', or export the model again",
        ) from error

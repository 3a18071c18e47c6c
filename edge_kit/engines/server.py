"""The server engine: the original model on its own runtime, the reference of every comparison.

Paddle's formats run on Paddle Inference, ONNX files on ONNX Runtime.
"""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from edge_kit.engines.base import (
    Engine,
    EngineError,
    EngineOptions,
    Float32Array,
    check_input,
    check_output,
)
from edge_kit.engines.devices import one_device, pick
from model_opt.zoo import ModelFiles

_ALLOCATOR = threading.Lock()
"""Held while a predictor runs and gives memory back: all predictors of a process share one allocator, and a crash was
seen once when one freed while another ran."""


def open_server(model: ModelFiles, options: EngineOptions) -> Engine:
    """Return the server engine for a model, by its format. Raises ``EngineError`` as the engines do."""
    if model.format == "onnx":
        from edge_kit.engines.onnx import OnnxEngine

        return OnnxEngine(model.program_file, options, name="server")
    return ServerEngine(model, options)


class ServerEngine:
    """Paddle Inference on the files of a Paddle model; one run at a time in a process.

    The predictor lives in one thread of its own: oneDNN, which Paddle uses for ``.pdmodel`` files, keeps what it
    prepared by thread, and fails ("could not execute a primitive") when runs come from one new thread after another.
    """

    name = "server"

    def __init__(self, model: ModelFiles, options: EngineOptions) -> None:
        self._model = model
        self._thread = ThreadPoolExecutor(1, "edge-kit-paddle")
        self._closed = False
        try:
            self._predictor = self._thread.submit(_make_predictor, model, options).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def run(self, x: Float32Array) -> Float32Array:
        """Run the model on float32 NCHW and return its first output; see ``Engine.run``."""
        x = check_input(x, engine=self.name)
        if self._closed:
            raise EngineError("the engine was closed", path=self._model.program_file)
        y = self._thread.submit(self._compute, x).result()
        return check_output(y, engine=self.name, model=self._model.program_file)

    def _compute(self, x: Float32Array) -> Float32Array:
        with _ALLOCATOR:
            source = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
            source.copy_from_cpu(x)
            try:
                self._predictor.run()
            except (RuntimeError, ValueError) as error:
                lines = [line for line in str(error).splitlines() if line.strip()]
                raise EngineError(
                    f"Paddle Inference failed: {lines[-1] if lines else error}", path=self._model.program_file
                ) from error
            target = self._predictor.get_output_handle(self._predictor.get_output_names()[0])
            y = np.asarray(target.copy_to_cpu(), dtype=np.float32)
            # Otherwise the memory of every shape ever seen is kept: 1.1 GB instead of 0.6 GB over 14 small pages.
            self._predictor.try_shrink_memory()
        return y

    def close(self) -> None:
        """Free the predictor; calling it twice is harmless."""
        self._closed = True
        self._thread.shutdown()
        self._predictor = None


def paddle_devices(paddle: Any) -> tuple[str, ...]:
    """Return the kinds of device that the installed Paddle has, by Paddle's own names."""
    built = [
        name for name, there in (("gpu", paddle.is_compiled_with_cuda), ("xpu", paddle.is_compiled_with_xpu)) if there()
    ]
    return ("cpu", *built, *paddle.device.get_all_custom_device_type())


def _set_device(config: Any, options: EngineOptions, available: tuple[str, ...]) -> None:
    _, number = one_device(options.device)
    name = pick("server", options.device, available).needs
    if name == "cpu":
        config.disable_gpu()
        config.set_cpu_math_library_num_threads(options.threads)
    elif name == "gpu":
        config.enable_use_gpu(256, number)
    elif name == "xpu":
        config.enable_xpu()
        config.set_xpu_device_id(number)
    else:
        config.enable_custom_device(name, number)


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
    config = inference.Config(str(model.program_file), str(model.params_file))
    _set_device(config, options, paddle_devices(paddle))
    if options.onednn:
        config.enable_mkldnn()
    config.disable_glog_info()
    config.switch_ir_optim(True)
    config.enable_memory_optim()
    if model.format == "pir":
        # As PaddleX sets up Paddle 3's programs; without the new executor, saving memory fails on them.
        config.disable_mkldnn()
        config.enable_new_ir(True)
        config.enable_new_executor()
        config.set_optimization_level(3)
    try:
        return inference.create_predictor(config)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise EngineError(
            f"Paddle Inference cannot load the model: {str(error).strip().splitlines()[-1]}",
            path=model.program_file,
            hint="check the files with 'edge-kit models verify', or export the model again",
        ) from error

"""OpenVINO on a processor: the kit's optimised program, or the file as it was published."""

from __future__ import annotations

from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from edge_kit.engines.base import EngineError, EngineOptions, Float32Array, check_input, check_output
from edge_kit.engines.devices import check_device


class OpenVinoEngine:
    """OpenVINO on one ONNX program; runs from several threads at once are allowed.

    It computes in float32: OpenVINO would otherwise take bfloat16 where a processor has it, which reads other texts.
    """

    name = "openvino"

    def __init__(self, model: Path | bytes, options: EngineOptions, origin: Path) -> None:
        """Compile ``model``; ``origin`` names it in errors.

        Raises ``EngineError`` when OpenVINO is not installed or cannot load the model, and for another device.
        """
        check_device(options.device, self.name)
        self._path = origin
        self._compiled: Any = _compiled(model, options, origin)
        self._idle: SimpleQueue[Any] = SimpleQueue()

    def run(self, x: Float32Array) -> Float32Array:
        """Run the model on float32 NCHW and return its first output; see ``Engine.run``."""
        x = check_input(x, engine=self.name)
        if self._compiled is None:
            raise EngineError("the engine was closed", path=self._path)
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            request.infer([x], share_inputs=True)
            y = np.array(request.get_output_tensor(0).data, dtype=np.float32)
        except RuntimeError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise EngineError(f"OpenVINO failed: {lines[-1] if lines else error}", path=self._path) from error
        self._idle.put(request)
        return check_output(y, engine=self.name, model=self._path)

    def close(self) -> None:
        """Free the model."""
        self._compiled = None
        self._idle = SimpleQueue()


def _compiled(model: Path | bytes, options: EngineOptions, origin: Path) -> Any:
    try:
        import openvino
    except ImportError as error:
        raise EngineError(
            f"engine openvino needs openvino, which does not load: {error}", hint="pip install 'edge-kit[openvino]'"
        ) from error
    settings = {
        "INFERENCE_PRECISION_HINT": options.precision,
        "INFERENCE_NUM_THREADS": options.threads * options.streams,
        "NUM_STREAMS": options.streams,
    }
    try:
        core = openvino.Core()
        return core.compile_model(core.read_model(str(model) if isinstance(model, Path) else model), "CPU", settings)
    except RuntimeError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise EngineError(f"OpenVINO cannot load the model: {lines[-1] if lines else error}", path=origin) from error

"""How far the output of a model moves when one of its layers alone is rounded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model_opt.errors import KitError
from model_opt.nb import NbModel
from model_opt.nb.to_onnx import IR_VERSION, OPSET
from model_opt.nb.translate import encode_model, translate
from model_opt.quantize.observe import Float32Array
from model_opt.quantize.report import Progress


def output_moves(
    model: NbModel, changed: Mapping[str, Float32Array], inputs: Sequence[Float32Array], progress: Progress
) -> dict[str, float]:
    """Return the mean squared change of the model's first output for each parameter changed alone.

    ``changed`` holds the other values by the parameter's name, ``inputs`` float32 NCHW. Errors of layers that are
    rounded independently of one another add up in these squares, nearly. Raises ``KitError`` for a name that is no
    float parameter of the file, and for values of another size.
    """
    graph = translate(model)
    for name, values in changed.items():
        held = graph.constants.get(name)
        if held is None or held.shape != values.shape:
            raise KitError(f"the file has no parameter {name!r} of shape {list(values.shape)}")
    plain = Runner(model)
    floats = [plain.run(x) for x in inputs]
    moves = {}
    for index, (name, values) in enumerate(changed.items()):
        progress(index / len(changed), f"how much {name} matters")
        other = Runner(model, {name: values})
        moved = [np.square(y - other.run(x), dtype=np.float64).mean() for x, y in zip(inputs, floats, strict=True)]
        moves[name] = float(np.mean(moved))
    return moves


class Runner:
    """Runs an fp32 or weight-only ``.nb`` model, one thread, with some of its parameters replaced."""

    def __init__(self, model: NbModel, changed: Mapping[str, Float32Array] | None = None) -> None:
        """Raises ``NbError`` for a model that cannot be translated."""
        import onnxruntime as ort

        graph = translate(model)
        graph = dataclasses.replace(graph, constants={**graph.constants, **(changed or {})})
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        data = encode_model(graph, opset=OPSET, ir_version=IR_VERSION, producer=("", ""))
        self._session: Any = ort.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
        self._input = graph.inputs[0][0]

    def run(self, x: Float32Array) -> Float32Array:
        """Return the first output for one input (float32 NCHW)."""
        found: Float32Array = self._session.run(None, {self._input: x})[0]
        return found

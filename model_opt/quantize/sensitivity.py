"""Measure how much the output of a model changes with some of its parameters."""

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
from model_opt.quantize.parallel import in_order
from model_opt.quantize.report import QuantizeProgress


def output_moves(
    model: NbModel,
    changes: Mapping[str, Mapping[str, Float32Array]],
    inputs: Sequence[Float32Array],
    progress: QuantizeProgress,
) -> dict[str, float]:
    """Return the mean squared change of the model's first output for each of the ``changes`` by itself.

    A change is a name and other values of parameters, by theirs; ``inputs`` are float32 NCHW. Errors of layers that are
    rounded independently of one another add up in these squares, nearly. Raises ``KitError`` for a name that is no
    float parameter of the file, and for values of another size.
    """
    plain = Runner(model)
    floats = [plain.run(x) for x in inputs]

    def move(change: Mapping[str, Float32Array]) -> float:
        other = Runner(model, change)
        moved = [np.square(y - other.run(x), dtype=np.float64).mean() for x, y in zip(inputs, floats, strict=True)]
        return float(np.mean(moved))

    moves = {}
    for index, (name, moved) in enumerate(zip(changes, in_order(move, changes.values()), strict=True)):
        progress(index / len(changes), f"sensitivity of {name}")
        moves[name] = moved
    return moves


class Runner:
    """Runs an fp32 or weight-only ``.nb`` model, one thread, with some of its float parameters replaced."""

    def __init__(self, model: NbModel, changed: Mapping[str, Float32Array] | None = None) -> None:
        """Raises ``NbError`` for a model that cannot be translated, ``KitError`` for parameters that do not fit."""
        import onnxruntime as ort

        graph = translate(_with_params(model, changed or {}))
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        data = encode_model(graph, opset=OPSET, ir_version=IR_VERSION, producer=("", ""))
        self._session: Any = ort.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
        self._input = graph.inputs[0][0]

    def run(self, x: Float32Array) -> Float32Array:
        """Return the first output for one input (float32 NCHW)."""
        found: Float32Array = self._session.run(None, {self._input: x})[0]
        return found


def _with_params(model: NbModel, changed: Mapping[str, Float32Array]) -> NbModel:
    params = dict(model.params)
    for name, values in changed.items():
        held = params.get(name)
        if held is None or held.dtype != np.float32 or held.size != values.size:
            raise KitError(f"the file has no float parameter {name!r} of {values.size} values")
        params[name] = np.asarray(values, np.float32).reshape(held.shape)
    return dataclasses.replace(model, params=params)

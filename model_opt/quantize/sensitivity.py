"""Measure how much the output of a model changes with some of its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from model_opt.errors import KitError
from model_opt.nb import NbModel
from model_opt.nb.translate import translate
from model_opt.quantize.observe import Float32Array, Session
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
    plain = session_of(model)
    floats = [plain.run(x) for x in inputs]

    def move(change: Mapping[str, Float32Array]) -> float:
        other = session_of(model, change)
        moved = [np.square(y - other.run(x), dtype=np.float64).mean() for x, y in zip(inputs, floats, strict=True)]
        return float(np.mean(moved))

    moves = {}
    for index, (name, moved) in enumerate(zip(changes, in_order(move, changes.values()), strict=True)):
        progress(index / len(changes), f"sensitivity of {name}")
        moves[name] = moved
    return moves


def session_of(model: NbModel, changed: Mapping[str, Float32Array] | None = None) -> Session:
    """Return what runs an fp32 or weight-only ``.nb`` model with some of its float parameters replaced.

    Raises ``NbError`` for a model that cannot be translated, ``KitError`` for parameters that do not fit.
    """
    return Session(translate(_with_params(model, changed or {})))


def _with_params(model: NbModel, changed: Mapping[str, Float32Array]) -> NbModel:
    params = dict(model.params)
    for name, values in changed.items():
        held = params.get(name)
        if held is None or held.dtype != np.float32 or held.size != values.size:
            raise KitError(f"the file has no float parameter {name!r} of {values.size} values")
        params[name] = np.asarray(values, np.float32).reshape(held.shape)
    return dataclasses.replace(model, params=params)

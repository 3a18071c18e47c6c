"""Store the weights of a program as integers with scales, in the form of PaddleSlim's weight quantisation.

opt takes such weights as they are, and the runtime multiplies each by the scale of its output when it loads the file
(``LightPredictor::DequantizeWeight``). Unlike opt's own rounding, which has one width for a file and leaves
depthwise convolutions out, each layer has its own width, and biases stay what they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_opt.errors import KitError
from model_opt.paddle_model import SCALES_OF
from model_opt.program import Attr, AttrType, Model, Op
from model_opt.quantize.observe import Float32Array

Bits = Literal[8, 16]
Integers = NDArray[np.int8] | NDArray[np.int16]
_BY_OUTPUTS = "post_weight_channel_wise_abs_max"


def top_of(bits: Bits) -> int:
    """Return the largest magnitude of a stored integer: 127 or 32,767."""
    return (1 << (bits - 1)) - 1


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Weights as ``rows`` (outputs x inputs of each, integers) with one float32 scale for each output."""

    rows: Integers
    scales: Float32Array

    @property
    def bits(self) -> Bits:
        """8 or 16."""
        return 8 if self.rows.dtype == np.int8 else 16

    def floats(self) -> Float32Array:
        """Return the rows as the runtime restores them."""
        return np.asarray(self.rows.astype(np.float32) * self.scales[:, None], np.float32)


def store(rows: NDArray[Any], scales: Float32Array, bits: Bits) -> StoredWeights:
    """Return integers as stored weights."""
    held: Integers = rows.astype(np.int8) if bits == 8 else rows.astype(np.int16)
    return StoredWeights(held, scales)


def store_nearest(rows: NDArray[Any], bits: Bits) -> StoredWeights:
    """Round each row of weights to the nearest step, the largest magnitude being the last one."""
    top = top_of(bits)
    scales = np.maximum(np.abs(rows).max(axis=1).astype(np.float32) / np.float32(top), np.float32(1e-30))
    steps = np.clip(np.rint(rows.astype(np.float64) / scales[:, None]), -top, top)
    return store(steps, np.asarray(scales, np.float32), bits)


def to_rows(weights: Float32Array) -> Float32Array:
    """Return a filter [outputs, ...] or a matrix [inputs, outputs] as one row for each output."""
    return weights.T if weights.ndim == 2 else weights.reshape(len(weights), -1)


def from_rows(rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return rows in the shape of the weights they were made of."""
    return np.ascontiguousarray(rows.T if len(shape) == 2 else rows.reshape(shape))


def with_stored_weights(model: Model, stored: Mapping[str, StoredWeights]) -> Model:
    """Return the model with these weights, by name, held as integers. Only opt reads it; Paddle cannot run it.

    Raises ``KitError`` for weights that not exactly one operator reads.
    """
    ops, done = [], set[str]()
    for op in model.program.main.ops:
        names = [name for name in op.input_names if name in stored]
        if len(names) > 1 or not done.isdisjoint(names):
            raise KitError(f"the weights {names[0]!r} cannot be stored as integers: several operators read them")
        done.update(names)
        ops.append(_marked(op, names[0], stored[names[0]]) if names else op)
    missing = sorted(stored.keys() - done)
    if missing:
        raise KitError(f"no operator reads the weights {missing[0]!r}")
    held = {name: from_rows(one.rows, model.params[name].shape) for name, one in stored.items()}
    for array in held.values():
        array.flags.writeable = False
    return Model(model.program.with_ops(ops), {**model.params, **held})


def _marked(op: Op, name: str, stored: StoredWeights) -> Op:
    scales = Attr(AttrType.FLOATS, tuple(float(scale) for scale in stored.scales))
    op = op.with_attr("quantization_type", _BY_OUTPUTS).with_attr("quantize_weight_bits", stored.bits)
    return dataclasses.replace(op, attrs={**op.attrs, f"{name}{SCALES_OF}": scales})

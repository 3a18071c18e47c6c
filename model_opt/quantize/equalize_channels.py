"""Equalize the channels of an int8 convolution's input: each gets a factor and a shift.

int8 has one scale for a tensor. Where channels differ in range, most of them use a few of the 255 steps, and
behind ``hard_swish``, whose values start at -0.375, half of the steps have no use. An ``affine_channel`` in front lets
each channel use more of them; the weights take the factors back, and the bias the shifts. That is exact where no
padding comes between: zeros of a border would not stay zeros, so padded convolutions get factors only.

Scaled to the full range, channels have no headroom, and unseen pages clip first where calibration pages held
least. So each gets the root of that factor (cf. Xiao et al., SmoothQuant, 2022, arXiv 2211.10438, who share a range
between inputs and weights that way).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_opt.quantize.observe import Float32Array
from model_opt.quantize.qdq import ChannelScaling

_LEAST = 1 / 64
"""A channel narrower than this share of the widest counts as so wide."""


@dataclass(frozen=True, eq=False)
class Equalization:
    """The ``scaling`` of a layer's input and the ``limit`` that clips nothing of the scaled input."""

    scaling: ChannelScaling
    limit: float


def equalization(low: Float32Array, high: Float32Array, *, shifted: bool) -> Equalization:
    """Return how to equalize channels that hold values from ``low`` to ``high`` (channels), not all of them zero."""
    middle = (low + high) / 2 if shifted else np.zeros_like(low)
    reach = np.maximum(high - middle, middle - low)
    widest = reach.max()
    factors = np.sqrt(widest / np.maximum(reach, widest * _LEAST))
    scaling = ChannelScaling(np.asarray(factors, np.float32), np.asarray((0 - middle) * factors, np.float32))
    return Equalization(scaling, float((reach * factors).max()))


def equalize_columns(columns: Float32Array, scaling: ChannelScaling) -> Float32Array:
    """Return the columns [1, channels x taps, samples] of a tensor as those of the scaled tensor."""
    taps = columns.shape[1] // len(scaling.factors)
    factors, shifts = (np.repeat(part, taps)[:, None] for part in (scaling.factors, scaling.shifts))
    return np.asarray(columns * factors + shifts, np.float32)

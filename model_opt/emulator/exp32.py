"""``exp_ps`` of ``funcs.h`` in float32, and the sigmoid and swish made of it.

The order of additions is the one that gives the engine's bits: its compiler adds the two halves of ln 2, fuses every
product into a sum where it can, and adds 1 before the last product. A division is an 8-bit estimate of the reciprocal
(``FRECPE``) with Newton steps: one in swish, which leaves it up to 2^-16 off, two in sigmoid.
"""

from __future__ import annotations

import numpy as np

from model_opt.emulator.state import Array, Float32
from model_opt.nb.translate.view import OpView

_LIMIT = np.float32(88.3762626647949)
_LOG2_E = np.float32(1.44269504088896341)
_LN_2 = np.float32(0.693359375 - 2.12194440e-4)
_FACTORS = tuple(
    map(
        np.float32,
        (1.987569150e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
    )
)
_LANES = 4


def _fma(x: Float32, y: Float32 | np.float32, total: Float32 | np.float32) -> Float32:
    return np.asarray(x.astype(np.float64) * y + total, dtype=np.float32)


def exponential(x: Float32) -> Float32:
    """Return exp(x), x cut off at +-88.4; NaN stays."""
    x = np.clip(x, -_LIMIT, _LIMIT)
    power = np.floor(_fma(x, _LOG2_E, np.float32(0.5)))
    rest = _fma(power, -_LN_2, x)
    y = np.full_like(x, _FACTORS[0])
    for factor in _FACTORS[1:]:
        y = _fma(y, rest, factor)
    y = _fma(y, rest * rest, rest + np.float32(1))
    return np.ldexp(y, np.where(np.isnan(power), 0, power).astype(np.int32))


def reciprocal_estimate(x: Float32) -> Float32:
    """Return the 8-bit estimate of 1/x that ``FRECPE`` gives (Arm ARM, RecipEstimate), for normal positive x."""
    mantissa, exponent = np.frexp(x)
    scaled = np.where(np.isfinite(x), mantissa * 512, 256).astype(np.int64) * 2 + 1
    estimate = ((1 << 19) // np.maximum(scaled, 1) + 1) // 2
    return np.where(np.isfinite(x), np.ldexp(estimate / 256.0, -exponent), 1 / x).astype(np.float32)


def _improved(x: Float32, reciprocal: Float32) -> Float32:
    """Return ``reciprocal`` of ``x`` after one Newton step (``FRECPS``, for which infinity times zero is zero)."""
    return np.where(np.isinf(x), np.float32(2), _fma(-x, reciprocal, np.float32(2))) * reciprocal


def _with_tail(x: Float32, y: Float32, numerator: Float32, exponent: Float32) -> Array:
    """Put numerator / (1 + exp(exponent)) in place of the last size % 4 values of ``y``."""
    start = x.size - x.size % _LANES
    y[start:] = numerator[start:] / (1 + np.exp(exponent[start:].astype(np.float64)))
    return y.reshape(x.shape)


def sigmoid(_: OpView, x: Float32) -> Array:
    """1 / (1 + exp(-x))."""
    flat = x.reshape(-1)
    below = np.float32(1) + exponential(-flat)
    y = _improved(below, _improved(below, reciprocal_estimate(below)))
    return _with_tail(x, y, np.ones_like(flat), -flat)


def swish(op: OpView, x: Float32) -> Array:
    """x / (1 + exp(-beta x))."""
    flat = x.reshape(-1)
    exponent = -flat * np.float32(op.real("beta", 1.0))
    below = np.float32(1) + exponential(exponent)
    return _with_tail(x, flat * _improved(below, reciprocal_estimate(below)), flat, exponent)

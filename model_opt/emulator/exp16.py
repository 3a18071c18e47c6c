"""``sigmoid`` and ``swish`` in fp16 with the exponential of ``exp_ps_naive`` (``funcs_fp16.h``).

The engine is compiled with -ffast-math, so its compiler fuses the first step of the range reduction and adds the two
halves of ln 2 in fp16, where the small half vanishes. GCC 12 and clang 14 both do so, and agree in every input.
"""

from __future__ import annotations

import numpy as np

from model_opt.emulator.half import fma, rounded
from model_opt.emulator.state import Array, Float32
from model_opt.nb.translate.view import OpView


def _half(number: float) -> np.float32:
    return np.float32(np.float16(number))


_LIMIT = _half(10.7421875)
_LOG2_E = _half(1.44269504)
_LN_2 = _half(0.693359375)
# The factors of cephes' expf, each rounded to fp16.
_FACTORS = tuple(map(_half, (1.98756915e-4, 1.39819995e-3, 8.33345191e-3, 4.16657959e-2, 1.66666655e-1, 5.00000012e-1)))
_LANES = 4


def exponential(x: Float32) -> Float32:
    """Return exp(x) in fp16 steps, x cut off at +-10.74; NaN stays."""
    x = np.clip(x, -_LIMIT, _LIMIT)
    power = np.floor(_affine(x, _LOG2_E, _half(0.5)))
    rest = fma(x, power, -_LN_2)
    y = np.broadcast_to(_FACTORS[0], x.shape)
    for factor in _FACTORS[1:]:
        y = fma(np.broadcast_to(factor, x.shape), y, rest)
    y = rounded(fma(rest, y, rounded(rest * rest)) + np.float32(1))
    return rounded(np.ldexp(y, np.where(np.isnan(power), 0, power).astype(np.int32)))


def _affine(x: Float32, factor: np.float32, offset: np.float32) -> Float32:
    return fma(np.broadcast_to(offset, x.shape), x, factor)


def logistic(numerator: Float32, x: Float32, beta: np.float32) -> Float32:
    """Return numerator / (1 + exp(-beta x)); the last size % 4 values go through float32."""
    flat, above = x.reshape(-1), numerator.reshape(-1)
    y = above / rounded(np.float32(1) + exponential(-rounded(flat * beta)))
    start = flat.size - flat.size % _LANES
    tail = np.exp(-(flat[start:] * beta).astype(np.float64)).astype(np.float32)
    y[start:] = above[start:] / (np.float32(1) + tail)
    return y.reshape(x.shape)


def sigmoid(_: OpView, x: Float32) -> Array:
    """1 / (1 + exp(-x))."""
    return logistic(np.ones_like(x), x, np.float32(1))


def swish(op: OpView, x: Float32) -> Array:
    """x / (1 + exp(-beta x))."""
    return logistic(x, x, _half(op.real("beta", 1.0)))

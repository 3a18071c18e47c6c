"""Arithmetic that rounds to fp16 after every step. Values are float32 arrays that hold fp16 numbers.

A fused multiply-add is computed in float64, which holds the product exactly and all but never rounds the sum, and is
rounded once to fp16. (In float32 about one sum of 4,000 is rounded twice; behind twenty layers that shows.)
"""

from __future__ import annotations

import numpy as np

from model_opt.nb.exact.state import Float32, Float64

# Below this bound of every partial sum nothing overflows, and rounding needs no look at the exponent.
_SAFE = 60000.0
_BLOCK = 1 << 14
_DROPPED = np.uint64(52 - 10)  # the bits of a float64's fraction that fp16 does not have
_SUBNORMAL = 2.0**-14
_ONE = np.uint64(1)
_BELOW_HALF = np.uint64((1 << 41) - 1)
_KEPT = np.uint64(0xFFFF_FFFF_FFFF_FFFF ^ ((1 << 42) - 1))


def rounded(values: Float32 | Float64) -> Float32:
    """Round to fp16, half to even; what is beyond 65,504 becomes infinite."""
    return values.astype(np.float16).astype(np.float32)


def fma(total: Float32, x: Float32, y: Float32 | np.float32) -> Float32:
    """Return x * y + total, rounded once to fp16."""
    return rounded(x.astype(np.float64) * y + total)


def matmul(a: Float32, b: Float32, start: Float32 | None = None) -> Float32:
    """Return ``start + a @ b`` (m, n), summed along k in order, one rounding to fp16 for each product.

    ``start`` (m) is where each row's sum begins, zero when None: the order of ``gemm_fp16.cc`` and
    ``gemm_c8_fp16.cc``.
    """
    m, n = a.shape[0], b.shape[1]
    first = np.zeros(m, np.float32) if start is None else start
    bound = float((np.abs(a) @ np.abs(b)).max(initial=0)) + float(np.abs(first).max(initial=0))
    total = np.empty((m, n), np.float32)
    width = max(_BLOCK // m, 16)
    wide_a, wide_b, wide_first = a.astype(np.float64), b.astype(np.float64), first.astype(np.float64)
    # Not "bound >= _SAFE": a bound that is NaN is not safe either.
    add_products = _add_safely if bound < _SAFE else _add_checked
    for left in range(0, n, width):
        block = np.repeat(wide_first[:, None], min(width, n - left), axis=1)
        add_products(block, wide_a, np.ascontiguousarray(wide_b[:, left : left + width]))
        total[:, left : left + width] = block
    return total


def _add_checked(total: Float64, a: Float64, b: Float64) -> None:
    """Add a @ b to ``total`` in place, with overflow to infinity."""
    for k in range(a.shape[1]):
        total[...] = (total + a[:, k : k + 1] * b[k]).astype(np.float16)


def _add_safely(total: Float64, a: Float64, b: Float64) -> None:
    """Add a @ b to ``total`` in place, rounding by integer arithmetic on the bits: several times faster.

    Subnormal fp16 numbers have fewer bits, so they take the slow way.
    """
    bits = total.view(np.uint64)
    product, odd = np.empty_like(total), np.empty_like(bits)
    for k in range(a.shape[1]):
        np.multiply(a[:, k : k + 1], b[k], out=product)
        np.add(total, product, out=total)
        small = np.flatnonzero(np.abs(total) < _SUBNORMAL)
        coarse = total.flat[small].astype(np.float16)
        np.right_shift(bits, _DROPPED, out=odd)
        np.bitwise_and(odd, _ONE, out=odd)
        np.add(odd, _BELOW_HALF, out=odd)
        np.add(bits, odd, out=bits)
        np.bitwise_and(bits, _KEPT, out=bits)
        total.flat[small] = coarse


def matvec(a: Float32, x: Float32, bias: Float32) -> Float32:
    """Return ``a @ x + bias`` (m): eight lanes along k, folded in neighbours, the bias last (``gemv_fp16.cc``)."""
    missing = -len(x) % 8
    lanes = np.pad(a, ((0, 0), (0, missing))).reshape(len(a), -1, 8)
    factors = np.pad(x, (0, missing)).reshape(-1, 8)
    total = np.zeros((len(a), 8), np.float32)
    for k in range(len(factors)):
        total = fma(total, lanes[:, k], factors[k])
    while total.shape[1] > 1:
        total = rounded(total[:, ::2] + total[:, 1::2])
    return rounded(total[:, 0] + bias)

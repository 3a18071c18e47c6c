"""Arithmetic that rounds to fp16 after every step. Values are float32 arrays that hold fp16 numbers.

A fused multiply-add is computed in float64, which holds the product exactly and all but never rounds the sum, and is
rounded once to fp16. (In float32 about one sum of 4,000 is rounded twice; behind twenty layers that shows.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from model_opt.emulator.state import Array, Float32, Float64

# Below this, with what k roundings can add, nothing overflows, and rounding needs no look at infinity.
_SAFE = 65504.0
_BLOCK, _ROW = 1 << 15, 1 << 10
_COLUMNS = 4
# What is at least this becomes infinite.
_OVERFLOWS = 65520.0
_SUBNORMAL = 2.0**-14
# By the bytes of a float: unsigned integers of its size, its exponent bits, and the factor that turns the power of two
# below a value into what _round_safely adds: its last bit is then the last bit of an fp16 number.
_FORMATS: Mapping[int, tuple[Any, Any, Any]] = {
    4: (np.uint32, np.uint32(0x7F80_0000), np.float32(1.5 * 2.0 ** (23 - 10))),
    8: (np.uint64, np.uint64(0x7FF0_0000_0000_0000), np.float64(1.5 * 2.0 ** (52 - 10))),
}


def rounded(values: Float32 | Float64) -> Float32:
    """Round to fp16, half to even; what is beyond 65,504 becomes infinite. A zero may lose its sign."""
    return _rounded_in_place(np.array(values, order="C"))


def fma(total: Float32, x: Float32, y: Float32 | np.float32) -> Float32:
    """Return x * y + total, rounded once to fp16. A zero may lose its sign."""
    return _rounded_in_place(np.ascontiguousarray(x.astype(np.float64) * y + total))


def fma_chain(start: Float32, factors: Iterable[tuple[Float32, Float32]]) -> Float32:
    """Return ``start`` and the products of ``factors`` added one after the other, each sum rounded once to fp16."""
    total = np.array(start, dtype=np.float64, order="C")
    step = np.empty_like(total)
    for x, y in factors:
        np.multiply(x, y, out=step)  # exact in float32
        np.add(total, step, out=total)
        _round_flat(total)
    return total.astype(np.float32)


def _rounded_in_place(values: Array) -> Float32:
    """Round a contiguous array of float32 or float64, which is lost."""
    _round_flat(values)
    return values.astype(np.float32, copy=False)


def _round_flat(values: Array) -> None:
    """Round a contiguous array of float32 or float64 in place, block by block."""
    flat = values.reshape(-1)
    step = np.empty(min(flat.size, _BLOCK), values.dtype)
    for left in range(0, flat.size, _BLOCK):
        block = flat[left : left + _BLOCK]
        room = step[: block.size]
        if np.abs(block, out=room).max() < _OVERFLOWS:
            _round_safely(block, room)
        else:
            block[...] = block.astype(np.float16)


def _round_safely(values: Array, step: Array) -> None:
    """Round to fp16 in place; nothing may overflow, and a zero loses its sign. ``step`` is room to work in.

    A large power of two, which depends on the value's own exponent, is added and taken off: the addition cuts off
    the bits that fp16 does not have, half to even, and the subtraction is exact.
    """
    integer, exponent, magic = _FORMATS[values.itemsize]
    np.bitwise_and(values.view(integer), exponent, out=step.view(integer))
    np.maximum(step, _SUBNORMAL, out=step)
    np.multiply(step, magic, out=step)
    np.add(values, step, out=values)
    np.subtract(values, step, out=values)


def matmul(a: Float32, b: Float32, start: Float32 | None = None) -> Float32:
    """Return ``start + a @ b`` (m, n), summed along k in order, one rounding to fp16 for each product.

    ``start`` (m) is where each row's sum begins, zero when None.
    """
    m, n = a.shape[0], b.shape[1]
    first = np.zeros(m, np.float32) if start is None else start
    bound = float((np.abs(a) @ np.abs(b)).max(initial=0)) + float(np.abs(first).max(initial=0))
    # Not "bound >= _SAFE": a bound that is NaN is not safe either.
    add_products = _add_safely if bound * (1 + 2.0**-11) ** a.shape[1] < _SAFE else _add_checked
    total = np.repeat(first.astype(np.float64)[:, None], n, axis=1)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    width = min(max(n, 1), _ROW)
    height = max(_BLOCK // width, 1)
    for left in range(0, n, width):
        factors = np.ascontiguousarray(wide_b[:, left : left + width])
        for top in range(0, m, height):
            block = np.ascontiguousarray(total[top : top + height, left : left + width])
            add_products(block, wide_a[top : top + height], factors)
            total[top : top + height, left : left + width] = block
    return total.astype(np.float32)


def gemm(a: Float32, b: Float32, start: Float32 | None = None) -> Float32:
    """Return ``start + a @ b`` as ``gemm_prepack_8x16`` of ``gemm_fp16.cc`` does.

    The last n % 4 columns are summed in two lanes, the even and the odd k, and ``start`` is added last.
    """
    full = b.shape[1] // _COLUMNS * _COLUMNS
    left = matmul(a, b[:, :full], start)
    if full == b.shape[1]:
        return left
    even, odd = (matmul(a[:, lane::2], b[lane::2, full:]) for lane in (0, 1))
    right = rounded(even + odd)
    right = right if start is None else rounded(start[:, None] + right)
    return np.concatenate([left, right], axis=1)


def gemm_c8(a: Float32, b: Float32) -> Float32:
    """Return ``a @ b`` as ``gemm_c8_fp16.cc`` does: the last n % 4 columns are summed in four lanes along k."""
    full = b.shape[1] // _COLUMNS * _COLUMNS
    left = matmul(a, b[:, :full])
    if full == b.shape[1]:
        return left
    lanes = [matmul(a[:, lane::4], b[lane::4, full:]) for lane in range(4)]
    return np.concatenate([left, rounded(rounded(lanes[0] + lanes[1]) + rounded(lanes[2] + lanes[3]))], axis=1)


def _add_checked(total: Float64, a: Float64, b: Float64) -> None:
    """Add a @ b to ``total`` in place, with overflow to infinity."""
    for k in range(a.shape[1]):
        total[...] = (total + a[:, k : k + 1] * b[k]).astype(np.float16)


def _add_safely(total: Float64, a: Float64, b: Float64) -> None:
    """Add a @ b to ``total`` in place; nothing may overflow, and a zero loses its sign. Several times faster."""
    step = np.empty_like(total)
    columns = np.ascontiguousarray(a.T)[:, :, None]
    for k in range(a.shape[1]):
        np.dot(columns[k], b[k : k + 1], out=step)  # exact, and faster than a product that is broadcast
        np.add(total, step, out=total)
        _round_safely(total, step)


def matvec(a: Float32, x: Float32, bias: Float32) -> Float32:
    """Return ``a @ x + bias`` (m): eight lanes along k, folded in neighbours, the bias last (``gemv_fp16.cc``)."""
    missing = -len(x) % 8
    lanes = np.pad(a, ((0, 0), (0, missing))).reshape(len(a), -1, 8)
    factors = np.pad(x, (0, missing)).reshape(-1, 8)
    total: Float32 = np.zeros((len(a), 8), np.float32)
    for k in range(len(factors)):
        total = fma(total, lanes[:, k], factors[k])
    while total.shape[1] > 1:
        total = rounded(total[:, ::2] + total[:, 1::2])
    return rounded(total[:, 0] + bias)

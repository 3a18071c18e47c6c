"""3x3 convolutions in fp16 that do not sum in the order of the filter: depthwise and direct kernels with their tiles.

Which product is added when depends on where an output stands in the kernel's tile; the orders are read from the
assembly of ``conv3x3s1_depthwise_fp16.cc``, ``conv3x3s2_depthwise_fp16.cc`` and ``conv3x3s2_direct_fp16.cc``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_opt.emulator.half import fma, fma_chain, rounded
from model_opt.emulator.state import Float32

Taps = Sequence[tuple[int, int]]
_LANES = 8
_BLOCK = 1 << 15
_NATURAL: Taps = tuple((i, j) for i in range(3) for j in range(3))


def _order(*numbers: int) -> Taps:
    return tuple(divmod(number, 3) for number in numbers)


# The leftmost tile of the stride-1 kernel, by the row in a block of four.
_LEFT_ROWS = (
    _order(1, 0, 2, 4, 3, 5, 7, 6, 8),
    _order(1, 0, 2, 4, 3, 5, 6, 7, 8),
    _order(1, 0, 2, 3, 4, 5, 6, 7, 8),
    _NATURAL,
)
# The direct stride-2 kernel, by the row in a block of two.
_DIRECT_ROWS = (_order(0, 6, 1, 7, 2, 8, 3, 4, 5), _NATURAL)


def chain(start: Float32, view: Float32, weights: Float32, taps: Taps) -> Float32:
    """Add the taps in order to ``start`` (n, c, h, w); ``weights`` is (c, kernel h, kernel w)."""
    total = np.empty(start.shape, np.float32)
    # So many channels at once that what is worked on stays in the cache.
    block = max(_BLOCK * start.shape[1] // max(start.size, 1), 1)
    for first in range(0, start.shape[1], block):
        part = slice(first, first + block)
        read = view[:, part] if view.shape[1] == start.shape[1] else view
        factors = [(read[..., i, j], weights[part, i, j].reshape(1, -1, 1, 1)) for i, j in taps]
        total[:, part] = fma_chain(start[:, part], factors)
    return total


def left_columns(width: int) -> int:
    """Return how many columns the leftmost tile keeps: the rightmost one is shifted left and writes over it."""
    return _LANES if width >= 2 * _LANES else max(width - _LANES, 0)


def depthwise_s1(start: Float32, view: Float32, weights: Float32) -> Float32:
    """Stride 1: rows in order, but for the leftmost tile."""
    total = chain(start, view, weights, _NATURAL)
    edge = left_columns(view.shape[3])
    for row, taps in enumerate(_LEFT_ROWS):
        part = np.s_[:, :, row::4, :edge]
        total[part] = chain(start[part], view[part], weights, taps)
    return total


def depthwise_s2(start: Float32, view: Float32, weights: Float32) -> Float32:
    """Stride 2: one chain for each column of the filter, the bias in the first, then their sum."""
    edge = left_columns(view.shape[3])
    left = _columns(start[..., :edge], view[:, :, :, :edge], weights, (0, 1, 2))
    rest = _columns(start[..., edge:], view[:, :, :, edge:], weights, (2, 0, 1))
    return np.concatenate([left, rest], axis=3)


def _columns(start: Float32, view: Float32, weights: Float32, order: tuple[int, int, int]) -> Float32:
    zero = np.zeros_like(start)
    chains = [
        chain(zero if k else start, view, weights, tuple((i, column) for i in range(3)))
        for k, column in enumerate(order)
    ]
    return rounded(rounded(chains[0] + chains[1]) + chains[2])


def direct_s2(view: Float32, weights: Float32) -> Float32:
    """Dense 3x3 stride 2 (n, out, h, w): channel after channel, or pixel after pixel when there are 3 channels.

    ``weights`` is (out, in, 3, 3).
    """
    n, channels, height, width = view.shape[:4]
    total = np.zeros((n, weights.shape[0], height, width), np.float32)
    if channels == 3 and weights.shape[0] % _LANES == 0:
        return _direct_pixels(total, view, weights)
    for row, taps in enumerate(_DIRECT_ROWS):
        for channel in range(view.shape[1]):
            one = view[:, channel : channel + 1, row::2]
            total[:, :, row::2] = chain(total[:, :, row::2], one, weights[:, channel], taps)
    return total


def _direct_pixels(total: Float32, view: Float32, weights: Float32) -> Float32:
    for i, j in _NATURAL:
        for channel in range(view.shape[1]):
            total = fma(
                total, view[:, channel : channel + 1, ..., i, j], weights[:, channel, i, j].reshape(1, -1, 1, 1)
            )
    return total

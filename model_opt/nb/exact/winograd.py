"""Winograd convolutions in fp16: F(2,3) for small outputs, F(4,3) for others (``conv3x3_winograd_fp16.cc``).

Every intermediate value is fp16, so the input transform of F(4,3), which can grow a value tenfold in each direction,
overflows from inputs of 655 on in the worst case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model_opt.nb.exact.half import fma, matmul, rounded
from model_opt.nb.exact.state import Float32, Float64
from model_opt.nb.exact.window import Number

Lines = Sequence[Float32]


def _input_2(s: Lines) -> list[Float32]:
    return [rounded(s[0] - s[2]), rounded(s[1] + s[2]), rounded(s[2] - s[1]), rounded(s[1] - s[3])]


def _output_2(s: Lines) -> list[Float32]:
    return [rounded(rounded(s[0] + s[1]) + s[2]), rounded(rounded(s[1] - s[2]) - s[3])]


def _plus(total: Float32, x: Float32, factor: int) -> Float32:
    return fma(total, x, np.float32(factor))


# The engine is compiled with -ffast-math: its compiler fuses and reorders the C++ sums. The orders below are the ones
# that reproduce its outputs bit for bit; others leave 75 to 90 % of the values different.
def _input_4(s: Lines) -> list[Float32]:
    even, odd = _plus(s[4], s[2], -4), _plus(-s[3], s[1], 4)
    near, far = rounded(s[4] - s[2]), rounded(rounded(s[1] - s[3]) * np.float32(2))
    return [
        _plus(_plus(s[4], s[0], 4), s[2], -5),
        rounded(_plus(even, s[1], -4) + s[3]),
        rounded(even + odd),
        rounded(near - far),
        rounded(near + far),
        _plus(_plus(s[5], s[1], 4), s[3], -5),
    ]


def _output_4(s: Lines) -> list[Float32]:
    sum12, diff12 = rounded(s[1] + s[2]), rounded(s[1] - s[2])
    sum34, diff34 = rounded(s[3] + s[4]), rounded(s[3] - s[4])
    return [
        rounded(rounded(s[0] + sum12) + sum34),
        _plus(diff12, diff34, 2),
        _plus(sum12, sum34, 4),
        _plus(rounded(diff12 + s[5]), diff34, 8),
    ]


@dataclass(frozen=True)
class Scheme:
    """One Winograd algorithm: its output tile, its input tile and the three transforms."""

    name: str
    out: int
    tile: int
    weights: tuple[tuple[float, float, float], ...]
    of_input: Callable[[Lines], list[Float32]]
    of_output: Callable[[Lines], list[Float32]]


_F23 = Scheme(
    "F(2,3)", 2, 4, ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)), _input_2, _output_2
)  # fmt: skip
_F43 = Scheme(
    "F(4,3)",
    4,
    6,
    (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
    _input_4,
    _output_4,
)
_TILE_BLOCK = 8
_SMALL = 16


def scheme_of(height: int, width: int) -> Scheme:
    """Return the algorithm that one thread takes for an output of this size (``conv_winograd.cc``)."""
    return _F23 if height * width // _TILE_BLOCK < _SMALL else _F43


def tiles(x: NDArray[Number], scheme: Scheme, height: int, width: int) -> NDArray[Number]:
    """Cut one padded image (c, h, w) into input tiles (tile, tile, c, rows of tiles, columns of tiles)."""
    down, across = -(-height // scheme.out), -(-width // scheme.out)
    missing = [max(n * scheme.out + 2 - size, 0) for n, size in zip((down, across), x.shape[1:], strict=True)]
    grown = np.pad(x, ((0, 0), (0, missing[0]), (0, missing[1])))
    view: NDArray[Number] = sliding_window_view(grown, (scheme.tile,) * 2, axis=(1, 2))  # type: ignore[call-overload]
    cut = view[:, :: scheme.out, :: scheme.out][:, :down, :across]
    return np.ascontiguousarray(cut.transpose(3, 4, 0, 1, 2))


def transform_input(cut: Float32, scheme: Scheme) -> Float32:
    """Transform tiles along the width, then along the height: (tile, tile, ...) indexed by (x, y)."""
    along = np.stack(scheme.of_input([cut[:, i] for i in range(scheme.tile)]))
    return np.stack(scheme.of_input([along[:, i] for i in range(scheme.tile)]), axis=1)


def transform_weights(weights: Float32, scheme: Scheme) -> Float32:
    """Transform a filter (out, in, 3, 3) along the width, then the height: (tile, tile, out, in) by (x, y).

    Each side is computed in float32 and stored in fp16.
    """
    factors = rounded(np.array(scheme.weights, dtype=np.float32))
    along = rounded(np.einsum("xk,oijk->xoij", factors, weights))
    return rounded(np.einsum("yj,xoij->xyoi", factors, along))


def transform_output(products: Float32, scheme: Scheme) -> Float32:
    """Transform products (tile, tile, c, rows, columns) back, the height first: (c, rows * out, columns * out)."""
    first = np.stack(scheme.of_output([products[:, i] for i in range(scheme.tile)]))
    both = np.stack(scheme.of_output([first[:, i] for i in range(scheme.tile)]))  # (x, y, c, rows, columns)
    channels, down, across = both.shape[2:]
    return both.transpose(2, 3, 1, 4, 0).reshape(channels, down * scheme.out, across * scheme.out)


def convolve(x: Float32, weights: Float32, height: int, width: int) -> Float32:
    """Return the convolution (out, height, width) of one padded image, before bias and activation."""
    scheme = scheme_of(height, width)
    inputs = transform_input(tiles(x, scheme, height, width), scheme)
    filters = transform_weights(weights, scheme)
    grid = inputs.shape[3:]
    flat = inputs.reshape(*inputs.shape[:3], -1)
    products = np.stack(
        [np.stack([matmul(filters[i, j], flat[i, j]) for j in range(scheme.tile)]) for i in range(scheme.tile)]
    ).reshape(scheme.tile, scheme.tile, weights.shape[0], *grid)
    return transform_output(products, scheme)[:, :height, :width]


def largest_transformed(image: Float64, scheme: Scheme) -> float:
    """Return the largest absolute value of the transformed input of one padded image (c, h, w), without fp16's limit.

    The transform of a tile is B x B' with the matrix that the scheme's own function gives for unit vectors.
    """
    unit = np.eye(scheme.tile, dtype=np.float32)
    matrix = np.stack(scheme.of_input(list(unit))).astype(np.float64)
    down, across = -(-(image.shape[1] - 2) // scheme.out), -(-(image.shape[2] - 2) // scheme.out)
    cut = tiles(image, scheme, down * scheme.out, across * scheme.out)
    along = np.tensordot(matrix, cut, axes=(1, 1))  # (x, tile y, ...)
    both = np.tensordot(matrix, along, axes=(1, 1))  # (y, x, ...)
    # What is held between the two passes is fp16 as well.
    return float(max(np.abs(along).max(initial=0), np.abs(both).max(initial=0)))

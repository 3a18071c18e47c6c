"""Winograd convolutions in fp16: F(2,3) for small outputs, F(4,3) for others (``conv3x3_winograd_fp16.cc``).

Every intermediate value is fp16, so the input transform of F(4,3), which can grow a value tenfold in each direction,
overflows from inputs of 655 on in the worst case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model_opt.emulator.engine_build import EngineBuild
from model_opt.emulator.half import fma, gemm_c8, rounded
from model_opt.emulator.state import Float32, Float64
from model_opt.emulator.window import Number

Lines = Sequence[Float32]
OfLine = Callable[[Lines], list[Float32]]


# The engine is compiled with -ffast-math: its compiler fuses and reorders the C++ sums. The orders below are the ones
# that reproduce its outputs bit for bit, and other orders leave 15 to 90 % of the values different. GCC 12 makes all of
# them of the source but that of F(2,3)'s input with -O3, which was searched; clang 14 makes others.
def _line_2(s: Lines) -> list[Float32]:
    return [rounded(s[0] - s[2]), rounded(s[1] + s[2]), rounded(s[2] - s[1]), rounded(s[1] - s[3])]


_Orders = Mapping[tuple[int, int], tuple[int, int, int, int]]
_ONE_BY_ONE, _CROSSED = (0, 1, 3, 2), (1, 3, 0, 2)
# By x and y of the transformed tile: where four inputs are not summed as (0 + 1) + (2 + 3), but one after the other.
_ORDERS_2: Mapping[EngineBuild, _Orders] = {
    EngineBuild.FAST: {(x, y): _ONE_BY_ONE for x in (0, 2, 3) for y in (0, 3)},
    EngineBuild.RELEASE: {
        (0, 0): _CROSSED,
        (2, 0): _CROSSED,
        (3, 0): _CROSSED,
        (2, 3): _ONE_BY_ONE,
        (3, 3): _ONE_BY_ONE,
    },
}


def _input_2(orders: _Orders, s: Float32) -> Float32:
    """Transform tiles (y, x, ...) of F(2,3) into (x, y, ...)."""
    along = [_line_2([s[y, x] for x in range(4)]) for y in range(4)]
    both = np.stack([np.stack(_line_2([along[y][x] for y in range(4)])) for x in range(4)])
    differences = {0: (0, 2), 2: (2, 1), 3: (1, 3)}
    for (x, y), order in orders.items():
        (plus, minus), (above, below) = differences[x], differences[y]
        terms = (s[above, plus], -s[above, minus], -s[below, plus], s[below, minus])
        both[x, y] = rounded(rounded(rounded(terms[order[0]] + terms[order[1]]) + terms[order[2]]) + terms[order[3]])
    return both


def _output_2(s: Float32) -> Float32:
    """Transform products (x, y, ...) of F(2,3) back into (x, y, ...)."""
    d0, d1, d2 = (rounded(s[x, 0] + rounded(s[x, 1] + s[x, 2])) for x in range(3))
    middle = rounded(s[1, 1] - rounded(s[1, 3] + s[1, 2]))
    first = rounded(rounded(d0 + d1) + d2)
    right = rounded(_minus(d1, s[3, 0], s[3, 1], s[3, 2]) - d2)
    below = rounded(_minus(rounded(rounded(s[2, 1] - s[0, 2]) + s[0, 1]), s[0, 3], s[2, 2], s[2, 3]) + middle)
    last = rounded(s[3, 3] + rounded(rounded(s[2, 2] + s[2, 3]) + s[3, 2]))
    last = rounded(rounded(rounded(last - s[2, 1]) + middle) - s[3, 1])
    return np.stack([np.stack([first, below]), np.stack([right, last])])


def _minus(total: Float32, *terms: Float32) -> Float32:
    for term in terms:
        total = rounded(total - term)
    return total


def _plus(total: Float32, x: Float32, factor: int) -> Float32:
    return fma(total, x, np.float32(factor))


def _line_4_fast(s: Lines) -> list[Float32]:
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


def _line_4_release(s: Lines) -> list[Float32]:
    lines = _line_4_fast(s)
    lines[2] = _plus(rounded(_plus(s[4], s[2], -4) - s[3]), s[1], 4)
    return lines


def _output_line_4(s: Lines) -> list[Float32]:
    sum12, diff12 = rounded(s[1] + s[2]), rounded(s[1] - s[2])
    sum34, diff34 = rounded(s[3] + s[4]), rounded(s[3] - s[4])
    return [
        rounded(rounded(s[0] + sum12) + sum34),
        _plus(diff12, diff34, 2),
        _plus(sum12, sum34, 4),
        _plus(rounded(diff12 + s[5]), diff34, 8),
    ]


def _input_4(of_line: OfLine, s: Float32) -> Float32:
    """Transform tiles (y, x, ...) of F(4,3) along the width, then along the height, into (x, y, ...)."""
    along = np.stack(of_line([s[:, x] for x in range(6)]))
    return np.stack(of_line([along[:, y] for y in range(6)]), axis=1)


def _output_4(s: Float32) -> Float32:
    """Transform products (x, y, ...) of F(4,3) back, the height first, into (x, y, ...)."""
    first = np.stack(_output_line_4([s[:, y] for y in range(6)]))
    return np.stack(_output_line_4([first[:, x] for x in range(6)]))


@dataclass(frozen=True)
class Scheme:
    """One Winograd algorithm: its output tile, its input tile, what it does to a filter, a line, a tile, a product."""

    name: str
    out: int
    tile: int
    weights: tuple[tuple[float, float, float], ...]
    of_line: OfLine
    of_input: Callable[[Float32], Float32]
    of_output: Callable[[Float32], Float32]


def _f23(build: EngineBuild) -> Scheme:
    weights = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
    return Scheme("F(2,3)", 2, 4, weights, _line_2, partial(_input_2, _ORDERS_2[build]), _output_2)


def _f43(build: EngineBuild) -> Scheme:
    weights = (
        (1 / 4, 0.0, 0.0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0.0, 0.0, 1.0),
    )
    of_line = _line_4_fast if build is EngineBuild.FAST else _line_4_release
    return Scheme("F(4,3)", 4, 6, weights, of_line, partial(_input_4, of_line), _output_4)


F43 = _f43(EngineBuild.RELEASE)
_TILE_BLOCK = 8
_SMALL = 16


def scheme_of(height: int, width: int, build: EngineBuild = EngineBuild.RELEASE) -> Scheme:
    """Return the algorithm that one thread takes for an output of this size (``conv_winograd.cc``)."""
    return (_f23 if height * width // _TILE_BLOCK < _SMALL else _f43)(build)


def tiles(x: NDArray[Number], scheme: Scheme, height: int, width: int) -> NDArray[Number]:
    """Cut one padded image (c, h, w) into input tiles (tile, tile, c, rows of tiles, columns of tiles)."""
    down, across = -(-height // scheme.out), -(-width // scheme.out)
    missing = [max(n * scheme.out + 2 - size, 0) for n, size in zip((down, across), x.shape[1:], strict=True)]
    grown = np.pad(x, ((0, 0), (0, missing[0]), (0, missing[1])))
    view: NDArray[Number] = sliding_window_view(grown, (scheme.tile,) * 2, axis=(1, 2))  # type: ignore[call-overload]
    cut = view[:, :: scheme.out, :: scheme.out][:, :down, :across]
    return np.ascontiguousarray(cut.transpose(3, 4, 0, 1, 2))


def transform_weights(weights: Float32, scheme: Scheme) -> Float32:
    """Transform a filter (out, in, 3, 3) along the width, then the height: (tile, tile, out, in) by (x, y).

    Each side is computed in float32 and stored in fp16.
    """
    factors = rounded(np.array(scheme.weights, dtype=np.float32))
    along = rounded(np.einsum("xk,oijk->xoij", factors, weights))
    return rounded(np.einsum("yj,xoij->xyoi", factors, along))


def transform_output(products: Float32, scheme: Scheme) -> Float32:
    """Transform products (x, y, c, rows, columns) back: (c, rows * out, columns * out)."""
    both = scheme.of_output(products)  # (x, y, c, rows, columns)
    channels, down, across = both.shape[2:]
    return both.transpose(2, 3, 1, 4, 0).reshape(channels, down * scheme.out, across * scheme.out)


def convolve(x: Float32, weights: Float32, height: int, width: int, build: EngineBuild) -> Float32:
    """Return the convolution (out, height, width) of one padded image, before bias and activation."""
    scheme = scheme_of(height, width, build)
    inputs = scheme.of_input(tiles(x, scheme, height, width))
    filters = transform_weights(weights, scheme)
    grid = inputs.shape[3:]
    flat = inputs.reshape(*inputs.shape[:3], -1)
    products = np.stack(
        [np.stack([gemm_c8(filters[i, j], flat[i, j]) for j in range(scheme.tile)]) for i in range(scheme.tile)]
    ).reshape(scheme.tile, scheme.tile, weights.shape[0], *grid)
    return transform_output(products, scheme)[:, :height, :width]


def input_matrix(scheme: Scheme) -> Float64:
    """Return B of a scheme: a tile becomes B x B'."""
    return np.stack(scheme.of_line(list(np.eye(scheme.tile, dtype=np.float32)))).astype(np.float64)


def output_matrix_4() -> Float64:
    """Return A of F(4,3): products become A x A'."""
    return np.stack(_output_line_4(list(np.eye(6, dtype=np.float32)))).astype(np.float64)


def largest_transformed(image: Float64, scheme: Scheme) -> float:
    """Return the largest absolute value of the transformed input of one padded image (c, h, w), without fp16's limit.

    The transform of a tile is B x B' with the matrix that the scheme's own function gives for unit vectors.
    """
    matrix = input_matrix(scheme)
    down, across = -(-(image.shape[1] - 2) // scheme.out), -(-(image.shape[2] - 2) // scheme.out)
    cut = tiles(image, scheme, down * scheme.out, across * scheme.out)
    along = np.tensordot(matrix, cut, axes=(1, 1))  # (x, tile y, ...)
    both = np.tensordot(matrix, along, axes=(1, 1))  # (y, x, ...)
    # What is held between the two passes is fp16 as well.
    return float(max(np.abs(along).max(initial=0), np.abs(both).max(initial=0)))

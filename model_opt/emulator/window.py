"""Windows of convolutions and pools: reading their attributes and laying them out as matrices."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model_opt.emulator.state import Array, Float64
from model_opt.nb.translate.conv import chosen_pads, pair, read_pads
from model_opt.nb.translate.view import OpView

Number = TypeVar("Number", bound=np.generic)


class Window(NamedTuple):
    """A window over height and width; ``pads`` are top, bottom, left, right."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    groups: int


def read_window(op: OpView, x: Array, weights: Array) -> Window:
    """Return the window of a convolution; ``NbError`` for dilations and for shapes that do not fit."""
    if x.ndim != 4 or weights.ndim != 4:
        op.fail(f"an input of {x.ndim} and a filter of {weights.ndim} dimensions, 4 and 4 are expected")
    kernel = (weights.shape[2], weights.shape[3])
    strides, groups = pair(op, "strides", 1), op.integer("groups")
    op.must("dilations", (1, 1))
    op.must("data_format", "NCHW", "AnyLayout")
    op.must("fuse_activation", "")
    op.ignore("fuse_alpha", "fuse_beta")
    op.must("fuse_residual_connection", False)
    op.must("fuse_relu_before_depthwise_conv", False)
    pads = chosen_pads(op, x.shape[2:], kernel, strides) or (0, 0, 0, 0)  # every size is known in a run
    if groups < 1 or weights.shape[0] % groups:
        op.fail(f"{groups} groups for {weights.shape[0]} channels")
    return Window(kernel, strides, pads, groups)


def check_channels(op: OpView, x: Array, weights: Array, window: Window) -> None:
    """Raise unless the input has the channels that the filter of a convolution wants."""
    if x.shape[1] != weights.shape[1] * window.groups:
        op.fail(f"an input of {x.shape[1]} channels for a filter of shape {list(weights.shape)}")


def padded(x: NDArray[Number], pads: tuple[int, int, int, int], around: float = 0.0) -> NDArray[Number]:
    """Return ``x`` (n, c, h, w) with ``around`` on its four sides."""
    top, bottom, left, right = pads
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    return np.pad(x, sides, constant_values=around) if any(pads) else x


def transposed_window(op: OpView, x: Array, weights: Array) -> Window:
    """Return the window of a transposed convolution; only ones without overlap are known, as the models have them."""
    window = read_window(op, x, weights)
    op.must("output_padding", ())
    op.must("output_size", ())
    if window.kernel != window.strides or any(window.pads) or window.groups != 1 or x.shape[1] != weights.shape[0]:
        op.fail(f"a transposed convolution of {list(x.shape)} by {list(weights.shape)}, {window}")
    return window


def unfolded(products: NDArray[Number], window: Window, source: tuple[int, ...]) -> NDArray[Number]:
    """Return products (n, out channels * kernel area, area) of an input of shape ``source`` as (n, c, out h, out w)."""
    (high, wide), (height, width) = window.kernel, source[2:]
    blocks = products.reshape(len(products), -1, high, wide, height, width).transpose(0, 1, 4, 2, 5, 3)
    return blocks.reshape(*blocks.shape[:2], height * high, width * wide)


class Pool(NamedTuple):
    """A pool: ``max`` or ``avg`` of windows. ``everything``: one window of all of the image."""

    kind: str
    window: Window
    everything: bool


def read_pool(op: OpView, x: Array) -> Pool:
    """Return the pool of a ``pool2d``; ``NbError`` for averages with pads, ``ceil_mode`` and sizes but 1."""
    kind, everything = op.text("pooling_type"), op.flag("global_pooling")
    kernel, strides, pads = op.ints("ksize"), op.ints("strides"), read_pads(op)
    if x.ndim != 4 or kind not in ("max", "avg") or len(kernel) != 2 or len(strides) != 2:
        op.fail(f"pooling of type {kind!r} with windows {list(kernel)} and strides {list(strides)}")
    everything = everything or (op.flag("adaptive", False) and kernel == (1, 1))
    if not everything:
        op.must("adaptive", False)
        op.must("padding_algorithm", "EXPLICIT", "")
    op.must("ceil_mode", False)
    op.must("data_format", "NCHW", "AnyLayout")
    op.ignore("exclusive", "padding_algorithm", "adaptive")
    if everything:
        kernel = strides = (x.shape[2], x.shape[3])
        pads = (0, 0, 0, 0)
    if any(pads) and kind == "avg":
        op.must("paddings", (0, 0), (0, 0, 0, 0))
    if max(pads[:2]) >= kernel[0] or max(pads[2:]) >= kernel[1]:
        op.fail(f"pads of {list(pads)} around a window of {list(kernel)}")
    return Pool(kind, Window((kernel[0], kernel[1]), (strides[0], strides[1]), pads, 1), everything)


def patches(op: OpView, x: NDArray[Number], window: Window, around: float = 0.0) -> NDArray[Number]:
    """Return a view (n, c, out h, out w, kernel h, kernel w) of the input padded with ``around``."""
    x = padded(x, window.pads, around)
    if x.shape[2] < window.kernel[0] or x.shape[3] < window.kernel[1]:
        op.fail(f"a window of {window.kernel} on an input of {x.shape[2:]}")
    view: NDArray[Number] = sliding_window_view(x, window.kernel, axis=(2, 3))  # type: ignore[call-overload]
    return view[:, :, :: window.strides[0], :: window.strides[1]]


def rows(op: OpView, x: NDArray[Number], window: Window) -> tuple[NDArray[Number], tuple[int, int]]:
    """Return the patches as a matrix (n, groups, channels in a group * kernel area, out area), and the output size."""
    view = patches(op, x, window)
    n, _, height, width = view.shape[:4]
    flat = view.transpose(0, 1, 4, 5, 2, 3).reshape(n, window.groups, -1, height * width)
    return np.ascontiguousarray(flat), (height, width)


def exact_sums(op: OpView, x: Array, weights: Array) -> Float64:
    """Return a convolution (n, c, h, w) in float64, before bias and activation."""
    window = read_window(op, x, weights)
    check_channels(op, x, weights, window)
    matrix, size = rows(op, x.astype(np.float64), window)
    flat = weights.astype(np.float64).reshape(window.groups, weights.shape[0] // window.groups, -1)
    return (flat @ matrix).reshape(x.shape[0], weights.shape[0], *size)


def channelwise(values: NDArray[Any]) -> NDArray[Any]:
    """Return one value per channel, shaped to meet (n, c, h, w)."""
    return values.reshape(1, -1, 1, 1)

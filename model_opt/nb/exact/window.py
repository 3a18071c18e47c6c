"""Windows of convolutions and pools: reading their attributes and laying them out as matrices."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model_opt.nb.exact.state import Array
from model_opt.nb.translate.conv import pair, read_pads, same_pads
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
    strides, pads, groups = pair(op, "strides", 1), read_pads(op), op.integer("groups")
    op.must("dilations", (1, 1))
    op.must("data_format", "NCHW", "AnyLayout")
    op.must("fuse_residual_connection", False)
    op.must("fuse_relu_before_depthwise_conv", False)
    algorithm = op.text("padding_algorithm", "EXPLICIT")
    if algorithm == "VALID":
        pads = (0, 0, 0, 0)
    elif algorithm == "SAME":
        sides = [same_pads(size, *rest) or (0, 0) for size, *rest in zip(x.shape[2:], kernel, strides, strict=True)]
        pads = (*sides[0], *sides[1])
    elif algorithm not in ("EXPLICIT", ""):
        op.fail(f"the padding algorithm {algorithm!r}")
    if groups < 1 or weights.shape[0] % groups:
        op.fail(f"{groups} groups for {weights.shape[0]} channels")
    return Window(kernel, strides, pads, groups)


def check_channels(op: OpView, x: Array, weights: Array, window: Window) -> None:
    """Raise unless the input has the channels that the filter of a convolution wants."""
    if x.shape[1] != weights.shape[1] * window.groups:
        op.fail(f"an input of {x.shape[1]} channels for a filter of shape {list(weights.shape)}")


def padded(x: NDArray[Number], pads: tuple[int, int, int, int]) -> NDArray[Number]:
    """Return ``x`` (n, c, h, w) with zeros around it."""
    top, bottom, left, right = pads
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right))) if any(pads) else x


def patches(op: OpView, x: NDArray[Number], window: Window) -> NDArray[Number]:
    """Return a view (n, c, out h, out w, kernel h, kernel w) of the padded input."""
    x = padded(x, window.pads)
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


def channelwise(values: NDArray[Any]) -> NDArray[Any]:
    """Return one value per channel, shaped to meet (n, c, h, w)."""
    return values.reshape(1, -1, 1, 1)

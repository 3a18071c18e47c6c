"""What the weights of a convolution are multiplied with: its input, window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from model_opt.nb.exact.winograd import F43, input_matrix, tiles
from model_opt.passes.ops import Conv, Float64Array
from model_opt.quantize.observe import Float32Array, Observer
from model_opt.quantize.report import Progress

POSITIONS = 4096
"""Windows looked at in one input of a layer, at equal steps: neighbours say nearly the same."""
TILES = 1024
"""The same for tiles."""
SAMPLE = 256
"""Windows kept of one input, for trying things out."""


@dataclass(frozen=True, eq=False)
class Seen:
    """``gram``: (groups, k + 1, k + 1), the mean of a a' for windows a = (1, x_1 … x_k) of one group, so the first row
    holds the means. ``sample``: (windows, groups * k), some of the windows.
    """

    gram: Float64Array
    sample: Float32Array
    area: int
    """Pixels of the largest output."""
    count: int
    """Windows behind ``gram``."""


def layer_inputs(
    observer: Observer,
    convs: Mapping[str, Conv],
    inputs: Sequence[Float32Array],
    progress: Progress,
) -> dict[str, Seen]:
    """Return what the observer's layers see on ``inputs``; ``convs`` holds each layer by the name of its weights."""
    grams: dict[str, Float64Array] = {}
    samples: dict[str, list[Float32Array]] = {}
    areas: dict[str, int] = {}
    counts: dict[str, int] = {}
    for position, x in enumerate(inputs):
        progress(position / len(inputs), f"windows of input {position + 1} of {len(inputs)}")
        for name, view in observer.run(x).layers.items():
            seen = windows(view.input, convs[name])
            grams[name] = grams.get(name, np.zeros(())) + _gram(seen) / len(inputs)
            flat = seen.transpose(1, 0, 2).reshape(seen.shape[1], -1)
            samples.setdefault(name, []).append(flat[:: max(len(flat) // SAMPLE, 1)].astype(np.float32))
            counts[name] = counts.get(name, 0) + seen.shape[1]
            areas[name] = max(areas.get(name, 0), int(np.prod(view.output.shape[2:])))
    return {name: Seen(grams[name], np.concatenate(samples[name]), areas[name], counts[name]) for name in grams}


def tile_grams(
    observer: Observer, convs: Mapping[str, Conv], inputs: Sequence[Float32Array], progress: Progress
) -> dict[str, Float64Array]:
    """Return what Winograd's F(4,3) multiplies in the observer's layers: (6, 6, channels, channels), the mean of v v'
    over tiles, for v the channels at one place of a transformed tile.
    """
    grams: dict[str, Float64Array] = {}
    matrix = input_matrix(F43)
    for position, x in enumerate(inputs):
        progress(position / len(inputs), f"tiles of input {position + 1} of {len(inputs)}")
        for name, view in observer.run(x).layers.items():
            pads = convs[name].paddings if len(convs[name].paddings) == 4 else tuple(np.repeat(convs[name].paddings, 2))
            image = np.pad(view.input[0], ((0, 0), (pads[0], pads[1]), (pads[2], pads[3])))
            cut = tiles(image, F43, image.shape[1] - 2, image.shape[2] - 2)
            flat = cut.reshape(*cut.shape[:3], -1)
            flat = flat[..., :: max(flat.shape[3] // TILES, 1)].astype(np.float64)
            both = np.einsum("xi,yj,jict->xyct", matrix, matrix, flat, optimize=True)
            grams[name] = grams.get(name, np.zeros(())) + both @ both.swapaxes(2, 3) / both.shape[3] / len(inputs)
    return grams


def grounds(inputs: Sequence[Float32Array]) -> list[Float32Array]:
    """Return three images of one colour, of the size of the smallest of ``inputs``: the lowest, the middle and the
    highest value of each channel.

    Drawn pages have such grounds and scanned ones have not; on them a kernel's error is the same in every pixel.
    """
    low = np.min([x.min(axis=(0, 2, 3)) for x in inputs], axis=0)
    high = np.max([x.max(axis=(0, 2, 3)) for x in inputs], axis=0)
    shape = min((x.shape for x in inputs), key=lambda shape: shape[2] * shape[3])
    colours = (low, (low + high) / 2, high)
    return [np.array(np.broadcast_to(c[None, :, None, None], shape), dtype=np.float32) for c in colours]


def windows(x: Float32Array, conv: Conv) -> Float64Array:
    """Return windows of the padded input: (groups, windows, channels of a group * kernel area)."""
    pads = conv.paddings if len(conv.paddings) == 4 else tuple(pad for pad in conv.paddings for _ in range(2))
    kernel = (1, 1) if conv.transposed else conv.weight.shape[2:]
    strides = (1, 1) if conv.transposed else conv.strides
    if not conv.transposed:
        x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[1]), (pads[2], pads[3])))
    view: Float32Array = sliding_window_view(x, kernel, axis=(2, 3))  # type: ignore[call-overload]
    view = view[:, :, :: strides[0], :: strides[1]]
    n, channels, height, width = view.shape[:4]
    taken = np.arange(0, height * width, max(height * width // POSITIONS, 1))
    chosen = view[:, :, taken // width, taken % width]  # (n, channels, windows, kernel height, kernel width)
    grouped = chosen.reshape(n, conv.groups, channels // conv.groups, len(taken), -1).transpose(1, 0, 3, 2, 4)
    return grouped.reshape(conv.groups, n * len(taken), -1).astype(np.float64)


def _gram(seen: Float64Array) -> Float64Array:
    one = np.concatenate([np.ones((*seen.shape[:2], 1)), seen], axis=2)
    product: Float64Array = one.transpose(0, 2, 1) @ one / seen.shape[1]
    return product

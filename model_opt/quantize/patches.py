"""The input patches of a convolution (im2col)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model_opt.emulator.winograd import F43, input_matrix, tiles
from model_opt.program.ops import Conv, Float64Array
from model_opt.quantize.augment import ends_of
from model_opt.quantize.observe import Float32Array, LayerView, Observer
from model_opt.quantize.parallel import in_order
from model_opt.quantize.report import QuantizeProgress

POSITIONS = 4096
"""Windows sampled from one input of a layer, at equal steps: neighbours are nearly the same."""
TILES = 1024
"""The same for tiles."""
SAMPLE = 256
"""Windows kept of one input, for trying things out."""


@dataclass(frozen=True, eq=False)
class Seen:
    """``gram``: (groups, k + 1, k + 1), the mean of a a' for windows a = (1, x_1 … x_k) of one group, so the first row
    holds the means. ``sample``: (windows, groups * k), some of the windows, rounded to fp16.
    """

    gram: Float64Array
    sample: NDArray[np.float16]
    area: int
    """Pixels of the largest output."""
    count: int
    """Windows behind ``gram``."""


def layer_inputs(
    observer: Observer,
    convs: Mapping[str, Conv],
    inputs: Sequence[Float32Array],
    progress: QuantizeProgress,
    sampled: Collection[str] | None = None,
) -> dict[str, Seen]:
    """Return what the observer's layers see on ``inputs``; ``convs`` holds each layer by the name of its weights.

    ``sampled``: the layers whose windows are kept (all when None); the others have an empty ``sample``.
    """

    def look(x: Float32Array) -> dict[str, tuple[Float64Array, _Look]]:
        layers = observer.run(x).layers
        return {name: _look(view, convs[name], sampled is None or name in sampled) for name, view in layers.items()}

    grams: dict[str, Float64Array] = {}
    looks: dict[str, list[_Look]] = {}
    for position, one in enumerate(in_order(look, inputs)):
        progress(position / len(inputs), f"windows of input {position + 1} of {len(inputs)}")
        for name, (gram, seen) in one.items():
            grams[name] = grams.get(name, np.zeros(())) + gram / len(inputs)
            looks.setdefault(name, []).append(seen)
    return {name: _together(grams[name], looks.pop(name)) for name in grams}


@dataclass(frozen=True, eq=False)
class _Look:
    """What one layer sees of one input beside the gram; see ``Seen``."""

    sample: NDArray[np.float16]
    area: int
    count: int


def _look(view: LayerView, conv: Conv, sampled: bool) -> tuple[Float64Array, _Look]:
    """Return the gram of one input's windows, and what else is kept of them."""
    seen = _with_one(view.input, conv)
    gram: Float64Array = seen.transpose(0, 2, 1) @ seen / seen.shape[1]
    some = seen[:, :: max(seen.shape[1] // SAMPLE, 1), 1:] if sampled else seen[:, :0, 1:]
    with np.errstate(over="ignore"):
        sample = (
            some.transpose(1, 0, 2)
            .reshape(some.shape[1], some.shape[0] * some.shape[2])
            .astype(np.float32)
            .astype(np.float16)
        )
    return gram, _Look(sample, int(np.prod(view.output.shape[2:])), seen.shape[1])


def _together(gram: Float64Array, looks: Sequence[_Look]) -> Seen:
    sample = np.concatenate([look.sample for look in looks])
    return Seen(gram, sample, max(look.area for look in looks), sum(look.count for look in looks))


def tile_grams(
    observer: Observer, convs: Mapping[str, Conv], inputs: Sequence[Float32Array], progress: QuantizeProgress
) -> dict[str, Float64Array]:
    """Return what Winograd's F(4,3) multiplies in the observer's layers: (6, 6, channels, channels), the mean of v v'
    over tiles, for v the channels at one place of a transformed tile.
    """

    def look(x: Float32Array) -> dict[str, Float64Array]:
        return {name: _tile_gram(view.input, convs[name]) for name, view in observer.run(x).layers.items()}

    grams: dict[str, Float64Array] = {}
    for position, one in enumerate(in_order(look, inputs)):
        progress(position / len(inputs), f"tiles of input {position + 1} of {len(inputs)}")
        for name, gram in one.items():
            grams[name] = grams.get(name, np.zeros(())) + gram / len(inputs)
    return grams


def _tile_gram(x: Float32Array, conv: Conv) -> Float64Array:
    matrix = input_matrix(F43)
    pads = conv.paddings if len(conv.paddings) == 4 else tuple(np.repeat(conv.paddings, 2))
    image = np.pad(x[0], ((0, 0), (pads[0], pads[1]), (pads[2], pads[3])))
    cut = tiles(image, F43, image.shape[1] - 2, image.shape[2] - 2)
    flat = cut.reshape(*cut.shape[:3], -1)
    flat = flat[..., :: max(flat.shape[3] // TILES, 1)].astype(np.float64)
    # As einsum leaves it, a product would go without BLAS, seven times as slow.
    both = np.ascontiguousarray(np.einsum("xi,yj,jict->xyct", matrix, matrix, flat, optimize=True))
    gram: Float64Array = both @ both.swapaxes(2, 3) / both.shape[3]
    return gram


def grounds(inputs: Sequence[Float32Array]) -> list[Float32Array]:
    """Return three images of one colour, of the size of the smallest of ``inputs``: the lowest, the middle and the
    highest value of each channel.

    Drawn pages have such grounds and scanned ones have not; on them a kernel's error is the same in every pixel.
    """
    ends = ends_of(inputs)
    shape = min((x.shape for x in inputs), key=lambda shape: shape[2] * shape[3])
    colours = (ends.low, (ends.low + ends.high) / 2, ends.high)
    return [np.array(np.broadcast_to(colour, shape), dtype=np.float32) for colour in colours]


def windows(x: Float32Array, conv: Conv) -> Float64Array:
    """Return windows of the padded input: (groups, windows, channels of a group * kernel area)."""
    return _with_one(x, conv)[..., 1:]


def _with_one(x: Float32Array, conv: Conv) -> Float64Array:
    """Return windows of the padded input, a 1 before each: (groups, windows, 1 + channels of a group * kernel area)."""
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
    wide = np.ones((conv.groups, n * len(taken), 1 + grouped.shape[3] * grouped.shape[4]))
    wide[..., 1:] = grouped.reshape(conv.groups, n * len(taken), -1)
    return wide

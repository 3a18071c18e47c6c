"""Measure the range of the values of each layer, for choosing powers of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_opt.emulator import winograd
from model_opt.emulator.fp16 import uses_winograd
from model_opt.emulator.window import Window, padded
from model_opt.program.ops import Conv
from model_opt.quantize.observe import Float32Array, LayerView, Observer
from model_opt.quantize.parallel import in_order
from model_opt.quantize.report import QuantizeProgress

LOWEST = -60
"""Values below 2^LOWEST count as this small; nothing brings them back."""
_BINS = 128
_COUNTED = 1 << 16


@dataclass(frozen=True, eq=False)
class ValueRange:
    """The values of one tensor: the largest absolute one, and how many of those counted lie in [2^(LOWEST + i), twice
    that).
    """

    largest: float
    counts: NDArray[np.int64]

    def below(self, power: int) -> float:
        """Return the share (0 to 1) of the values other than zero that are below 2^power."""
        total = int(self.counts.sum())
        return float(self.counts[: max(power - LOWEST, 0)].sum()) / total if total else 0.0

    def __add__(self, other: ValueRange) -> ValueRange:
        return ValueRange(max(self.largest, other.largest), self.counts + other.counts)


@dataclass(frozen=True, eq=False)
class LayerRange:
    """One layer over all inputs: ``transformed`` is the largest value of its input as the fp16 kernel holds it."""

    input: ValueRange
    output: ValueRange
    transformed: float

    def __add__(self, other: LayerRange) -> LayerRange:
        return LayerRange(
            self.input + other.input, self.output + other.output, max(self.transformed, other.transformed)
        )


def range_of(values: NDArray[np.float32]) -> ValueRange:
    """Return the range of an array; of many values, ``_COUNTED`` at equal steps are counted."""
    some = values.reshape(-1)[:: max(values.size // _COUNTED, 1)].astype(np.float32)
    exponents = (some.view(np.int32) >> 23 & 0xFF) - 127  # of what is not subnormal in float32, far below LOWEST
    counts = np.bincount(np.clip(exponents[some != 0] - LOWEST, 0, _BINS - 1), minlength=_BINS)
    return ValueRange(float(max(values.max(initial=0), -values.min(initial=0))), counts)


def layer_ranges(
    observer: Observer,
    convs: Mapping[str, Conv],
    inputs: Sequence[Float32Array],
    progress: QuantizeProgress,
) -> dict[str, LayerRange]:
    """Return the ranges of the observer's layers over ``inputs``, by the name of their weights."""

    def look(x: Float32Array) -> dict[str, LayerRange]:
        return {name: _layer_span(view, convs.get(name)) for name, view in observer.run(x).layers.items()}

    ranges: dict[str, LayerRange] = {}
    for position, found in enumerate(in_order(look, inputs)):
        progress(position / len(inputs), f"input {position + 1} of {len(inputs)}")
        ranges = {name: ranges[name] + one if name in ranges else one for name, one in found.items()}
    return ranges


def _layer_span(view: LayerView, conv: Conv | None) -> LayerRange:
    before, behind = range_of(view.input), range_of(view.output)
    transformed = _transformed(view.input, conv) if conv is not None else 0.0
    return LayerRange(before, behind, max(transformed, before.largest))


def _transformed(x: Float32Array, conv: Conv) -> float:
    """Return the largest value behind Winograd's input transform; 0 where another kernel runs."""
    pads = conv.paddings if len(conv.paddings) == 4 else tuple(pad for pad in conv.paddings for _ in range(2))
    if conv.transposed or conv.dilations != (1, 1) or len(pads) != 4:
        return 0.0
    kernel = (int(conv.weight.shape[2]), int(conv.weight.shape[3]))
    window = Window(kernel, conv.strides, (pads[0], pads[1], pads[2], pads[3]), conv.groups)
    if not uses_winograd(x, conv.weight, window):
        return 0.0
    image = padded(x, window.pads)
    scheme = winograd.scheme_of(image.shape[2] - 2, image.shape[3] - 2)
    return max(winograd.largest_transformed(one.astype(np.float64), scheme) for one in image)

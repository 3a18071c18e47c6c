"""Augment calibration pages.

Calibration pages are mostly dark on light, and sharp. What a model meets elsewhere (light on dark, faint, noisy,
turned, small print, coloured grounds) fills its deep layers with values up to ten times as large; limits must hold for
those too. An augmented page is an image again: values stay within the range that the pages have together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_opt.quantize.observe import Float32Array

_WASHED = np.float32(0.1)
_DIM = np.float32(0.25)
_NOISE = np.float32(0.4)
_STEEP = np.float32(3)


@dataclass(frozen=True, eq=False)
class Ends:
    """The least (``low``) and the largest value (``high``) of an image's channels, [1, channels, 1, 1]."""

    low: Float32Array
    high: Float32Array


Augmentation = Callable[[Float32Array, Ends, np.random.Generator], Float32Array]


def ends_of(inputs: Sequence[Float32Array]) -> Ends:
    """Return the ends of all inputs together."""
    low = np.min([x.min(axis=(0, 2, 3)) for x in inputs], axis=0)
    high = np.max([x.max(axis=(0, 2, 3)) for x in inputs], axis=0)
    return Ends(low.reshape(1, -1, 1, 1), high.reshape(1, -1, 1, 1))


def washed_out(x: Float32Array) -> Float32Array:
    """Return an input with a tenth of its contrast around its mean colour: what rounding hurts first."""
    mean = x.mean(axis=(2, 3), keepdims=True)
    return np.asarray(mean + (x - mean) * _WASHED, np.float32)


def inverted(x: Float32Array, ends: Ends) -> Float32Array:
    """Return an input with light and dark exchanged."""
    return np.asarray(ends.low + ends.high - x, np.float32)


def _dim(x: Float32Array, ends: Ends, random: np.random.Generator) -> Float32Array:
    return np.asarray(ends.low + (x - ends.low) * _DIM, np.float32)


def _noisy(x: Float32Array, ends: Ends, random: np.random.Generator) -> Float32Array:
    return _kept(x + random.standard_normal(x.shape, np.float32) * _NOISE, ends)


def _steep(x: Float32Array, ends: Ends, random: np.random.Generator) -> Float32Array:
    mean = x.mean(axis=(2, 3), keepdims=True)
    return _kept(mean + (x - mean) * _STEEP, ends)


def _turned(x: Float32Array, ends: Ends, random: np.random.Generator) -> Float32Array:
    return np.ascontiguousarray(x.transpose(0, 1, 3, 2))


def _half(x: Float32Array, ends: Ends, random: np.random.Generator) -> Float32Array:
    """Half as large, four times, so that the sides stay."""
    even = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
    small = (even[:, :, ::2] + even[:, :, 1::2])[..., ::2] + (even[:, :, ::2] + even[:, :, 1::2])[..., 1::2]
    high, wide = (-(-side // (side // 2)) for side in x.shape[2:])
    tiled = np.tile(small / np.float32(4), (1, 1, high, wide))
    return np.asarray(tiled[:, :, : x.shape[2], : x.shape[3]], np.float32)


def _coloured(x: Float32Array, ends: Ends, random: np.random.Generator) -> Float32Array:
    """Some channels inverted."""
    turned = random.permutation(x.shape[1]) < 1 + random.integers(max(x.shape[1] - 1, 1))
    return np.where(turned.reshape(1, -1, 1, 1), inverted(x, ends), x)


def _clouded(x: Float32Array, ends: Ends, random: np.random.Generator) -> Float32Array:
    """Half the contrast on a ground of soft blotches."""
    high, wide = x.shape[2:]
    blotches = random.standard_normal((1, x.shape[1], -(-high // 12), -(-wide // 12)), np.float32)
    ground = np.repeat(np.repeat(blotches, 12, axis=2), 12, axis=3)[:, :, :high, :wide]
    return _kept(x / np.float32(2) + ground, ends)


def _kept(x: Float32Array, ends: Ends) -> Float32Array:
    return np.asarray(np.clip(x, ends.low, ends.high), np.float32)


AUGMENTATIONS: Mapping[str, Augmentation] = {
    "inverted": lambda x, ends, random: inverted(x, ends),
    "washed_out": lambda x, ends, random: washed_out(x),
    "dim": _dim,
    "noisy": _noisy,
    "steep": _steep,
    "turned": _turned,
    "half": _half,
    "coloured": _coloured,
    "clouded": _clouded,
}


def augmented(inputs: Sequence[Float32Array], each: int) -> Iterator[Float32Array]:
    """Yield ``each`` augmented copies of every input, in turns: the first copy of all inputs, then the second."""
    ends, makers = ends_of(inputs), tuple(AUGMENTATIONS.values())
    for step in range(each):
        for index, x in enumerate(inputs):
            maker = makers[(index + step * len(makers) // each) % len(makers)]
            yield maker(x, ends, np.random.default_rng(index))

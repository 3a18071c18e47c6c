"""Steps that the detector's and the recogniser's inputs share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.image import Image
from edge_kit.spec.model import ChannelOrder, Interpolation

Float32Array = NDArray[np.float32]
Run = Callable[[Float32Array], Float32Array]
"""An engine as the pipeline sees it: float32 NCHW in, float32 out."""

CV_INTERPOLATION = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


def resize(image: Image, width: int, height: int, interpolation: Interpolation) -> Image:
    """Resize to ``width`` x ``height`` pixels on uint8, as the server does before it normalises."""
    resized = cv2.resize(image, (width, height), interpolation=CV_INTERPOLATION[interpolation])
    return np.asarray(resized, dtype=np.uint8)


def normalise(
    image: Image,
    divisor: float,
    mean: float | Sequence[float],
    std: float | Sequence[float],
    channel_order: ChannelOrder,
) -> Float32Array:
    """Return ``(image / divisor - mean) / std`` as float32 [3, h, w]; each step is rounded to float32."""
    levels = _levels()
    levels /= np.float32(divisor)
    levels -= np.asarray(mean, dtype=np.float32).reshape(-1, 1)
    levels /= np.asarray(std, dtype=np.float32).reshape(-1, 1)
    return _looked_up(image, levels, channel_order)


def normalise_by_factors(
    image: Image, divisor: float, mean: Sequence[float], std: Sequence[float], channel_order: ChannelOrder
) -> Float32Array:
    """Return ``image * alpha + beta`` as float32 [3, h, w], both steps rounded to float32, as PaddleX does.

    alpha is ``1 / divisor / std`` and beta ``-mean / std``, computed in float64 and rounded to float32.
    """
    levels = _levels()
    levels *= np.array([1.0 / divisor / one for one in std], np.float32).reshape(-1, 1)
    levels += np.array([-level / one for level, one in zip(mean, std, strict=True)], np.float32).reshape(-1, 1)
    return _looked_up(image, levels, channel_order)


def _levels() -> Float32Array:
    """Return the values that a byte can have, float32 [3, 256]: what is computed of them is computed once, not per
    pixel.
    """
    return np.tile(np.arange(256, dtype=np.float32), (3, 1))


def _looked_up(image: Image, levels: Float32Array, channel_order: ChannelOrder) -> Float32Array:
    """Return the channels of a BGR image as float32 [3, h, w], in the order in which they are fed, by a table each."""
    planes = np.empty((3, *image.shape[:2]), np.float32)
    channels = cv2.split(image)
    for plane, table, channel in zip(
        planes, levels, channels if channel_order == "bgr" else channels[::-1], strict=True
    ):
        cv2.LUT(channel, table, dst=plane)
    return planes


def clipped(values: Float32Array, most: int) -> Float32Array:
    """Return ``values`` limited to [0, most]; a negative zero becomes a positive one.

    ``np.clip`` does that with the sign of zero in NumPy 1 and leaves it in NumPy 2; the app's core is compared bit for
    bit.
    """
    return np.asarray(np.clip(values, 0, most) + np.float32(0), np.float32)

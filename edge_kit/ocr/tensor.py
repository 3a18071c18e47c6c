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
    planes = _planes(image, channel_order)
    planes /= np.float32(divisor)
    planes -= np.asarray(mean, dtype=np.float32).reshape(-1, 1, 1)
    planes /= np.asarray(std, dtype=np.float32).reshape(-1, 1, 1)
    return planes


def normalise_by_factors(
    image: Image, divisor: float, mean: Sequence[float], std: Sequence[float], channel_order: ChannelOrder
) -> Float32Array:
    """Return ``image * alpha + beta`` as float32 [3, h, w], both steps rounded to float32, as PaddleX does.

    alpha is ``1 / divisor / std`` and beta ``-mean / std``, computed in float64 and rounded to float32.
    """
    planes = _planes(image, channel_order)
    planes *= np.array([1.0 / divisor / one for one in std], np.float32).reshape(-1, 1, 1)
    planes += np.array([-level / one for level, one in zip(mean, std, strict=True)], np.float32).reshape(-1, 1, 1)
    return planes


def _planes(image: Image, channel_order: ChannelOrder) -> Float32Array:
    """Return the channels of a BGR image as float32 [3, h, w], in the order in which they are fed."""
    channels = image if channel_order == "bgr" else image[:, :, ::-1]
    return np.ascontiguousarray(channels.transpose(2, 0, 1)).astype(np.float32)


def clipped(values: Float32Array, most: int) -> Float32Array:
    """Return ``values`` limited to [0, most]; a negative zero becomes a positive one.

    ``np.clip`` does that with the sign of zero in NumPy 1 and leaves it in NumPy 2; the app's core is compared bit for
    bit.
    """
    return np.asarray(np.clip(values, 0, most) + np.float32(0), np.float32)

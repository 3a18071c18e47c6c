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
    channels = image if channel_order == "bgr" else image[:, :, ::-1]
    planes = np.ascontiguousarray(channels.transpose(2, 0, 1)).astype(np.float32)
    planes /= np.float32(divisor)
    planes -= np.asarray(mean, dtype=np.float32).reshape(-1, 1, 1)
    planes /= np.asarray(std, dtype=np.float32).reshape(-1, 1, 1)
    return planes


def clipped(values: Float32Array, most: int) -> Float32Array:
    """Return ``values`` limited to [0, most]; a negative zero becomes a positive one.

    ``np.clip`` does that with the sign of zero in NumPy 1 and leaves it in NumPy 2; the app's core is compared bit for
    bit.
    """
    return np.asarray(np.clip(values, 0, most) + np.float32(0), np.float32)

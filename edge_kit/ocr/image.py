"""Read images with the server's decoder: OpenCV's colours, EXIF orientation applied, alpha dropped.

Dropping alpha is what PaddleX 3 does; PaddleOCR 2.10's own loader lays a picture with alpha on white
(``ppocr/utils/utility.py``, ``alpha_to_color``).

What follows from that, in every engine alike: 16-bit images keep their high byte, grey images are repeated over
three channels, transparent pixels show the colour stored beneath them, an animation gives its first frame.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_opt.errors import KitError

Image = NDArray[np.uint8]
"""BGR, height x width x 3."""

SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".apng",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".gif",
        ".jp2",
        ".ppm",
        ".pgm",
    }
)

MAX_FILE = 1 << 30
"""Bytes an image file may have; more (a device file has no end) is refused before it fills the memory."""


class ImageError(KitError):
    """An image that cannot be read or has a shape that no rule covers."""


def read_image(path: Path) -> Image:
    """Return the image at ``path`` as BGR uint8.

    Raises ``ImageError`` when the file is missing, is a folder, cannot be decoded, or has too many pixels for
    OpenCV (2**30).
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise ImageError(f"cannot read the image: {reason}", path=path, hint="check the path and its rights") from error
    if len(data) > MAX_FILE:
        raise ImageError(f"the image file is larger than {MAX_FILE >> 20} MiB", path=path, hint="give a smaller image")
    return decode_image(data, path)


def decode_image(data: bytes, origin: Path | str) -> Image:
    """Decode an encoded image held in memory; ``origin`` names it in errors. Same rules as ``read_image``."""
    hint = "give a JPEG, PNG, BMP, WebP, TIFF or GIF image"
    if not data:
        raise ImageError("the image file is empty", path=origin, hint=hint)
    if data.startswith(b"GIF8"):
        return _first_gif_frame(data, origin)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"OpenCV refuses the image: {error.err}", path=origin, hint=hint) from error
    if image is None or image.size == 0:
        raise ImageError("not an image that OpenCV can decode", path=origin, hint=hint)
    return np.ascontiguousarray(image, dtype=np.uint8)


def _first_gif_frame(data: bytes, origin: Path | str) -> Image:
    """Return the first frame of a GIF, which this OpenCV cannot decode; transparent pixels as in other formats."""
    import io

    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(data)) as picture:
            frame = np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError, Pillow.DecompressionBombError) as error:
        raise ImageError(f"not a GIF that can be decoded: {error}", path=origin) from error
    return as_image(frame[:, :, ::-1], str(origin))


def as_image(array: NDArray[np.generic], origin: str = "array") -> Image:
    """Return an array as a BGR image: [h, w, 3] as it is, [h, w] repeated over three channels, [h, w, 4] less alpha.

    Raises ``ImageError`` for another type than uint8, another shape, or a side of zero.
    """
    if array.dtype != np.uint8:
        raise ImageError(f"an image array must be uint8, not {array.dtype}", path=origin, hint="scale it to 0..255")
    grey = array.ndim == 2
    if not (grey or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        raise ImageError(f"an image array must be [h, w], [h, w, 3] or [h, w, 4], not {list(array.shape)}", path=origin)
    if 0 in array.shape:
        raise ImageError(f"the image has no pixels: shape {list(array.shape)}", path=origin)
    if grey or array.shape[2] == 1:
        return np.ascontiguousarray(np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2), dtype=np.uint8)
    return np.ascontiguousarray(array[:, :, :3], dtype=np.uint8)

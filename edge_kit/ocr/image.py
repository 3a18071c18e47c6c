"""Read images with the server's decoder: OpenCV's colours, EXIF orientation applied, transparency by the profile.

What becomes of transparency is a rule of the specification (``image.alpha``). ``drop``: the colour stored beneath
transparent pixels is shown, as PaddleX 3 does. ``on_white``: the picture is laid on white, as PaddleOCR 2.10's loader
does (``ppocr/utils/utility.py``, ``alpha_to_color``).

In every engine alike: 16-bit images keep their high byte, grey images are repeated over three channels. Of a file with
several pages or frames this module reads the first one; ``edge_kit.documents`` has the others.
"""

from __future__ import annotations

import io
import os
import warnings
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from edge_kit.spec.model import Alpha
from model_opt.errors import KitError
from model_opt.fs import file_fault, file_hint

Image = NDArray[np.uint8]
"""BGR, height x width x 3."""

FAULTS = (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, OverflowError, AttributeError)
"""What Pillow's readers raise on damaged files."""

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
UNREAD_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".avif"})
"""Pictures of phones, which are not read."""
_WITH_ALPHA = ("PNG", "WEBP", "TIFF", "GIF", "JPEG2000", "BMP")
"""Pillow's names of the formats that may hold transparency or an orientation that OpenCV does not see."""
_UNTURNED = "WEBP"
"""The format whose EXIF orientation OpenCV 4.11 ignores."""

MAX_FILE = 1 << 30
"""Bytes an image file may have; more (a device file has no end) is refused before it fills the memory."""


class ImageError(KitError):
    """An image that cannot be read or has a shape that no rule covers."""


def read_file(path: Path) -> bytes:
    """Return the bytes of an image file. Raises ``ImageError`` when it is missing, is a folder, or has no end."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if len(data) > MAX_FILE:
        raise ImageError(f"the image file is larger than {MAX_FILE >> 20} MiB", path=path, hint="give a smaller image")
    return data


def read_head(path: Path, size: int) -> bytes:
    """Return the first ``size`` bytes of an image file. Raises ``ImageError`` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> ImageError:
    hint = file_hint(error, "check the path and its rights")
    return ImageError(f"cannot read the image: {reason_of(path, error)}", path=path, hint=hint)


def reason_of(path: Path, error: OSError | ValueError) -> str:
    """Return why a file cannot be opened; of a link, that what it leads to is not there."""
    if isinstance(error, UnicodeEncodeError):
        return file_fault(error)
    if not isinstance(error, OSError) or not error.errno:
        return str(error)
    if is_broken_link(path):
        return f"it is a link to {os.fsdecode(path.readlink())}, which cannot be reached"
    return os.strerror(error.errno)


def is_broken_link(path: Path) -> bool:
    """Return whether a path is a link that leads to nothing."""
    return path.is_symlink() and not path.exists()


def read_image(path: Path, alpha: Alpha = "drop") -> Image:
    """Return the image at ``path`` as BGR uint8.

    Raises ``ImageError`` when the file is missing, is a folder, cannot be decoded, or has too many pixels for
    OpenCV (2**30).
    """
    return decode_image(read_file(path), path, alpha)


def decode_image(data: bytes, origin: Path | str, alpha: Alpha = "drop") -> Image:
    """Decode an encoded image held in memory; ``origin`` names it in errors. Same rules as ``read_image``."""
    hint = "give a JPEG, PNG, BMP, WebP, TIFF or GIF image"
    if not data:
        raise ImageError("the image file is empty", path=origin, hint=hint)
    if data.startswith(b"GIF8"):
        return _first_gif_frame(data, origin, alpha)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"OpenCV refuses the image: {error.err}", path=origin, hint=hint) from error
    if image is None or image.size == 0:
        raise undecoded(data, origin, hint)
    plain = np.ascontiguousarray(image, dtype=np.uint8)
    return plain if data.startswith(b"\xff\xd8") else _completed(plain, data, alpha)


def _completed(image: Image, data: bytes, alpha: Alpha) -> Image:
    """Return what OpenCV made of a file with what it leaves out: a WebP's orientation, and transparency."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # OpenCV has its own limit
            picture = Pillow.open(io.BytesIO(data), formats=_WITH_ALPHA)
    except (*FAULTS, Pillow.DecompressionBombError):
        return image
    try:
        with picture:
            if picture.format == _UNTURNED:
                image = turned(image, picture.getexif().get(_ORIENTATION, 1))
            if (alpha == "drop" and picture.format != "TIFF") or not picture.has_transparency_data:
                return image
            if picture.format == "TIFF":  # OpenCV multiplies its colours by alpha
                return from_pillow(picture, alpha)
            plane = np.asarray(picture.convert("RGBA").getchannel("A"), dtype=np.uint8)
            plane = turned(plane, picture.getexif().get(_ORIENTATION, 1))
    except (*FAULTS, Pillow.DecompressionBombError):
        return image
    return image if plane.shape != image.shape[:2] else _on_white(image, plane)


_ORIENTATION = 0x0112
"""EXIF's tag of the orientation."""


def turned(image: NDArray[np.uint8], tag: int) -> NDArray[np.uint8]:
    """Return an image the way up that EXIF's orientation says, 1 to 8; another value changes nothing."""
    if tag in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if tag in (2, 6, 3, 7):
        image = image[:, ::-1]
    if tag in (4, 8, 3, 7):
        image = image[::-1]
    return np.ascontiguousarray(image)


@cache
def _white_table() -> NDArray[np.uint8]:
    """Return the colour, [alpha, colour], of a pixel laid on white: PaddleOCR's arithmetic, in float64, truncated."""
    share = np.arange(256)[:, np.newaxis] / 255
    table: NDArray[np.uint8] = (255 * (1 - share) + np.arange(256) * share).astype(np.uint8)
    return table


def _on_white(image: Image, alpha: NDArray[np.uint8]) -> Image:
    """Return a BGR image with that alpha, [h, w], laid on white."""
    if alpha.min() == 255:
        return image
    return _white_table()[alpha[:, :, np.newaxis], image]


_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
"""Formats of phones, by the brand at byte 8."""


_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
"""First bytes of formats that are read."""


def undecoded(data: bytes, origin: Path | str, hint: str) -> ImageError:
    """Return the error for a file that OpenCV does not know, by what it is."""
    name = _BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
    if name is not None:
        what = f"the kit does not read {name} images"
        return ImageError(what, path=origin, hint="convert it to JPEG or PNG")
    if b"%PDF-" in data[:1024]:
        return ImageError("a PDF, and an image is needed here", path=origin, hint="edge-kit ocr reads PDF by page")
    begun = next((known for start, known in _STARTS.items() if data.startswith(start)), None)
    if begun is not None or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        what = f"a {begun or 'WebP'} image that is damaged or cut short"
        return ImageError(what, path=origin, hint="give a complete copy")
    return ImageError("not an image that OpenCV can decode", path=origin, hint=hint)


def _first_gif_frame(data: bytes, origin: Path | str, alpha: Alpha) -> Image:
    """Return the first frame of a GIF, which this OpenCV cannot decode."""
    try:
        with Pillow.open(io.BytesIO(data), formats=("GIF",)) as picture:
            return from_pillow(picture, alpha)
    except (*FAULTS, Pillow.DecompressionBombError) as error:
        raise ImageError(f"not a GIF that can be decoded: {error}", path=origin, hint="save it again") from error


def from_pillow(picture: Pillow.Image, alpha: Alpha = "drop") -> Image:
    """Return the frame that Pillow has open as a BGR image."""
    if picture.mode.startswith("I;16"):
        return as_image((np.asarray(picture) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return as_image(np.asarray(picture.convert("RGB"), dtype=np.uint8)[:, :, ::-1])
    return as_image(np.asarray(picture.convert("RGBA"), dtype=np.uint8)[:, :, [2, 1, 0, 3]], alpha=alpha)


def as_image(array: NDArray[np.generic], origin: str = "array", alpha: Alpha = "drop") -> Image:
    """Return an array as a BGR image: [h, w, 3] as it is, [h, w] repeated over three channels, [h, w, 4] by ``alpha``.

    Raises ``ImageError`` for another type than uint8, another shape, or a side of zero.
    """
    if array.dtype != np.uint8:
        raise ImageError(f"an image array must be uint8, not {array.dtype}", path=origin, hint="scale it to 0..255")
    grey = array.ndim == 2
    if not (grey or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        what = f"an image array must be [h, w], [h, w, 3] or [h, w, 4], not {list(array.shape)}"
        raise ImageError(what, path=origin, hint="give it as cv2.imread returns it; a batch is a list of images")
    if 0 in array.shape:
        raise ImageError(f"the image has no pixels: shape {list(array.shape)}", path=origin, hint="leave it out")
    if grey or array.shape[2] == 1:
        return np.ascontiguousarray(np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2), dtype=np.uint8)
    image = np.ascontiguousarray(array[:, :, :3], dtype=np.uint8)
    on_white = alpha == "on_white" and array.shape[2] == 4
    return _on_white(image, np.asarray(array[:, :, 3], dtype=np.uint8)) if on_white else image

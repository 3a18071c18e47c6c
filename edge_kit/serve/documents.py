"""The file of a request becomes pages, one after the other, within limits that are checked before decoding.

The order of decisions, page and scale limits are PaddleX's (3.7.2, ``inference/serving/infra/utils.py`` and
``inference/utils/pdf_rendering.py``). Runs in a worker.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image as Pillow

from edge_kit.ocr.image import Image, ImageError, as_image, decode_image
from edge_kit.serve.errors import RequestError

Kind = Literal["image", "tiff", "pdf"]

FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "TIFF", "GIF", "JPEG2000", "PPM", "MPO")
"""Pillow's names of what OpenCV decodes; no other reader of Pillow is ever started."""

PDF_SCALE = 2.0
MIN_PDF_SCALE = 0.1

_FAULTS = (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, OverflowError, AttributeError)
"""What Pillow's readers raise on damaged files."""


@dataclass(frozen=True)
class Bounds:
    """``pixels`` of one page and ``pages`` (None: all) of one file."""

    pixels: int
    pages: int | None


@dataclass(frozen=True)
class Document:
    """A file whose kind is known and whose first page fits the limit."""

    kind: Kind
    pages: Iterator[Image]
    """BGR pages, each decoded when it is asked for."""


def open_document(data: bytes, file_type: int | None, bounds: Bounds) -> Document:
    """Return the pages of a file; ``file_type`` is 0 for a PDF, 1 for an image, None for what the bytes say.

    Raises ``RequestError`` (422) for what cannot be read or is too large, also while pages are taken.
    """
    is_pdf = b"%PDF-" in data[:1024]
    if file_type == 0 or (file_type is None and is_pdf):
        return Document("pdf", _pdf_pages(data, bounds))
    if _is_paged_tiff(data):
        return Document("tiff", _tiff_pages(data, bounds))
    return Document("image", _one_image(data, file_type, bounds))


def _one_image(data: bytes, file_type: int | None, bounds: Bounds) -> Iterator[Image]:
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
            size = picture.size
    except (*_FAULTS, Pillow.DecompressionBombError) as error:
        raise RequestError(
            422, "File type cannot be determined" if file_type is None else "Invalid input file"
        ) from error
    _check_pixels(size, bounds.pixels)
    try:
        yield decode_image(data, "the request")
    except ImageError as error:
        raise RequestError(422, "Invalid input file") from error


def _is_paged_tiff(data: bytes) -> bool:
    """Return whether a TIFF has a second page; it is looked for alone, since a chain of pages may have no end."""
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return False
    try:
        with Pillow.open(io.BytesIO(data), formats=("TIFF",)) as picture:
            picture.seek(1)
    except EOFError:
        return False
    except _FAULTS as error:
        raise RequestError(422, "Invalid input file") from error
    return True


def _tiff_pages(data: bytes, bounds: Bounds) -> Iterator[Image]:
    """Yield a TIFF's pages by Pillow, as PaddleX does."""
    try:
        with Pillow.open(io.BytesIO(data), formats=("TIFF",)) as picture:
            number = 0
            while bounds.pages is None or number < bounds.pages:
                try:
                    picture.seek(number)
                except EOFError:
                    return
                number += 1
                _check_pixels(picture.size, bounds.pixels, number)
                frame = np.asarray(picture.convert("RGB"), dtype=np.uint8)
                yield as_image(frame[:, :, ::-1], "the request")
    except (*_FAULTS, Pillow.DecompressionBombError) as error:
        raise RequestError(422, "Invalid input file") from error


def _pdf_pages(data: bytes, bounds: Bounds) -> Iterator[Image]:
    """Yield a PDF's pages at twice their size of 72 dots an inch, smaller where the limit of pixels asks for it."""
    import pypdfium2

    try:
        document: Any = pypdfium2.PdfDocument(data)
    except (pypdfium2.PdfiumError, ValueError) as error:
        raise RequestError(422, "Invalid input file") from error
    try:
        document.init_forms()
        count = len(document)
        for index in range(count if bounds.pages is None else min(count, bounds.pages)):
            page = document[index]
            try:
                scale = pdf_scale(page.get_size(), bounds.pixels, index + 1)
                pixels = page.render(scale=scale).to_numpy()
                yield as_image(pixels.copy(), "the request")
            finally:
                page.close()
    except (pypdfium2.PdfiumError, ValueError) as error:
        raise RequestError(422, "Invalid input file") from error
    finally:
        document.close()


def pdf_scale(points: tuple[float, float], pixels: int, page: int) -> float:
    """Return the scale at which a page of that width and height in points has at most ``pixels``: 2.0 where it fits.

    Raises ``RequestError`` (422) for a page without an area, and for one too large even at 0.1.
    """
    width, height = points
    if not (width > 0 and height > 0 and math.isfinite(width * height)):
        raise RequestError(422, "Invalid input file")

    def size(scale: float) -> tuple[int, int]:
        return math.ceil(width * scale), math.ceil(height * scale)

    if math.prod(size(PDF_SCALE)) <= pixels:
        return PDF_SCALE
    if math.prod(size(MIN_PDF_SCALE)) > pixels:
        _check_pixels(size(MIN_PDF_SCALE), pixels, page)
    low, high = MIN_PDF_SCALE, PDF_SCALE
    for _ in range(32):
        middle = (low + high) / 2
        low, high = (middle, high) if math.prod(size(middle)) <= pixels else (low, middle)
    return low


def _check_pixels(size: tuple[int, int], allowed: int, page: int | None = None) -> None:
    width, height = size
    if width * height > allowed:
        where = "" if page is None else f"Page {page}: "
        raise RequestError(
            422,
            f"{where}Image pixel count {width * height} (width={width}, height={height}) exceeds maximum allowed "
            f"{allowed}.",
        )

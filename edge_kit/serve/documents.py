"""The file of a request becomes pages, one after the other, within limits that are checked before decoding.

The order of decisions, page and scale limits are PaddleX's (3.7.2, ``inference/serving/infra/utils.py`` and
``inference/utils/pdf_rendering.py``). Runs in a worker.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from PIL import Image as Pillow

from edge_kit.documents import Document as Paged
from edge_kit.documents import PageError, PageTooLarge, as_document, is_pdf, is_tiff
from edge_kit.ocr.image import FAULTS, Image, ImageError, decode_image, undecoded
from edge_kit.serve.errors import INVALID, UNKNOWN, RequestError, unreadable
from edge_kit.spec.model import Alpha

Kind = Literal["image", "tiff", "pdf"]

FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "TIFF", "GIF", "JPEG2000", "PPM", "MPO")
"""Pillow's names of what OpenCV decodes; no other reader of Pillow is ever started."""

_NAME = "the request"
_SEND = "send a JPEG, PNG, BMP, WebP, TIFF or GIF image, or a PDF"


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


def open_document(data: bytes, file_type: int | None, bounds: Bounds, alpha: Alpha = "drop") -> Document:
    """Return the pages of a file; ``file_type`` is 0 for a PDF, 1 for an image, None for what the bytes say.

    Animations are their first frame. Raises ``RequestError`` (422) for what cannot be read or is too large, also while
    pages are taken.
    """
    if file_type == 0 and not is_pdf(data):
        raise unreadable("no PDF, and fileType is 0 (PDF)", "send fileType 1 for an image, or leave it out")
    if file_type == 0 or (file_type is None and is_pdf(data)):
        return Document("pdf", _pages(Paged("pdf", data, _NAME), bounds, alpha))
    paged = as_document(data, _NAME) if is_tiff(data) else None
    if paged is not None:
        return Document("tiff", _pages(paged, bounds, alpha))
    return Document("image", _one_image(data, file_type, bounds, alpha))


def _one_image(data: bytes, file_type: int | None, bounds: Bounds, alpha: Alpha) -> Iterator[Image]:
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
            size = picture.size
    except (*FAULTS, Pillow.DecompressionBombError) as error:
        raise _no_image(data, file_type) from error
    if size[0] * size[1] > bounds.pixels:
        raise _too_large(size, bounds.pixels)
    try:
        yield decode_image(data, _NAME, alpha)
    except ImageError as error:
        raise unreadable(error.what, error.hint) from error


def _no_image(data: bytes, file_type: int | None) -> RequestError:
    """Return the refusal of a file that Pillow does not open, by what it is."""
    if is_pdf(data):
        return unreadable(
            "a PDF, and an image is expected (fileType 1, or the field 'image')",
            "send fileType 0, or none, and base64 in the field 'file'",
        )
    why = undecoded(data, _NAME, _SEND)
    return unreadable(why.what, why.hint, UNKNOWN if file_type is None and why.hint == _SEND else INVALID)


def _pages(paged: Paged, bounds: Bounds, alpha: Alpha) -> Iterator[Image]:
    for page in islice(paged.pages(bounds.pixels, alpha), bounds.pages):
        if isinstance(page, PageTooLarge):
            raise _too_large(page.size, page.allowed, page.page)
        if isinstance(page, PageError):
            raise unreadable(page.what, page.hint) from page
        yield page


def _too_large(size: tuple[int, int], allowed: int, page: int | None = None) -> RequestError:
    where = "" if page is None else f"Page {page}: "
    width, height = size
    found = f"{where}Image pixel count {width * height} (width={width}, height={height})"
    return RequestError(422, f"{found} exceeds maximum allowed {allowed}.")

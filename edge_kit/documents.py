"""Files of several pages (PDF, TIFF, animations) become images, one page after the other, decoded when asked for.

Rendering of PDF and its limits are PaddleX's (3.7.2, ``inference/utils/pdf_rendering.py``): twice 72 dots an inch,
smaller where a page would have too many pixels.
"""

from __future__ import annotations

import io
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from PIL import Image as Pillow

from edge_kit.ocr.image import FAULTS, SUFFIXES, Image, ImageError, as_image, from_pillow
from edge_kit.spec.model import Alpha

Kind = Literal["tiff", "pdf", "animation"]

READ_SUFFIXES = SUFFIXES | {".pdf"}
"""Files of a folder that are read: images and documents."""

MAX_PIXELS = 178_956_970
"""Pixels of a page: PaddleX's limit, and Pillow's."""

PDF_SCALE = 2.0
MIN_PDF_SCALE = 0.1

_PDFIUM = threading.Lock()
"""PDFium runs in one thread at a time."""
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEAD = 1024
"""Bytes within which a PDF names itself; readers of PDF look as far."""


class PageError(ImageError):
    """A page that cannot be read; ``page`` counts from 1, and is None where no page can be reached."""

    def __init__(self, what: str, origin: str, page: int | None = None, *, hint: str | None = None) -> None:
        self.page = page
        super().__init__(what if page is None else f"page {page}: {what}", path=origin, hint=hint)


class PageTooLarge(PageError):
    """A page with more pixels than allowed; ``size`` is its width and height."""

    def __init__(self, size: tuple[int, int], allowed: int, origin: str, page: int) -> None:
        self.size, self.allowed = size, allowed
        what = f"{size[0]} x {size[1]} pixels are more than the {allowed:,} that a page may have"
        super().__init__(what, origin, page, hint="give smaller pages")


@dataclass(frozen=True)
class Document:
    """A file of several pages, or a PDF; it holds the file's bytes."""

    kind: Kind
    data: bytes
    origin: str
    """Names it in errors."""

    def pages(self, max_pixels: int = MAX_PIXELS, alpha: Alpha = "drop") -> Iterator[Image | PageError]:
        """Yield each page as a BGR image, or why it cannot be read; where no further page can be reached, end.

        ``alpha`` says what becomes of transparency (``edge_kit.ocr.image``).
        """
        if self.kind == "pdf":
            yield from _pdf_pages(self, max_pixels)
        else:
            yield from _frames(self, max_pixels, alpha)


def as_document(data: bytes, origin: str) -> Document | None:
    """Return a file as a document when it is a PDF, or an image with a second page or frame; None for others.

    The bytes say what it is, not its name. A file whose second page cannot be looked for is one image.
    """
    if is_pdf(data):
        return Document("pdf", data, origin)
    formats = _paged_format(data)
    if formats is None:
        return None
    try:
        with _opened(data, formats) as picture:
            picture.seek(1)  # alone, since a chain of pages may have no end
    except (*FAULTS, Pillow.DecompressionBombError):
        return None
    return Document("tiff" if formats == ("TIFF",) else "animation", data, origin)


def is_pdf(data: bytes) -> bool:
    """Return whether a file is a PDF."""
    return b"%PDF-" in data[:_HEAD]


def is_tiff(data: bytes) -> bool:
    """Return whether a file is a TIFF, also a large one (BigTIFF)."""
    return data[:4] in _TIFF


def may_have_pages(head: bytes) -> bool:
    """Return whether a file that begins so may have several pages or frames."""
    return is_pdf(head) or _paged_format(head) is not None


def _paged_format(data: bytes) -> tuple[str] | None:
    """Return Pillow's name of a format that may hold pages or frames and, for PNG and WebP, says that it does."""
    if is_tiff(data):
        return ("TIFF",)
    if data[:4] == b"GIF8":
        return ("GIF",)
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and data[20:21] and data[20] & 0x02:
        return ("WEBP",)
    first = data.find(b"IDAT")
    is_animated = data[:8] == b"\x89PNG\r\n\x1a\n" and b"acTL" in data[: max(first, 0)]
    return ("PNG",) if is_animated else None


@contextmanager
def _opened(data: bytes, formats: tuple[str]) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the limit is checked here
        with Pillow.open(io.BytesIO(data), formats=formats) as picture:
            yield picture


def _frames(document: Document, max_pixels: int, alpha: Alpha) -> Iterator[Image | PageError]:
    """Yield a TIFF's pages or an animation's frames by Pillow, as PaddleX does with TIFF."""
    formats = _paged_format(document.data) or ("TIFF",)
    number = 1
    try:
        with _opened(document.data, formats) as picture:
            for number in count(1):
                try:
                    picture.seek(number - 1)
                except EOFError:
                    return
                yield _frame(document, picture, number, max_pixels, alpha)
    except (*FAULTS, Pillow.DecompressionBombError) as error:
        yield PageError(f"cannot be read: {error}", document.origin, number, hint="repair the file")


def _frame(document: Document, picture: Any, number: int, max_pixels: int, alpha: Alpha) -> Image | PageError:
    if math.prod(picture.size) > max_pixels:
        return PageTooLarge(picture.size, max_pixels, document.origin, number)
    try:
        return from_pillow(picture, alpha)
    except (*FAULTS, Pillow.DecompressionBombError) as error:
        if document.kind == "animation":
            raise  # a later frame is drawn over this one
        return PageError(f"cannot be read: {error}", document.origin, number, hint="repair the file")


def _pdf_pages(document: Document, max_pixels: int) -> Iterator[Image | PageError]:
    """Yield a PDF's pages on white."""
    import pypdfium2

    def fault(error: Exception, page: int | None = None) -> PageError:
        return PageError(f"not a PDF that can be read: {error}", document.origin, page, hint=_pdf_hint(error))

    try:
        with _PDFIUM:
            opened: Any = pypdfium2.PdfDocument(document.data)
    except (pypdfium2.PdfiumError, ValueError) as error:
        yield fault(error)
        return
    try:
        with _PDFIUM:
            opened.init_forms()
            pages = len(opened)
        if not pages:
            yield PageError("the PDF has no pages", document.origin)
        for index in range(pages):
            try:
                with _PDFIUM:
                    page: Image | PageError = _pdf_page(opened, index, max_pixels, document.origin)
            except PageError as error:
                page = error
            except (pypdfium2.PdfiumError, ValueError, MemoryError) as error:
                page = fault(error, index + 1)
            yield page
    finally:
        with _PDFIUM:
            opened.close()


def _pdf_hint(error: Exception) -> str:
    return "remove its password" if "password" in str(error).lower() else "repair the file, or print it anew"


def _pdf_page(opened: Any, index: int, max_pixels: int, origin: str) -> Image:
    page = opened[index]
    try:
        scale = pdf_scale(page.get_size(), max_pixels, index + 1, origin)
        pixels = page.render(scale=scale).to_numpy()
        return as_image(pixels.copy())
    finally:
        page.close()


def pdf_scale(points: tuple[float, float], pixels: int, page: int, origin: str = "the PDF") -> float:
    """Return the scale at which a page of that width and height in points has at most ``pixels``: 2.0 where it fits.

    Raises ``PageError`` for a page without an area, and for one too large even at 0.1.
    """
    width, height = points
    if not (width > 0 and height > 0 and math.isfinite(width * height)):
        raise PageError("the page has no area", origin, page)

    def size(scale: float) -> tuple[int, int]:
        return math.ceil(width * scale), math.ceil(height * scale)

    if math.prod(size(PDF_SCALE)) <= pixels:
        return PDF_SCALE
    if math.prod(size(MIN_PDF_SCALE)) > pixels:
        raise PageTooLarge(size(MIN_PDF_SCALE), pixels, origin, page)
    low, high = MIN_PDF_SCALE, PDF_SCALE
    for _ in range(32):
        middle = (low + high) / 2
        low, high = (middle, high) if math.prod(size(middle)) <= pixels else (low, middle)
    return low

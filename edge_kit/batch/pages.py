"""The bytes of an input become pages: one of a picture, each of a PDF, of a TIFF with several, and of an animation."""

from __future__ import annotations

from collections.abc import Iterator

from edge_kit.documents import PageError, as_document
from edge_kit.ocr.image import Image, decode_image
from edge_kit.spec.model import Alpha
from model_opt.errors import KitError


def pages_of(data: bytes, name: str, alpha: Alpha) -> Iterator[tuple[int | None, Image | KitError]]:
    """Yield page number and BGR image, or why there is none: None for a picture, from 0 for a document's pages.

    Files are decoded as ``edge-kit ocr`` does; ``alpha`` is the profile's rule for transparency. Raises ``KitError``
    for a picture that cannot be decoded.
    """
    document = as_document(data, name)
    if document is None:
        yield None, decode_image(data, name, alpha)
        return
    for number, page in enumerate(document.pages(alpha=alpha)):
        yield page.page if isinstance(page, PageError) else number, page

"""The bytes of an input become pages: one of a picture, each of a PDF and of a TIFF with several."""

from __future__ import annotations

from collections.abc import Iterator

from edge_kit.ocr.image import Image, decode_image
from edge_kit.serve.documents import Bounds, open_document
from edge_kit.serve.errors import RequestError
from edge_kit.serve.settings import Limits
from model_opt.errors import KitError

_BOUNDS = Bounds(Limits().pixels, None)
"""Of a page of a document; all its pages are read."""


def pages_of(data: bytes, name: str) -> Iterator[tuple[int | None, Image]]:
    """Yield page number and BGR image: None for a picture, from 0 for a document's pages.

    A picture is decoded as ``edge-kit ocr`` does. Raises ``KitError`` for what cannot be decoded, also between pages.
    """
    try:
        document = open_document(data, None, _BOUNDS)
        if document.kind == "image":
            yield None, decode_image(data, name)
            return
        yield from enumerate(document.pages)
    except RequestError as error:
        what = "PDF" if data[:1024].find(b"%PDF-") >= 0 else "TIFF"
        raise KitError(f"the {what} cannot be read: {error.what}") from error
    except ModuleNotFoundError as error:
        raise KitError(f"PDFs need the package {error.name}: pip install edge-kit[batch]") from error

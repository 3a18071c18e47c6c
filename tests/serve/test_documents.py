"""Files become pages within limits that hold before anything is decoded."""

import io
import struct
import zlib
from contextlib import suppress

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from edge_kit.documents import pdf_scale
from edge_kit.serve.documents import Bounds, open_document
from edge_kit.serve.errors import RequestError

BOUNDS = Bounds(178_956_970, 10)


def encoded(width: int, height: int, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (width, height), "white").save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(*sizes: tuple[int, int]) -> bytes:
    first, *others = [Pillow.new("L", size, 10 * number) for number, size in enumerate(sizes, 1)]
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", save_all=True, append_images=others)
    return buffer.getvalue()


def pdf(*sizes: tuple[float, float]) -> bytes:
    import pypdfium2

    document = pypdfium2.PdfDocument.new()
    for size in sizes:
        document.new_page(*size)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose head promises that size, with next to no data behind it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def sizes(data: bytes, file_type: int | None = None, bounds: Bounds = BOUNDS):
    document = open_document(data, file_type, bounds)
    return document.kind, [page.shape[1::-1] for page in document.pages]


def refusal(data: bytes, file_type: int | None = None, bounds: Bounds = BOUNDS) -> str:
    with pytest.raises(RequestError) as error:
        sizes(data, file_type, bounds)
    assert error.value.status == 422
    return error.value.what


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "JPEG2000"])
def test_pictures_of_each_format_are_read_as_opencv_reads_them(kind):
    data = encoded(40, 30, kind)
    document = open_document(data, None, BOUNDS)
    (page,) = document.pages
    assert document.kind == "image"
    if kind != "GIF":
        assert np.array_equal(page, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def test_pages_of_a_tiff_and_of_a_pdf():
    assert sizes(tiff((40, 30), (20, 50))) == ("tiff", [(40, 30), (20, 50)])
    assert sizes(tiff((40, 30))) == ("image", [(40, 30)])
    assert sizes(pdf((100, 50), (30.2, 40))) == ("pdf", [(200, 100), (61, 80)])


def test_pages_beyond_the_limit_are_left_out():
    assert len(sizes(pdf(*[(20, 20)] * 12))[1]) == 10
    assert len(sizes(tiff(*[(20, 20)] * 12))[1]) == 10
    assert len(sizes(tiff(*[(20, 20)] * 12), None, Bounds(10_000, None))[1]) == 12


def test_the_kind_is_what_the_bytes_say_and_a_wrong_statement_is_refused():
    assert sizes(pdf((20, 20)), 0)[0] == "pdf"
    assert refusal(pdf((20, 20)), 1).startswith("Invalid input file: a PDF, and an image is expected (fileType 1")
    assert refusal(encoded(20, 20), 0).startswith("Invalid input file: no PDF, and fileType is 0 (PDF); send")
    assert refusal(b"hello").startswith("File type cannot be determined: not an image that OpenCV can decode; send a")
    assert refusal(b"hello", 1).startswith("Invalid input file: not an image that OpenCV can decode; send a JPEG")


@pytest.mark.parametrize("file_type", [None, 1])
def test_a_refusal_says_what_the_file_is_and_what_to_do(file_type):
    heic = b"\0\0\0\x18ftypheic" + bytes(40)
    invalid = "Invalid input file: "
    assert refusal(heic, file_type) == f"{invalid}the kit does not read HEIC images; convert it to JPEG or PNG"
    for kind in ("JPEG", "PNG", "WEBP"):
        cut = encoded(40, 30, kind)[:20]
        assert "image that is damaged or cut short; give a complete copy" in refusal(cut, file_type), kind
    assert refusal(b"%PDF-1.7\nrubbish").startswith(f"{invalid}not a PDF that can be read: ")


def test_a_picture_too_large_is_refused_from_its_head(monkeypatch):
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", None)  # as in a worker
    assert "exceeds maximum allowed 178956970" in refusal(png_of_size(60_000, 60_000))
    assert "exceeds" in refusal(encoded(40, 30), None, Bounds(1199, 10))
    assert sizes(encoded(40, 30), None, Bounds(1200, 10))[1] == [(40, 30)]
    assert refusal(tiff((20, 20), (90, 90)), None, Bounds(8000, 10)).startswith("Page 2: ")


def test_a_large_pdf_page_is_drawn_smaller_and_a_huge_one_refused():
    _, (size,) = sizes(pdf((1000, 1000)), None, Bounds(1_000_000, 10))
    assert 990 <= size[0] <= 1000
    assert "Page 1" in refusal(pdf((14_000, 14_000)), None, Bounds(1_000_000, 10))
    assert pdf_scale((595, 842), 178_956_970, 1) == 2.0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF"])
def test_damaged_files_are_refused_or_read_never_worse(kind):
    rng = np.random.default_rng(7)
    whole = encoded(60, 40, kind)
    for trial in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 4):
            data[place] = rng.integers(256)
        cut = bytes(data[: rng.integers(1, len(data) + 1)]) if trial % 2 else bytes(data)
        with suppress(RequestError):
            sizes(cut, None, Bounds(1_000_000, 10))


def test_damaged_pdfs_are_refused_or_read_never_worse():
    rng = np.random.default_rng(8)
    whole = pdf((100, 50), (50, 50))
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(8, len(data), 6):
            data[place] = rng.integers(256)
        with suppress(RequestError):
            sizes(bytes(data), None, Bounds(1_000_000, 10))

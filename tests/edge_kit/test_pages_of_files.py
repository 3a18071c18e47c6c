"""Files of several pages are read page by page, and what cannot be read of them is stated."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from edge_kit.documents import PageError, PageTooLarge, as_document
from edge_kit.inputs import expand, pages_of
from tests.serve.test_documents import pdf, tiff

LEVELS = (10, 120, 250)
PAGED = ("TIFF", "GIF", "WEBP", "PNG", "PDF")


def frames(kind: str, levels: Sequence[int] = LEVELS, mode: str = "RGB") -> bytes:
    """A file with one plain page or frame for each grey level."""
    first, *others = [Pillow.new(mode, (40, 30), (level,) * len(mode)) for level in levels]
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {"resolution": 72.0} if kind == "PDF" else {}
    first.save(buffer, kind, save_all=True, append_images=others, **options)
    return buffer.getvalue()


def pages(data: bytes, **options):
    document = as_document(data, "the file")
    assert document is not None
    return list(document.pages(**options))


@pytest.mark.parametrize("kind", PAGED)
def test_every_page_and_frame_is_read(kind):
    found = pages(frames(kind))
    assert [page.shape for page in found] == [(60, 80, 3) if kind == "PDF" else (30, 40, 3)] * 3
    assert [float(page.mean()) for page in found] == pytest.approx(LEVELS, abs=2)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG", "JPEG", "BMP"])
def test_a_file_with_one_picture_is_no_document(kind):
    buffer = io.BytesIO()
    Pillow.new("RGB", (40, 30)).save(buffer, kind)
    assert as_document(buffer.getvalue(), "the file") is None


def test_a_photograph_with_a_second_picture_behind_it_is_one_image():
    buffer = io.BytesIO()
    photo = Pillow.new("RGB", (40, 30))
    photo.save(buffer, "MPO", save_all=True, append_images=[photo])
    assert as_document(buffer.getvalue(), "the file") is None


def test_a_pdf_of_one_page_is_a_document():
    assert [page.shape for page in pages(pdf((20, 10)))] == [(20, 40, 3)]


def test_pages_with_transparency_follow_the_rule():
    for kind in ("TIFF", "PNG", "WEBP"):
        data = frames(kind, (0, 5), "RGBA")
        options = {"alpha": "on_white"}
        assert [int(page.mean()) for page in pages(data, **options)] == [255, 250], kind


def test_pages_of_sixteen_bits_keep_their_high_byte():
    first, second = (Pillow.fromarray(np.full((9, 9), level, np.uint16)) for level in (0x12FF, 0xAB00))
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", save_all=True, append_images=[second])
    assert [set(page.ravel().tolist()) for page in pages(buffer.getvalue())] == [{0x12}, {0xAB}]


def test_a_page_too_large_is_an_error_with_its_number_and_others_are_read():
    mixed = as_document(tiff((9, 9), (40, 30), (9, 9)), "the file")
    assert mixed is not None
    first, second, last = mixed.pages(max_pixels=100)
    assert isinstance(first, np.ndarray)
    assert isinstance(second, PageTooLarge)
    assert "page 2: 40 x 30 pixels" in str(second)
    assert isinstance(last, np.ndarray)


def test_a_cut_file_gives_its_first_pages_and_an_error():
    whole = frames("GIF")
    found = pages(whole[: len(whole) - 20])
    assert isinstance(found[0], np.ndarray)
    assert all(isinstance(page, np.ndarray | PageError) for page in found)


def test_a_chain_of_pages_that_bites_its_tail_ends():
    data = bytearray(tiff((9, 9), (9, 9)))
    first = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[first : first + 2], "little")
    second = int.from_bytes(data[first + 2 + 12 * entries :][:4], "little")
    entries = int.from_bytes(data[second : second + 2], "little")
    at = second + 2 + 12 * entries
    data[at : at + 4] = data[4:8]
    assert len(pages(bytes(data))) == 2


@pytest.mark.parametrize("data", [b"%PDF-1.4\nnothing", b"%PDF-"])
def test_a_damaged_pdf_is_an_error_with_its_name(data: bytes, tmp_path: Path):
    path = tmp_path / "bad.pdf"
    path.write_bytes(data)
    (source,) = expand(path)
    with pytest.raises(PageError, match="not a PDF that can be read") as caught:
        source.load()
    assert "bad.pdf" in str(caught.value)


def test_pages_become_inputs_numbered_from_zero(tmp_path: Path):
    path = tmp_path / "a.tif"
    path.write_bytes(frames("TIFF"))
    (source,) = expand(path)
    document = source.opened()
    assert not isinstance(document, np.ndarray)
    found = list(pages_of(source, document, "drop"))
    assert [one.page_index for one in found] == [0, 1, 2]
    assert {one.input_path for one in found} == {str(path)}
    assert [int(one.load().mean()) for one in found] == list(LEVELS)

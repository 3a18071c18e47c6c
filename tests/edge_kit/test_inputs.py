"""What a user may give as input, and what each form becomes."""

import functools
import http.server
import threading

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from edge_kit import create_pipeline
from edge_kit.inputs import PassedOver, expand, user_files, warn_of_pages
from edge_kit.ocr.image import ImageError
from edge_kit.ocr.result import OcrResult, make_folder, stem_of
from model_opt.dictionary import read_dictionary
from model_opt.errors import KitError


@pytest.fixture
def folder(tmp_path):
    tmp_path = tmp_path / "folder"
    tmp_path.mkdir()
    for name in ("b.png", "a.jpg", "C.PNG"):
        cv2.imwrite(str(tmp_path / name), np.full((6, 7, 3), 9, np.uint8))
    return tmp_path


@pytest.fixture
def address(folder):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *a: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_folder_gives_its_images_by_name(folder):
    assert [s.input_path.rsplit("/")[-1] for s in expand(folder)] == ["C.PNG", "a.jpg", "b.png"]


def test_arrays_dicts_and_lists_are_taken_apart(folder):
    image = np.zeros((5, 5, 3), np.uint8)
    sources = list(expand([image, {"img": image}, {"img": str(folder / "a.jpg")}, (folder / "b.png",), str(folder)]))
    assert [s.input_path is None for s in sources] == [True, True, False, False, False, False, False]
    assert all(s.load().ndim == 3 for s in sources)


def test_an_image_behind_an_address_is_read(address):
    (source,) = expand(address + "/a.jpg")
    assert source.load().shape == (6, 7, 3)


def test_a_missing_address_names_it(address):
    (source,) = expand(address + "/absent.png")
    with pytest.raises(KitError, match="404"):
        source.load()


def test_a_large_download_is_refused(address, monkeypatch):
    monkeypatch.setattr("edge_kit.inputs.MAX_DOWNLOAD", 20)
    (source,) = expand(address + "/b.png")
    with pytest.raises(KitError, match="larger than"):
        source.load()


@pytest.mark.parametrize("value", [3, None, b"bytes", {"image": 1}])
def test_other_types_are_refused_with_what_is_allowed(value):
    with pytest.raises(ImageError):
        list(expand(value))


def test_a_folder_without_images_is_an_error_when_it_is_loaded(tmp_path):
    (source,) = expand(tmp_path)
    with pytest.raises(ImageError, match="no image files"):
        source.load()


def test_an_empty_folder_does_not_end_a_batch(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    sources = list(expand([str(folder / "a.jpg"), str(empty), str(folder / "b.png")]))
    assert [s.error is None for s in sources] == [True, False, True]


def test_a_file_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr("edge_kit.ocr.image.MAX_FILE", 1000)
    (source,) = expand("/dev/zero")
    with pytest.raises(ImageError, match="larger than"):
        source.load()


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "is empty"), (" ", "is empty"), ("ftp://host/a.png", "http and https"), ("file:///a", "http")],
)
def test_an_empty_path_and_an_address_of_another_kind_are_errors_when_they_are_loaded(text, what, folder, monkeypatch):
    monkeypatch.chdir(folder)  # an empty path is not the present folder
    (source,) = expand(text)
    with pytest.raises(ImageError, match=what):
        source.load()


def test_an_iterator_is_read_as_far_as_it_is_asked(folder):
    taken = []

    def images():
        for name in ("a.jpg", "b.png", "C.PNG"):
            taken.append(name)
            yield folder / name

    sources = expand(images())
    assert next(sources).input_path.endswith("a.jpg")
    assert taken == ["a.jpg"]
    assert len(list(sources)) == 2


def test_what_a_folder_holds_beside_images_is_stated(folder):
    for name in ("a.doc", "b.txt", "c.md", "d.bin", ".hidden"):
        (folder / name).write_text("no image")
    (folder / "more").mkdir()
    with pytest.warns(PassedOver) as warned:
        assert len(list(expand(folder))) == 3
    assert str(warned[0].message) == (
        f"{folder}: passed over 4 files that are no images (a.doc, b.txt, c.md, …) and 1 sub-folder (more)"
    )


def test_a_folder_of_other_things_alone_is_an_error_that_names_them(tmp_path):
    (tmp_path / "a.doc").write_text("no image")
    (source,) = expand(tmp_path)
    with pytest.raises(ImageError, match=r"no image files, but 1 file that is no image \(a\.doc\)"):
        source.load()


def test_pictures_of_phones_are_named_with_what_to_do(folder, tmp_path):
    for name in ("IMG_1.HEIC", "IMG_2.heif", "IMG_3.avif", "b.txt"):
        (folder / name).write_text("x")
    with pytest.warns(PassedOver) as warned:
        assert len(list(expand(folder))) == 3
    assert str(warned[0].message) == (
        f"{folder}: passed over 1 file that is no image (b.txt) and 3 HEIC or AVIF images (IMG_1.HEIC, IMG_2.heif,"
        " IMG_3.avif), which the kit does not read: convert them to JPEG or PNG"
    )
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "a.heic").write_text("x")
    (source,) = expand(tmp_path / "phone")
    with pytest.raises(ImageError, match=r"but 1 HEIC or AVIF image \(a\.heic\), .*convert it to JPEG or PNG"):
        source.load()


def test_a_broken_link_in_a_folder_is_an_input_that_cannot_be_read(folder, recwarn):
    (folder / "d.png").symlink_to("nowhere.png")
    *good, broken = expand(folder)
    assert (len(good), len(recwarn)) == (3, 0)
    with pytest.raises(ImageError, match=r"it is a link to nowhere\.png, which cannot be reached"):
        broken.load()
    with pytest.raises(ImageError, match="it is a link"):
        warn_of_pages(user_files(folder), "calibration takes")


def test_a_folder_of_images_alone_says_nothing(folder, recwarn):
    (folder / "d.pdf").write_bytes(b"%PDF-")
    assert len(list(expand(folder))) == 4
    assert not recwarn


def test_a_job_that_takes_one_image_a_file_names_files_of_several_pages(folder):
    frames = [Pillow.new("L", (9, 9), level) for level in (1, 2)]
    frames[0].save(folder / "two.tif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "one.tif")
    with pytest.warns(PassedOver, match="two.tif: verifying takes its first page alone") as warned:
        warn_of_pages(user_files(folder), "verifying takes")
    assert len(warned) == 1


@pytest.mark.parametrize("address", ["http://[::1/x.jpg", "http://host:port/x.jpg", "HTTP://", "https:///x"])
def test_a_malformed_address_does_not_end_a_batch(folder, address):
    sources = list(expand([address, folder / "a.jpg"]))
    with pytest.raises(KitError, match="no address that can be asked") as caught:
        sources[0].load()
    assert address in str(caught.value)
    assert sources[1].load().shape == (6, 7, 3)
    assert stem_of(address)


def test_the_case_of_an_addresss_scheme_does_not_matter(address):
    (source,) = expand("HTTP" + address.removeprefix("http") + "/a.jpg")
    assert source.load().shape == (6, 7, 3)
    assert stem_of(source.input_path + "?size=1") == "a"


def test_an_image_that_does_not_come_in_time_is_an_error(address, monkeypatch):
    monkeypatch.setattr("edge_kit.inputs.DOWNLOAD_SECONDS", 0.0)
    (source,) = expand(address + "/a.jpg")
    with pytest.raises(KitError, match="not complete after 0 seconds"):
        source.load()


def test_an_array_with_four_channels_follows_the_rule():
    array = np.zeros((5, 5, 4), np.uint8)
    (source,) = expand(array)
    assert (source.load("on_white") == 255).all()
    assert (source.load("drop") == 0).all()


def test_a_name_that_the_locale_lacks_is_an_error_with_its_remedy(tmp_path):
    """A lone surrogate stands for it: it has no form in UTF-8 either."""
    odd = tmp_path / "\ud800"
    box = np.zeros((0, 4, 2), np.int32)
    result = OcrResult("a.png", box, (), (), (), {}, np.zeros((9, 9, 3), np.uint8))
    for use in (
        lambda: [source.load() for source in expand(odd)],
        lambda: result.save_to_json(odd),
        lambda: result.save_to_img(odd / "a.png"),
        lambda: make_folder(odd),
        lambda: read_dictionary(odd),
    ):
        with pytest.raises(KitError, match=r"encoding of file names(.|\n)*next: set PYTHONUTF8=1"):
            use()
    for use in (lambda: create_pipeline("ocr", bundle=odd), lambda: create_pipeline(f"{odd}.yaml")):
        with pytest.raises(KitError, match="there is no"):
            use()


def test_an_array_of_a_list_is_named_by_its_number():
    good = np.zeros((4, 4, 3), np.uint8)
    for inputs in ([good, {"img": good}, good.astype(np.float32)], iter([good, good, good[0, 0]])):
        *fine, bad = expand(inputs)
        assert [source.load().shape for source in fine] == [(4, 4, 3)] * 2
        with pytest.raises(ImageError, match=r"image array must be(.|\n)*number 3 of the inputs(.|\n)*next: "):
            bad.load()
    with pytest.raises(ImageError, match=r"input of type int(.|\n)*number 2 of the inputs"):
        list(expand([good, 3]))
    with pytest.raises(ImageError, match=r"uint8, not float32\n  file: array\n"):
        next(expand(good.astype(np.float32))).load()

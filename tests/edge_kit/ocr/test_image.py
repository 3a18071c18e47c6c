"""Odd images have a defined meaning."""

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from edge_kit.ocr.image import ImageError, as_image, read_image


def _save(path, image, **options):
    Pillow.fromarray(image).save(path, **options)
    return path


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_every_orientation_of_exif_is_applied_in_every_format(tmp_path, kind, tag):
    image = np.full((24, 40, 3), 200, np.uint8)
    image[:8, :8] = 0  # the corner that tells how it was turned
    exif = Pillow.Exif()
    exif[0x0112] = tag
    path = _save(tmp_path / f"a.{kind}", image, exif=exif, **({"quality": 95} if kind == "jpg" else {}))
    read = read_image(path)
    expected = np.asarray(ImageOps.exif_transpose(Pillow.open(path)).convert("RGB"))[:, :, ::-1]
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() < 12
    (other,) = (spot for spot in ((2, 2), (2, -3), (-3, 2), (-3, -3)) if read[spot].mean() < 60)
    assert (
        other == {1: (2, 2), 2: (2, -3), 3: (-3, -3), 4: (-3, 2), 5: (2, 2), 6: (2, -3), 7: (-3, -3), 8: (-3, 2)}[tag]
    )


def _laid_on_white(colour, alpha):
    """PaddleOCR 2.10's arithmetic (``alpha_to_color``)."""
    share = alpha / 255
    return (255 * (1 - share) + colour * share).astype(np.uint8)


@pytest.mark.parametrize("kind", ["png", "webp", "tif", "jp2"])
def test_transparency_becomes_what_the_rule_says(tmp_path, kind):
    rgba = np.random.default_rng(3).integers(0, 256, (24, 40, 4)).astype(np.uint8)
    options = {"lossless": True, "exact": True} if kind == "webp" else {}
    path = _save(tmp_path / f"a.{kind}", rgba, **options)
    colours = rgba[:, :, 2::-1]
    assert np.array_equal(read_image(path), colours)
    assert np.array_equal(read_image(path, "on_white"), _laid_on_white(colours, rgba[:, :, 3:]))
    bgra = rgba[:, :, [2, 1, 0, 3]]
    assert np.array_equal(as_image(bgra), colours)
    assert np.array_equal(as_image(bgra, alpha="on_white"), _laid_on_white(colours, rgba[:, :, 3:]))


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "L", {"transparency": 0}),
        ("a.png", "RGB", {"transparency": (0, 0, 0)}),
        ("a.png", "P", {"transparency": 0}),
        ("a.png", "LA", {}),
        ("a.gif", "P", {"transparency": 0}),
    ],
)
def test_every_way_to_store_transparency_is_laid_on_white(tmp_path, name, mode, options):
    picture = Pillow.new("L", (30, 20), 0)
    picture.paste(90, (0, 0, 10, 20))
    if mode == "P":
        picture.putpalette([level for level in range(256) for _ in range(3)])
    elif mode == "LA":
        picture.putalpha(picture.point(lambda level: 255 if level else 0))
    else:
        picture = picture.convert(mode)
    path = tmp_path / name
    picture.save(path, **options)
    read = read_image(path, "on_white")
    assert (read[:, :10] == 90).all()
    assert (read[:, 10:] == 255).all()
    assert (read_image(path)[:, 10:] == 0).all()


def test_transparency_is_turned_with_its_picture(tmp_path):
    rgba = np.zeros((20, 40, 4), np.uint8)
    rgba[:, :10, 3] = 255
    exif = Pillow.Exif()
    exif[0x0112] = 6
    for kind in ("png", "webp", "tif"):
        options = {"lossless": True} if kind == "webp" else {}
        read = read_image(_save(tmp_path / f"a.{kind}", rgba, exif=exif, **options), "on_white")
        assert read.shape == (40, 20, 3), kind
        assert (read[:10] == 0).all(), kind
        assert (read[10:] == 255).all(), kind


def test_a_picture_without_transparency_is_the_same_by_every_rule(tmp_path):
    opaque = np.random.default_rng(4).integers(0, 256, (24, 40, 4)).astype(np.uint8)
    opaque[..., 3] = 255
    for kind in ("png", "webp", "tif", "bmp"):
        path = _save(tmp_path / f"a.{kind}", opaque, **({"lossless": True} if kind == "webp" else {}))
        assert np.array_equal(read_image(path), read_image(path, "on_white"))


def test_phone_formats_that_are_not_read_are_named(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(ImageError, match="does not read HEIC"):
        read_image(path)


def test_sixteen_bit_images_keep_the_high_byte(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((8, 8), 0xAB12, np.uint16))
    assert (read_image(path) == 0xAB).all()


@pytest.mark.parametrize(("mode", "alpha"), [("RGB", "drop"), ("RGB", "on_white"), ("RGBA", "drop")])
def test_a_png_whose_transparency_does_not_count_is_decoded_once(tmp_path, monkeypatch, mode, alpha):
    path = tmp_path / "a.png"
    Pillow.new(mode, (6, 4), "red").save(path)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda self: pytest.fail("decoded by Pillow too"))
    assert read_image(path, alpha).tolist() == [[[0, 0, 255]] * 6] * 4


def test_grey_images_are_repeated_over_three_channels(tmp_path):
    grey = np.full((8, 9), 99, np.uint8)
    assert (read_image(_save(tmp_path / "a.png", grey)) == 99).all()
    assert as_image(grey).shape == (8, 9, 3)
    assert as_image(grey[..., None]).shape == (8, 9, 3)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Pillow.new("RGB", (16, 16), c) for c in ((255, 0, 0), (0, 255, 0))]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    b, g, r = (int(v) for v in read_image(path)[8, 8])
    assert r > 200
    assert max(b, g) < 60


def test_a_path_with_any_characters_is_read(tmp_path):
    folder = tmp_path / "图 片 é"
    folder.mkdir()
    assert read_image(_save(folder / "测试 1.png", np.zeros((4, 5, 3), np.uint8))).shape == (4, 5, 3)


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"\xff\xd8\xff\xe0trunc"])
def test_what_is_no_image_is_an_error_with_its_name(tmp_path, data):
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert "bad.png" in str(caught.value)


def test_missing_files_and_folders_are_errors(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="Is a directory"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 10, 3), np.uint8), np.zeros((10, 10, 2), np.uint8), np.zeros((10,), np.uint8), np.zeros((4, 4, 3))],
)
def test_arrays_of_other_shapes_or_types_are_refused(array):
    with pytest.raises(ImageError):
        as_image(array)

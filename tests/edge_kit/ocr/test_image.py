"""Odd images have a defined meaning."""

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from edge_kit.ocr.image import ImageError, as_image, read_image


def _save(path, image, **options):
    Pillow.fromarray(image).save(path, **options)
    return path


def test_exif_orientation_is_applied(tmp_path):
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, :10] = 255
    read = read_image(_save(tmp_path / "a.jpg", image, exif=exif, quality=95))
    assert read.shape == (40, 20, 3)
    assert read[2].mean() > 250
    assert read[-2].mean() < 5


def test_alpha_is_dropped_not_blended(tmp_path):
    image = np.zeros((8, 8, 4), np.uint8)
    image[..., 2] = 200  # blue, fully transparent
    assert (read_image(_save(tmp_path / "a.png", image)) == [200, 0, 0]).all()
    assert (as_image(image)[..., 2] == 200).all()


def test_sixteen_bit_images_keep_the_high_byte(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((8, 8), 0xAB12, np.uint16))
    assert (read_image(path) == 0xAB).all()


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

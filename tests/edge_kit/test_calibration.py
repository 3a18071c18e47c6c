"""Calibration: the kit's own images are apart from every evaluation image, and bad folders are named."""

import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from render_calibration_images import SCRIPT_PAGES, script_page

from edge_kit.calibration import SCRIPTS, calibration_images, det_inputs, find_lines, rec_inputs
from edge_kit.ocr.image import read_image
from edge_kit.spec import profile
from edge_kit.verify.regression import regression_set
from model_opt.dictionary import read_dictionary
from model_opt.errors import KitError
from model_opt.zoo import fetch

ROOT = Path(__file__).resolve().parents[2]
EVERY = "".join(SCRIPTS.values())
"""Characters of a recogniser that reads all scripts."""


def thumbnail(path):
    return cv2.resize(cv2.cvtColor(read_image(path), cv2.COLOR_BGR2GRAY), (32, 32), interpolation=cv2.INTER_AREA)


def assert_apart(ours, others):
    sums = {hashlib.sha256(path.read_bytes()).hexdigest() for path in ours}
    small = [thumbnail(path).astype(int) for path in ours]
    for other in others:
        assert hashlib.sha256(other.read_bytes()).hexdigest() not in sums
        seen = thumbnail(other).astype(int)
        nearest = min(float(np.abs(seen - one).mean()) for one in small)
        assert nearest > 3.0, f"{other.name} looks like a calibration image"


def test_no_regression_image_is_calibrated_on():
    assert_apart(calibration_images(None, EVERY), [image.path for image in regression_set()])


def test_no_shared_image_is_calibrated_on(shared_dir):
    images = sorted(path for path in (shared_dir / "images").iterdir() if path.suffix in {".jpg", ".jpeg", ".png"})
    assert_apart(calibration_images(None, EVERY), images)


def test_rendering_again_gives_the_same_pages(tmp_path):
    """Processors round the floats of textures differently: 96 values of one page moved by a level on another one."""
    script = ROOT / "scripts" / "render_calibration_images.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], cwd=ROOT, check=True)
    made = {path.name: path for path in tmp_path.rglob("*.jpg")}
    pages = calibration_images(None, EVERY)
    assert set(made) == {path.name for path in pages}
    for page in pages:
        old, new = read_image(page).astype(int), read_image(made[page.name]).astype(int)
        moved = np.abs(old - new)
        assert moved.max() <= 1, page.name
        assert np.count_nonzero(moved) <= moved.size / 1000, page.name


def test_a_recogniser_sees_pages_of_the_scripts_that_it_reads():
    plain = calibration_images(None)
    assert calibration_images(None, "读写") == plain
    seen = calibration_images(None, "aö")
    assert seen[: len(plain)] == plain
    assert {path.parent.name for path in seen[len(plain) :]} == {"accents"}
    assert {path.parent.name for path in calibration_images(None, EVERY)[len(plain) :]} == {"accents", "kana"}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("model", "scripts"),
    [
        ("PP-OCRv4_mobile_rec", set()),
        ("PP-OCRv5_mobile_rec", {"accents", "kana"}),
        ("PP-OCRv6_tiny_rec", {"accents"}),
        ("PP-OCRv6_small_rec", {"accents", "kana"}),
    ],
)
def test_each_recogniser_sees_characters_of_its_dictionary(model, scripts):
    """Of what a page of a script shows, a dictionary that has the script lacks one in ten at most."""
    known = set(read_dictionary(fetch(model).dictionary).characters)
    assert {script for script, sign in SCRIPTS.items() if sign in known} == scripts
    for script in scripts:
        pages = [script_page(script, number)[0] for number in range(SCRIPT_PAGES[script])]
        drawn = {character for page in pages for line in page.lines for character in line.text} - {" "}
        assert len(drawn) > 100
        assert len(drawn - known) <= len(drawn) / 10


def rectangle_detector(x):
    """A detector that finds one line in the middle of every page that is not blank."""
    prob_map = np.zeros((1, 1, *x.shape[2:]), np.float32)
    if np.ptp(x) > 1.0:
        prob_map[0, 0, 10:30, 10:90] = 0.9
    return prob_map


def pages(folder, count, blank=False):
    for i in range(count):
        page = np.full((64, 128, 3), 255, np.uint8)
        if not blank:
            page[20:40, 10 + i :] = 0
        cv2.imwrite(str(folder / f"{i}.png"), page)
    return calibration_images(folder)


def test_both_models_see_what_the_specification_makes_of_the_images(tmp_path):
    images = pages(tmp_path, 3)
    lines = find_lines(images, rectangle_detector, profile(), lambda *_: None)
    assert [boxes.shape for boxes in lines.boxes] == [(1, 4, 2)] * 3
    assert [x.shape for x in det_inputs(images, profile())] == [(1, 3, 64, 128)] * 3
    assert [x.shape for x in rec_inputs(images, lines, profile(), 2)] == [(1, 3, 48, 320)] * 2


def test_of_many_lines_those_at_equal_steps_are_taken(tmp_path):
    images = pages(tmp_path, 5)
    lines = find_lines(images, rectangle_detector, profile(), lambda *_: None)
    every = rec_inputs(images, lines, profile(), 5)
    for most in (1, 2, 3, 4):
        taken = rec_inputs(images, lines, profile(), most)
        assert [x.tobytes() for x in taken] == [every[i * 5 // most].tobytes() for i in range(most)]


def test_blank_images_are_refused(tmp_path):
    with pytest.raises(KitError, match="no text on any of the 2") as caught:
        find_lines(pages(tmp_path, 2, blank=True), rectangle_detector, profile(), lambda *_: None)
    assert "twenty or more" in str(caught.value)


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(KitError, match="absent"):
        calibration_images(tmp_path / "absent")
    with pytest.raises(KitError, match="holds no image"):
        calibration_images(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(KitError) as caught:
        find_lines(calibration_images(tmp_path), rectangle_detector, profile(), lambda *_: None)
    assert caught.value.path == str(tmp_path / "broken.png")

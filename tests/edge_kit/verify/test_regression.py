"""The regression images are complete, small, readable and meaningful, and can be made again."""

import copy
import dataclasses
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import PIL
import pytest
from PIL import Image as Pillow

from edge_kit.api import create_pipeline
from edge_kit.inputs import PassedOver
from edge_kit.ocr.image import read_image
from edge_kit.verify import regression
from edge_kit.verify.metrics import match_boxes, text_agreement
from edge_kit.verify.regression import regression_set, user_set
from model_opt.errors import KitError
from model_opt.resources import config_dir

ROOT = Path(__file__).resolve().parents[3]
FOLDER = config_dir() / "regression"

BROKEN_RULES = [
    ("detection", "limit_side_len", 736, "large.png"),
    ("detection", "channel_order", "rgb", "street_sign.png"),
    ("detection", "side_multiple", 64, "article_serif.png"),
    ("detection", "pad_below_sum", 0, "tiny.png"),
    ("detection", "pad_value", 127, "tiny.png"),
    ("db", "thresh", 0.5, "low_contrast.png"),
    ("db", "use_dilation", True, "dense_small.png"),
    ("db", "unclip_ratio", 2.0, "turned_6.png"),
    ("db", "score_mode", "slow", "turned_28.png"),
    ("boxes", "row_tolerance", 0, "receipt.png"),
    ("crop", "interpolation", "linear", "photo.jpg"),
    ("crop", "rotate_ratio", 99.0, "vertical.png"),
    ("recognition", "channel_order", "rgb", "street_sign.png"),
    ("recognition", "min_width", 48, "receipt.png"),
    ("recognition", "pad_value", -1.0, "receipt.png"),
]
"""Rules that demos break (section, key, what they do instead), and an image that shows it."""


@pytest.fixture(scope="module")
def reader():
    with create_pipeline("ocr", engine="onnx") as pipeline:
        yield pipeline.ocr


def plain(text):
    """Return the text without blanks, which the recogniser gives only now and then, and in half-width forms."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def answer(reader, name):
    """Return what a reader makes of an image, in a form that can be compared."""
    result = reader.read(read_image(FOLDER / name))
    scores = [*result.dt_scores, *result.rec_scores]
    return result.dt_polys.tolist(), list(result.rec_texts), [round(score, 3) for score in scores]


def test_truth_names_every_image_and_its_lines_lie_inside():
    images = regression_set()
    files = {p.name for p in FOLDER.iterdir() if p.suffix in {".png", ".jpg"}}
    assert {image.name for image in images} == files
    assert len(images) >= 12
    for image in images:
        height, width = cv2.imread(str(image.path)).shape[:2]
        for line in image.truth:
            assert line.text
            assert all(0 <= x <= width and 0 <= y <= height for x, y in line.quad), (image.name, line.text)


def test_the_set_is_small():
    sizes = [path.stat().st_size for path in FOLDER.iterdir()]
    assert max(sizes) < 150_000
    assert sum(sizes) < 1_000_000


def test_rendering_again_gives_the_same_bytes(tmp_path):
    made_with = json.loads((FOLDER / "truth.json").read_text())["made_with"]
    if made_with != {"pillow": PIL.__version__, "opencv": cv2.__version__, "numpy": np.__version__}:
        pytest.skip(f"the pictures were made with {made_with}, other versions draw other bytes")
    script = ROOT / "scripts" / "render_regression_images.py"
    subprocess.run([sys.executable, script, tmp_path], cwd=ROOT, check=True)
    for made in sorted(tmp_path.iterdir()):
        assert made.read_bytes() == (FOLDER / made.name).read_bytes(), made.name
    assert {made.name for made in tmp_path.iterdir()} == {p.name for p in FOLDER.iterdir()} - {"README.md"}


def test_the_readme_names_every_image():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [image.name for image in regression_set() if image.name not in text] == []


@pytest.mark.integration
@pytest.mark.xdist_group("onnx")
def test_what_was_drawn_is_read_far_from_every_threshold(reader):
    characters = edits = 0
    for image in regression_set():
        result = reader.read(read_image(image.path))
        quads = np.array([line.quad for line in image.truth]).reshape(-1, 4, 2)
        matching = match_boxes(quads, result.dt_polys.reshape(-1, 4, 2))
        assert (matching.missed, matching.extra) == ((), ()), image.name
        texts = text_agreement([plain(t.text) for t in image.truth], [plain(t) for t in result.rec_texts], matching)
        characters, edits = characters + texts.characters, edits + texts.edits
        rules = reader.rules
        assert min(result.dt_scores, default=1.0) > rules.db.box_thresh + 0.1, image.name
        assert min(result.rec_scores, default=1.0) > rules.result.drop_score + 0.3, image.name
    assert characters > 400
    assert edits <= 0.01 * characters


@pytest.mark.integration
@pytest.mark.xdist_group("onnx")
def test_columns_of_a_receipt_are_read_in_rows(reader):
    (truth,) = (image.truth for image in regression_set() if image.name == "receipt.png")
    _, texts, _ = answer(reader, "receipt.png")
    assert [plain(text) for text in texts] == [plain(line.text) for line in truth]


@pytest.mark.integration
@pytest.mark.xdist_group("onnx")
@pytest.mark.parametrize(("section", "key", "value", "name"), BROKEN_RULES)
def test_a_broken_rule_shows_on_an_image(reader, section, key, value, name):
    rules = dataclasses.replace(getattr(reader.rules, section), **{key: value})
    broken = copy.copy(reader)
    broken.rules = dataclasses.replace(reader.rules, **{section: rules})
    assert answer(broken, name) != answer(reader, name)


def test_the_photo_is_stored_on_its_side():
    with Pillow.open(FOLDER / "photo.jpg") as stored:
        assert (stored.size, stored.getexif()[0x0112]) == ((352, 480), 6)
    assert read_image(FOLDER / "photo.jpg").shape == (352, 480, 3)


@pytest.mark.parametrize("content", ["{", "{}", '{"images": {"a.png": [{"text": "x"}]}}', '{"images": {"a.png": []}}'])
def test_a_damaged_set_is_an_error(tmp_path, monkeypatch, content):
    (tmp_path / "regression").mkdir()
    (tmp_path / "regression" / "truth.json").write_text(content)
    monkeypatch.setattr(regression, "config_dir", lambda: tmp_path)
    with pytest.raises(KitError, match="regression set") as caught:
        regression_set()
    assert "truth.json" in str(caught.value)


def test_a_users_folder_is_taken_by_name(tmp_path):
    picture = (FOLDER / "grey.png").read_bytes()
    for name in ("b.png", "a.JPG", "notes.txt"):
        (tmp_path / name).write_bytes(picture)
    with pytest.warns(PassedOver, match=r"1 file that is no image \(notes\.txt\)"):
        assert [(i.name, i.truth) for i in user_set(tmp_path)] == [("own/a.JPG", None), ("own/b.png", None)]


@pytest.mark.parametrize("content", [b"", b"x", b"\x89PNG\r\n\x1a\n", b"GIF89a"], ids=["empty", "text", "png", "gif"])
def test_one_unreadable_image_of_a_users_folder_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "a.png").write_bytes((FOLDER / "grey.png").read_bytes())
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(KitError, match=r"'broken\.png'") as caught:
        user_set(tmp_path)
    assert caught.value.path == str(tmp_path / "broken.png")
    assert "take it out of the folder" in str(caught.value)


def test_a_missing_or_empty_folder_is_an_error(tmp_path):
    with pytest.raises(KitError, match="no image files"):
        user_set(tmp_path)
    with pytest.raises(KitError, match="cannot list"):
        user_set(tmp_path / "absent")

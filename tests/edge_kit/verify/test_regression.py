"""The regression images are whole, small, and can be made again."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import PIL
import pytest

from edge_kit.verify.regression import regression_set, user_set
from model_opt.errors import KitError
from model_opt.resources import config_dir

ROOT = Path(__file__).resolve().parents[3]
FOLDER = config_dir() / "regression"


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
    if made_with != {"pillow": PIL.__version__, "opencv": cv2.__version__}:
        pytest.skip(f"the pictures were made with {made_with}, other versions draw other bytes")
    script = ROOT / "scripts" / "render_regression_images.py"
    subprocess.run([sys.executable, script, tmp_path], cwd=ROOT, check=True)
    for made in sorted(tmp_path.iterdir()):
        assert made.read_bytes() == (FOLDER / made.name).read_bytes(), made.name


def test_a_users_folder_is_taken_by_name(tmp_path):
    for name in ("b.png", "a.JPG", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [(i.name, i.truth) for i in user_set(tmp_path)] == [("own/a.JPG", None), ("own/b.png", None)]


def test_a_missing_or_empty_folder_is_an_error(tmp_path):
    with pytest.raises(KitError, match="no image files"):
        user_set(tmp_path)
    with pytest.raises(KitError, match="cannot list"):
        user_set(tmp_path / "absent")

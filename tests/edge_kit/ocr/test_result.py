"""Where a result is saved, and what its text forms hold."""

import json

import numpy as np
import pytest

from edge_kit.ocr.result import Names, OcrResult, stem_of
from model_opt.errors import KitError


def result(input_path="in/page.jpg", name=None):
    image = np.full((20, 60, 3), 255, np.uint8)
    polys = np.array([[[1, 1], [50, 1], [50, 15], [1, 15]]], np.int32)
    return OcrResult(input_path, polys, (0.9,), ("text",), (0.8,), {"total": 0.1}, image, name)


def test_a_folder_keeps_the_inputs_name(tmp_path):
    assert result().save_to_img(tmp_path).name == "page.jpg"
    assert result().save_to_json(tmp_path / "new").relative_to(tmp_path).as_posix() == "new/page.json"
    assert result(None).save_to_img(tmp_path).name == "image.png"
    assert result("http://host/a/scan.png?size=3").save_to_img(f"{tmp_path}/v1.0/").name == "scan.png"
    assert result().save_to_json(tmp_path / "own.json").name == "own.json"


def test_inputs_of_one_name_get_files_of_their_own(tmp_path):
    names = Names()
    inputs = ["a/x.png", "b/x.png", "x_2.png", "c/x.png", None, None]
    stems = [names.unused(stem_of(path)) for path in inputs]
    assert len(set(stems)) == len(inputs)
    assert stems[:2] == ["x", "x_2"]
    assert stems[4:] == ["image", "image_2"]
    assert result("b/x.png", stems[1]).save_to_img(tmp_path).name == "x_2.png"


def test_a_file_name_that_is_no_utf8_survives_the_json(tmp_path):
    text = result("bad\udcff.png").save_to_json(tmp_path / "r.json").read_text(encoding="utf-8")
    assert json.loads(text)["input_path"] == "bad\udcff.png"


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="cannot write the result"):
        result().save_to_json(tmp_path / "file" / "r.json")
    with pytest.raises(KitError, match="no picture format"):
        result().save_to_img(tmp_path / "r.xyz")

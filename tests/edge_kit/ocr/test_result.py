"""Where a result is saved, and what its text forms hold."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from edge_kit.ocr.reading import page_of
from edge_kit.ocr.result import Names, OcrResult, make_folder, stem_of, write_output
from edge_kit.ocr.words import Columns
from edge_kit.spec import profile
from model_opt.errors import KitError


def result(input_path="in/page.jpg", name=None):
    image = np.full((20, 60, 3), 255, np.uint8)
    polys = np.array([[[1, 1], [50, 1], [50, 15], [1, 15]]], np.int32)
    return OcrResult(input_path, polys, (0.9,), ("text",), (0.8,), {"total": 0.1}, image, name)


def read(schema="kit", **more):
    """Return a result of two lines, one of which the score filter dropped."""
    found = np.array([[[1, 1], [50, 1], [50, 15], [1, 15]], [[1, 16], [9, 16], [9, 19], [1, 19]]], np.int32)
    page = page_of(profile("paddlex-3"), (-1, -1))
    columns = (Columns((0, 1, 2, 3), 6.0),)
    return replace(result(), schema=schema, page=page, all_polys=found, columns=columns, **more)


def test_a_result_is_a_mapping_of_its_schemas_fields():
    kit = read()
    assert list(kit)[:6] == ["input_path", "dt_polys", "dt_scores", "rec_texts", "rec_scores", "timings"]
    assert kit["rec_texts"] == kit.rec_texts == ("text",)
    assert kit["rec_boxes"].tolist() == [[1, 1, 50, 15]]
    assert (len(kit["dt_polys"]), len(kit), "rec_polys" in kit, "dt_poly" in kit) == (1, len(list(kit)), True, False)
    assert dict(**kit)["text_type"] == "general"
    with pytest.raises(KeyError):
        kit["rec_text"]


def test_each_schema_has_paddlexs_fields_in_their_order():
    newest = read("paddlex-3", return_word_box=True)
    assert list(newest) == list(newest.json["res"]) == [
        "input_path", "page_index", "model_settings", "dt_polys", "text_det_params", "text_type",
        "textline_orientation_angles", "text_rec_score_thresh", "return_word_box", "rec_texts", "rec_scores",
        "rec_polys", "rec_boxes", "text_word_boxes", "text_word",
    ]  # fmt: skip
    body = newest.json["res"]
    assert (len(body["dt_polys"]), len(body["rec_polys"]), body["textline_orientation_angles"]) == (2, 1, [-1, -1])
    assert (body["text_word"], body["text_word_boxes"]) == ([["text"]], [[[1, 1, 33, 15]]])
    assert newest["rec_polys"][0].dtype == newest["rec_boxes"].dtype == np.int16
    beta = read("beta1")
    assert list(beta) == list(beta.json) == ["input_path", "dt_polys", "dt_scores", "rec_text", "rec_score"]
    item = read("seed")
    assert item.json == beta.json
    json.dumps([beta.json, newest.json, item.json, read().json, read().to_dict()])


def test_files_are_called_as_paddlex_calls_them(tmp_path):
    names = {
        schema: [read(schema, name=name).save_to_json(tmp_path).name for name in ("page", "page_2")]
        + [read(schema).save_to_img(tmp_path).name]
        for schema in ("kit", "paddlex-3", "beta1", "seed")
    }
    older = ["page.json", "page_2.json", "page.jpg"]
    assert names == {
        "kit": older,
        "paddlex-3": ["page_res.json", "page_2_res.json", "page_ocr_res_img.jpg"],
        "beta1": older,
        "seed": older,
    }
    assert read("paddlex-3", page_index=2).save_to_json(tmp_path).name == "page_2_res.json"
    text = (tmp_path / "page_res.json").read_text(encoding="utf-8")
    assert text == json.dumps(read("paddlex-3").json["res"], indent=4, ensure_ascii=False)


def test_results_are_printed_by_either_word(capsys):
    read().print(json_format=False)
    read().print(format_json=False)
    assert capsys.readouterr().out == "0.8000  text\n" * 2
    read().print()
    assert set(json.loads(capsys.readouterr().out)) == set(read().to_dict())
    read("paddlex-3").print(json_format=True)
    assert json.loads(capsys.readouterr().out) == read("paddlex-3").json
    read("paddlex-3").print()
    shown = capsys.readouterr().out
    assert shown.startswith("{'res': {'input_path': 'in/page.jpg', 'page_index': None, 'model_settings': {")
    assert "'rec_texts': ['text'], 'rec_scores': array([0.8])" in shown


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "utf-8"])
def test_what_standard_output_cannot_show_is_escaped(monkeypatch, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    monkeypatch.setattr("sys.stdout", out)
    chinese = replace(read(), rec_texts=("人",), input_path="a\udcff.png")
    chinese.print(format_json=False)
    chinese.print()
    replace(chinese, schema="paddlex-3").print()
    out.flush()
    shown = "人" if encoding == "utf-8" else "\\u4eba"
    lines = out.buffer.getvalue().decode(encoding).splitlines()
    assert lines[0] == f"0.8000  {shown}"
    assert any(f"'{shown}'" in line for line in lines)


def test_a_process_without_standard_output_prints_nothing(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    read().print()


def test_str_holds_the_fields_as_paddlex_shows_them():
    fields = read("paddlex-3").str["res"]
    assert list(fields) == list(read("paddlex-3"))
    assert (fields["rec_texts"], fields["rec_scores"].tolist(), fields["dt_polys"].shape) == (
        ["text"],
        [0.8],
        (2, 4, 2),
    )
    assert set(read().str) == set(read("beta1").str) == {"res"}


def test_save_all_writes_both_forms_into_a_folder(tmp_path):
    for schema, names in (("kit", ["page.json", "page.jpg"]), ("paddlex-3", ["page_res.json", "page_ocr_res_img.jpg"])):
        saved = read(schema).save_all(tmp_path / "v1.0")
        assert [path.relative_to(tmp_path / "v1.0").as_posix() for path in saved] == names
        assert all(path.is_file() for path in saved)
    for place in ("", None):
        with pytest.raises(KitError, match="save_path"):
            read().save_all(place)


def test_the_picture_is_at_hand():
    assert read().img["ocr_res_img"].size == read("beta1").img.size == (120, 20)


def test_what_a_result_does_not_hold_is_an_error(tmp_path):
    with pytest.raises(KitError, match="no places of characters"):
        _ = replace(result(), return_word_box=True).text_word
    with pytest.raises(KitError, match=r"unknown result schema 'res'(.|\n)*beta1"):
        read("res").save_to_json(tmp_path)


def test_a_folder_keeps_the_inputs_name(tmp_path):
    assert result().save_to_img(tmp_path).name == "page.jpg"
    assert result().save_to_json(tmp_path / "new").relative_to(tmp_path).as_posix() == "new/page.json"
    assert result(None).save_to_img(tmp_path).name == "image.png"
    assert result("http://host/a/scan.png?size=3").save_to_img(f"{tmp_path}/v1.0/").name == "scan.png"
    assert result().save_to_json(tmp_path / "own.json").name == "own.json"


def test_a_result_never_replaces_the_file_that_was_read(tmp_path):
    photo = tmp_path / "page.jpg"
    photo.write_bytes(b"photo")
    (tmp_path / "link.json").symlink_to(photo)
    own = result(str(photo))
    for save, place in [(own.save_to_img, tmp_path), (own.save_to_img, photo), (own.save_to_json, "link.json")]:
        with pytest.raises(KitError, match=r"replace the file that was read(.|\n)*next: name another folder"):
            save(tmp_path / place)
    assert photo.read_bytes() == b"photo"
    assert replace(own, schema="paddlex-3").save_to_img(tmp_path).name == "page_ocr_res_img.jpg"


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


def test_a_place_that_cannot_be_written_to_names_what_stands_in_the_way(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KitError, match="file is a file, and a folder is needed"):
        write_output(tmp_path / "file" / "deeper" / "x.json", b"")
    with pytest.raises(KitError, match="file is a file, and a folder is needed"):
        make_folder(tmp_path / "file" / "x")
    with pytest.raises(KitError, match="a folder has this name"):
        write_output(tmp_path, b"")


@pytest.mark.parametrize(("place", "what"), [("", "is empty"), (" ", "is empty"), (None, "not None"), (3, "not 3")])
def test_a_place_that_is_none_is_an_error_and_nothing_is_written(tmp_path, monkeypatch, place, what):
    monkeypatch.chdir(tmp_path)
    for save in (result().save_to_json, result().save_to_img):
        with pytest.raises(KitError, match=f"save_path .*{what}"):
            save(place)
    assert list(tmp_path.iterdir()) == []

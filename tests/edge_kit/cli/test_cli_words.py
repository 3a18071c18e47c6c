"""The words of PaddleX and PaddleOCR on the command line."""

import pytest
import typer

from edge_kit.cli.ocr import OcrRequest, with_words
from edge_kit.cli.words import split_words
from model_opt.errors import KitError

OWN = {"--device", "--det-model", "--json", "--help"}


def test_words_are_taken_out_with_their_values_in_either_spelling():
    args = ["-i", "a.png", "--input=b.png", "--text-det-thresh", "0.2", "--text_rec_score_thresh=0", "c.png"]
    left, words = split_words([*args, "--device", "cpu", "--det_model", "x", "--json", "-"], OWN)
    assert left == ["c.png", "--device", "cpu", "--det-model", "x", "--json", "-"]
    assert words == {"input": ["a.png", "b.png"], "text_det_thresh": 0.2, "text_rec_score_thresh": 0.0}


def test_a_truth_value_may_be_left_out():
    left, words = split_words(["--use_hpip", "a.png", "--use_textline_orientation", "False", "--enable_hpi"], OWN)
    assert left == ["a.png"]
    assert words == {"use_hpip": True, "use_textline_orientation": False, "enable_hpi": True}


def test_mappings_are_written_as_python_or_json_writes_them():
    for text in ("{'backend': 'openvino'}", '{"backend": "openvino"}'):
        assert split_words(["--hpi_config", text], OWN)[1] == {"hpi_config": {"backend": "openvino"}}
    assert split_words(["--hpi_config", '{"auto_config": true}'], OWN)[1] == {"hpi_config": {"auto_config": True}}


def test_shapes_are_three_numbers():
    for args in (["--text_det_input_shape", "3", "736", "736"], ["--text_det_input_shape=3,736,736"]):
        assert split_words(args, OWN) == ([], {"text_det_input_shape": [3, 736, 736]})


def test_what_is_no_word_is_left_to_the_command():
    args = ["--nonsense", "x", "-h", "--", "--input"]
    assert split_words(args, OWN) == (args, {})


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--text_det_thresh", "high"], "is a number, not 'high'"),
        (["--cpu_threads", "2.5"], "is a whole number"),
        (["--use_doc_unwarping=maybe"], "is True or False"),
        (["--hpi_config", "openvino"], "is a mapping"),
        (["--hpi_config", "[1]"], "is a mapping"),
        (["--save_path"], "needs a value"),
    ],
)
def test_a_bad_value_is_named(args, words):
    with pytest.raises(typer.BadParameter, match=words):
        split_words(args, OWN)


def request(*paths, **given):
    return OcrRequest(paths, given, None, None, None, None)


def test_inputs_and_places_join_the_commands_own():
    made = with_words(request("a.png"), {"input": ["b.png"], "save_path": "out", "paddlex_config": "OCR.yaml"})
    assert (made.paths, str(made.save_path), made.pipeline) == (("a.png", "b.png"), "out", "OCR.yaml")
    assert made.settings == {}


def test_saved_as_paddleocr_does_a_result_has_its_form():
    assert with_words(request("a.png"), {"save_path": "out"}).settings == {"result_schema": "paddlex-3"}


def test_no_image_at_all_is_an_error():
    with pytest.raises(KitError, match="no image was given"):
        with_words(request(), {})


@pytest.mark.parametrize(("option", "meant"), [("--text-det-tresh", "text_det_thresh"), ("--det_modle", "det_model")])
def test_an_option_that_is_nearly_a_word_is_answered_with_it(option, meant):
    with pytest.raises(typer.BadParameter, match=f"no option {option}; did you mean --{meant}"):
        split_words([option, "1"], OWN)


@pytest.mark.parametrize("word", ["save_path", "pipeline"])
def test_an_empty_place_is_not_the_present_folder(word):
    word = "paddlex_config" if word == "pipeline" else word
    with pytest.raises(KitError, match="is empty"):
        with_words(OcrRequest(("a.png",), {}, None, None, None, None), {word: ""})

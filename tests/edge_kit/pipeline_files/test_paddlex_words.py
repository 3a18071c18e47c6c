"""PaddleX's and PaddleOCR's words for options become settings, or are refused, or are listed as without effect."""

import numpy as np
import pytest

from edge_kit import create_pipeline
from edge_kit.api import choose_settings
from edge_kit.pipeline_files.words import WORDS, models_of, understand
from edge_kit.settings import PipelineSettings
from model_opt.errors import KitError
from tests.edge_kit.pipeline_files.samples import PADDLEX3

SEED_SET = {"det_model": "PP-OCRv4_mobile_det", "rec_model": "PP-OCRv4_mobile_rec"}


def test_every_word_leads_to_a_setting_or_says_why_not():
    places = {*PipelineSettings.__dataclass_fields__, "input", "save_path", "pipeline"}
    for name, word in WORDS.items():
        said = [word.setting in places, word.why is not None, word.refused is not None]
        assert sum(said) == (0 if name in ("lang", "ocr_version", "use_gpu") else 1), name


def test_paddleocr_3s_words_are_settings_read_by_its_rules():
    said = understand(
        {
            "text_detection_model_name": "PP-OCRv5_mobile_det",
            "text_recognition_model_dir": "./rec",
            "text_recognition_model_name": "PP-OCRv5_mobile_rec",
            "text_det_thresh": 0.2,
            "cpu_threads": 2,
            "use_hpip": True,
            "enable_mkldnn": False,
            "precision": "fp32",
            "lang": None,
        }
    )
    assert said.settings == {
        "det_model": "PP-OCRv5_mobile_det",
        "rec_model": "./rec",
        "text_det_thresh": 0.2,
        "threads": 2,
        "enable_hpi": True,
    }
    assert said.implied == {"spec": "paddlex-3"}
    assert [one.key for one in said.ignored] == ["enable_mkldnn", "precision"]


def test_paddleocr_2s_words_keep_the_default_rules():
    said = understand({"det_model_dir": "./det", "drop_score": 0.3, "use_angle_cls": True, "use_gpu": False})
    assert said.settings == {
        "det_model": "./det",
        "text_rec_score_thresh": 0.3,
        "use_angle_classifier": True,
        "device": "cpu",
    }
    assert said.implied == {}


@pytest.mark.parametrize(
    ("lang", "version", "rec"),
    [
        (None, "PP-OCRv4", "PP-OCRv4_mobile_rec"),
        ("ch", "PP-OCRv5", "PP-OCRv5_server_rec"),
        ("japan", None, "PP-OCRv6_medium_rec"),
        ("fr", None, "PP-OCRv6_medium_rec"),
        (None, None, "PP-OCRv6_medium_rec"),
    ],
)
def test_languages_and_versions_choose_the_models_that_paddleocr_chooses(lang, version, rec):
    assert models_of(lang, version)[1] == rec


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lang": "ru"}, "no models for language 'ru'"),
        ({"lang": "en", "ocr_version": "PP-OCRv4"}, "no models for language 'en' of PP-OCRv4"),
        ({"ocr_version": "PP-OCRv3"}, "no models of 'PP-OCRv3'"),
        ({"precision": "fp16"}, "precision fp16 is not supported"),
        ({"text_det_input_shape": [3, 736, 736]}, "3 736 736 is not supported"),
        ({"det_algorithm": "EAST"}, "det_algorithm EAST is not"),
        ({"det_model_dir": "./a", "text_detection_model_dir": "./b"}, "different things of one setting"),
        ({"serve": True}, "use 'edge-kit serve'"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(given, words):
    with pytest.raises(KitError, match=words):
        understand(given)


def test_arguments_of_the_python_interface_take_the_same_words(tmp_path):
    chosen = choose_settings("OCR", {"ocr_version": "PP-OCRv4", "engine": "onnxruntime", "use_tensorrt": False})
    assert chosen.settings == PipelineSettings(engine="onnx", spec="paddlex-3", **SEED_SET)
    assert [one.key for one in chosen.ignored] == ["use_tensorrt"]
    path = tmp_path / "OCR.yaml"
    path.write_text(PADDLEX3)
    off = {"use_doc_unwarping": False, "use_doc_orientation_classify": False, "use_textline_orientation": False}
    chosen = choose_settings(
        path, {**off, "text_recognition_batch_size": 1, "text_detection_model_name": "PP-OCRv6_tiny_det"}
    )
    assert (chosen.settings.det_model, chosen.settings.rec_batch_size) == ("PP-OCRv6_tiny_det", 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"text_detection_model": "x"}, "unknown setting 'text_detection_model'"),
        ({"input": "x.png"}, "unknown setting 'input'\n.* to predict"),
        ({"save_path": "out"}, "unknown setting 'save_path'\n.* to save_to_img"),
        ({"det_model": "./a", "text_detection_model_dir": "./b"}, "given twice: also as text_detection_model_dir"),
        ({"text_det_thresh": 0.3, "det_db_thresh": 0.4}, "text_det_thresh is given twice: also as det_db_thresh"),
        ({"models": "pp-ocrv6-tiny", "lang": "en"}, "lang en chooses PP-OCRv6_medium_det, and models pp-ocrv6-tiny"),
        ({"models": "pp-ocrv6-tiny", "ocr_version": "PP-OCRv4"}, "ocr_version PP-OCRv4 chooses"),
        ({"ocr_version": "v5"}, "no models of 'v5'"),
        ({"use_gpu": "False"}, "use_gpu must be True or False"),
        ({"show_log": 0}, "show_log must be True or False"),
        ({"text_detection_model_name": ""}, "is empty"),
        ({"det_model": " "}, "is empty"),
        ({"hpi_config": "{}"}, "must be a mapping"),
        ({"engine": "tensorrt"}, "unknown engine 'tensorrt'"),
        ({"use_doc_unwarping": True}, "does not unwarp pages"),
        ({"text_det_thresh": "0.3"}, "must be a number"),
    ],
)
def test_arguments_that_cannot_be_obeyed_are_errors(given, words):
    with pytest.raises(KitError, match=words):
        choose_settings("ocr", given)


def test_two_words_may_say_the_same(tmp_path):
    chosen = choose_settings("ocr", {"text_det_thresh": 0.4, "det_db_thresh": 0.4})
    assert chosen.settings.text_det_thresh == 0.4


def test_numbers_of_numpy_are_numbers():
    given = {"text_det_thresh": np.float64(0.25), "rec_batch_num": np.int64(2), "use_doc_unwarping": np.bool_(False)}
    settings = choose_settings("ocr", given).settings
    assert (settings.text_det_thresh, settings.rec_batch_size, settings.use_doc_unwarping) == (0.25, 2, False)
    assert type(settings.rec_batch_size) is int


@pytest.mark.parametrize("pipeline", ["PP-StructureV3", "absent.yaml", "", "."])
def test_a_pipeline_that_is_not_there_says_which_there_is(pipeline):
    with pytest.raises(KitError, match="no such pipeline") as caught:
        choose_settings(pipeline, {})
    assert "OCR" in str(caught.value.hint)


def test_an_engine_of_a_file_is_checked_before_models_are_fetched(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("engine: sever\n")
    with pytest.raises(KitError, match="unknown engine 'sever'") as caught:
        choose_settings(path, {})
    assert caught.value.path == str(path)
    assert "paddle" in str(caught.value.hint)


@pytest.mark.parametrize("given", [{"config": {"engine": "sever"}}, {"paddlex_config": {"engine": "sever"}}])
def test_create_pipeline_takes_a_file_by_the_names_of_paddlex_and_paddleocr(given):
    with pytest.raises(KitError, match="unknown engine 'sever'"):
        create_pipeline("OCR", **given)
    with pytest.raises(KitError, match="two pipelines"):
        create_pipeline("other.yaml", **given)
    with pytest.raises(KitError, match="not 5"):
        create_pipeline(5)

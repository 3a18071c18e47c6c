"""Pipeline settings: from arguments and files, with errors that name the key."""

import pytest
import yaml

from edge_kit.cli.config import run_config_export
from edge_kit.settings import PipelineSettings, from_mapping, load_settings, looks_like_path
from model_opt.errors import KitError


def test_the_exported_file_holds_the_defaults(tmp_path):
    path = tmp_path / "ocr.yaml"
    run_config_export(path)
    assert load_settings(path) == PipelineSettings()


def test_arguments_win_over_the_file(tmp_path):
    path = tmp_path / "ocr.yaml"
    path.write_text("engine: onnx\nrec_device: cpu\n")
    settings = load_settings(path, engine="server")
    assert (settings.engine, settings.rec_device) == ("server", "cpu")


def test_model_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "mine").mkdir()
    path = tmp_path / "ocr.yaml"
    path.write_text(yaml.safe_dump({"det_model": "mine", "rec_model": "PP-OCRv4_mobile_rec"}))
    settings = load_settings(path)
    assert settings.det_model == str(tmp_path / "mine")
    assert settings.rec_model == "PP-OCRv4_mobile_rec"


def test_a_set_brings_its_models_and_its_profile():
    default, tiny = PipelineSettings().chosen, from_mapping({"models": "pp-ocrv6-tiny"}).chosen
    assert (default.det, default.rec, default.profile) == ("PP-OCRv4_mobile_det", "PP-OCRv4_mobile_rec", "pp-ocrv4")
    assert (tiny.det, tiny.rec, tiny.profile) == ("PP-OCRv6_tiny_det", "PP-OCRv6_tiny_rec", "paddlex-3")


def test_single_models_and_a_profile_replace_those_of_the_set():
    given = {"models": "pp-ocrv5-mobile", "rec_model": "./mine", "spec": "pp-ocrv4"}
    chosen = from_mapping(given).chosen
    assert (chosen.det, chosen.rec, chosen.profile) == ("PP-OCRv5_mobile_det", "./mine", "pp-ocrv4")


def test_an_unknown_set_lists_the_known_ones():
    with pytest.raises(KitError, match=r"unknown model set 'v6'(.|\n)*pp-ocrv6-tiny"):
        _ = from_mapping({"models": "v6"}).chosen


@pytest.mark.parametrize("name", ["rec.onnx", "inference.json", "my.pdmodel", "m.tar.gz", "./mine"])
def test_a_file_of_a_model_is_a_path_and_a_name_is_none(name):
    assert looks_like_path(name)
    assert not looks_like_path("PP-OCRv5_mobile_det")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"enginee": "onnx"}, "enginee"),
        ({"threads": "two"}, "threads"),
        ({"threads": True}, "threads"),
        ({"engine": 3}, "engine"),
        ({"rec_batch_size": 0}, "from 1 to 1024"),
        ({"text_det_thresh": 1.5}, "from 0 to 1"),
        ({"text_det_thresh": float("nan")}, "from 0 to 1"),
        ({"text_det_thresh": True}, "text_det_thresh"),
        ({"text_det_limit_type": "longest"}, "max, min"),
        ({"hpi_config": [1]}, "hpi_config"),
        ({"result_schema": "xml"}, "kit, seed, beta1, paddlex-3"),
        ({"engine": "transformers"}, "no such engine"),
    ],
)
def test_bad_settings_name_the_key(values, words):
    with pytest.raises(KitError, match=words):
        from_mapping(values)


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "ocr.yaml"
    path.write_text(text)
    with pytest.raises(KitError):
        load_settings(path)


def test_arguments_are_checked_beside_a_file_too(tmp_path):
    path = tmp_path / "ocr.yaml"
    path.write_text("engine: onnx\n")
    for wrong in ({"enginee": "onnx"}, {"threads": 0}, {"threads": 100_000}, {"rec_batch_size": 0}):
        with pytest.raises(KitError):
            load_settings(path, **wrong)
    assert load_settings(path, det_model=tmp_path).det_model == str(tmp_path)

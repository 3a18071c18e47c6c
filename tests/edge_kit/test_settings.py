"""Pipeline settings: from arguments and files, with errors that name the key."""

import pytest
import yaml

from edge_kit.cli.ocr import run_config_export
from edge_kit.settings import PipelineSettings, from_mapping, load_settings
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


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"enginee": "onnx"}, "enginee"),
        ({"threads": "two"}, "threads"),
        ({"threads": True}, "threads"),
        ({"engine": 3}, "engine"),
        ({"rec_batch_size": 6}, "only 1 gives the server's text"),
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
    for wrong in ({"enginee": "onnx"}, {"threads": 0}, {"threads": 100_000}, {"rec_batch_size": 6}):
        with pytest.raises(KitError):
            load_settings(path, **wrong)
    assert load_settings(path, det_model=tmp_path).det_model == str(tmp_path)

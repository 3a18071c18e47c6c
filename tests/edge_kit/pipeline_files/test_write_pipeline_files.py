"""Pipeline files are written in PaddleX 3's form, and read back to the same settings."""

import dataclasses

import pytest
import yaml

from edge_kit.cli.config import run_config_convert, run_config_export
from edge_kit.settings import PipelineSettings, load_settings
from model_opt.errors import KitError
from tests.edge_kit.pipeline_files.samples import BETA1, EARLY, EXPORTED, PADDLEX3


@pytest.fixture
def convert(tmp_path):
    def convert_text(text, form):
        source, target = tmp_path / "source.yaml", tmp_path / f"{form}.yaml"
        source.write_text(text)
        run_config_convert(source, target, form)
        return target

    return convert_text


def test_paddlexs_own_file_survives_the_way_to_the_kit_and_back(convert):
    kit = convert(PADDLEX3, "kit")
    assert load_settings(kit).det_model == "PP-OCRv6_medium_det"
    back = convert(kit.read_text(), "paddlex")
    assert yaml.safe_load(back.read_text()) == yaml.safe_load(PADDLEX3)


@pytest.mark.parametrize("text", [PADDLEX3, EXPORTED])
def test_a_file_of_paddlex_3_means_the_same_after_it_was_written_again(convert, tmp_path, text):
    again = load_settings(convert(text, "paddlex"))
    read = load_settings(tmp_path / "source.yaml")
    optional = {"textline_orientation_model", "doc_orientation_model", "threads"}  # of switched-off models; no key
    changed = {one.name for one in dataclasses.fields(read) if getattr(read, one.name) != getattr(again, one.name)}
    assert changed <= optional


@pytest.mark.parametrize("text", [EARLY, BETA1, PADDLEX3, EXPORTED])
def test_every_form_becomes_one_of_the_kits_with_the_same_settings(convert, tmp_path, text):
    assert load_settings(convert(text, "kit")) == load_settings(tmp_path / "source.yaml")


def test_what_paddlex_has_no_key_for_is_listed(convert, capsys):
    convert(EARLY, "paddlex")
    listed = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[2].split(" (")[0] for line in listed] == ["det_device", "rec_device", "spec"]


def test_the_default_export_has_every_key_of_paddlexs_file(tmp_path):
    path = tmp_path / "OCR.yaml"
    run_config_export(path, "paddlex", "pp-ocrv6-tiny")
    document = yaml.safe_load(path.read_text())
    original = yaml.safe_load(PADDLEX3)
    assert document.keys() == original.keys()
    assert {key: part.keys() for key, part in document["SubModules"].items()} == {
        key: part.keys() for key, part in original["SubModules"].items()
    }
    assert document["SubModules"]["TextDetection"] == {
        **original["SubModules"]["TextDetection"],
        "model_name": "PP-OCRv6_tiny_det",
    }
    settings = load_settings(path)
    assert settings.chosen == dataclasses.replace(
        PipelineSettings(models="pp-ocrv6-tiny").chosen, name="pp-ocrv4-mobile", about=settings.chosen.about
    )


def test_a_folder_keeps_the_name_that_its_own_settings_state(convert, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "inference.yml").write_text(
        "Global:\n  model_name: PP-OCRv5_mobile_rec\nPostProcess: {name: CTCLabelDecode}\n"
    )
    text = EXPORTED.replace("model_dir: null\n    model_name: PP-OCRv5_mobile_rec", f"model_dir: {folder}")
    part = yaml.safe_load(convert(text, "paddlex").read_text())["SubModules"]["TextRecognition"]
    assert (part["model_name"], part["model_dir"]) == ("PP-OCRv5_mobile_rec", str(folder))


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(KitError, match=r"no format 'json'(.|\n)*kit, paddlex"):
        run_config_export(tmp_path / "x", "json")

"""No command replaces what it reads: an output that is an input is refused before any work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_kit.build.manifest import check_bundle
from edge_kit.cli.app import app
from edge_kit.cli.build import run_build
from edge_kit.cli.compare import run_compare
from edge_kit.cli.config import run_config_convert, run_config_export
from edge_kit.cli.device import DeviceRequest, run_device_bench, run_device_verify
from edge_kit.cli.emulate import run_emulate
from edge_kit.cli.inspect import run_inspect
from edge_kit.cli.ocr import OcrRequest, run_ocr
from edge_kit.cli.outputs import refuse_input
from edge_kit.cli.quantize import run_quantize
from edge_kit.deploy.bench import BenchRequest
from edge_kit.jobs.request import AppRequest, BuildRequest
from edge_kit.verify.regression import user_set
from model_opt.errors import KitError

REPLACED = r"input of this command(.|\n)*next: name another"


@pytest.fixture
def model(tmp_path) -> Path:
    """A folder of a user's model with its dictionary."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("det.json", "dict.txt", "x.nb", "x.npy", "app.apk"):
        (folder / name).write_text(name)
    return folder


def device(bundle: Path, report: Path | None = None, apk: Path | None = None) -> DeviceRequest:
    return DeviceRequest(bundle, "auto", apk, report, 1.0)


def test_an_output_that_is_an_input_is_refused(model):
    nb, tensor, apk = model / "x.nb", model / "x.npy", model / "app.apk"
    other = model.parent / "other"
    runs = [
        lambda: run_inspect(nb, as_json=True, onnx=nb),
        lambda: run_emulate(nb, tensor, tensor, "fast"),
        lambda: run_emulate(nb, tensor, nb, "fast"),
        lambda: run_device_verify(device(model, model / "x.nb")),
        lambda: run_device_verify(device(other, apk, apk)),
        lambda: run_device_bench(device(model), BenchRequest((1,), ("LITE_POWER_HIGH",), 1), model / "x.nb"),
        lambda: run_config_convert(tensor, tensor, None, force=True),
        lambda: run_quantize(BuildRequest("arm64", "fp32", model, det_model=str(model)), ["det"]),
        lambda: run_quantize(BuildRequest("arm64", "fp32", model, det_model=str(model / "det.json")), ["det"]),
    ]
    for run in runs:
        with pytest.raises(KitError, match=REPLACED):
            run()
    assert {path.name: path.read_text() for path in model.iterdir()} == {p.name: p.name for p in model.iterdir()}


@pytest.mark.parametrize("given", ["rec_dict", "images", "calibration", "det_model", "keystore"])
def test_no_build_replaces_a_folder_that_holds_an_input(model, given):
    place = model if given == "images" else model / "dict.txt"
    app = AppRequest((), keystore=place) if given == "keystore" else None
    files = {} if given == "keystore" else {given: place}
    with pytest.raises(KitError, match=REPLACED):
        run_build(BuildRequest("arm64", "fp32", model, app=app, **files), json_events=False)


def test_no_plot_replaces_a_file_of_a_bundle(model):
    (model / "drawing.svg").write_text("")
    with pytest.raises(KitError, match=REPLACED):
        run_compare([model], model / "drawing.svg", as_json=True)


def test_links_are_seen_through_and_other_places_are_free(model, tmp_path):
    (tmp_path / "link").symlink_to(model / "x.nb")
    with pytest.raises(KitError, match=REPLACED):
        refuse_input("--onnx", tmp_path / "link", (model / "x.nb",))
    for free in (model / "new.onnx", tmp_path / "other", Path("/dev/null")):
        refuse_input("--onnx", free, (model, None, "PP-OCRv4_mobile_det", "/dev/null"))


def test_a_pipeline_file_is_replaced_by_force_only(tmp_path):
    path, source = tmp_path / "own.yaml", tmp_path / "source.yaml"
    source.write_text("engine: onnx\n")
    path.write_text("mine\n")
    for write in (
        lambda **more: run_config_export(path, **more),
        lambda **more: run_config_convert(source, path, "kit", **more),
    ):
        path.write_text("mine\n")
        with pytest.raises(KitError, match=r"there already(.|\n)*own.yaml(.|\n)*--force"):
            write()
        assert path.read_text() == "mine\n"
        write(force=True)
        assert "engine: " in path.read_text()
    run_config_export(Path("/dev/null"))


def test_a_plot_has_the_suffix_of_its_format(tmp_path):
    with pytest.raises(KitError, match=r"--plot draws SVG(.|\n)*sizes.png(.|\n)*next: name a file such as .*sizes.svg"):
        run_compare([tmp_path], tmp_path / "sizes.png", as_json=True)
    with pytest.raises(KitError, match="manifest"):
        run_compare([tmp_path], Path("/dev/null"), as_json=True)


@pytest.mark.parametrize(
    ("writes", "said"), [(False, "interrupted, nothing was changed"), (True, r"interrupted, the new bundle is in \S+")]
)
def test_an_interrupted_build_says_what_became_of_the_bundle(tmp_path, monkeypatch, writes, said):
    def interrupted(request, listen):
        if writes:
            request.out.mkdir()
            (request.out / "manifest.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr("edge_kit.jobs.build.build_bundle", interrupted)
    options = ["build", "--target", "arm64", "--no-apk", "--out", str(tmp_path / "new")]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 130
    assert re.fullmatch(f"edge-kit: {said}\n", done.stderr)


def ocr(**places) -> OcrRequest:
    """Return a request to read one image, with places for its results."""
    given = {"save": None, "json_file": None, "settings": {}, **places}
    return OcrRequest(("a.png",), given["settings"], None, None, given["save"], given["json_file"])


def test_errors_about_places_and_numbers_say_what_to_do_next(model, monkeypatch):
    monkeypatch.chdir(model.parent)
    here, text = model, (model / "dict.txt").read_bytes()
    expected = {
        r"--save names a file.*next: name a folder, as in --save .*out": ocr(save=model / "dict.txt"),
        r"--json names a folder.*next: name a file in it: --json .*result.jsonl": ocr(json_file=str(model)),
        r"'threads' must be from 1 to 256, not 9999\n  next: give another value": ocr(settings={"threads": 9999}),
    }
    for message, asked in expected.items():
        with pytest.raises(KitError, match=f"(?s){message}"):
            run_ocr(asked)
    with pytest.raises(KitError, match=r"no such folder\n  file: .*nope\n  next: give the folder of a bundle"):
        check_bundle(here / "nope")
    with pytest.raises(KitError, match=r"cannot list the folder.*\n  file: .*nope\n  next: check the path"):
        user_set(here / "nope")
    assert (model / "dict.txt").read_bytes() == text


def test_a_file_that_cannot_be_written_is_named_as_it_was_given(model, monkeypatch):
    monkeypatch.setattr("edge_kit.cli.inspect.read_nb", lambda path: path)
    monkeypatch.setattr("edge_kit.cli.inspect.inspect_nb", lambda *args, **more: None)
    monkeypatch.setattr("model_opt.nb.to_onnx.to_onnx", lambda model: b"x")
    with pytest.raises(
        KitError, match=r"cannot write the result(.|\n)*file: /proc/x.onnx\n  next: choose another place"
    ):
        run_inspect(model / "x.nb", as_json=True, onnx=Path("/proc/x.onnx"))

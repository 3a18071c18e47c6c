"""The ONNX files of the app: the shipped models, or the unquantised ones where ONNX cannot say what a file computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_kit.android.app_onnx import app_onnx
from edge_kit.build.graph import StageContext
from edge_kit.stages.apk_models import app_models_stage
from edge_kit.stages.models import PARAMETERS, PROGRAM
from edge_kit.stages.request import GATES, BuildRequest
from model_opt.convert import ConvertOptions, ModelPair
from model_opt.nb import read_nb
from model_opt.paddle_model import read_model, write_model
from model_opt.passes import optimise

REQUEST = BuildRequest("arm64", "fp32", Path("unset"))


@pytest.fixture
def run(mobile_det, mobile_rec, converter, tmp_path):
    """Run the stage on the detector converted with options, and the recogniser in fp32; return facts and folder."""

    def started(options: ConvertOptions) -> tuple[list[str], Path]:
        inputs = {}
        for role, model, how in (("det", mobile_det, options), ("rec", mobile_rec, ConvertOptions())):
            source, converted = tmp_path / f"optimise-{role}", tmp_path / f"convert-{role}"
            for folder in (source, converted):
                folder.mkdir()
            pair = ModelPair(source / PROGRAM, source / PARAMETERS)
            write_model(optimise(read_model(model.pdmodel, model.pdiparams))[0], pair.pdmodel, pair.pdiparams)
            converter.convert(pair, how, converted / f"{role}.nb")
            inputs |= {f"optimise-{role}": source, f"convert-{role}": converted}
        out = tmp_path / "out"
        out.mkdir()
        stage = app_models_stage(REQUEST, converter)
        assert set(stage.needs) == {*inputs, GATES}
        facts = stage.run(StageContext(out, inputs, {}, lambda *_: None))
        return facts["stand_ins"], tmp_path

    return started


@pytest.mark.parametrize("options", [ConvertOptions(), ConvertOptions(weight_bits=8)])
def test_files_that_compute_in_fp32_are_translated_as_they_are(run, options):
    stand_ins, folder = run(options)
    assert stand_ins == []
    for role in ("det", "rec"):
        shipped = read_nb(folder / f"convert-{role}" / f"{role}.nb")
        assert (folder / "out" / f"{role}.onnx").read_bytes() == app_onnx(shipped, role)


def test_for_an_fp16_file_the_unquantised_model_stands_in(run, converter, tmp_path):
    stand_ins, folder = run(ConvertOptions(fp16=True))
    assert stand_ins == ["det"]
    source = folder / "optimise-det"
    plain = tmp_path / "plain.nb"
    converter.convert(ModelPair(source / PROGRAM, source / PARAMETERS), ConvertOptions(), plain)
    assert (folder / "out" / "det.onnx").read_bytes() == app_onnx(read_nb(plain), "det")

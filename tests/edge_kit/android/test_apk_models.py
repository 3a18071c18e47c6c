"""The ONNX files of the app: the shipped models, or the unquantised ones where ONNX cannot say what a file computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_kit.android.app_onnx import app_onnx
from edge_kit.build.graph import StageContext
from edge_kit.stages.apk_models import app_models_stage
from edge_kit.stages.models import PARAMETERS, PROGRAM
from edge_kit.stages.request import GATES, BuildRequest
from model_opt.nb import read_nb
from model_opt.opt_tool import ConvertOptions, ModelPair, convert, find_tool

REQUEST = BuildRequest("arm64", "fp32", Path("unset"), optimise=False)


@pytest.fixture
def run(mobile_det, mobile_rec, tmp_path):
    """Run the stage on the detector converted with options, and the recogniser in fp32; return facts and folder."""
    tool = find_tool()

    def started(options: ConvertOptions) -> tuple[list[str], Path]:
        inputs = {}
        for role, model, how in (("det", mobile_det, options), ("rec", mobile_rec, ConvertOptions())):
            source, converted = tmp_path / f"fetch-{role}", tmp_path / f"convert-{role}"
            for folder in (source, converted):
                folder.mkdir()
            (source / PROGRAM).symlink_to(model.pdmodel)
            (source / PARAMETERS).symlink_to(model.pdiparams)
            pair = ModelPair(model.pdmodel, model.pdiparams)
            convert(pair, how, converted / f"{role}.nb", env=tool)
            inputs |= {f"fetch-{role}": source, f"convert-{role}": converted}
        out = tmp_path / "out"
        out.mkdir()
        stage = app_models_stage(REQUEST, tool)
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


def test_for_an_fp16_file_the_unquantised_model_stands_in(run, mobile_det, tmp_path):
    stand_ins, folder = run(ConvertOptions(fp16=True))
    assert stand_ins == ["det"]
    plain = tmp_path / "plain.nb"
    convert(ModelPair(mobile_det.pdmodel, mobile_det.pdiparams), ConvertOptions(), plain, env=find_tool())
    assert (folder / "out" / "det.onnx").read_bytes() == app_onnx(read_nb(plain), "det")

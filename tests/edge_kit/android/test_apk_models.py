"""The ONNX files of the app: the shipped models, or the unquantised ones where ONNX cannot say what a file computes."""

from __future__ import annotations

import pytest

from edge_kit.android.app_onnx import app_onnx
from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.spec import profile
from edge_kit.stages.apk.models import translate_models
from edge_kit.stages.apk.results import AppModels
from edge_kit.stages.results import PARAMETERS, PROGRAM, Model, Shipped
from model_opt.convert import ConvertOptions, ModelPair
from model_opt.nb import read_nb
from model_opt.paddle_model import read_model, write_model
from model_opt.passes import optimise


@pytest.fixture
def translate(mobile_det, mobile_rec, converter, tmp_path):
    """Run the stage on the detector converted with options, and the recogniser in fp32."""

    def started(options: ConvertOptions) -> AppModels:
        unquantised, shipped = {}, {}
        for role, model, how in (("det", mobile_det, options), ("rec", mobile_rec, ConvertOptions())):
            folder = tmp_path / role
            folder.mkdir()
            pair = ModelPair(folder / PROGRAM, folder / PARAMETERS)
            write_model(
                optimise(read_model(model.program_file, model.params_file))[0], pair.program_file, pair.params_file
            )
            converter.convert(pair, how, folder / "shipped.nb")
            unquantised[role] = Model(SealedFile.of(pair.program_file), SealedFile.of(pair.params_file))
            shipped[role] = Shipped(SealedFile.of(folder / "shipped.nb"))
        out = tmp_path / "out"
        out.mkdir()
        context = StageContext(out, lambda *_: None)
        return translate_models(context, shipped, unquantised, profile(), converter)

    return started


@pytest.mark.parametrize("options", [ConvertOptions(), ConvertOptions(weight_bits=8)])
def test_files_that_compute_in_fp32_are_translated_as_they_are(translate, options, tmp_path):
    made = translate(options)
    assert made.stand_ins == ()
    for role in ("det", "rec"):
        assert made.onnx[role].path.read_bytes() == app_onnx(read_nb(tmp_path / role / "shipped.nb"), role)


def test_for_an_fp16_file_the_unquantised_model_stands_in(translate, converter, tmp_path):
    made = translate(ConvertOptions(fp16=True))
    assert made.stand_ins == ("det",)
    plain = tmp_path / "plain.nb"
    converter.convert(ModelPair(tmp_path / "det" / PROGRAM, tmp_path / "det" / PARAMETERS), ConvertOptions(), plain)
    assert made.onnx["det"].path.read_bytes() == app_onnx(read_nb(plain), "det")

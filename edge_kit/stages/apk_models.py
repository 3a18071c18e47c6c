"""The stage ``apk-models``: the ONNX files that the app's OpenCV engine runs."""

from __future__ import annotations

from edge_kit.android.app_onnx import app_onnx, declared_size
from edge_kit.build.cache import Facts
from edge_kit.build.fingerprint import code_fingerprint
from edge_kit.build.graph import Stage, StageContext
from edge_kit.spec.load import profile
from edge_kit.stages.models import PARAMETERS, PROGRAM
from edge_kit.stages.request import GATES, ROLES, BuildRequest
from model_opt.convert import Converter, ConvertOptions
from model_opt.nb import needs_exact, read_nb
from model_opt.paddle_model import read_model

MODELS = "apk-models"


def app_models_stage(request: BuildRequest, converter: Converter) -> Stage:
    """Return the stage that leaves ``det.onnx`` and ``rec.onnx``.

    They are translations of the shipped files. An fp16 or static int8 file has none: ONNX cannot say how the device
    computes it, so the model before quantisation takes its place, converted in fp32. Facts: ``stand_ins``, the roles
    where that was so.
    """
    before, rules = request.unquantised, profile()
    key = {
        "converter": converter.cache_key,
        "sizes": repr([declared_size(role, rules) for role in ROLES]),
        "code": code_fingerprint(__name__),
    }

    def run(context: StageContext) -> Facts:
        stand_ins: list[str] = []
        for role in ROLES:
            context.progress(None, f"translating {role}")
            model = read_nb(context.inputs[f"convert-{role}"] / f"{role}.nb")
            if needs_exact(model):
                stand_ins.append(role)
                folder = context.inputs[f"{before}-{role}"]
                unquantised = read_model(folder / PROGRAM, folder / PARAMETERS)
                model = converter.in_memory(unquantised, ConvertOptions())
            (context.out / f"{role}.onnx").write_bytes(app_onnx(model, role, rules))
        return {"stand_ins": stand_ins}

    needs = (GATES, *(f"{stage}-{role}" for role in ROLES for stage in ("convert", before)))
    return Stage(MODELS, run, needs=needs, key=key)

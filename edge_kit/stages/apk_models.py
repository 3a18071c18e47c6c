"""The stage ``apk-models``: the ONNX files that the app's OpenCV engine runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge_kit.build.cache import Facts
from edge_kit.build.fingerprint import code_fingerprint
from edge_kit.build.graph import Stage, StageContext
from edge_kit.stages.models import PARAMETERS, PROGRAM
from edge_kit.stages.request import ROLES, BuildRequest, Role
from model_opt.nb import NbModel, place_of, precision_of, read_nb
from model_opt.nb.compact_onnx import to_compact_onnx
from model_opt.opt_tool import ConvertOptions, ModelPair, ToolEnv, convert

MODELS = "apk-models"


def app_models_stage(request: BuildRequest, tool: ToolEnv) -> Stage:
    """Return the stage that leaves ``det.onnx`` and ``rec.onnx``.

    They are translations of the shipped files. An fp16 or static int8 file has none: ONNX cannot say how the device
    computes it, so the model before quantisation takes its place, converted in fp32. Facts: ``stand_ins``, the roles
    where that was so.
    """
    before = "optimise" if request.optimise else "fetch"
    key = {
        "opt": tool.opt_version,
        "code": code_fingerprint("edge_kit.stages.apk_models", "model_opt.nb", "model_opt.opt_tool"),
    }

    def run(context: StageContext) -> Facts:
        stand_ins: list[str] = []
        for role in ROLES:
            context.progress(None, f"translating {role}")
            model = read_nb(context.inputs[f"convert-{role}"] / f"{role}.nb")
            if not _can_be_said(model):
                stand_ins.append(role)
                model = _unquantised(context.inputs[f"{before}-{role}"], role, tool)
            (context.out / f"{role}.onnx").write_bytes(to_compact_onnx(model))
        return {"stand_ins": stand_ins}

    needs = tuple(f"{stage}-{role}" for role in ROLES for stage in ("convert", before))
    return Stage(MODELS, run, needs=needs, key=key)


def _can_be_said(model: NbModel) -> bool:
    """Tell whether fp32 arithmetic is what the file's kernels do; those of OpenCL are only named fp16."""
    return place_of(model) != "arm" or not {"fp16", "static_int8"} & set(precision_of(model).split("+"))


def _unquantised(folder: Path, role: Role, tool: ToolEnv) -> NbModel:
    with tempfile.TemporaryDirectory(prefix="edge-kit-app-models-") as scratch:
        target = Path(scratch) / f"{role}.nb"
        convert(ModelPair(folder / PROGRAM, folder / PARAMETERS), ConvertOptions(), target, env=tool)
        return read_nb(target)

"""The stage ``apk-models``: the ONNX files that the app's OpenCV engine runs."""

from __future__ import annotations

from collections.abc import Mapping

from edge_kit.android.app_onnx import app_onnx
from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.spec import SpecProfile
from edge_kit.stages.apk.results import AppModels
from edge_kit.stages.results import ROLES, Model, Role, Shipped
from model_opt.convert import Converter, ConvertOptions
from model_opt.formats import read_model
from model_opt.nb import needs_emulation, read_nb


def translate_models(
    context: StageContext,
    shipped: Mapping[Role, Shipped],
    unquantised: Mapping[Role, Model],
    rules: SpecProfile,
    converter: Converter,
) -> AppModels:
    """Translate the shipped files, with the input sizes of ``rules``.

    An fp16 or static int8 file has no translation: ONNX cannot say how the device computes it, so the model before
    quantisation takes its place, converted in fp32.
    """
    stand_ins: list[Role] = []
    for role in ROLES:
        context.progress(None, f"translating {role}")
        model = read_nb(shipped[role].nb.path)
        if needs_emulation(model):
            stand_ins.append(role)
            before = read_model(unquantised[role].program_file, unquantised[role].params_file)
            model = converter.in_memory(before, ConvertOptions())
        (context.out / f"{role}.onnx").write_bytes(app_onnx(model, role, rules))
    files = {role: SealedFile.of(context.out / f"{role}.onnx") for role in ROLES}
    return AppModels(files, tuple(stand_ins))

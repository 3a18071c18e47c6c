"""The stages ``convert-det`` and ``convert-rec``: canonical ``.nb`` files."""

from __future__ import annotations

from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.stages.results import Converted, Model, ParamTotal, Role
from model_opt.convert import Converter, ConvertOptions
from model_opt.errors import KitError
from model_opt.nb import inspect_nb, read_nb


def convert_model(
    context: StageContext, role: Role, source: Model, options: ConvertOptions, activations: str, converter: Converter
) -> Converted:
    """Convert a model; ``KitError`` when its ``activations`` should be int8 and no kernel of the file computes so."""
    context.progress(None, f"{converter.name} {converter.opt_version}, {options.label}")
    target = context.out / f"{role}.nb"
    done = converter.convert(source, options, target)
    summary = inspect_nb(read_nb(target), pinned_opt=converter.opt_version)
    if activations == "int8" and "static_int8" not in summary.precision:
        raise KitError(f"no int8 kernel was made of the quantised {role} model, but {summary.precision}")
    return Converted(
        nb=SealedFile.of(target),
        opt_version=done.opt_version,
        converter=converter.name,
        place=summary.place,
        precision=summary.precision,
        ops=summary.ops,
        io_copy=summary.io_copy,
        calib=summary.calib,
        layout=summary.layout,
        param_bytes=summary.param_bytes,
        params={p.type: ParamTotal(p.count, p.bytes) for p in summary.params},
        op_histogram=dict(summary.op_histogram),
        warnings=tuple(warning.text for warning in summary.warnings),
    )

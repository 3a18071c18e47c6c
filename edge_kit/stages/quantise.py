"""The stages ``quantise-det`` and ``quantise-rec``: models that become smaller or faster files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.calibration import Calibration, det_inputs, rec_inputs
from edge_kit.spec import SpecProfile
from edge_kit.stages.results import PARAMETERS, PROGRAM, Model, Quantised, Role
from model_opt.convert import Converter
from model_opt.formats import read_model
from model_opt.paddle_model import write_model
from model_opt.quantize import ALGORITHMS

NOTES = "quantisation.json"


def quantise_model(
    context: StageContext,
    role: Role,
    source: Model,
    calibration: Calibration,
    images: tuple[Path, ...],
    rules: SpecProfile,
    algorithm: str,
    options: Mapping[str, Any],
    converter: Converter,
) -> Quantised:
    """Run a recipe's algorithm on a model and what it sees of the calibration images by the rules."""
    found = ALGORITHMS[algorithm]
    lines = found.max_lines
    inputs = det_inputs(images, rules) if role == "det" else rec_inputs(images, calibration, rules, lines)
    model = read_model(source.program_file, source.params_file)
    made, report = found.run(model, inputs, found.options(options), converter, context.progress)
    write_model(made, context.out / PROGRAM, context.out / PARAMETERS)
    (context.out / NOTES).write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    return Quantised(
        program=SealedFile.of(context.out / PROGRAM),
        parameters=SealedFile.of(context.out / PARAMETERS),
        algorithm=report.algorithm,
        inputs=len(inputs),
        totals=dict(report.totals),
        notes=SealedFile.of(context.out / NOTES),
    )

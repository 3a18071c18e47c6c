"""The stages ``optimise-det`` and ``optimise-rec``: programs with fewer operators and the same results."""

from __future__ import annotations

from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.stages.results import PARAMETERS, PROGRAM, Model, Optimised
from model_opt.formats import read_model
from model_opt.paddle_model import write_model
from model_opt.passes import optimise


def optimise_model(context: StageContext, source: Model) -> Optimised:
    """Run the passes on a model."""
    context.progress(None, "passes")
    model, reports = optimise(read_model(source.program_file, source.params_file))
    write_model(model, context.out / PROGRAM, context.out / PARAMETERS)
    return Optimised(
        program=SealedFile.of(context.out / PROGRAM),
        parameters=SealedFile.of(context.out / PARAMETERS),
        ops_before=reports[0].ops_before,
        ops_after=reports[-1].ops_after,
        passes={f"{i:02d} {r.name}": dict(r.done) for i, r in enumerate(reports) if r.changed},
        left=sum(len(report.left) for report in reports),
    )

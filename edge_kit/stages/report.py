"""The stage ``report``: the page about a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext, uses
from edge_kit.ocr.image import read_image
from edge_kit.spec.model import Alpha
from edge_kit.stages.results import ROLES, Configured, Converted, Fetched, Role
from edge_kit.verify.compare import ImageComparison
from edge_kit.verify.report import ConfigRow, ModelRow, ReportData, ReportPicture, render_report, report_picture
from edge_kit.verify.runs import Named
from edge_kit.verify.verification import Verification
from model_opt.resources import config_dir

REPORT = "report.html"
MAX_PICTURES = 16


@dataclass(frozen=True)
class Subject:
    """What a report is about."""

    target: str
    recipe: str
    device: str
    tools: Mapping[str, str]
    images: tuple[Named, ...]
    sources: Mapping[Role, Fetched]
    converted: Mapping[Role, Converted]
    configured: Configured
    verification: Verification
    alpha: Alpha
    """What became of the images' transparency."""


def report_files() -> Mapping[str, Path]:
    """Return the file that a report is made by."""
    return {"template": config_dir() / "templates" / "report.html.j2"}


@uses(report_files)
def write_report(context: StageContext, about: Subject, app_notes: tuple[str, ...]) -> SealedFile:
    """Write the page, with notes on the app where there is one."""
    return render(context, about, app_notes)


def render(context: StageContext, about: Subject, notes: Sequence[str] = ()) -> SealedFile:
    """Write the page into the stage's folder."""
    verification = about.verification
    worst = verification.shipped.comparison.worst_first
    warnings = [text for role in ROLES for text in about.sources[role].warnings]
    warnings += [text for role in ROLES for text in about.converted[role].warnings]
    data = ReportData(
        target=about.target,
        recipe=about.recipe,
        device_profile=about.device,
        opt_version=about.converted["det"].opt_version,
        reference_engine=verification.reference,
        candidate_engine=verification.shipped.candidate,
        gates=verification.shipped.gates,
        images=worst,
        pictures=_pictures(worst[:MAX_PICTURES], about, context.progress),
        models=tuple(_model_row(role, about.converted[role]) for role in ROLES),
        tools=tuple(sorted(about.tools.items())),
        runtime_config=_config_rows(json.loads(about.configured.runtime.path.read_bytes())),
        notes=(*_notes(verification), *dict.fromkeys(warnings), *notes),
    )
    path = context.out / REPORT
    path.write_text(render_report(data), encoding="utf-8")
    return SealedFile.of(path)


def _notes(verification: Verification) -> Iterator[str]:
    """Yield what was verified at another size than specified, what was not run, and what the oracle says."""
    used, stated = verification.limit_side_len, verification.specified_limit_side_len
    if used != stated:
        yield (
            f"Verified at a longest side of {used} pixels (limit_side_len of the device profile) in both engines; the "
            f"specification says {stated}. "
            f"Passed gates prove that the device reads what the server reads at {used}, not what it reads at {stated}."
        )
    yield "None of this was run on a phone."
    oracle = verification.oracle
    if oracle is None:
        yield (
            f"Not checked: the conversion by an engine that shares no code with the kit's (Paddle Lite's x86 kernels); "
            f"{verification.not_checked}."
        )
        return
    failed = ", ".join(gate.name for gate in oracle.failed)
    verdict = f"fails {failed}" if failed else "passes every gate of fp32"
    yield f"Independent check of the conversion: Paddle Lite's x86 kernels on the unquantised models; it {verdict}."


def _pictures(
    rows: Sequence[ImageComparison],
    about: Subject,
    progress: Callable[[float | None, str], None],
) -> tuple[ReportPicture, ...]:
    paths = {image.name: image.path for image in about.images}
    reference = {run.name: run for run in about.verification.reference_runs}
    candidate = {run.name: run for run in about.verification.shipped_runs}
    made = []
    for position, row in enumerate(rows):
        progress(position / len(rows), row.name)
        image = read_image(paths[row.name], about.alpha)
        made.append(report_picture(image, reference[row.name], candidate[row.name], row))
    return tuple(made)


def _model_row(role: str, model: Converted) -> ModelRow:
    return ModelRow(
        name=role,
        file=f"models/{role}.nb",
        bytes=model.nb.sum.bytes,
        sha256=model.nb.sum.sha256,
        ops=model.ops,
        io_copy=model.io_copy,
        calib=model.calib,
        parameter_types=tuple((kind, total.bytes) for kind, total in sorted(model.params.items())),
        op_histogram=tuple(model.op_histogram.items()),
    )


def _config_rows(config: Mapping[str, Any]) -> tuple[ConfigRow, ...]:
    reasons = config.get("reasons", {})
    return tuple(
        ConfigRow(key, value if isinstance(value, str) else json.dumps(value), reasons.get(key, ""))
        for key, value in config.items()
        if key in reasons
    )

"""``edge-kit legacy-report``."""

from __future__ import annotations

import json
import math
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edge_kit.cli.outputs import refuse_input
from edge_kit.cli.render import console, table
from model_opt.errors import KitError

if TYPE_CHECKING:
    from edge_kit.engines.base import Engine
    from edge_kit.verify.regression import RegressionImage
    from labs.legacy.report import Cost, LegacyReport
    from labs.legacy.rules import LegacySpec

HEADINGS = (
    "row",
    "mistake",
    "changed",
    "reordered",
    "missed",
    "extra",
    "moved",
    "IoU",
    "texts",
    "loss",
    "NaN",
    "characters",
    "letters",
    "truth",
)


def run_legacy_report(paths: tuple[str, ...], engine: str, json_file: str | None) -> int:
    """Replay the mistakes over images (default: the regression set); print a table, or JSON where asked."""
    from edge_kit.ocr.result import write_output
    from labs.legacy.rules import load_legacy

    if json_file not in (None, "-") and Path(str(json_file)).is_dir():
        raise KitError(
            "--json names a folder, and a file is needed", path=json_file, hint=f"name a file in {json_file}"
        )
    spec, images = load_legacy(), _images(paths)
    if json_file not in (None, "-"):
        refuse_input("--json", Path(str(json_file)), [image.path for image in images])
    report = _report(spec, images, engine)
    text = json.dumps(_document(report, images, engine, spec), indent=2, ensure_ascii=False) + "\n"
    if json_file == "-":
        sys.stdout.write(text)
        return 0
    if json_file is not None:
        write_output(Path(json_file), text.encode("utf-8", "backslashreplace"))
    _print(report, spec.base.name, engine)
    return 0


def _images(paths: tuple[str, ...]) -> tuple[RegressionImage, ...]:
    """Return the images to read, in order; those of the regression set keep their truth."""
    from edge_kit.inputs import expand
    from edge_kit.verify.regression import RegressionImage, regression_set
    from model_opt.http import is_url

    known = regression_set()
    if not paths:
        return known
    truths = {image.path.resolve(): image.truth for image in known}
    found: list[RegressionImage] = []
    for source in expand(list(paths)):
        if source.error is not None:
            raise source.error
        if source.input_path is None or is_url(source.input_path):
            raise KitError("legacy-report reads files and folders", path=source.input_path, hint="download it first")
        path = Path(source.input_path)
        found.append(RegressionImage(path.name, path, truths.get(path.resolve())))
    return tuple(found)


def _report(spec: LegacySpec, images: tuple[RegressionImage, ...], engine: str) -> LegacyReport:
    from edge_kit.api import create_pipeline
    from edge_kit.engines.base import EngineOptions
    from edge_kit.engines.factory import create_engine
    from edge_kit.model_files import rec_files
    from labs.legacy.report import by_height, legacy_report

    display = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with ExitStack() as stack:
        task = stack.enter_context(display).add_task("loading models", total=1.0)
        pipeline = stack.enter_context(create_pipeline("ocr", engine=engine, spec=spec.base.name))

        @cache
        def any_height() -> Engine:
            # Exported and converted recognisers are made for one height; only the original model takes another.
            made = create_engine("server", rec_files(pipeline.settings), EngineOptions())
            stack.callback(made.close)
            return made

        height, runs = spec.base.recognition.height, pipeline.ocr.runs
        lines = tuple(by_height(run, height, lambda x: any_height().run(x)) for run in runs.recognise)
        return legacy_report(
            spec,
            replace(runs, recognise=lines),
            pipeline.ocr.characters,
            images,
            lambda fraction, name: display.update(task, completed=fraction, description=name),
        )


def _document(
    report: LegacyReport, images: tuple[RegressionImage, ...], engine: str, spec: LegacySpec
) -> dict[str, Any]:
    """Return the report as JSON types; images by name, in the order they were read."""
    rows = [
        {
            "profile": p.name,
            "rows": list(p.rules.rows),
            "title": p.title,
            "server": p.server,
            "demo": p.demo,
            "seen_in": list(p.seen_in),
            **cost.to_dict(),
        }
        for p, cost in report.rows
    ]
    return {
        "base_profile": spec.base.name,
        "engine": engine,
        "images": [image.name for image in images],
        "base": report.base.to_dict(),
        "profiles": rows,
        "reasons": list(report.reasons),
    }


def _print(report: LegacyReport, base: str, engine: str) -> None:
    rows = [("", base, *_cells(report.base))]
    rows += [(_rows(profile.rules.rows), profile.title, *_cells(cost)) for profile, cost in report.rows]
    total = report.base
    out = console()
    out.print(table(HEADINGS, rows, f"{total.images} images, {total.boxes.matched} lines by {base}, engine {engine}"))
    for reason in report.reasons:
        out.print(f"refused: {reason}", markup=False)


def _rows(rows: tuple[int, ...]) -> str:
    return str(rows[0]) if len(rows) == 1 else f"{len(rows)} rows"


def _cells(cost: Cost) -> tuple[object, ...]:
    refused = f" ({len(cost.refused)} refused)" if cost.refused else ""
    return (
        f"{len(cost.changed)}{refused}",
        len(cost.reordered),
        cost.boxes.missed,
        cost.boxes.extra,
        cost.moved,
        "-" if math.isnan(cost.moved_iou) else f"{cost.moved_iou:.3f}",
        cost.other_texts,
        f"{cost.score_loss:.3f}",
        cost.nan_scores,
        _percent(cost.texts.character_accuracy),
        _percent(cost.letters.character_accuracy),
        _percent(cost.truth.character_accuracy),
    )


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.2f} %"

"""``edge-kit ocr`` and ``edge-kit config export``."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from edge_kit.settings import PipelineSettings
from model_opt.errors import KitError
from model_opt.files import write_atomic


@dataclass(frozen=True)
class OcrRequest:
    """What the user asked of ``edge-kit ocr``; ``settings`` holds only what was given."""

    paths: tuple[str, ...]
    settings: Mapping[str, Any]
    bundle: Path | None
    pipeline: Path | None
    save: Path | None
    json_file: str | None


def run_ocr(request: OcrRequest) -> int:
    """Read all images; return 0, or 1 when some of several could not be read. A lone bad image is an error."""
    from edge_kit.api import create_pipeline
    from edge_kit.ocr.result import OcrResult

    settings = dict(request.settings)
    if request.bundle is not None:
        settings["bundle"] = str(request.bundle)
    results: list[OcrResult] = []
    failed: list[KitError] = []
    quiet = not sys.stderr.isatty()
    spinner = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
    with ExitStack() as stack:
        task = stack.enter_context(spinner).add_task("loading models")
        pipeline = stack.enter_context(create_pipeline(request.pipeline or "ocr", **settings))
        for source, outcome in pipeline.predict_each(list(request.paths)):
            spinner.update(task, description=f"read {source.input_path}")
            if isinstance(outcome, KitError):
                failed.append(outcome)
                continue
            results.append(outcome)
            if request.save is not None:
                outcome.save_to_img(_folder(request.save))
    if failed and len(failed) == 1 and not results:
        raise failed[0]
    _write_results(results, request.json_file)
    for error in failed:
        sys.stderr.write(f"edge-kit: skipped: {error}\n")
    if failed:
        sys.stderr.write(f"edge-kit: {len(results)} images read, {len(failed)} could not be read\n")
    return 1 if failed else 0


def run_config_export(save: Path | None) -> None:
    """Write a pipeline file with the default settings, to ``save`` or standard output."""
    import yaml

    text = "# Settings of an edge-kit pipeline; paths are relative to this file. Lines left out keep these defaults.\n"
    text += yaml.safe_dump(dataclasses.asdict(PipelineSettings()), sort_keys=False)
    if save is None:
        sys.stdout.write(text)
    else:
        write_atomic(save, text.encode())


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise KitError("--save names a file, and a folder is needed", path=path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write_results(results: list[Any], json_file: str | None) -> None:
    """Write JSON lines where asked; otherwise a table on a terminal, or plain tab-separated lines in a pipe."""
    if json_file is not None:
        lines = "".join(result.to_json() + "\n" for result in results)
        if json_file == "-":
            sys.stdout.write(lines)
            return
        write_atomic(Path(json_file), lines.encode())
    if sys.stdout.isatty():
        Console().print(_table(results))
    elif json_file is None:
        _plain(results, sys.stdout)


def _table(results: list[Any]) -> Table:
    table = Table("image", "line", "text", "score", "box")
    for result in results:
        name = result.input_path or "array"
        if not result.rec_texts:
            table.add_row(name, "-", "[dim]no text found[/dim]", "", "")
        for i, text in enumerate(result.rec_texts):
            corners = " ".join(f"{x},{y}" for x, y in result.dt_polys[i].tolist())
            table.add_row(
                name if i == 0 else "", str(i + 1), text.replace("[", r"\["), f"{result.rec_scores[i]:.3f}", corners
            )
        table.add_section()
    return table


def _plain(results: list[Any], stream: TextIO) -> None:
    for result in results:
        for i, text in enumerate(result.rec_texts):
            box = json.dumps(result.dt_polys[i].tolist(), separators=(",", ":"))
            stream.write(f"{result.input_path}\t{result.rec_scores[i]:.4f}\t{box}\t{text}\n")

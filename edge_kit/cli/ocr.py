"""``edge-kit ocr``."""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from edge_kit.pipeline_files.words import INPUT, PIPELINE, SAVE_PATH, WORDS
from model_opt.errors import KitError

if TYPE_CHECKING:
    from edge_kit.hpi.plan import Plan
    from edge_kit.ocr.result import OcrResult
    from edge_kit.settings import PipelineSettings


@dataclass(frozen=True)
class OcrRequest:
    """What the user asked of ``edge-kit ocr``; ``settings`` holds only what was given.

    ``save_path`` is a folder for both forms of each result, as PaddleX's option of that name.
    """

    paths: tuple[str, ...]
    settings: Mapping[str, Any]
    bundle: Path | None
    pipeline: str | None
    save: Path | None
    json_file: str | None
    save_path: Path | None = None


def with_words(request: OcrRequest, words: Mapping[str, Any]) -> OcrRequest:
    """Return the request with what PaddleX's and PaddleOCR's words say; raise ``KitError`` for what is said twice."""
    for name in words:
        if words[name] == "" and WORDS[name].setting in (SAVE_PATH, PIPELINE):
            raise KitError(f"--{name} is empty", hint="leave it out, or give a value")
    places: dict[str, Any] = {INPUT: [], SAVE_PATH: None, PIPELINE: request.pipeline}
    settings = dict(request.settings)
    for name, value in words.items():
        place = WORDS[name].setting
        if place == INPUT:
            places[INPUT] += value
        elif place in (SAVE_PATH, PIPELINE):
            places[place] = value
        else:
            settings[name] = value
    if places[SAVE_PATH] is not None and places[PIPELINE] is None:
        settings.setdefault("result_schema", "paddlex-3")
    paths = (*request.paths, *places[INPUT])
    if not paths:
        raise KitError("no image was given", hint="name images, folders or http(s) addresses")
    save_path = None if places[SAVE_PATH] is None else Path(places[SAVE_PATH])
    return dataclasses.replace(request, paths=paths, settings=settings, pipeline=places[PIPELINE], save_path=save_path)


def run_ocr(request: OcrRequest) -> int:
    """Read all images; return 0, or 1 when some of several could not be read. A lone bad image is an error."""
    from edge_kit.api import DeviceChoice, Pipeline, choose_settings

    _check_outputs(request)
    settings = dict(request.settings)
    if request.bundle is not None:
        settings["bundle"] = str(request.bundle)
    chosen = choose_settings(request.pipeline, settings)
    for ignored in chosen.ignored:
        sys.stderr.write(f"edge-kit: without effect: {ignored}\n")
    spinner = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    done = 0
    failed: list[tuple[str | None, KitError]] = []
    with ExitStack() as stack:
        task = stack.enter_context(spinner).add_task("loading models")
        planned, plan = _with_plan(chosen.settings, lambda text: spinner.update(task, description=text))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeviceChoice)
            pipeline = stack.enter_context(Pipeline(planned, chosen.ignored, plan=plan))
        if pipeline.device_note:
            sys.stderr.write(f"edge-kit: {pipeline.device_note}\n")
        output = _Output(request.json_file)
        for source, outcome in pipeline.predict_each(list(request.paths)):
            spinner.update(task, description=f"read {source.input_path}")
            if isinstance(outcome, KitError):
                failed.append((source.input_path, outcome))
                continue
            done += 1
            output.add(outcome)
            if request.save is not None:
                outcome.save_to_img(request.save)
            if request.save_path is not None:
                outcome.save_to_img(request.save_path)
                outcome.save_to_json(request.save_path)
    if [path for path, _ in failed] == list(request.paths[:1]) and len(request.paths) == 1:
        raise failed[0][1]
    output.finish()
    for _, error in failed:
        sys.stderr.write(f"edge-kit: skipped: {error}\n")
    if failed:
        sys.stderr.write(f"edge-kit: {done} images read, {len(failed)} could not be read\n")
    return 1 if failed else 0


_FILE_SUFFIXES = (".json", ".jsonl", ".txt", ".png", ".jpg", ".jpeg", ".bmp", ".webp")
"""Endings of what somebody wanted as one file."""


def _with_plan(settings: PipelineSettings, progress: Callable[[str], None]) -> tuple[PipelineSettings, Plan | None]:
    """Return the settings with what high-performance inference chooses, if it was asked for."""
    if not settings.enable_hpi:
        return settings, None
    from edge_kit.api import choose_plan

    choice = choose_plan(settings, progress=progress)
    sys.stderr.write(f"edge-kit: high-performance inference: {choice.sentence}\n")
    return dataclasses.replace(settings, threads=choice.threads), choice.plan


def _check_outputs(request: OcrRequest) -> None:
    """Refuse places that cannot be written to before any work is done, and make the folders for results."""
    from edge_kit.ocr.result import make_folder

    if request.json_file not in (None, "-") and Path(str(request.json_file)).is_dir():
        raise KitError("--json names a folder, and a file is needed", path=request.json_file)
    for option, folder in (("--save", request.save), ("--save_path", request.save_path)):
        if folder is None:
            continue
        if folder.exists() and not folder.is_dir():
            raise KitError(f"{option} names a file, and a folder is needed", path=folder)
        if not folder.exists() and folder.suffix.lower() in _FILE_SUFFIXES:
            hint = f"name a folder: {option} {folder.with_suffix('')}"
            raise KitError(f"{option} looks like a file, and a folder is needed", path=folder, hint=hint)
        make_folder(folder)


class _Output:
    """Where results go: into a pipe as they come; into a file and a terminal's table at the end, pictures left out."""

    def __init__(self, json_file: str | None) -> None:
        self._json_file = json_file
        self._in_pipe = not sys.stdout.isatty() and json_file in (None, "-")
        self._kept: list[OcrResult] = []

    def add(self, result: OcrResult) -> None:
        """Write one result, or keep what will be written of it: decoded images would fill the memory."""
        if self._in_pipe:
            sys.stdout.write(_plain(result) if self._json_file is None else result.to_json() + "\n")
            sys.stdout.flush()
        else:
            self._kept.append(dataclasses.replace(result, image=result.image[:0].copy()))

    def finish(self) -> None:
        """Write JSON lines where asked, and otherwise a table."""
        from edge_kit.ocr.result import write_output

        if self._in_pipe:
            return
        if self._json_file is not None:
            lines = "".join(result.to_json() + "\n" for result in self._kept)
            if self._json_file == "-":
                sys.stdout.write(lines)
                return
            write_output(Path(self._json_file), lines.encode())
        if sys.stdout.isatty():
            Console().print(_table(self._kept))


def _table(results: Sequence[OcrResult]) -> Table:
    table = Table("image", "line", "text", "score", "box")
    for result in results:
        name = escape(result.input_path or "array")
        if not result.rec_texts:
            table.add_row(name, "-", "[dim]no text found[/dim]", "", "")
        for i, text in enumerate(result.rec_texts):
            corners = " ".join(f"{x},{y}" for x, y in result.dt_polys[i].tolist())
            table.add_row(name if i == 0 else "", str(i + 1), escape(text), f"{result.rec_scores[i]:.3f}", corners)
        table.add_section()
    return table


def _plain(result: OcrResult) -> str:
    """Return one line a text, tab-separated; a tab or line break in the file name becomes a blank."""
    name = " ".join((result.input_path or "array").splitlines()).replace("\t", " ")
    boxes = [json.dumps(box, separators=(",", ":")) for box in result.dt_polys.tolist()]
    rows = zip(result.rec_scores, boxes, result.rec_texts, strict=True)
    return "".join(f"{name}\t{score:.4f}\t{box}\t{text}\n" for score, box, text in rows)

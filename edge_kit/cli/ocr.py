"""``edge-kit ocr``."""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from edge_kit.cli.outputs import refuse_input, refuse_saved_inputs
from edge_kit.cli.render import console
from edge_kit.pipeline_files.kit import PATHS
from edge_kit.pipeline_files.model import listed
from edge_kit.pipeline_files.words import INPUT, PIPELINE, SAVE_PATH, WORDS
from model_opt.errors import KitError

if TYPE_CHECKING:
    from edge_kit.hpi.plan import Plan
    from edge_kit.inputs import ImageInput
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
    from edge_kit.inputs import expand

    _check_outputs(request)
    settings = dict(request.settings)
    if request.bundle is not None:
        settings["bundle"] = str(request.bundle)
    chosen = choose_settings(request.pipeline, settings)
    for text in listed(chosen.ignored):
        sys.stderr.write(f"edge-kit: without effect: {text}\n")
    sources = list(expand(list(request.paths)))
    _keep_inputs(request, chosen.settings, sources)
    _make_folders(request)
    spinner = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with ExitStack() as stack:
        task = stack.enter_context(spinner).add_task("loading models")
        planned, plan = _with_plan(chosen.settings, lambda text: spinner.update(task, description=text))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeviceChoice)
            pipeline = stack.enter_context(Pipeline(planned, chosen.ignored, plan=plan))
        if pipeline.device_note:
            sys.stderr.write(f"edge-kit: {pipeline.device_note}\n")
        output = stack.enter_context(_Output(request))
        for source, outcome in pipeline.predict_each(sources):
            spinner.update(task, description=f"read {source.input_path}")
            output.add(source, outcome)
    return output.exit_code


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
    """Refuse places that cannot be written to before any work is done."""
    if request.json_file not in (None, "-") and Path(str(request.json_file)).is_dir():
        hint = f"name a file in it: --json {Path(str(request.json_file)) / 'result.jsonl'}"
        raise KitError("--json names a folder, and a file is needed", path=request.json_file, hint=hint)
    for option, folder in _folders(request):
        if folder.exists() and not folder.is_dir():
            hint = f"name a folder, as in {option} {folder.parent / 'out'}"
            raise KitError(f"{option} names a file, and a folder is needed", path=folder, hint=hint)
        if not folder.exists() and folder.suffix.lower() in _FILE_SUFFIXES:
            hint = f"name a folder: {option} {folder.with_suffix('')}"
            raise KitError(f"{option} looks like a file, and a folder is needed", path=folder, hint=hint)


def _folders(request: OcrRequest) -> list[tuple[str, Path]]:
    """Return the folders for results with the options that name them."""
    both = (("--save", request.save), ("--save_path", request.save_path))
    return [(option, folder) for option, folder in both if folder is not None]


def _keep_inputs(request: OcrRequest, settings: PipelineSettings, sources: Sequence[ImageInput]) -> None:
    """Refuse places where a result would replace something that is read."""
    if request.json_file not in (None, "-"):
        models = (getattr(settings, key) for key in (*PATHS, "bundle"))
        inputs = (request.pipeline, *models, *(source.input_path for source in sources))
        refuse_input("--json", Path(str(request.json_file)), inputs)
    for option, folder in _folders(request):
        json = option == "--save_path"
        refuse_saved_inputs(option, folder, settings.result_schema, sources, json=json)


def _make_folders(request: OcrRequest) -> None:
    from edge_kit.ocr.result import make_folder

    for _, folder in _folders(request):
        make_folder(folder)


class _Output:
    """Where results go, each when it was made: pictures and files, a pipe, JSON lines; a terminal's table at the end.

    Leaving the ``with`` block closes the file and draws the table, also after an interrupt. An error of the only image
    that was asked for is raised there; others are written to standard error when they occur.
    """

    def __init__(self, request: OcrRequest) -> None:
        self._request = request
        self._json = _JsonLines(request.json_file)
        self._table = sys.stdout.isatty() and request.json_file != "-"
        self._plain = not sys.stdout.isatty() and request.json_file is None
        self._shown: list[OcrResult] = []
        self._done = 0
        self._failed: list[KitError] = []
        self._held: KitError | None = None
        """The first error of the only source: it is the command's, unless a later page can be read."""

    def add(self, source: ImageInput, outcome: OcrResult | KitError) -> None:
        """Write one result, or state why there is none."""
        if isinstance(outcome, KitError):
            self._failed.append(outcome)
            if self._lone(source):
                self._held = outcome
            else:
                self._tell_held()
                self._tell(outcome)
            return
        self._tell_held()
        self._done += 1
        self._json.add(outcome)
        if self._plain:
            sys.stdout.write(_plain(outcome))
            sys.stdout.flush()
        if self._table:  # without the picture: decoded images would fill the memory
            self._shown.append(dataclasses.replace(outcome, image=outcome.image[:0].copy()))
        for folder in (self._request.save, self._request.save_path):
            if folder is not None:
                outcome.save_to_img(folder)
        if self._request.save_path is not None:
            outcome.save_to_json(self._request.save_path)

    def _lone(self, source: ImageInput) -> bool:
        """Return whether a source is all that was asked for: its error is the command's."""
        only = len(self._request.paths) == 1 and self._done == 0 and len(self._failed) == 1
        return only and source.input_path == self._request.paths[0] and not source.page_index

    def _tell_held(self) -> None:
        if self._held is not None:
            self._tell(self._held)
            self._held = None

    def _tell(self, error: KitError) -> None:
        sys.stderr.write(f"edge-kit: skipped: {error}\n")
        sys.stderr.flush()

    @property
    def exit_code(self) -> int:
        """1 when something of several could not be read."""
        return 1 if self._failed else 0

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None and self._held is not None:
            raise self._held
        self._json.close(complete=kind is None)
        if self._table:
            console().print(_table(self._shown))
        if self._failed:
            sys.stderr.write(f"edge-kit: {self._done} images read, {len(self._failed)} could not be read\n")


class _JsonLines:
    """A file of one JSON line a result, or standard output; made at the first result, complete after each line."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._file: FileIO | None = None
        self._size = 0
        """Bytes of the complete lines."""

    def add(self, result: OcrResult) -> None:
        """Write one line."""
        line = result.to_json() + "\n"
        if self._name == "-":
            sys.stdout.write(line)
            sys.stdout.flush()
        elif self._name is not None:
            self._write(line.encode())

    def _write(self, data: bytes) -> None:
        from edge_kit.ocr.result import make_folder

        path = Path(str(self._name))
        try:
            if self._file is None:
                make_folder(path.parent)
                self._file = path.open("wb", buffering=0)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._size += len(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._drop_half_a_line()
            what = f"cannot write the results: {error.strerror}"
            raise KitError(what, path=path, hint="choose another place, or free some space") from error

    def _drop_half_a_line(self) -> None:
        if self._file is not None and self._file.seekable():
            with suppress(OSError):
                self._file.truncate(self._size)

    def close(self, *, complete: bool) -> None:
        """Close the file; a ``complete`` run without a result leaves an empty one."""
        if complete and self._name not in (None, "-"):
            self._write(b"")
        if self._file is not None:
            self._file.close()


def _table(results: Sequence[OcrResult]) -> Table:
    table = Table("image", "line", "text", "score", "box")
    for result in results:
        name = escape(_name(result))
        if not result.rec_texts:
            table.add_row(name, "-", "[dim]no text found[/dim]", "", "")
        for i, text in enumerate(result.rec_texts):
            corners = " ".join(f"{x},{y}" for x, y in result.dt_polys[i].tolist())
            table.add_row(name if i == 0 else "", str(i + 1), escape(text), f"{result.rec_scores[i]:.3f}", corners)
        table.add_section()
    return table


def _name(result: OcrResult) -> str:
    """Return where a result came from; a page of a document by a fragment, from 1, as RFC 8118 names it."""
    page = "" if result.page_index is None else f"#page={result.page_index + 1}"
    return f"{result.input_path or 'array'}{page}"


def _plain(result: OcrResult) -> str:
    """Return one line a text, tab-separated; a tab or line break in the file name becomes a blank."""
    name = " ".join(_name(result).splitlines()).replace("\t", " ")
    boxes = [json.dumps(box, separators=(",", ":")) for box in result.dt_polys.tolist()]
    rows = zip(result.rec_scores, boxes, result.rec_texts, strict=True)
    return "".join(f"{name}\t{score:.4f}\t{box}\t{text}\n" for score, box, text in rows)

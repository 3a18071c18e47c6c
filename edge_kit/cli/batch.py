"""``edge-kit batch``."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from edge_kit.cli.render import show
from model_opt.errors import KitError

if TYPE_CHECKING:
    from edge_kit.batch.run import BatchRun, Execute, Summary
    from edge_kit.batch.run import Progress as BatchProgress
    from edge_kit.settings import PipelineSettings

PLACES = ("local", "ray")


@dataclass(frozen=True)
class BatchOptions:
    """What the user asked of ``edge-kit batch``; ``settings`` holds only what was given."""

    inputs: tuple[str, ...]
    out: Path
    form: str
    settings: Mapping[str, Any]
    pipeline: str | None = None
    bundle: Path | None = None
    shard_size: int = 200
    workers: int = 0
    compare: str | None = None
    recipe: str | None = None
    on: str = "local"
    ray_address: str | None = None
    as_json: bool = False


def with_batch_words(options: BatchOptions, words: Mapping[str, Any]) -> BatchOptions:
    """Return the options with what PaddleX's and PaddleOCR's words say; see ``cli.ocr.with_words``.

    Raises ``KitError`` where no input is left.
    """
    from edge_kit.cli.ocr import OcrRequest, with_words
    from edge_kit.pipeline_files.words import INPUT, WORDS

    if not options.inputs and not any(WORDS[word].setting == INPUT for word in words):
        raise KitError("no input was given", hint="name files, folders, globs in quotes, tar archives, or @lists")
    asked = OcrRequest(options.inputs, options.settings, options.bundle, options.pipeline, None, None)
    said = with_words(asked, words)
    if said.save_path is not None:
        raise KitError("--save_path has no place here", hint="name the output folder with --out")
    return replace(options, inputs=said.paths, settings=said.settings, pipeline=said.pipeline)


def run_batch_command(options: BatchOptions) -> int:
    """Read all inputs; return 0, or 1 when some could not be read or a gate failed."""
    from edge_kit.batch.run import check_run, run_batch

    _check(options)
    check_run(options.inputs, options.out, options.form)
    run, execute = _planned(options)
    begin = time.monotonic()
    with _Display() as display:
        try:
            summary = run_batch(run, execute, display.show)
        except KeyboardInterrupt:
            display.stop()
            _say(f"{display.sentence}; the same command goes on from there")
            raise
    _report(run, summary, time.monotonic() - begin, as_json=options.as_json)
    return 0 if summary.passed else 1


def _check(options: BatchOptions) -> None:
    if options.on not in PLACES:
        raise KitError(f"--on {options.on} is not known", hint=f"use one of: {', '.join(PLACES)}")
    if options.ray_address and options.on != "ray":
        raise KitError("--ray-address needs --on ray", hint="add --on ray, or leave the address out")
    if options.recipe and not options.compare:
        raise KitError("--recipe names the gates of a comparison", hint="add --compare server,nb, or leave it out")
    if options.on == "ray":
        from edge_kit.batch.on_ray import check_ray

        check_ray()


def _planned(options: BatchOptions) -> tuple[BatchRun, Execute]:
    """Return the run, and what reads its entries."""
    from edge_kit.batch.compare import engines_of, recipe_of
    from edge_kit.batch.local import run_local
    from edge_kit.batch.run import BatchRun, Comparison
    from edge_kit.batch.work import describe, share_threads

    comparison = None
    engines: tuple[str | None, ...] = (None,)
    if options.compare is not None:
        engines = reference, candidate = engines_of(options.compare)
        comparison = Comparison(reference, candidate, recipe_of(options.recipe, options.bundle))
    settings = [_settings(options, engine) for engine in engines]
    about: dict[str, Any] = {"format": options.form, "shard_size": options.shard_size}
    if comparison is not None:
        about["recipe"] = comparison.recipe
    run = BatchRun(
        inputs=options.inputs,
        out=options.out,
        form=options.form,
        shard_size=options.shard_size,
        description=describe(settings, **about),
        schema=settings[0].result_schema,
        comparison=comparison,
    )
    work, workers = share_threads(settings, options.workers)
    if options.on == "ray":
        from edge_kit.batch.on_ray import run_on_ray

        return run, lambda entries: run_on_ray(entries, work, workers, options.shard_size, options.ray_address)
    return run, lambda entries: run_local(entries, work, workers)


def _settings(options: BatchOptions, engine: str | None) -> PipelineSettings:
    """Return the pipeline's settings; those of one engine of a comparison."""
    from edge_kit.api import choose_settings
    from edge_kit.pipeline_files.model import listed

    given = dict(options.settings)
    if engine is not None:
        if given.get("engine") is not None:
            raise KitError("--engine and --compare are both given", hint="leave --engine out")
        given["engine"] = engine
    if options.bundle is not None:
        given["bundle"] = str(options.bundle)
    chosen = choose_settings(options.pipeline, given)
    for text in listed(chosen.ignored):
        _say(f"without effect: {text}")
    if chosen.settings.enable_hpi:
        what = "batch has no high-performance inference: its workers share the cores already"
        raise KitError(what, hint="leave enable_hpi out")
    return chosen.settings


class _Display:
    """Progress with rate and time left on a terminal; nothing in a pipe."""

    def __init__(self) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
        rate = (TextColumn("{task.fields[rate]}"), TimeRemainingColumn(elapsed_when_finished=True))
        self._bar = Progress(*columns, *rate, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._task = self._bar.add_task("list inputs", total=None, rate="")
        self._last: BatchProgress | None = None
        self._begin = time.monotonic()

    def __enter__(self) -> _Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar away; twice is harmless."""
        self._bar.stop()

    def show(self, progress: BatchProgress) -> None:
        """Draw how far the run is."""
        if progress.phase == "read" and (self._last is None or self._last.phase != "read"):
            self._begin = time.monotonic()
            self._bar.reset(self._task, total=progress.total, completed=progress.skipped, rate="")
        self._last = progress
        rate = progress.done / max(time.monotonic() - self._begin, 1e-6)
        words = f"{rate:.1f} a second" + (f", {progress.failed} with an error" if progress.failed else "")
        self._bar.update(
            self._task,
            description="list inputs" if progress.phase == "manifest" else "read",
            completed=progress.skipped + progress.done,
            rate=words if progress.phase == "read" else "",
        )

    @property
    def sentence(self) -> str:
        """How far the run is, in words."""
        last = self._last
        if last is None or last.phase == "manifest":
            return "the inputs were being listed"
        return f"{last.skipped + last.done} of {last.total} inputs were read, and the complete shards are kept"


def _report(run: BatchRun, summary: Summary, seconds: float, *, as_json: bool) -> None:
    """Print the gates of a comparison on standard output, and one line about the run on standard error."""
    rate = f", {summary.read / seconds:.1f} a second" if summary.read else ""
    failed = f", {summary.failed} inputs with an error" if summary.failed else ""
    _say(f"{summary.inputs} inputs, {summary.rows} rows in {run.out}{failed}; {summary.read} read now{rate}")
    drawn = []
    if summary.verdict is not None:
        from edge_kit.cli.build import gate_table

        found = summary.verdict
        title = f"{found.candidate} against {found.reference} on {found.images} images, {found.equal} of them equal"
        drawn.append(gate_table(title, found.to_dict()["gates"]))
    show(summary.to_dict(), *drawn, as_json=as_json)


def _say(text: str) -> None:
    sys.stderr.write(f"edge-kit: {text}\n")

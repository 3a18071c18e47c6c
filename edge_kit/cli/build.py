"""``edge-kit build`` and ``edge-kit verify``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edge_kit.build.events import (
    BuildFinished,
    Event,
    OnEvent,
    StageCached,
    StageFailed,
    StageFinished,
    StageProgress,
    StageStarted,
    event_to_json,
)
from edge_kit.build.manifest import MANIFEST_NAME, Manifest, check_bundle
from edge_kit.cli.outputs import refuse_inputs_inside
from edge_kit.cli.render import console, size, table
from edge_kit.jobs.request import BuildRequest

if TYPE_CHECKING:
    from edge_kit.jobs.verify import VerifyRequest


def run_build(request: BuildRequest, *, json_events: bool) -> int:
    """Build a bundle; print events as JSON lines, or progress on a terminal and a summary."""
    from edge_kit.jobs.build import build_bundle

    refuse_inputs_inside("--out", request.out, request.inputs)
    before = _manifest_of(request.out)
    try:
        with listener(json_events) as listen:
            written = build_bundle(request, listen)
    except KeyboardInterrupt:
        kept = _manifest_of(request.out) == before
        what = "nothing was changed" if kept else f"the new bundle is in {request.out}"
        raise KeyboardInterrupt(f"interrupted, {what}") from None
    if not json_events:
        _print_summary(written.folder, written.manifest, written.changed)
    return 0


def _manifest_of(folder: Path) -> bytes | None:
    """Return the manifest of a bundle, which changes when anything of the bundle does; None where there is none."""
    try:
        return (folder / MANIFEST_NAME).read_bytes()
    except OSError:
        return None


def run_verify(bundle: Path, sources: VerifyRequest) -> int:
    """Check every sum of a bundle, then run its gates again; return 1 when something does not hold."""
    from edge_kit.jobs.verify import recheck

    verdicts = check_bundle(bundle)
    bad = [(v.status, v.path) for v in verdicts if v.status != "ok"]
    out = console()
    if bad:
        out.print(table(("state", "file"), bad, f"{len(bad)} of {len(verdicts)} files are not what the manifest says"))
        return 1
    out.print(f"{len(verdicts)} files are what the manifest says")
    with listener(False) as listen:
        found = recheck(bundle, sources, listen)
    for drawn in _gates(found.to_dict()):
        out.print(drawn)
    return 0 if found.passed else 1


@contextmanager
def listener(json_events: bool) -> Iterator[OnEvent]:
    """Give what listens to a build: JSON lines, a progress display on a terminal, or nothing in a pipe."""
    if json_events:
        yield lambda event: print(json.dumps(event_to_json(event), ensure_ascii=False), flush=True)
        return
    display = Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.fields[stage]:<12}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with display:
        yield _show_on(display)


def _show_on(display: Progress) -> Callable[[Event], None]:
    tasks: dict[str, Any] = {}

    def show(event: Event) -> None:
        if isinstance(event, BuildFinished):
            return
        if event.stage not in tasks:
            tasks[event.stage] = display.add_task("", total=None, stage=event.stage)
        task = tasks[event.stage]
        if isinstance(event, StageStarted):
            display.update(task, description="")
        elif isinstance(event, StageProgress):
            total = None if event.fraction is None else 1.0
            display.update(task, total=total, completed=event.fraction or 0.0, description=event.message)
        elif isinstance(event, StageFailed):
            display.update(task, description="failed")
        elif isinstance(event, StageCached | StageFinished):
            note = "unchanged" if isinstance(event, StageCached) else "done"
            display.update(task, total=1.0, completed=1.0, description=note)

    return show


def _print_summary(folder: Path, manifest: Manifest, changed: bool) -> None:
    out = console()
    rows = [(name, size(total.bytes), total.sha256[:16]) for name, total in sorted(manifest.files.items())]
    rows.append((MANIFEST_NAME, size((folder / MANIFEST_NAME).stat().st_size), ""))
    out.print(table(("file", "size", "sha256"), rows, f"{folder}{'' if changed else ' (unchanged)'}"))
    for drawn in _gates(manifest.verification):
        out.print(drawn)
    for drawn in _app(manifest.app):
        out.print(drawn)
    for model in manifest.models.values():
        assert isinstance(model, dict)
        for warning in model["warnings"]:
            out.print(f"note: {model['nb']}: {warning}", markup=False)


def _app(app: Mapping[str, Any] | None) -> Iterator[Any]:
    """Yield the table of the app's size by part, and whether it has Paddle Lite."""
    if app is None:
        return
    parts = sorted(app["parts"].items(), key=lambda item: -int(item[1]["bytes"]))
    rows = [(name, size(part["bytes"]), size(part["unpacked"])) for name, part in parts]
    title = f"{app['file']}: {size(app['bytes'])}, {' '.join(app['abis'])}, {app['package']} {app['version_name']}"
    yield table(("part", "in the APK", "unpacked"), rows, title)
    if "without_paddle_lite" in app:
        reason = str(app["without_paddle_lite"])
        yield f"note: the app has the OpenCV engine alone, no Paddle Lite: {reason}{_next_attempt(reason)}"


def _next_attempt(reason: str) -> str:
    """Return when a failed download is tried again: the time of day is no part of the bundle."""
    from edge_kit.android.lite import next_attempt

    at = next_attempt(reason)
    if at is None:
        return ""
    return f" (tried again by builds after {time.strftime('%H:%M', time.localtime(at))}, by --require-lite at once)"


def _gates(verification: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the table of the shipped files' gates, that of the oracle's, and what is not proven."""
    oracle, reference = verification["oracle"], verification["reference"]
    for what, judged in (("the bundle's own files", verification), ("the unquantised models", oracle)):
        if judged["passed"] is None:
            yield f"not checked: {what} by {judged['candidate']}; {judged['not_checked']}"
            continue
        title = f"{what} by {judged['candidate']}, against {reference} on {judged['images']} images"
        yield gate_table(title, judged["gates"])
    if not verification["passed"]:
        yield "NOT PROVEN: some gates failed and were allowed to (--allow-failed-gates)"


def gate_table(title: str, gates: Sequence[Mapping[str, Any]]) -> Any:
    """Return the table of gates, each with its number and its limit."""
    rows = [
        (
            "passed" if g["passed"] else "FAILED",
            g["name"],
            "not finite" if g["value"] is None else g["value"],
            g["limit"],
        )
        for g in gates
    ]
    return table(("gate", "metric", "value", "limit"), rows, title)

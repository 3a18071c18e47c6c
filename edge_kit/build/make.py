"""A whole build: run the stages, let the caller lay out the bundle, write it, clean the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edge_kit.build.cache import CACHE_BYTES, StageCache, StageResult
from edge_kit.build.events import BuildFinished, Event, OnEvent, StageCached, StageFinished
from edge_kit.build.graph import Judge, Stage, order_stages, run_stages
from edge_kit.build.manifest import Manifest
from edge_kit.build.output import Source, WrittenBundle, check_target, write_bundle


@dataclass(frozen=True)
class BundlePlan:
    """What goes into a bundle: files by relative POSIX path, and the manifest (its ``files`` are filled in)."""

    files: Mapping[str, Source]
    manifest: Manifest


Layout: TypeAlias = Callable[[Mapping[str, StageResult]], BundlePlan]
"""Lays out the bundle from the results of all stages; use ``result.sealed(name)`` for files of a stage."""


def make_bundle(
    stages: Sequence[Stage],
    layout: Layout,
    folder: Path,
    *,
    cache: StageCache,
    jobs: int,
    on_event: OnEvent,
    judge: Judge | None = None,
) -> WrittenBundle:
    """Run ``stages`` and put the bundle that ``layout`` makes of their results at ``folder``.

    ``judge`` sees each stage's result at once, and ends the build by raising: what it raises comes out as it is.

    A bad folder or graph is refused before any stage runs. ``BuildFinished`` is the last event, good or bad.
    Raises what ``check_target``, ``run_stages`` and ``write_bundle`` raise; the old bundle then stays whole.
    """
    began = time.monotonic()
    seen: list[Event] = []

    def note(event: Event) -> None:
        seen.append(event)
        on_event(event)

    def finish(written: WrittenBundle | None) -> None:
        ran = sum(isinstance(event, StageFinished) for event in seen)
        cached = sum(isinstance(event, StageCached) for event in seen)
        seconds = time.monotonic() - began
        output = None if written is None else str(written.folder)
        changed = written is not None and written.changed
        on_event(BuildFinished(written is not None, seconds, ran, cached, output, changed))

    written = None
    try:
        check_target(folder)
        order_stages(stages)
        with cache.in_use():
            plan = layout(run_stages(stages, cache, jobs=jobs, on_event=note, judge=judge))
            written = write_bundle(folder, plan.files, plan.manifest)
        cache.prune(CACHE_BYTES)
    finally:
        finish(written)
    return written

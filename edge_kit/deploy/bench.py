"""Measure the app on a device over several settings, so that neither their order nor heat decides."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge_kit.android.apk import package_of
from edge_kit.build.files import json_bytes
from edge_kit.deploy.adb import Adb, DeployError
from edge_kit.deploy.report import SelfTestReport, merge_benches, report_of
from edge_kit.deploy.selftest import OnMessage, SelfTestRequest, keep_report, run_app
from edge_kit.deploy.steady import cool_down, steady


@dataclass(frozen=True)
class BenchRequest:
    """Which settings are measured, and how."""

    threads: Sequence[int]
    power_modes: Sequence[str]
    passes: int = 3
    """How often all settings are measured; every second pass runs in reverse order."""
    rounds: int = 2
    """Rounds over all images of each setting in each pass, after one that does not count."""
    seconds: float = 1800.0
    """How long all of it may take."""
    pause_seconds: float = 5.0
    """The pause before each run of the app."""
    cool_seconds: float = 180.0
    """Longest wait for a hot device to cool before each run, in seconds."""
    poll_seconds: float = 2.0


@dataclass(frozen=True)
class BenchRun:
    """What was measured, and whether the device held its clocks steady (fixed performance mode)."""

    report: SelfTestReport
    fixed_performance: bool


Setting = tuple[int, str | None]
"""Number of threads and power mode."""


def run_bench(adb: Adb, apk: Path, request: BenchRequest, on_message: OnMessage, keep: Path | None = None) -> BenchRun:
    """Install ``apk`` and measure every setting; ``keep`` is where to leave the report of all runs.

    The app is started anew for each setting of each pass: Paddle Lite's power modes bind threads of a process for
    good, so a second mode of the same process would be measured on the cores of the first. With an engine that knows
    no power modes each number of threads is measured once. Raises ``DeployError`` as ``run_selftest``, and when the
    screen was dark or locked during a round.
    """
    package = package_of(apk)
    on_message("installing the app")
    adb.install(apk, package)
    deadline = time.monotonic() + request.seconds
    with steady(adb) as fixed:
        documents = list(_measure(adb, package, request, deadline, on_message))
    place = keep or Path("the bench's report")
    document = merge_benches(documents, place)
    if keep is not None:
        keep_report(keep, json_bytes(document, what="the bench's report"))
    report = report_of(document, place)
    _check_seen(adb, report)
    return BenchRun(report, fixed)


def _measure(
    adb: Adb, package: str, request: BenchRequest, deadline: float, on_message: OnMessage
) -> Iterator[Mapping[str, Any]]:
    """Yield the report of each run of the app."""
    settings: list[Setting] = [(threads, mode) for mode in request.power_modes for threads in request.threads]
    plan, done = _plan(settings, request.passes), 0
    while done < len(plan):
        threads, mode = plan[done]
        name = f"run {done + 1} of {len(plan)}, {threads} threads" + (f", {mode}" if mode else "")
        cool_down(adb, request.pause_seconds, request.cool_seconds, on_message)
        left = deadline - time.monotonic()
        wanted = SelfTestRequest(True, threads, mode, request.rounds, max(left, 0.0), request.poll_seconds)
        document = run_app(adb, package, wanted, partial(_prefixed, on_message, name))
        yield document
        done += 1
        if done == 1 and all(row["power_mode"] is None for row in document["bench"]):
            plan = _plan([(number, None) for number in request.threads], request.passes)


def _prefixed(on_message: OnMessage, run: str, text: str) -> None:
    on_message(f"{run}: {text}")


def _plan(settings: Sequence[Setting], passes: int) -> list[Setting]:
    """Return every setting once in each pass, in alternating order: a steady drift then affects all alike."""
    return [one for number in range(passes) for one in (settings[::-1] if number % 2 else settings)]


def _check_seen(adb: Adb, report: SelfTestReport) -> None:
    hidden = [row.name for row in report.bench if any(row.hidden)]
    if hidden:
        raise DeployError(
            f"the screen of {adb.serial} was dark or locked while the app measured {hidden[0]}: "
            "Android gives it the small cores then",
            hint="unlock the device, leave the app in front, and run the command again",
        )

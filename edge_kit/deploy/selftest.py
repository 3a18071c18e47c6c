"""Run the app's self-test on a device and bring its report home."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.deploy.adb import Adb, DeployError
from edge_kit.deploy.report import SelfTestReport, read_document, report_of
from edge_kit.deploy.steady import unlock
from model_opt.files import write_atomic

PACKAGE = "org.edgekit.ocr"
ACTIVITY = f"{PACKAGE}/.app.SelfTestActivity"
REPORT = "selftest.json"
FOLDER = f"/sdcard/Android/data/{PACKAGE}/files/selftest"
_PLACE = f"{FOLDER}/{REPORT}"
_GONE_AFTER = 3
"""So many looks in a row without the app's process: it takes a moment to start."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class SelfTestRequest:
    """What the app is asked for: comparisons, or with ``bench`` the latencies of one setting.

    Threads and power mode that are ``None`` are those of the app's settings.
    """

    bench: bool = False
    threads: int | None = None
    power_mode: str | None = None
    rounds: int | None = None
    seconds: float = 900.0
    """How long the app may take."""
    poll_seconds: float = 2.0

    def extras(self) -> tuple[str, ...]:
        """Return the intent's extras as arguments of ``am start``."""
        values = {"report": REPORT, "mode": "bench" if self.bench else "verify"}
        given = {"threads": self.threads, "power": self.power_mode, "rounds": self.rounds}
        values |= {key: str(value) for key, value in given.items() if value is not None}
        return ("--ez", "run", "true", *(word for key, value in values.items() for word in ("--es", key, value)))


def run_selftest(
    adb: Adb, apk: Path, request: SelfTestRequest, progress: Progress, keep: Path | None = None
) -> SelfTestReport:
    """Install ``apk``, run its self-test and return the report; ``keep`` is where to leave a copy of it.

    Raises ``DeployError`` when the app cannot be installed or started, the device is locked, the app ends before its
    report is written, takes longer than ``request.seconds``, or writes a report that is not as agreed.
    """
    progress("installing the app")
    adb.install(apk)
    document = run_app(adb, request, progress, keep)
    return report_of(document, keep or Path(_PLACE))


def run_app(adb: Adb, request: SelfTestRequest, progress: Progress, keep: Path | None = None) -> Mapping[str, Any]:
    """Run the self-test of the installed app in a process of its own and return its report as JSON.

    Raises ``DeployError`` as ``run_selftest``.
    """
    adb.shell(f"am force-stop {PACKAGE}")
    adb.shell(f"rm -f {_PLACE}")  # a report of another run must not be taken for this one's
    unlock(adb, request.poll_seconds)
    progress("starting the self-test")
    _start(adb, request)
    _await(adb, request, progress)
    data = _fetch(adb)
    if keep is not None:
        keep_report(keep, data)
    return read_document(data, keep or Path(_PLACE))


def _start(adb: Adb, request: SelfTestRequest) -> None:
    command = shlex.join(["am", "start", "-n", ACTIVITY, *request.extras()])
    told = adb.shell(command)
    # am ends with 0 whatever happens, and says in words what did.
    if "Error" in told or "Exception" in told:
        raise DeployError(
            f"the self-test cannot be started on {adb.serial}: {' | '.join(told.splitlines())[:600]}",
            hint="the APK must be one that this kit's build made; install it anew and look at the device's screen",
        )


def _await(adb: Adb, request: SelfTestRequest, progress: Progress) -> None:
    """Return when the report is there; the app renames a finished file, so what is there is complete."""
    started, gone = time.monotonic(), 0
    while True:
        state = adb.shell(f"if [ -f {_PLACE} ]; then echo ready; else pidof {PACKAGE} || echo gone; fi")
        if state == "ready":
            return
        gone = gone + 1 if state.endswith("gone") else 0
        if gone >= _GONE_AFTER:
            raise DeployError(
                f"the app ended on {adb.serial} before it wrote its report: {_crash(adb)}",
                hint="start the app on the device by hand and run its self-test there",
            )
        waited = time.monotonic() - started
        if waited > request.seconds:
            raise DeployError(
                f"the self-test on {adb.serial} wrote no report within {request.seconds:.0f} s",
                hint="look at the device's screen; unlock it and keep it on, or give it more time (--timeout)",
            )
        progress(f"the self-test runs ({waited:.0f} s)")
        time.sleep(request.poll_seconds)


def _crash(adb: Adb) -> str:
    """Return the last lines of the device's crash log that name the app."""
    lines = adb.shell("logcat -d -b crash -t 60").splitlines()
    told = [line.strip() for line in lines if PACKAGE in line or "Error" in line or "Exception" in line]
    return " | ".join(told[-4:]) or "the device's crash log says nothing of it"


def _fetch(adb: Adb) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edge-kit-") as scratch:
        local = Path(scratch) / REPORT
        adb.run("pull", _PLACE, str(local))
        try:
            return local.read_bytes()
        except OSError as error:
            what = f"adb pulled no report: {error.strerror}"
            raise DeployError(what, path=_PLACE, hint="run the command again") from error


def keep_report(path: Path, data: bytes) -> None:
    """Write a report to the user's place; ``DeployError`` when it cannot be written."""
    try:
        write_atomic(path, data)
    except OSError as error:
        raise DeployError(
            f"cannot keep the report: {error.strerror}", path=path, hint="choose another place"
        ) from error

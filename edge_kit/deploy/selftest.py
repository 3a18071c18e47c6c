"""Run the app's self-test on a device and bring its report home."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.android.apk import package_of
from edge_kit.deploy.adb import Adb, DeployError
from edge_kit.deploy.report import SelfTestReport, read_document, report_of
from edge_kit.deploy.steady import unlock
from model_opt.fs import write_atomic

ACTIVITY = "org.edgekit.ocr.app.SelfTestActivity"
"""The class; the application id before it is the APK's own."""
REPORT = "selftest.json"
_GONE_AFTER = 3
"""Consecutive polls without the app's process before it counts as ended: it takes a moment to start."""

OnMessage = Callable[[str], None]


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
    adb: Adb, apk: Path, request: SelfTestRequest, on_message: OnMessage, keep: Path | None = None
) -> SelfTestReport:
    """Install ``apk``, run its self-test and return the report; ``keep`` is where to leave a copy of it.

    Which app is asked is the APK's own application id. Raises ``ApkFault`` for a file that is no APK, ``DeployError``
    when the app cannot be installed or started, the device is locked, the app ends before its report is written, takes
    longer than ``request.seconds``, or writes a report that is not as agreed.
    """
    package = package_of(apk)
    on_message("installing the app")
    adb.install(apk, package)
    document = run_app(adb, package, request, on_message, keep)
    return report_of(document, keep or Path(report_place(package)))


def report_folder(package: str) -> str:
    """Return the folder on a device where the app with the application id ``package`` leaves its reports."""
    return f"/sdcard/Android/data/{package}/files/selftest"


def report_place(package: str) -> str:
    """Return the path on a device of the report of the app with the application id ``package``."""
    return f"{report_folder(package)}/{REPORT}"


def run_app(
    adb: Adb, package: str, request: SelfTestRequest, on_message: OnMessage, keep: Path | None = None
) -> Mapping[str, Any]:
    """Run the self-test of the installed app ``package`` in a separate process and return its report as JSON.

    Raises ``DeployError`` as ``run_selftest``.
    """
    place = report_place(package)
    adb.shell(f"am force-stop {package}")
    adb.shell(f"rm -f {place}")  # a report of another run must not be taken for this one's
    unlock(adb, request.poll_seconds)
    on_message("starting the self-test")
    _start(adb, package, request)
    _await(adb, package, place, request, on_message)
    data = _fetch(adb, place)
    if keep is not None:
        keep_report(keep, data)
    return read_document(data, keep or Path(place))


def _start(adb: Adb, package: str, request: SelfTestRequest) -> None:
    command = shlex.join(["am", "start", "-n", f"{package}/{ACTIVITY}", *request.extras()])
    output = adb.shell(command)
    # am ends with 0 whatever happens, and reports the outcome in its output.
    if "Error" in output or "Exception" in output:
        raise DeployError(
            f"the self-test cannot be started on {adb.serial}: {' | '.join(output.splitlines())[:600]}",
            hint="the APK must be one that this kit's build made; install it again and check the device's screen",
        )


def _await(adb: Adb, package: str, place: str, request: SelfTestRequest, on_message: OnMessage) -> None:
    """Return when the report is there; the app renames a finished file, so what is there is complete."""
    started, gone = time.monotonic(), 0
    while True:
        state = adb.shell(f"if [ -f {place} ]; then echo ready; else pidof {package} || echo gone; fi")
        if state == "ready":
            return
        gone = gone + 1 if state.endswith("gone") else 0
        if gone >= _GONE_AFTER:
            raise DeployError(
                f"the app ended on {adb.serial} before it wrote its report: {_crash(adb, package)}",
                hint="start the app on the device and run its self-test there",
            )
        waited = time.monotonic() - started
        if waited > request.seconds:
            raise DeployError(
                f"the self-test on {adb.serial} wrote no report within {request.seconds:.0f} s",
                hint="check the device's screen; unlock it and keep it on, or give it more time (--timeout)",
            )
        on_message(f"the self-test runs ({waited:.0f} s)")
        time.sleep(request.poll_seconds)


def _crash(adb: Adb, package: str) -> str:
    """Return the last lines of the device's crash log that name the app."""
    lines = adb.shell("logcat -d -b crash -t 60").splitlines()
    found = [line.strip() for line in lines if package in line or "Error" in line or "Exception" in line]
    return " | ".join(found[-4:]) or "the device's crash log says nothing of it"


def _fetch(adb: Adb, place: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edge-kit-") as scratch:
        local = Path(scratch) / REPORT
        adb.run("pull", place, str(local))
        try:
            return local.read_bytes()
        except OSError as error:
            what = f"adb pulled no report: {error.strerror}"
            raise DeployError(what, path=place, hint="run the command again") from error


def keep_report(path: Path, data: bytes) -> None:
    """Write a report to the user's place; ``DeployError`` when it cannot be written."""
    try:
        write_atomic(path, data)
    except OSError as error:
        raise DeployError(
            f"cannot keep the report: {error.strerror}", path=path, hint="choose another place"
        ) from error

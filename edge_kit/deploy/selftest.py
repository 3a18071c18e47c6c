"""Run the app's self-test on a device and bring its report home."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_kit.android.apk import package_of
from edge_kit.deploy.adb import Adb, DeployError
from edge_kit.deploy.report import SelfTestReport, read_report
from model_opt.files import write_atomic

ACTIVITY = "org.edgekit.ocr.app.SelfTestActivity"
"""The class; the application id before it is the APK's own."""
REPORT = "selftest.json"
_GONE_AFTER = 3
"""So many looks in a row without the app's process: it takes a moment to start."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class SelfTestRequest:
    """What the app is asked for: comparisons, and with ``bench`` latencies for each of threads and power modes."""

    bench: bool = False
    threads: Sequence[int] = ()
    power_modes: Sequence[str] = ()
    seconds: float = 900.0
    """How long the app may take."""
    poll_seconds: float = 2.0

    def extras(self) -> tuple[str, ...]:
        """Return the intent's extras as arguments of ``am start``."""
        values = {"report": REPORT, "mode": "bench" if self.bench else "verify"}
        if self.threads:
            values["threads"] = ",".join(map(str, self.threads))
        if self.power_modes:
            values["power"] = ",".join(self.power_modes)
        return ("--ez", "run", "true", *(word for key, value in values.items() for word in ("--es", key, value)))


def run_selftest(
    adb: Adb, apk: Path, request: SelfTestRequest, progress: Progress, keep: Path | None = None
) -> SelfTestReport:
    """Install ``apk``, run its self-test and return the report; ``keep`` is where to leave a copy of it.

    Which app is asked is the APK's own application id. Raises ``ApkFault`` for a file that is no APK,
    ``DeployError`` when the app cannot be installed or started, ends before its report is written, takes
    longer than ``request.seconds``, or writes a report that is not as agreed.
    """
    package = package_of(apk)
    progress("installing the app")
    adb.install(apk, package)
    adb.shell(f"am force-stop {package}")
    place = f"/sdcard/Android/data/{package}/files/selftest/{REPORT}"
    adb.shell(f"rm -f {place}")  # a report of another run must not be taken for this one's
    adb.shell("input keyevent KEYCODE_WAKEUP")  # in the dark Android slows an app down
    progress("starting the self-test")
    _start(adb, package, request)
    _await(adb, package, place, request, progress)
    return _fetch(adb, place, keep)


def _start(adb: Adb, package: str, request: SelfTestRequest) -> None:
    command = shlex.join(["am", "start", "-n", f"{package}/{ACTIVITY}", *request.extras()])
    told = adb.shell(command)
    # am ends with 0 whatever happens, and says in words what did.
    if "Error" in told or "Exception" in told:
        raise DeployError(
            f"the self-test cannot be started on {adb.serial}: {' | '.join(told.splitlines())[:600]}",
            hint="the APK must be one that this kit's build made; install it anew and look at the device's screen",
        )


def _await(adb: Adb, package: str, place: str, request: SelfTestRequest, progress: Progress) -> None:
    """Return when the report is there; the app writes it at once, so what is there is whole."""
    started, gone = time.monotonic(), 0
    while True:
        state = adb.shell(f"if [ -f {place} ]; then echo ready; else pidof {package} || echo gone; fi")
        if state == "ready":
            return
        gone = gone + 1 if state.endswith("gone") else 0
        if gone >= _GONE_AFTER:
            raise DeployError(
                f"the app ended on {adb.serial} before it wrote its report: {_crash(adb, package)}",
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


def _crash(adb: Adb, package: str) -> str:
    """Return the last lines of the device's crash log that name the app."""
    lines = adb.shell("logcat -d -b crash -t 60").splitlines()
    found = [line.strip() for line in lines if package in line or "Error" in line or "Exception" in line]
    return " | ".join(found[-4:]) or "the device's crash log says nothing of it"


def _fetch(adb: Adb, place: str, keep: Path | None) -> SelfTestReport:
    with tempfile.TemporaryDirectory(prefix="edge-kit-") as scratch:
        local = Path(scratch) / REPORT
        adb.run("pull", place, str(local))
        try:
            data = local.read_bytes()
        except OSError as error:
            what = f"adb pulled no report: {error.strerror}"
            raise DeployError(what, path=place, hint="run the command again") from error
    if keep is not None:
        try:
            write_atomic(keep, data)
        except OSError as error:
            raise DeployError(
                f"cannot keep the report: {error.strerror}", path=keep, hint="choose another place"
            ) from error
    return read_report(data, keep or Path(place))

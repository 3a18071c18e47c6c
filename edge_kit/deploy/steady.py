"""Keep a device awake, unlocked, cool and at one clock while something is measured on it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from edge_kit.deploy.adb import Adb, DeployError

_LOCK_LOOKS = 10
"""Polls of the lock screen before giving up: it takes a moment to disappear."""
_AWAKE = "stay_on_while_plugged_in"
_ALWAYS = "7"
"""While charging by mains, USB or without a wire."""


def unlock(adb: Adb, poll_seconds: float) -> None:
    """Turn the screen on and its lock screen off; ``DeployError`` when that asks for a code.

    In the dark and behind the lock screen Android gives an app the small cores.
    """
    adb.shell("input keyevent KEYCODE_WAKEUP")
    adb.shell("wm dismiss-keyguard || true")
    for _ in range(_LOCK_LOOKS):
        if not _locked(adb):
            return
        time.sleep(poll_seconds)
    raise DeployError(
        f"the device {adb.serial} is locked, and behind its lock screen an app gets the slow cores alone",
        hint="unlock it, turn on 'stay awake' in its developer options, and run the command again",
    )


def _locked(adb: Adb) -> bool:
    """Return whether the lock screen shows, as the window manager reports; false where it does not say."""
    policy = adb.shell("dumpsys window policy")
    return re.search(r"KeyguardServiceDelegate\s+showing=true", policy) is not None


@contextmanager
def steady(adb: Adb) -> Iterator[bool]:
    """Hold the device awake and, where it can, at clocks that it keeps for long; yield whether it can do the latter.

    Both are put back at the end, after an error too. ``cmd power set-fixed-performance-mode-enabled`` is there since
    Android 11, on devices whose maker supports it.
    """
    before = adb.shell(f"settings get global {_AWAKE}")
    adb.shell(f"settings put global {_AWAKE} {_ALWAYS}")
    fixed = _fix_performance(adb, on=True)
    try:
        yield fixed
    except BaseException:
        # A device that is gone cannot be put back, and the first error is the one to report.
        with suppress(DeployError):
            _restore(adb, before, fixed=fixed)
        raise
    _restore(adb, before, fixed=fixed)


def _restore(adb: Adb, before: str, *, fixed: bool) -> None:
    if fixed:
        _fix_performance(adb, on=False)
    known = before if before.isdecimal() else "0"
    adb.shell(f"settings put global {_AWAKE} {known}")


def _fix_performance(adb: Adb, *, on: bool) -> bool:
    command = f"cmd power set-fixed-performance-mode-enabled {str(on).lower()}"
    return adb.shell(f"{command} >/dev/null 2>&1 && echo done || echo unknown") == "done"


def thermal_status(adb: Adb) -> int | None:
    """Return Android's thermal status, 0 for none up to 6; ``None`` where it is not known (before Android 10)."""
    found = re.search(r"Thermal Status: (\d)", adb.shell("dumpsys thermalservice || true"))
    return int(found.group(1)) if found else None


def cool_down(adb: Adb, pause: float, most: float, progress: Callable[[str], None]) -> None:
    """Wait ``pause`` seconds, then until the device does not throttle any more, ``most`` seconds at most."""
    time.sleep(pause)
    waited = 0.0
    while waited < most and (status := thermal_status(adb)):
        progress(f"the device is hot (thermal status {status}): it cools down ({waited:.0f} s)")
        step = min(max(pause, 1.0), most - waited)
        time.sleep(step)
        waited += step

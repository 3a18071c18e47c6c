"""Android's ``adb``: find it, choose a device, run its commands. Its failures are errors with its own messages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_opt.errors import KitError

VARIABLE = "EDGE_KIT_ADB"
AUTO = "auto"
"""In place of a serial: the only device there is."""
SHORT_SECONDS, INSTALL_SECONDS = 30.0, 300.0
_MAX_CHARACTERS = 600

_STATES: Mapping[str, str] = {
    "unauthorized": "unlock the device and allow USB debugging for this computer, then run the command again",
    "offline": "unplug the device and plug it in again, or run 'adb kill-server'",
    "recovery": "start Android on the device",
    "sideload": "start Android on the device",
    "bootloader": "start Android on the device",
    "no permissions": "add a udev rule for the device (package android-sdk-platform-tools-common), and replug it",
}
_INSTALL: Mapping[str, str] = {
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": "an app signed by another key is installed: 'adb uninstall {package}'",
    "INSTALL_FAILED_VERSION_DOWNGRADE": "a newer app is installed: 'adb uninstall {package}'",
    "INSTALL_FAILED_NO_MATCHING_ABIS": "the APK has no libraries for this device's ABI: build it for the device's own",
    "INSTALL_FAILED_OLDER_SDK": "the app needs Android 8 (API 26) or newer: use another device",
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "make room on the device",
    "INSTALL_FAILED_USER_RESTRICTED": "allow installing by USB in the device's developer options, and on its screen",
    "INSTALL_FAILED_VERIFICATION_FAILURE": "turn off 'verify apps over USB' in the device's developer options",
    "INSTALL_PARSE_FAILED": "the APK is damaged or not signed: build it again",
}


class DeployError(KitError):
    """adb, the device or the app on it did not do what was asked."""


@dataclass(frozen=True)
class Device:
    """A device that adb knows, with adb's word for its state (``device`` when it can be used)."""

    serial: str
    state: str


@dataclass(frozen=True)
class Adb:
    """adb, bound to one device."""

    program: str
    serial: str

    def run(self, *arguments: str, seconds: float = SHORT_SECONDS) -> str:
        """Return the output of an adb command on the device; ``DeployError`` when it fails or takes too long."""
        code, text = _call(self.program, ("-s", self.serial, *arguments), seconds)
        if code != 0:
            raise DeployError(
                f"adb {arguments[0]} failed on {self.serial}: {_one_line(text)}",
                hint="check the cable and 'adb devices', then run the command again",
            )
        return text

    def shell(self, command: str, *, seconds: float = SHORT_SECONDS) -> str:
        """Return the output of a shell command on the device, stripped. The caller quotes what needs it."""
        return self.run("shell", command, seconds=seconds).strip()

    def install(self, apk: Path, package: str) -> None:
        """Install the APK of ``package`` in place of an older one with its key; ``DeployError`` with adb's reason."""
        code, text = _call(self.program, ("-s", self.serial, "install", "-r", str(apk)), INSTALL_SECONDS)
        if code == 0 and "Failure" not in text:
            return
        reason = re.search(r"INSTALL_[A-Z_]+", text)
        code_name = reason.group() if reason else ""
        known = next((remedy for name, remedy in _INSTALL.items() if code_name.startswith(name)), None)
        raise DeployError(
            f"the app cannot be installed on {self.serial}: {_one_line(text)}",
            path=apk,
            hint=known.replace("{package}", package)
            if known
            else "remove the cause that adb names, then run the command again",
        )


def connect(serial: str) -> Adb:
    """Return adb bound to the device ``serial``, or to the only one there is for ``auto``.

    Raises ``DeployError`` when adb is missing, no such device is there, several are and none is named, or the device
    cannot be used (unauthorised, offline, recovery, no permissions).
    """
    program = find_adb()
    devices = list_devices(program)
    return Adb(program, _chosen(devices, serial).serial)


def find_adb() -> str:
    """Return the program: ``EDGE_KIT_ADB``, else ``adb`` on the PATH; ``DeployError`` when there is none."""
    own = os.environ.get(VARIABLE)
    found = shutil.which(own or "adb")
    if found is None:
        raise DeployError(
            f"{VARIABLE} names no program that can be run: {own}" if own else "adb was not found",
            hint=f"install it (Debian: apt-get install adb) or name it by {VARIABLE}",
        )
    return found


def list_devices(program: str) -> tuple[Device, ...]:
    """Return the devices that adb knows, usable or not; ``DeployError`` when adb itself fails."""
    code, text = _call(program, ("devices",), SHORT_SECONDS)
    if code != 0:
        raise DeployError(f"adb devices failed: {_one_line(text)}", hint="run 'adb kill-server' and try again")
    _, _, listed = text.partition("List of devices attached")
    rows = [line.split(None, 1) for line in listed.splitlines() if line.strip() and not line.startswith("*")]
    return tuple(Device(row[0], row[1].strip() if len(row) > 1 else "unknown") for row in rows)


def _chosen(devices: Sequence[Device], serial: str) -> Device:
    listed = ", ".join(f"{device.serial} ({device.state})" for device in devices)
    if not devices:
        raise DeployError(
            "adb sees no device", hint="plug it in, turn on USB debugging in its developer options, and try again"
        )
    if serial == AUTO:
        if len(devices) > 1:
            raise DeployError(f"adb sees {len(devices)} devices: {listed}", hint="name one by --device SERIAL")
        device = devices[0]
    else:
        named = [device for device in devices if device.serial == serial]
        if not named:
            raise DeployError(f"adb sees no device {serial!r}; it sees {listed}", hint="name one of these")
        device = named[0]
    if device.state != "device":
        remedy = next((text for state, text in _STATES.items() if device.state.startswith(state)), None)
        raise DeployError(
            f"the device {device.serial} cannot be used, adb says: {device.state}",
            hint=remedy or "start Android on the device and check 'adb devices'",
        )
    return device


def _call(program: str, arguments: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run adb; return its exit code and all it said."""
    try:
        done = subprocess.run(
            [program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode("utf-8", "replace")
        raise DeployError(
            f"adb {' '.join(arguments)} gave no answer for {seconds:.0f} s{': ' + _one_line(output) if output else ''}",
            hint="check the device's screen for a question, replug it, or run 'adb kill-server'",
        ) from error
    except OSError as error:
        raise DeployError(f"adb cannot be started: {error.strerror}", path=program, hint=f"see {VARIABLE}") from error
    return done.returncode, done.stdout.decode("utf-8", "replace")


def _one_line(text: str) -> str:
    """Return what a tool said on one line, its end where it is long."""
    line = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return (line if len(line) <= _MAX_CHARACTERS else "…" + line[-_MAX_CHARACTERS:]) or "(no output)"

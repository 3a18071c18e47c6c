"""``edge-kit doctor``: what this machine has, what is missing, how to get it."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from edge_kit import __version__
from edge_kit.android.tools import TOOLS, find_tool
from edge_kit.cli.render import console, table, write_json
from edge_kit.deploy.adb import DeployError, find_adb
from model_opt.lower import NEWEST
from model_opt.opt_tool import Diagnosis, diagnose
from model_opt.resources import cache_dir, config_dir

LIBRARIES = {"libGL.so.1": "libgl1", "libglib-2.0.so.0": "libglib2.0-0", "libgomp.so.1": "libgomp1"}
"""Shared libraries that OpenCV and Paddle load, and the Debian packages that hold them."""

PACKAGES = ("numpy", "opencv-python", "pyclipper", "onnxruntime", "paddlepaddle", "paddle2onnx", "pillow")


@dataclass(frozen=True)
class Finding:
    """One thing the kit needs: whether it is there, what was found, what to do if not."""

    what: str
    ok: bool
    found: str
    hint: str = ""
    optional: bool = False
    """Whether the kit does its main job without it."""
    package: str = ""
    """The Debian package that would bring it."""

    @property
    def state(self) -> str:
        """Return ``ok``, or whether it is missed or could be there."""
        return "ok" if self.ok else "optional" if self.optional else "missing"


CHECK_PICTURE = "english.png"
"""The picture of configs/regression that is read on a device."""


def run_device_check(device: str, engine: str | None, models: str | None, *, as_json: bool) -> int:
    """Read the check picture on a device; return 1 when its texts are not those of the CPU.

    Raises ``KitError`` where the device cannot be used, saying what to install.
    """
    from edge_kit.api import DeviceChoice, create_pipeline
    from edge_kit.engines.devices import ways

    picture = config_dir() / "regression" / CHECK_PICTURE
    chosen = engine or ("nb" if device.split(":")[0] in ("cpu", "auto") else "server")
    with create_pipeline("ocr", engine=chosen, models=models) as plain:
        (expected,) = plain.predict(str(picture))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeviceChoice)
        pipeline = create_pipeline("ocr", engine=chosen, device=device, models=models)
    with pipeline:
        sets = pipeline.settings
        found = list(pipeline.predict([str(picture)] * pipeline.devices))
    right = all(one.rec_texts == expected.rec_texts for one in found)
    ran = "" if any(way.ran for way in ways(chosen, sets.device)) else "; nobody had run this way before"
    finding = Finding(
        f"device {device}",
        right,
        f"engine {chosen} on {sets.device}: {len(expected.rec_texts)} lines"
        + (" as on the CPU" if right else " that differ from the CPU's")
        + ran
        + (f" ({pipeline.device_note})" if pipeline.device_note else ""),
        "" if right else "do not use this device: compare its driver and package with docs/devices-host.md",
    )
    if as_json:
        write_json({"findings": [vars(finding)]})
    else:
        console().print(
            table(("state", "what", "found", "next"), [(finding.state, finding.what, finding.found, finding.hint)])
        )
    return 0 if right else 1


def run_doctor(*, as_json: bool) -> int:
    """Print what was found; return 1 when something that a build needs is missing."""
    tool = diagnose()
    findings = [*_machine(), *_libraries(), *_packages(), _tool(tool), *_android(), _adb()]
    if as_json:
        tried = [{"source": t.source, "path": str(t.path), "ok": t.ok, "reason": t.reason} for t in tool.tried]
        write_json({"findings": [vars(f) for f in findings], "interpreters_tried": tried})
    else:
        out = console()
        rows = [(f.state, f.what, f.found, f.hint) for f in findings]
        out.print(table(("state", "what", "found", "next"), rows))
        tries = [("ok" if t.ok else "no", t.source, t.path or "-", t.reason) for t in tool.tried]
        out.print(table(("fit", "looked in", "interpreter", "why"), tries, "interpreters tried for paddlelite"))
        line = install_line(findings)
        if line:
            out.print(f"to install what is missing:\n{line}", soft_wrap=True, highlight=False)
    return 0 if all(f.ok or f.optional for f in findings) else 1


def install_line(findings: Sequence[Finding]) -> str:
    """Return the one command that installs every missing package on Debian and Ubuntu; empty where none is missing."""
    packages = dict.fromkeys(f.package for f in findings if f.package and not f.ok)
    return f"sudo apt-get install --yes {' '.join(packages)}" if packages else ""


def _machine() -> list[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    fits = platform.system() == "Linux" and platform.machine() == "x86_64"
    hint = "" if fits else "Paddle Inference and paddlelite have wheels for Linux on x86-64 only"
    return [
        Finding("edge-kit", True, __version__),
        Finding("converter", True, f"the kit's own writer, for Paddle Lite {NEWEST}"),
        Finding("Python", (3, 10) <= sys.version_info[:2] <= (3, 13), python, "use CPython 3.10-3.13"),
        Finding("system", fits, f"{platform.system()} {platform.machine()}", hint),
        _cache(),
    ]


def _cache() -> Finding:
    """Look whether the cache, or the nearest folder above it that exists, can be written to."""
    folder = cache_dir()
    existing = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    fits = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    found = str(folder) if fits else f"{folder} cannot be written to"
    return Finding("cache", fits, found, "EDGE_KIT_CACHE chooses another folder")


def _libraries() -> list[Finding]:
    found = []
    for name, package in LIBRARIES.items():
        try:
            ctypes.CDLL(name)
            found.append(Finding(name, True, "loads"))
        except OSError as error:
            found.append(Finding(name, False, str(error), f"apt-get install {package}", package=package))
    return found


def _packages() -> list[Finding]:
    found = []
    for name in PACKAGES:
        try:
            found.append(Finding(name, True, version(name)))
        except PackageNotFoundError:
            found.append(Finding(name, False, "-", "run ./scripts/edge-kit once, or pip install " + name))
    return found


def _tool(tool: Diagnosis) -> Finding:
    """Say whether Paddle Lite's own programs run: the x86 engine that checks a build independently, and opt."""
    what = "paddlelite (check)"
    if tool.chosen is None:
        without = "a build then says that the check by lite_x86 was not made, and --converter opt cannot run"
        return Finding(what, False, "no fit interpreter", f"{without}; {tool.hint or ''}", optional=True)
    state = "ready" if tool.env else "will be fetched at first use"
    found = f"{tool.chosen.opt_version} on {tool.chosen.path}, {state}"
    return Finding(what, True, found, tool.hint or "", optional=True)


def _android() -> list[Finding]:
    """Look for the programs that a build with the Android app runs."""
    found = []
    for name, package in TOOLS.items():
        path = find_tool(name)
        hint = "" if path else f"apt-get install {package}; without it: build --no-apk"
        found.append(Finding(f"{name} (app)", path is not None, str(path or "-"), hint, package=package))
    return found


def _adb() -> Finding:
    """Look for adb, which only ``verify --device`` and ``bench --device`` run."""
    try:
        return Finding("adb (device)", True, find_adb(), optional=True)
    except DeployError as error:
        hint = f"{error.hint}; only verify --device and bench --device need it"
        return Finding("adb (device)", False, error.what, hint, optional=True)

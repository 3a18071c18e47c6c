"""The app's Maven modules: where their sources are, and how Maven compiles them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edge_kit.android.archive import Entry, write_archive
from edge_kit.android.artifacts import maven_options
from edge_kit.android.errors import AndroidError
from edge_kit.android.tools import OnPoll, require_tools, run_tool
from edge_kit.build.files import walk_files
from model_opt.fs import sha256_bytes, sha256_file

MODULES = ("ocr-core", "engine-opencv", "engine-paddle-lite", "app")
"""The modules whose classes are the app's."""
APP = "app"
_PACKAGE = Path(__file__).resolve().parents[1]
SHORT_RUN = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx1500m"
"""Options of a Java machine that runs for seconds: compiling its own code well would take longer than it saves."""
_LEFT_OUT = ("target", "test", "golden", "build", ".gradle", ".idea")
"""Folders that have no part in the app's classes."""


def maven_env() -> dict[str, str]:
    """Return the variables that make a Maven run short: the user's ``MAVEN_OPTS`` and, behind them, ``SHORT_RUN``."""
    return {"MAVEN_OPTS": f"{os.environ.get('MAVEN_OPTS', '')} {SHORT_RUN}".strip()}


def sources_dir() -> Path:
    """Return the folder of ``android_app``: beside the packages in a checkout, inside the wheel when installed.

    Raises ``AndroidError`` when it is not there.
    """
    in_wheel = _PACKAGE / "_android_app"
    found = in_wheel if in_wheel.is_dir() else _PACKAGE.parent / "android_app"
    if not (found / "pom.xml").is_file():
        raise AndroidError("the app's sources are not there", path=found, hint="use a complete checkout, or --no-apk")
    return found


def sources_fingerprint() -> str:
    """Return one sum over every file that shapes the app's classes: sources, resources and Maven's files."""
    root = sources_dir()
    names = [name for name, _ in walk_files(root) if not set(name.split("/")) & set(_LEFT_OUT)]
    return sha256_bytes("".join(f"{sha256_file(root / name)} {name}\n" for name in names).encode())


def compile_modules(*, offline: bool, on_poll: OnPoll | None = None) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """Compile the modules with Maven in a copy of the sources; return a jar of classes for each, and each ``R.java``.

    Unit tests do not run here. Raises ``ToolFailed`` with Maven's message.
    """
    mvn = require_tools(("mvn",))["mvn"]
    with tempfile.TemporaryDirectory(prefix="edge-kit-app-") as scratch:
        copy = Path(scratch) / "android_app"
        shutil.copytree(sources_dir(), copy, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        run_tool(
            "compile the app",
            [
                mvn, *maven_options(offline=offline), "-f", copy / "pom.xml", "-pl", APP, "-am",
                "-Dmaven.test.skip=true", "compile",
            ],
            env=maven_env(),
            hint="correct the source it names; for a network error, check Maven's settings and start again",
            on_poll=on_poll,
        )  # fmt: skip
        jars = {module: _jar(copy / module / "target" / "classes") for module in MODULES}
        generated = {path.name: path.read_bytes() for path in (copy / APP / "target").rglob("R.java")}
    return jars, generated


def _jar(classes: Path) -> bytes:
    """Return the class files below ``classes`` as a jar; ``AndroidError`` when Maven left none."""
    if not classes.is_dir():
        raise AndroidError("Maven left no classes", path=classes, hint="check the module's pom.xml")
    names = [name for name, _ in walk_files(classes) if name.endswith(".class")]
    return write_archive(Entry(name, (classes / name).read_bytes()) for name in names)

"""Drop the classes and members that an app never uses, by ProGuard."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_kit.android.tools import Tick, java_home, require_tools, run_tool

_MAIN = "proguard.ProGuard"
_PLAIN = "!META-INF/**,!module-info.class,**.class"
"""What is taken from a jar: no signatures, no classes for newer Java, no files of its build."""

OPENCV_CLASSES = "!org/opencv/highgui/**,!org/opencv/osgi/**,org/opencv/**.class"
"""What is taken from the jar of OpenCV's classes: all but windows and bundles of desktop Java."""


@dataclass(frozen=True)
class Program:
    """Class files of an app: jars or folders, each with the filter of names to take (ProGuard's spelling)."""

    parts: Mapping[Path, str]

    @classmethod
    def of(cls, *paths: Path) -> Program:
        """Return a program of all classes in ``paths``."""
        return cls(dict.fromkeys(paths, _PLAIN))


def shrink(
    program: Program, framework: Path, rules: Sequence[Path], shrinker: Sequence[Path], out: Path,
    tick: Tick | None = None,
) -> str:  # fmt: skip
    """Write a jar of what is reachable from ``rules`` to ``out``; names stay, code is not rewritten.

    ``framework`` is the android-all jar, ``shrinker`` ProGuard's class path. Returns what ProGuard said. Raises
    ``ToolFailed`` in its words, above all when a class that is used does not exist.
    """
    java = require_tools(("java",))["java"]
    lines = [f"-injars {_quoted(path)}({names})" for path, names in program.parts.items()]
    lines += [
        f"-outjars {_quoted(out)}",
        f"-libraryjars {_quoted(framework)}(!META-INF/**,**.class)",
        f"-libraryjars {_quoted(java_home() / 'jmods' / 'java.base.jmod')}(!**.jar;!module-info.class)",
        "-dontobfuscate",
        "-dontoptimize",
        "-dontpreverify",
        "-dontnote",
        *(path.read_text(encoding="utf-8") for path in rules),
    ]
    with tempfile.TemporaryDirectory(prefix="edge-kit-shrink-") as scratch:
        settings = Path(scratch) / "settings.pro"
        settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
        classes = ":".join(map(str, shrinker))
        return run_tool(
            "shrink the app's classes",
            [java, "-Xmx1g", "-XX:+UseSerialGC", "-cp", classes, _MAIN, f"@{settings}"],
            hint="a class that is named there must be part of the app, of Android, or of configs/android_rules.pro",
            tick=tick,
        )


def _quoted(path: Path) -> str:
    return '"' + str(path).replace('"', '\\"') + '"'

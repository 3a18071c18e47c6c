"""Drop the classes and members that an app never uses and turn lambdas into classes, by ProGuard.

The options of Kotlin's compiler make classes of lambdas, but its library has been built with invokedynamic since
2.1, whose bootstrap methods Android does not have.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_kit.android.errors import AndroidError
from edge_kit.android.sdk import opened
from edge_kit.android.tools import OnPoll, java_home, require_tools, run_tool

_MAIN = "proguard.ProGuard"
_PLAIN = "!META-INF/**,!module-info.class,**.class"
"""What is taken from a jar: no signatures, no classes for newer Java, no files of its build."""

OPENCV_CLASSES = "!org/opencv/highgui/**,!org/opencv/osgi/**,org/opencv/**.class"
"""What is taken from the jar of OpenCV's classes: all but windows and bundles of desktop Java."""

_KEPT_ATTRIBUTES = "Signature,InnerClasses,EnclosingMethod,Exceptions,SourceFile,LineNumberTable"
"""What is kept beside the code: all but annotations, which only compilers and Kotlin's reflection read."""

_JAVA_8 = 52
"""The version of class files that dx reads at most."""


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
    on_poll: OnPoll | None = None,
) -> str:  # fmt: skip
    """Write a jar of what is reachable from ``rules`` to ``out``: names stay, each lambda is a class, no annotations.

    Classes made of lambdas get short names. ``framework`` is the android-all jar, ``shrinker`` ProGuard's class path.
    Returns what ProGuard said. Raises ``ToolFailed`` with its messages, above all when a class that is used does not
    exist, and ``AndroidError`` for a class file of a newer Java than 8.
    """
    for path in program.parts:
        _refuse_newer(path)
    java = require_tools(("java",))["java"]
    lines = [f"-injars {_quoted(path)}({names})" for path, names in program.parts.items()]
    lines += [
        f"-outjars {_quoted(out)}",
        f"-libraryjars {_quoted(framework)}(!META-INF/**,**.class)",
        f"-libraryjars {_quoted(java_home() / 'jmods' / 'java.base.jmod')}(!**.jar;!module-info.class)",
        "-target 1.7",  # the version before lambdas: ProGuard makes classes of them
        "-keepnames class ** { *; }",
        f"-keepattributes {_KEPT_ATTRIBUTES}",
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
            on_poll=on_poll,
        )


def _refuse_newer(classes: Path) -> None:
    """Raise ``AndroidError`` for a class file newer than Java 8.

    ProGuard would take it up to Java 11 and leave calls of private methods between nested classes, which fail on
    Android.
    """
    for name, head in _heads(classes):
        version = int.from_bytes(head[6:8], "big")
        if version > _JAVA_8:
            raise AndroidError(
                f"the class {name.removesuffix('.class')} is of Java {version - 44}, and Android's tools read Java 8",
                path=classes,
                hint="compile it for Java 1.8",
            )


def _heads(classes: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and first bytes of the class files in a folder or jar; a damaged jar is left to ProGuard's report."""
    if classes.is_dir():
        yield from ((str(path.relative_to(classes)), path.read_bytes()) for path in sorted(classes.rglob("*.class")))
        return
    with opened(classes) as jar:
        for name in jar.namelist():
            if name.endswith(".class") and not name.startswith("META-INF/") and name != "module-info.class":
                try:
                    with jar.open(name) as member:
                        yield name, member.read(8)
                except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
                    return


def _quoted(path: Path) -> str:
    return '"' + str(path).replace('"', '\\"') + '"'

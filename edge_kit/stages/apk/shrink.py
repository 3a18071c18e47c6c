"""The stage ``apk-shrink``: the classes that the app uses, without what dx does not take."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge_kit.android.errors import AndroidError
from edge_kit.android.resources import resource_numbers
from edge_kit.android.shrink import OPENCV_CLASSES, Program, shrink
from edge_kit.android.sources import APP, sources_dir
from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.stages.apk.artifacts import Artifacts, on_poll_of
from edge_kit.stages.apk.results import Classes, Libraries, Resources


def shrink_app(
    context: StageContext,
    artifacts: Artifacts,
    shrinker: Artifacts,
    rules: Path,
    resources: Resources,
    classes: Classes,
    libraries: Libraries,
) -> SealedFile:
    """Return a jar of the classes that are used by the rules, of the app, ``opencv-java`` and ``kotlin-stdlib``.

    dx takes it: each lambda becomes a class.

    Raises ``AndroidError`` unless the code was compiled with the resource numbers of the packaged resources.
    """
    found = artifacts.fetch(context)
    jars = list(shrinker.fetch(context).values())
    if resource_numbers(_read(resources.r_java)) != resource_numbers(_read(classes.r_java)):
        raise AndroidError(
            "Maven and the packager number the app's resources differently",
            path=sources_dir() / APP,
            hint="give aapt2 the same options in both",
        )
    lite = libraries.lite_jar
    modules = [jar.path for jar in classes.jars]
    program = Program.of(*modules, found["kotlin-stdlib"], *([lite.path] if lite else []))
    parts = {**program.parts, found["opencv-java"]: OPENCV_CLASSES}
    out = context.out / "classes.jar"
    with tempfile.TemporaryDirectory(prefix="edge-kit-rules-") as scratch:
        more = Path(scratch) / "lite.pro"
        # Without the runtime the engine's classes find none of its types, and say so in the app.
        more.write_text("" if lite else "-dontwarn com.baidu.paddle.lite.**\n", encoding="utf-8")
        used = [rules, resources.rules.path, more]
        shrink(Program(parts), found["android-all"], used, jars, out, on_poll_of(context, "shrinking"))
    return SealedFile.of(out)


def _read(file: SealedFile) -> bytes:
    return file.path.read_bytes()

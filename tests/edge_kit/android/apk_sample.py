"""A small app of two Activities, packaged by every step of the chain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_kit.android.apk import assemble
from edge_kit.android.config import AndroidConfig
from edge_kit.android.dex import DexFile, make_dex
from edge_kit.android.resources import AppIdentity, Linked, link_resources
from edge_kit.android.shrink import OPENCV_CLASSES, Program, shrink
from edge_kit.android.signing import debug_key, sign_apk
from edge_kit.android.tools import require_tools, run_tool
from model_opt.resources import config_dir

SAMPLE = Path(__file__).parent / "sample_app"
IDENTITY = AppIdentity("org.edgekit.sample", 7, "1.2", 26, 36)


@dataclass(frozen=True)
class Kit:
    """The pinned artifacts by name, and the shrinker's class path."""

    config: AndroidConfig
    paths: dict[str, Path]
    shrinker: tuple[Path, ...]
    framework: Path


@dataclass(frozen=True)
class Sample:
    """What the steps made of the sample app, in ``folder``."""

    folder: Path
    linked: Linked
    shrunk: Path
    dex: Path
    summary: DexFile
    unsigned: Path
    signed: Path


def package_sample(kit: Kit, opencv: dict[str, bytes], out: Path) -> Sample:
    """Run every step of the chain on the sample app, in ``out``."""
    linked = link_resources(
        SAMPLE / "AndroidManifest.xml", SAMPLE / "res", kit.framework, out, IDENTITY, extract_native=False
    )
    classes = out / "classes"
    sources = [*sorted((SAMPLE / "src").rglob("*.java")), *sorted(linked.java.rglob("*.java"))]
    run_tool(
        "compile the sample",
        [
            require_tools(("javac",))["javac"], "-nowarn", "-source", "8", "-target", "8", "-d", classes,
            "-cp", f"{kit.paths['android-all']}:{kit.paths['opencv-java']}", *sources,
        ],
    )  # fmt: skip
    shrunk, dex = out / "shrunk.jar", out / "classes.dex"
    program = Program({classes: "**.class", kit.paths["opencv-java"]: OPENCV_CLASSES})
    shrink(program, kit.paths["android-all"], [config_dir() / "android_rules.pro", linked.rules], kit.shrinker, shrunk)
    summary = make_dex(shrunk, kit.paths["dx"], 26, dex)
    unsigned, signed = out / "unsigned.apk", out / "signed.apk"
    unsigned.write_bytes(assemble(linked.base, dex, {"assets/a.txt": b"hello"}, opencv, stored=True))
    sign_apk(unsigned, signed, debug_key(), 26)
    return Sample(out, linked, shrunk, dex, summary, unsigned, signed)

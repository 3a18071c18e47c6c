"""Lambdas become classes without changing what the program answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_kit.android.desugar import desugar
from edge_kit.android.errors import ToolFailed
from edge_kit.android.sdk import class_names, opened
from edge_kit.android.tools import require_tools, run_tool

pytestmark = pytest.mark.xdist_group("android")
SOURCE = Path(__file__).parent / "lambdas" / "Lambdas.java"


def compiled(folder: Path, *options: str) -> Path:
    """Compile the program of lambdas into a jar."""
    javac = require_tools(("javac",))["javac"]
    run_tool("compile", [javac, "-nowarn", *options, "-d", folder / "classes", SOURCE])
    jar = folder / "in.jar"
    run_tool("pack", [javac.with_name("jar"), "cf", jar, "-C", folder / "classes", "."])
    return jar


def test_lambdas_of_every_kind_answer_the_same_as_classes(android_kit, tmp_path):
    java, jar = require_tools(("java",))["java"], compiled(tmp_path, "-source", "8", "-target", "8")
    desugar(jar, android_kit.paths["asm"], tmp_path / "out.jar")
    before, after = (run_tool("run", [java, "-cp", path, "Lambdas"]) for path in (jar, tmp_path / "out.jar"))
    assert after == before
    assert "42" in before
    made = class_names(tmp_path / "out.jar") - class_names(jar)
    assert len(made) == 13  # javac adds one that reads back the serializable lambda
    with opened(tmp_path / "out.jar") as archive:
        assert not [n for n in archive.namelist() if b"LambdaMetafactory" in archive.read(n)]


def test_the_same_jar_gives_the_same_bytes(android_kit, tmp_path):
    jar = compiled(tmp_path, "-source", "8", "-target", "8")
    for name in ("a.jar", "b.jar"):
        desugar(jar, android_kit.paths["asm"], tmp_path / name)
    assert (tmp_path / "a.jar").read_bytes() == (tmp_path / "b.jar").read_bytes()


def test_another_invokedynamic_is_refused(android_kit, tmp_path):
    jar = compiled(tmp_path, "--release", "11")
    with pytest.raises(ToolFailed, match=r"unknown invokedynamic of java/lang/invoke/StringConcatFactory"):
        desugar(jar, android_kit.paths["asm"], tmp_path / "out.jar")

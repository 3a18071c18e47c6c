"""The shrinker makes classes of lambdas without changing what the program answers, and leaves annotations out."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_kit.android.dex import make_dex
from edge_kit.android.errors import AndroidError, ToolFailed
from edge_kit.android.sdk import class_names, opened
from edge_kit.android.shrink import Program, shrink
from edge_kit.android.tools import require_tools, run_tool
from tests.edge_kit.android.apk_sample import Kit

pytestmark = pytest.mark.xdist_group("android")
SOURCE = Path(__file__).parent / "lambdas" / "Lambdas.java"
KEEP = "-keep class Lambdas { public static void main(java.lang.String[]); }\n"


def compiled(folder: Path, *options: str) -> Path:
    """Compile the program of lambdas into a jar."""
    javac = require_tools(("javac",))["javac"]
    run_tool("compile", [javac, "-nowarn", *options, "-d", folder / "classes", SOURCE])
    jar = folder / "in.jar"
    run_tool("pack", [javac.with_name("jar"), "cf", jar, "-C", folder / "classes", "."])
    return jar


def shrunk(jar: Path, kit: Kit, out: Path) -> Path:
    rules = out.with_suffix(".pro")
    rules.write_text(KEEP)
    shrink(Program.of(jar), kit.paths["android-all"], [rules], kit.shrinker, out)
    return out


@pytest.fixture(scope="module")
def lambdas(android_kit, tmp_path_factory) -> tuple[Path, Path]:
    """The program of lambdas as javac makes it for Java 8, and shrunk."""
    folder = tmp_path_factory.mktemp("lambdas")
    jar = compiled(folder, "-g", "-source", "8", "-target", "8")
    return jar, shrunk(jar, android_kit, folder / "out.jar")


def contents(jar: Path) -> dict[str, bytes]:
    with opened(jar) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_lambdas_of_every_kind_answer_the_same_as_classes(lambdas, android_kit, tmp_path):
    java, (jar, out) = require_tools(("java",))["java"], lambdas
    before, after = (run_tool("run", [java, "-cp", path, "Lambdas"]) for path in (jar, out))
    assert after == before
    assert "42" in before
    assert len(class_names(out) - class_names(jar)) >= 12
    assert not [name for name, data in contents(out).items() if b"LambdaMetafactory" in data]
    assert make_dex(out, android_kit.paths["dx"], 26, tmp_path / "classes.dex").call_sites == 0


@pytest.mark.parametrize("release", ["11", "17"])
def test_classes_newer_than_java_8_are_refused_by_name(android_kit, tmp_path, release):
    jar = compiled(tmp_path, "--release", release)
    for classes in (jar, tmp_path / "classes"):
        with pytest.raises(AndroidError, match=rf"the class Lambdas\S* is of Java {release}") as caught:
            shrunk(classes, android_kit, tmp_path / "out.jar")
        assert caught.value.path == str(classes)


def test_a_damaged_jar_is_reported_by_the_shrinker(android_kit, tmp_path):
    jar = compiled(tmp_path, "-source", "8", "-target", "8")
    data = jar.read_bytes()
    at = data.index(b"Lambdas.class") + 40
    jar.write_bytes(data[:at] + bytes(20) + data[at + 20 :])
    with pytest.raises(ToolFailed, match=r"in\.jar"):
        shrunk(jar, android_kit, tmp_path / "out.jar")


def test_annotations_stay_out_and_names_and_lines_stay(lambdas):
    jar, out = lambdas
    assert any(b"RuntimeVisibleAnnotations" in data for data in contents(jar).values())
    made = contents(out)
    for attribute in (b"RuntimeVisibleAnnotations", b"RuntimeInvisibleAnnotations", b"LocalVariableTable"):
        assert not [name for name, data in made.items() if attribute in data]
    for word in (b"LineNumberTable", b"Lambdas.java", b"twice", b"Signature", b"InnerClasses"):
        assert word in made["Lambdas.class"], word


def test_the_same_jar_gives_the_same_classes(lambdas, android_kit, tmp_path):
    jar, out = lambdas
    assert contents(shrunk(jar, android_kit, tmp_path / "again.jar")) == contents(out)

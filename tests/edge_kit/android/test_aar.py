"""Core and engines for an app of one's own: an AAR that Maven installs, and an example that compiles."""

from __future__ import annotations

import io
import shutil
import xml.etree.ElementTree as tree
import zipfile

import pytest

from edge_kit.android.artifacts import maven_options
from edge_kit.android.sources import sources_dir
from edge_kit.android.tools import missing_tools, require_tools, run_tool

pytestmark = pytest.mark.xdist_group("android")
ANDROID = "{http://schemas.android.com/apk/res/android}"
LAYOUT = {"AndroidManifest.xml", "classes.jar", "R.txt", "proguard.txt"}


def test_maven_makes_an_aar_of_core_and_engines_and_the_example_compiles(tmp_path, lacking):
    if missing_tools(("mvn", "javac")):
        lacking("not installed: mvn, javac")
    copy = tmp_path / "android_app"
    shutil.copytree(sources_dir(), copy, ignore=shutil.ignore_patterns("target", "test", "golden"))
    options = [*maven_options(offline=False), "-f", copy / "pom.xml", "-pl", "ocr-android", "-am"]
    env = {"MAVEN_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    run_tool("make the AAR", [require_tools(("mvn",))["mvn"], *options, "-Dmaven.test.skip=true", "package"], env=env)
    target = copy / "ocr-android" / "target"
    assert (target / "classes" / "ExampleKt.class").is_file()
    with zipfile.ZipFile(next(target.glob("*.aar"))) as aar:
        assert set(aar.namelist()) == LAYOUT
        manifest = tree.fromstring(aar.read("AndroidManifest.xml"))
        assert manifest.find("uses-sdk").attrib == {f"{ANDROID}minSdkVersion": "26"}
        assert manifest.attrib["package"] == "org.edgekit.ocr.library"
        with zipfile.ZipFile(io.BytesIO(aar.read("classes.jar"))) as jar:
            classes = {name for name in jar.namelist() if name.endswith(".class")}
    held = {f"org/edgekit/ocr/{name}.class" for name in ("OcrPipeline", "opencv/OpenCvEngine", "lite/PaddleLiteEngine")}
    assert held <= classes
    assert not [name for name in classes if not name.startswith("org/edgekit/ocr/")]

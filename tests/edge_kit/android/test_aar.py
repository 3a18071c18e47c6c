"""Core and engines for an app of one's own: an AAR that Maven installs, and an example that compiles."""

from __future__ import annotations

import io
import os
import re
import shutil
import xml.etree.ElementTree as tree
import zipfile
from pathlib import Path

import pytest

from edge_kit.android.sources import maven_env, sources_dir
from edge_kit.android.tools import missing_tools, require_tools, run_tool

pytestmark = [pytest.mark.app, pytest.mark.xdist_group("android")]
ANDROID = "{http://schemas.android.com/apk/res/android}"
LAYOUT = {"AndroidManifest.xml", "classes.jar", "R.txt", "proguard.txt", "LICENSE"}


LICENCE = (sources_dir().parent / "LICENSE").read_bytes()
PARENT = sources_dir() / "pom.xml"
CONSUMER = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId><artifactId>consumer</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.edgekit</groupId><artifactId>engine-opencv</artifactId><version>0.1.0</version></dependency>
    <dependency><groupId>org.bytedeco</groupId><artifactId>opencv</artifactId><version>{opencv}</version></dependency>
    <dependency><groupId>org.robolectric</groupId><artifactId>android-all</artifactId><version>{android}</version>
      <scope>provided</scope></dependency>
  </dependencies>
  <build><sourceDirectory>src</sourceDirectory><plugins><plugin>
    <groupId>org.jetbrains.kotlin</groupId><artifactId>kotlin-maven-plugin</artifactId><version>{kotlin}</version>
    <executions><execution><phase>compile</phase><goals><goal>compile</goal></goals></execution></executions>
    <configuration><jvmTarget>1.8</jvmTarget></configuration>
  </plugin></plugins></build>
</project>
"""


def test_what_maven_installs_is_a_valid_aar_and_jars_that_the_example_compiles_against(tmp_path, lacking):
    if missing_tools(("mvn", "javac")):
        lacking("not installed: mvn, javac")
    copy, repository = tmp_path / "android_app", tmp_path / "repository"
    shutil.copytree(sources_dir(), copy, ignore=shutil.ignore_patterns("target", "test", "golden"))
    empty_beside(local_repository(), repository)
    wanted = ["-pl", "ocr-android", "-am", "-Dmaven.test.skip=true", "install"]
    run_maven("install the libraries", repository, "-f", copy / "pom.xml", *wanted)
    assert (copy / "ocr-android" / "target" / "classes" / "ExampleKt.class").is_file()
    installed = repository / "org" / "edgekit"
    check_aar(next((installed / "ocr-android").rglob("*.aar")))
    for module in ("ocr-core", "engine-opencv"):
        with zipfile.ZipFile(next((installed / module).rglob("*.jar"))) as jar:
            assert jar.read("META-INF/LICENSE") == LICENCE
    example = copy / "ocr-android" / "src" / "example" / "kotlin" / "Example.kt"
    assert_compiles(example, tmp_path / "consumer", repository, away=copy)


def check_aar(path: Path) -> None:
    """Hold an AAR to the layout that Android's tools take, and to what is ours."""
    with zipfile.ZipFile(path) as aar:
        assert set(aar.namelist()) == LAYOUT
        manifest = tree.fromstring(aar.read("AndroidManifest.xml"))
        assert manifest.find("uses-sdk").attrib == {f"{ANDROID}minSdkVersion": "26"}
        assert manifest.attrib["package"] == "org.edgekit.ocr.library"
        with zipfile.ZipFile(io.BytesIO(aar.read("classes.jar"))) as jar:
            classes = {name for name in jar.namelist() if name.endswith(".class")}
            assert jar.read("META-INF/LICENSE") == aar.read("LICENSE") == LICENCE
    held = {f"org/edgekit/ocr/{name}.class" for name in ("OcrPipeline", "opencv/OpenCvEngine", "lite/PaddleLiteEngine")}
    assert held <= classes
    assert not [name for name in classes if not name.startswith("org/edgekit/ocr/")]


def assert_compiles(example: Path, project: Path, repository: Path, *, away: Path) -> None:
    """Compile ``example`` in a project of its own, which knows only what is installed; the sources are moved away."""
    (project / "src").mkdir(parents=True)
    shutil.copy(example, project / "src")
    shutil.rmtree(away)
    text = PARENT.read_text(encoding="utf-8")
    names = {"opencv": "opencv.version", "android": "android.all.version", "kotlin": "kotlin.version"}
    versions = {name: re.search(rf"<{tag}>(.+?)</{tag}>", text).group(1) for name, tag in names.items()}
    (project / "pom.xml").write_text(CONSUMER.format(**versions), encoding="utf-8")
    run_maven("compile the example", repository, "-f", project / "pom.xml", "compile")
    assert (project / "target" / "classes" / "ExampleKt.class").is_file()


def local_repository() -> Path:
    """Return Maven's own local repository, where this machine's artifacts are."""
    own = os.environ.get("EDGE_KIT_MAVEN_REPO")
    return Path(own).expanduser().resolve() if own else Path.home() / ".m2" / "repository"


def empty_beside(real: Path, mine: Path) -> None:
    """Make ``mine`` a repository that shares everything with ``real`` but ``org.edgekit``, which it lacks."""
    for folder in ("", "org"):
        (mine / folder).mkdir(parents=True)
        (real / folder).mkdir(parents=True, exist_ok=True)  # a machine on which Maven never ran
        for entry in (real / folder).iterdir():
            if entry.relative_to(real).as_posix() not in ("org", "org/edgekit"):
                (mine / folder / entry.name).symlink_to(entry)


def run_maven(what: str, repository: Path, *arguments: str | Path) -> None:
    command = [require_tools(("mvn",))["mvn"], "-B", "-ntp", "-Dstyle.color=never", "-Dkotlin.compiler.daemon=false"]
    run_tool(what, [*command, f"-Dmaven.repo.local={repository}", *arguments], env=maven_env())

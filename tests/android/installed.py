"""Core and engines for an app of one's own: an AAR that Maven installs, and an example that compiles."""

from __future__ import annotations

import io
import os
import re
import shutil
import xml.etree.ElementTree as tree
import zipfile
from pathlib import Path

from edge_kit.android.sources import maven_env, sources_dir
from edge_kit.android.tools import require_tools, run_tool

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


def check_installed(repository: Path) -> None:
    """Hold what Maven installed to an app's needs: an AAR of core and engines, plain jars, a licence in each."""
    installed = repository / "org" / "edgekit"
    check_aar(next((installed / "ocr-android").rglob("*.aar")))
    for module in ("ocr-core", "engine-opencv"):
        with zipfile.ZipFile(next((installed / module).rglob("*.jar"))) as jar:
            assert jar.read("META-INF/LICENSE") == LICENCE


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


def assert_compiles(example: Path, project: Path, repository: Path) -> None:
    """Compile ``example`` in a project of its own, which knows of the modules only what ``repository`` has."""
    (project / "src").mkdir(parents=True)
    shutil.copy(example, project / "src")
    text = PARENT.read_text(encoding="utf-8")
    names = {"opencv": "opencv.version", "android": "android.all.version", "kotlin": "kotlin.version"}
    versions = {name: re.search(rf"<{tag}>(.+?)</{tag}>", text).group(1) for name, tag in names.items()}
    (project / "pom.xml").write_text(CONSUMER.format(**versions), encoding="utf-8")
    run_tool(
        "compile the example",
        [
            require_tools(("mvn",))["mvn"], "-B", "-ntp", "-Dstyle.color=never", "-Dkotlin.compiler.daemon=false",
            f"-Dmaven.repo.local={repository}", "-f", project / "pom.xml", "compile",
        ],
        env=maven_env(),
    )  # fmt: skip
    assert (project / "target" / "classes" / "ExampleKt.class").is_file()


GROUPS = ("com", "io", "org/apache", "org/bytedeco", "org/codehaus", "org/jetbrains", "org/junit", "org/robolectric")
"""Folders of a local repository that fill up on a machine on which Maven never ran."""


def without_modules(folder: Path) -> None:
    """Make ``folder`` a local repository that shares all with Maven's own but ``org.edgekit``, which it lacks."""
    given = os.environ.get("EDGE_KIT_MAVEN_REPO")
    own = Path(given).expanduser().resolve() if given else Path.home() / ".m2" / "repository"
    for name in GROUPS:
        (own / name).mkdir(parents=True, exist_ok=True)
    for part in ("", "org"):
        (folder / part).mkdir(parents=True)
        for entry in (own / part).iterdir():
            if entry.relative_to(own).as_posix() not in ("org", "org/edgekit"):
                (folder / part / entry.name).symlink_to(entry)

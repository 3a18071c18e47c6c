"""The Gradle project: its numbers are those of Maven's and the packager's, and its launcher runs the pinned release."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import subprocess
import xml.etree.ElementTree as tree
import zipfile
from pathlib import Path

import pytest

from edge_kit import __version__
from edge_kit.android.config import load_android
from tests.model_opt.zoo_samples import serving

ANDROID = Path(__file__).resolve().parents[2] / "android_app"
POM = {"m": "http://maven.apache.org/POM/4.0.0"}
MODULES = ("ocr-core", "engine-opencv", "paddle-lite-api", "engine-paddle-lite", "app")
WRAPPER = "gradle/wrapper/gradle-wrapper.properties"

# https://developer.android.com/build/releases/agp-8-11-0-release-notes: the API that AGP builds for at most, and the
# Gradle that it needs at least; https://kotlinlang.org/docs/gradle-configure-project.html: what Kotlin's plugin is for.
AGP_8_11 = {"api": 36, "gradle": (8, 13)}
KOTLIN_2_2_20 = {"gradle": ((7, 6, 3), (8, 14)), "agp": ((7, 3, 1), (8, 11, 1))}


def script(name: str = ".") -> str:
    return (ANDROID / name / "build.gradle.kts").read_text(encoding="utf-8")


def number(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def plugins() -> dict[str, str]:
    return dict(re.findall(r'id\("([\w.]+)"\) version "([\d.]+)" apply false', script()))


def properties() -> dict[str, str]:
    lines = (ANDROID / WRAPPER).read_text(encoding="utf-8").splitlines()
    return {key: value.replace("\\", "") for key, _, value in (line.partition("=") for line in lines)}


def gradle() -> str:
    found = re.fullmatch(
        r"https://services\.gradle\.org/distributions/gradle-([\d.]+)-bin\.zip", properties()["distributionUrl"]
    )
    assert found
    return found.group(1)


def maven_properties() -> dict[str, str]:
    found: dict[str, str] = {"project.version": __version__}
    for name in (".", "app"):
        element = tree.parse(ANDROID / name / "pom.xml").getroot().find("m:properties", POM)
        found |= {child.tag.rpartition("}")[2]: child.text or "" for child in element or ()}
    return found


def maven_dependencies(module: str) -> set[tuple[str, str]]:
    """What a module's pom names, as (Gradle's kind, group:artifact:version[:classifier])."""
    values = maven_properties()
    kinds = {"compile": "implementation", "provided": "compileOnly", "test": "testImplementation"}

    def text(element: tree.Element, name: str) -> str:
        raw = element.findtext(f"m:{name}", "", POM)
        return re.sub(r"\$\{([\w.]+)\}", lambda match: values[match.group(1)], raw)

    managed = {}
    for row in tree.parse(ANDROID / "pom.xml").getroot().findall("m:dependencyManagement/m:dependencies/*", POM):
        managed[text(row, "groupId"), text(row, "artifactId")] = text(row, "version")
    found = set()
    for row in tree.parse(ANDROID / module / "pom.xml").getroot().findall("m:dependencies/*", POM):
        group, artifact, classifier = (text(row, name) for name in ("groupId", "artifactId", "classifier"))
        version = text(row, "version") or managed[group, artifact]
        spelled = ":".join(filter(None, (group, artifact, version, classifier)))
        found.add((kinds[text(row, "scope") or "compile"], spelled))
    return found


def gradle_dependencies(module: str) -> set[tuple[str, str]]:
    return set(re.findall(r'(\w+)\("([\w.]+:[\w.:-]+)"\)', script(module)))


def test_versions_fit_each_other_and_those_of_maven():
    found, kotlin = plugins(), maven_properties()["kotlin.version"]
    agp = found["com.android.application"]
    assert found["org.jetbrains.kotlin.android"] == found["org.jetbrains.kotlin.jvm"] == kotlin == "2.2.20"
    assert number(agp)[:2] == (8, 11)
    assert number(gradle()) >= AGP_8_11["gradle"]
    for name, version in (("gradle", gradle()), ("agp", agp)):
        least, most = KOTLIN_2_2_20[name]
        assert least <= number(version) <= most
    assert load_android().target_sdk <= AGP_8_11["api"]
    assert set(found) == {"com.android.application", "org.jetbrains.kotlin.android", "org.jetbrains.kotlin.jvm"}


def test_the_app_has_the_packagers_numbers():
    config, text = load_android(), script("app")
    major, minor, patch = number(__version__)
    for line in (
        f'applicationId = "{config.application}"',
        f"minSdk = {config.min_sdk}",
        f"targetSdk = {config.target_sdk}",
        f"compileSdk = {config.target_sdk}",
        f'versionName = "{__version__}"',
        f"versionCode = {major * 10000 + minor * 100 + patch}",
        f"useLegacyPackaging = {str(config.extract_native).lower()}",
    ):
        assert re.search(rf"^ +{re.escape(line)}$", text, re.MULTILINE), line
    rules = re.search(r'proguardFiles\("(.+)"\)', text)
    assert rules
    assert (ANDROID / "app" / rules.group(1)).resolve().is_file()


def test_maven_links_the_app_with_the_packagers_numbers():
    config, text = load_android(), (ANDROID / "app" / "resources.xml").read_text(encoding="utf-8")
    assert f"--min-sdk-version {config.min_sdk} --target-sdk-version {config.target_sdk}" in text
    assert f"package=&quot;{config.application}&quot;" in text
    assert f'from="$${{applicationId}}" to="{config.application}"' in text


def test_the_source_manifest_names_no_package_and_the_namespace_is_that_of_the_code():
    manifest = tree.parse(ANDROID / "app" / "src" / "main" / "AndroidManifest.xml").getroot()
    assert "package" not in manifest.attrib
    assert 'namespace = "org.edgekit.ocr.app"' in script("app")
    name = "{http://schemas.android.com/apk/res/android}name"
    classes = [element.attrib[name] for element in manifest.iter() if element.tag in ("activity", "application")]
    assert classes
    assert all(each.startswith("org.edgekit.ocr.app.") for each in classes)


def test_kotlin_is_compiled_as_by_maven():
    parent = tree.parse(ANDROID / "pom.xml").getroot()
    arguments = {element.text for element in parent.iterfind(".//m:args/m:arg", POM)}
    shared = {argument for argument in arguments if argument and not argument.startswith(("-Xnull", "-Xsuppress"))}
    assert {"-Xlambdas=class", "-Xsam-conversions=class"} <= shared
    assert set(re.findall(r'"(-X[a-z]+(?:-[a-z]+)*=[\w.]+)"', script())) == shared
    # The Android plugin gives the app Android's own classes.
    assert set(re.findall(r'"(-X[a-z]+(?:-[a-z]+)*=[\w.]+)"', script("app"))) == shared - {"-Xjdk-release=1.8"}
    for text in (script(), script("app")):
        assert re.search(r"compilerOptions \{\s+jvmTarget\.set\(JvmTarget\.JVM_1_8\)", text)
        assert "kotlinOptions" not in text


@pytest.mark.parametrize("module", MODULES)
def test_modules_depend_on_what_maven_gives_them(module):
    assert f'":{module}"' in (ANDROID / "settings.gradle.kts").read_text(encoding="utf-8")
    # Gradle adds Kotlin's library and Android's classes by itself, and names other modules by their path.
    own = ("org.jetbrains.kotlin:kotlin-stdlib:", "org.robolectric:android-all:", "org.edgekit:")
    wanted = {(kind, name) for kind, name in maven_dependencies(module) if not name.startswith(own)}
    found = gradle_dependencies(module)
    if module == "app":
        # The archive for Android in place of the classes alone, which the tests need beside the host's library.
        classes = next(
            name for kind, name in wanted if kind == "compileOnly" and name.startswith("org.bytedeco:opencv")
        )
        version = classes.rpartition(":")[2].partition("-")[0]
        assert ("implementation", f"org.opencv:opencv:{version}") in found
        wanted -= {("compileOnly", classes)}
        wanted |= {("testImplementation", classes)}
    assert wanted <= found, wanted - found


def test_every_module_with_tests_in_the_project_can_run_them():
    for module in MODULES:
        has_tests = (ANDROID / module / "src" / "test").is_dir()
        assert has_tests == any(kind == "testImplementation" for kind, _ in gradle_dependencies(module)), module


def test_the_wrapper_task_writes_the_release_that_is_pinned():
    assert f'gradleVersion = "{gradle()}"' in script()
    assert f'distributionSha256Sum = "{properties()["distributionSha256Sum"]}"' in script()
    assert not list((ANDROID / "gradle").rglob("*.jar"))


# The launcher.


def distribution() -> bytes:
    """An archive that stands in for Gradle's: a program that says how it was called."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("gradle-8.13/bin/gradle")
        info.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(info, '#!/bin/sh\necho "called:"\nprintf "%s\\n" "$@"\n')
    return out.getvalue()


@pytest.fixture
def project(tmp_path, lacking):
    """A copy of launcher and properties, and a way to run them against a loopback server."""
    for program in ("curl", "unzip"):
        if not any((Path(folder) / program).exists() for folder in os.environ["PATH"].split(":")):
            lacking(f"not installed: {program}")
    folder = tmp_path / "my app"
    (folder / "gradle" / "wrapper").mkdir(parents=True)
    (folder / "gradlew").write_bytes((ANDROID / "gradlew").read_bytes())
    (folder / "gradlew").chmod(0o755)
    with serving() as server:

        def run(*arguments: str, sum_of: bytes, **env: str) -> subprocess.CompletedProcess[str]:
            text = (ANDROID / WRAPPER).read_text(encoding="utf-8")
            text = re.sub(r"(?m)^distributionUrl=.*$", "distributionUrl=" + server.url("/g.zip"), text)
            found = hashlib.sha256(sum_of).hexdigest()
            text = re.sub(r"(?m)^distributionSha256Sum=.*$", "distributionSha256Sum=" + found, text)
            (folder / WRAPPER).write_text(text, encoding="utf-8")
            env = {**os.environ, "GRADLE_USER_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1", **env}
            return subprocess.run(
                [folder / "gradlew", *arguments], capture_output=True, text=True, check=False, env=env, cwd=tmp_path
            )

        yield server, run, folder


def test_the_launcher_fetches_gradle_once_and_hands_its_arguments_on(project):
    server, run, folder = project
    server.add("/g.zip", distribution())
    for _ in range(2):
        done = run(":app:assembleRelease", "-PedgekitAssets=a b", sum_of=distribution())
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            "called:", "--project-dir", str(folder), ":app:assembleRelease", "-PedgekitAssets=a b",
        ]  # fmt: skip
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("served", "message"),
    [(b"another file", "has the SHA-256"), (None, "could not be fetched")],
)
def test_the_launcher_runs_nothing_that_is_not_the_pinned_release(project, tmp_path, served, message):
    server, run, _ = project
    if served is not None:
        server.add("/g.zip", served)
    done = run("tasks", sum_of=distribution())
    assert done.returncode == 2
    assert message in done.stderr
    assert "next:" in done.stderr
    assert "called" not in done.stdout
    assert list((tmp_path / "home" / "wrapper" / "edge-kit").iterdir()) == []


def test_the_launcher_says_when_it_has_no_home(project):
    _, run, _ = project
    done = run("tasks", sum_of=b"", GRADLE_USER_HOME="", HOME="")
    assert done.returncode == 2
    assert "neither GRADLE_USER_HOME nor HOME is set" in done.stderr

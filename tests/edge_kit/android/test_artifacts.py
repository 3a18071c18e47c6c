from __future__ import annotations

import os

import pytest

from edge_kit.android.artifacts import fetch_artifacts, maven_options
from edge_kit.android.config import AndroidConfig, Pin, load_android
from edge_kit.android.errors import AndroidError, ArtifactError
from model_opt import store
from model_opt.errors import ChecksumError
from model_opt.fs import sha256_bytes
from model_opt.resources import config_dir

DATA = b"an artifact"
PIN = Pin("g", "a", "1", "aar", None, sha256_bytes(DATA))
TWIN = Pin("g", "a", "1", "aar", None, sha256_bytes(DATA + b"!"))

FAKE_MVN = """#!/usr/bin/env python3
import pathlib, sys, xml.etree.ElementTree as tree
pom = pathlib.Path(sys.argv[sys.argv.index("-f") + 1])
with open({log!r}, "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
space = "{{http://maven.apache.org/POM/4.0.0}}"
for item in tree.parse(pom).iter(space + "artifactItem"):
    get = lambda key: item.find(space + key).text
    folder = pathlib.Path(get("outputDirectory").replace("${{basedir}}", str(pom.parent)))
    folder.mkdir(parents=True)
    (folder / f"{{get('artifactId')}}-{{get('version')}}.{{get('type')}}").write_bytes({data!r})
"""


@pytest.fixture
def maven(tmp_path, monkeypatch):
    """A Maven that serves DATA for every artifact; its log has one line a start."""
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    log = tmp_path / "log"
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(FAKE_MVN.format(log=str(log), data=DATA))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return log


def test_an_artifact_is_fetched_once_and_then_read_from_the_cache(maven):
    path = fetch_artifacts([PIN])[PIN]
    assert path.name == "a-1.aar"
    assert path.read_bytes() == DATA
    assert fetch_artifacts([PIN, PIN]) == {PIN: path}
    assert len(maven.read_text().splitlines()) == 1


def test_a_damaged_file_of_the_cache_is_fetched_again(maven):
    path = fetch_artifacts([PIN])[PIN]
    path.write_bytes(b"damaged")
    assert fetch_artifacts([PIN])[PIN].read_bytes() == DATA
    assert len(maven.read_text().splitlines()) == 2


def test_another_file_than_the_pinned_one_is_refused_and_not_kept(maven):
    with pytest.raises(ChecksumError, match="g:a:1:aar"):
        fetch_artifacts([TWIN])
    assert store.find(TWIN.sha256, "twin") is None


def test_a_failing_maven_is_told_in_its_own_words(maven, tmp_path):
    (tmp_path / "bin" / "mvn").write_text("#!/bin/sh\necho '[ERROR] no such artifact'\nexit 1\n")
    with pytest.raises(ArtifactError, match=r"cannot fetch g:a:1:aar: mvn ended with code 1\n.*no such artifact"):
        fetch_artifacts([PIN])
    with pytest.raises(ArtifactError) as caught:
        fetch_artifacts([PIN], offline=True)
    assert caught.value.hint == "run once without --offline"


def test_the_users_repository_and_offline_reach_maven(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_KIT_MAVEN_REPO", str(tmp_path))
    assert f"-Dmaven.repo.local={tmp_path}" in maven_options(offline=False)
    assert "-o" in maven_options(offline=True)
    monkeypatch.delenv("EDGE_KIT_MAVEN_REPO")
    assert not [option for option in maven_options(offline=False) if "repo.local" in option]


def test_the_projects_file_pins_everything_the_packager_uses():
    config = load_android()
    assert isinstance(config, AndroidConfig)
    assert (config.min_sdk, config.target_sdk) == (26, 36)
    assert config.artifacts["opencv-android"].coordinates == "org.opencv:opencv:4.11.0:aar"
    assert config.artifacts["opencv-java"].filename == "opencv-4.11.0-1.5.12.jar"
    assert set(config.lite_arch) <= set(config.abis)


def test_a_wrong_key_is_named(tmp_path):
    text = (config_dir() / "android.yaml").read_text().replace("min_sdk: 26", "min_sdk: 21")
    (tmp_path / "android.yaml").write_text(text)
    with pytest.raises(AndroidError, match="min_sdk"):
        load_android(tmp_path / "android.yaml")

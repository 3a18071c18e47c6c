"""The chain's own pieces, made once a run: pinned artifacts and the sample app."""

from __future__ import annotations

import pytest

from edge_kit.android.artifacts import fetch_artifacts
from edge_kit.android.config import load_android
from edge_kit.android.native import opencv_libraries
from edge_kit.android.sdk import framework_apk
from edge_kit.android.tools import missing_tools
from tests.edge_kit.android.apk_sample import Kit, Sample, package_sample


@pytest.fixture(scope="session")
def android_kit(tmp_path_factory, lacking) -> Kit:
    missing = missing_tools()
    if missing:
        lacking(f"not installed: {', '.join(missing)}")
    config = load_android()
    found = fetch_artifacts([*config.artifacts.values(), *config.shrinker])
    framework = tmp_path_factory.mktemp("framework") / "fw.apk"
    framework.write_bytes(framework_apk(found[config.artifacts["android-all"]]))
    paths = {name: found[pin] for name, pin in config.artifacts.items()}
    return Kit(config, paths, tuple(found[pin] for pin in config.shrinker), framework)


@pytest.fixture(scope="session")
def opencv(android_kit: Kit) -> dict[str, bytes]:
    return opencv_libraries(
        android_kit.paths["opencv-android"], android_kit.paths["opencv-android-stl"], ("arm64-v8a",)
    )


@pytest.fixture(scope="session")
def sample(android_kit: Kit, opencv: dict[str, bytes], tmp_path_factory) -> Sample:
    return package_sample(android_kit, opencv, tmp_path_factory.mktemp("sample"))

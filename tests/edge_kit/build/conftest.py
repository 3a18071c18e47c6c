from __future__ import annotations

from pathlib import Path

import pytest

from edge_kit.build.cache import StageCache
from edge_kit.build.manifest import Manifest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "kit-cache"
    monkeypatch.setenv("EDGE_KIT_CACHE", str(folder))
    return folder


@pytest.fixture
def cache(own_cache: Path) -> StageCache:
    return StageCache(own_cache / "stages")


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        target="arm64",
        recipe="fp32",
        device_profile="generic-arm64",
        created_from={"det": {"sha256": "0" * 64, "source": "a wheel"}},
        models={"det": {"opt_version": "v2.14-rc", "ops": 199}},
        verification={"det": {"max_diff": 1.23456789e-7}},
        tools={"opt": "2.14rc0"},
    )

"""A clean cache with the downloads in it, and a small set of images to verify on."""

import pytest

from edge_kit.jobs import models
from edge_kit.verify.regression import regression_set
from model_opt.resources import cache_dir
from tests.no_oracle import NO_ORACLE


@pytest.fixture(scope="session")
def shared_downloads():
    """Folders of the cache that hold downloads, so that a clean cache need not fetch them again."""
    from edge_kit.stages.oracle import find_oracle
    from model_opt.zoo import fetch

    find_oracle(offline=False)
    fetch("PP-OCRv4_mobile_det")
    fetch("PP-OCRv4_mobile_rec")
    return cache_dir()


@pytest.fixture
def clean_cache(shared_downloads, tmp_path, monkeypatch):
    """A cache without a single result, but with the downloads."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("files", "tools", "models"):
        if (shared_downloads / name).is_dir():
            (cache / name).symlink_to(shared_downloads / name)
    monkeypatch.setenv("EDGE_KIT_CACHE", str(cache))
    return cache


@pytest.fixture
def two_images(monkeypatch):
    """Verification on two small images, for tests that are not about its result."""
    few = tuple(image for image in regression_set() if image.name in {"street_sign.png", "empty.png"})
    monkeypatch.setattr(models, "regression_set", lambda: few)


@pytest.fixture
def without_oracle(shared_downloads, monkeypatch):
    """Builds without Paddle Lite's x86 engine."""
    for name, value in NO_ORACLE.items():
        monkeypatch.setenv(name, value)

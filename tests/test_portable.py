"""A build needs nothing that only POSIX systems have: it runs with those modules and functions absent.

Windows and macOS themselves were not run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.no_oracle import NO_ORACLE

SCRIPT = Path(__file__).with_name("portable_cli.py")
ROOT = SCRIPT.parent.parent


def run_portable(*arguments: str | Path, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "warn_default_encoding", SCRIPT, *arguments]
    # No such system has Paddle Lite's own engine.
    env = {**os.environ, **NO_ORACLE, "PYTHONPATH": str(ROOT), "EDGE_KIT_CACHE": str(cache)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=800)


MODELS = "pp-ocrv6-tiny"
"""The set that builds soonest."""


@pytest.mark.xdist_group("build")
@pytest.mark.integration
def test_a_bundle_is_built_and_replaced_without_posix(tmp_path):
    from model_opt.resources import cache_dir

    cache, bundle = tmp_path / "cache", tmp_path / "bundle"
    assert run_portable("models", "fetch", MODELS, cache=cache_dir()).returncode == 0
    cache.mkdir()
    for name in ("files", "models"):  # downloads are not what is tried here
        (cache / name).symlink_to(cache_dir() / name)
    for recipe in ("fp32", "weight_int16"):
        done = run_portable(
            *("build", "--target", "arm64", "--models", MODELS, "--no-apk", "--recipe", recipe),
            *("--out", bundle, "--offline"),
            cache=cache,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads((bundle / "manifest.json").read_bytes())["recipe"] == recipe
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".bundle")] == []


def test_doctor_answers_without_posix(tmp_path):
    done = run_portable("doctor", cache=tmp_path)
    assert "Traceback" not in done.stderr, done.stderr
    assert "numpy" in done.stdout

"""A sample of ``scripts/bench_fuzz_formats.py``: damaged files end in typed errors."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "bench_fuzz_formats.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("bench_fuzz_formats", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["pir", "yml", "kind", "onnx"])
def test_the_undamaged_files_go_through(fuzz, name):
    tried = fuzz.formats()[name]
    outcomes = {tried.attempt(files) for files in tried.seeds}
    through, settings = {"passes: optimised"}, {"read as det", "read as rec", "read as cls"}
    assert outcomes == {"pir": through, "yml": settings, "kind": {"paddle", "pir", "onnx"}, "onnx": through}[name]


@pytest.mark.parametrize(("name", "count"), [("pir", 300), ("yml", 300), ("kind", 300), ("onnx", 300)])
def test_damaged_files_end_in_typed_errors(fuzz, name, count):
    rng = random.Random(7)
    tried = fuzz.formats()[name]
    outcomes = [fuzz.one_run(rng, tried) for _ in range(count)]
    assert [outcome for outcome, files in outcomes if files] == []
    assert len({outcome for outcome, _ in outcomes}) >= 2

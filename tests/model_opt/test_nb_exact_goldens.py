"""The exact emulation against tensors of the real ARM engine: single kernels and whole models."""

from pathlib import Path

import numpy as np
import pytest

from model_opt.nb import inspect_nb, read_nb
from model_opt.nb.exact import run_exact

SHARED = Path(__file__).resolve().parents[3] / "shared" / "lite_golden"
MICRO = SHARED / "micro"


def names(kind):
    return sorted(path.name.split(".")[0] for path in MICRO.glob(f"*.{kind}.nb")) or ["needs the shared data"]


def answer(path, x):
    model = read_nb(path)
    (y, *_) = run_exact(model, {inspect_nb(model).inputs[0].name: x}).values()
    return y


def golden(name, key):
    with np.load(MICRO / f"{name}.npz") as found:
        return found["input"], found[key].astype(np.float32)


@pytest.mark.parametrize("name", names("static_int8"))
def test_static_int8_kernels_equal_the_engine_but_for_float_noise(shared_dir, name):
    x, expected = golden(name, "out_static_int8")
    y = answer(MICRO / f"{name}.static_int8.nb", x).reshape(expected.shape)
    assert np.abs(y - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", names("fp16"))
def test_fp16_kernels_are_within_two_steps_of_the_engine(shared_dir, name):
    x, expected = golden(name, "out_fp16")
    y = answer(MICRO / f"{name}.fp16.nb", x).reshape(expected.shape)
    assert (np.isfinite(y) == np.isfinite(expected)).mean() >= 0.99
    finite = np.isfinite(y) & np.isfinite(expected)
    if not finite.any():
        return
    step = float(np.spacing(np.float16(np.abs(expected[finite]).max())))
    assert (np.abs(y[finite] - expected[finite]) <= 2 * step).mean() >= 0.99


def test_the_whole_static_int8_detector_flips_no_pixel(shared_dir):
    with np.load(SHARED / "det_static_int8_text_320x320.npz") as found:
        expected = found["out_static_int8"]
    with np.load(SHARED / "det_text_320x320.npz") as found:
        x = found["input"]
    y = answer(SHARED / "det_static_int8.nb", x)
    assert np.count_nonzero((y > 0.3) != (expected > 0.3)) == 0
    assert np.abs(y - expected).max() < 1e-4


def test_the_fp16_detector_shows_the_nan_of_a_phone(shared_dir):
    with np.load(SHARED / "det_text_320x320.npz") as found:
        x, expected = found["input"], found["out_fp16"]
    y = answer(SHARED / "det_fp16.nb", x)
    assert np.count_nonzero(~np.isfinite(expected)) > 10_000
    assert (np.isfinite(y) == np.isfinite(expected)).mean() >= 0.99

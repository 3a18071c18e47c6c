"""The published ONNX models of PP-OCRv6: read, written as Paddle's files, optimised, and run beside the originals."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from model_opt.convert import ConvertOptions, ModelPair, OwnWriter
from model_opt.formats import read_model
from model_opt.formats.onnx_model import read_onnx
from model_opt.fs import sha256_bytes
from model_opt.lower import Target, lower
from model_opt.nb import read_nb
from model_opt.nb.to_onnx import to_onnx
from model_opt.nb.write import write_nb
from model_opt.paddle_model import write_model
from model_opt.passes import optimise
from tests.model_opt.formats.onnx_graphs import run_onnx
from tests.model_opt.formats.onnx_wheels import SUMS, V5_SUMS, v5_file, v6_file
from tests.model_opt.formats.pictures import inputs_of
from tests.model_opt.formats.published import predictor, v5_mobile
from tests.model_opt.passes_float64 import run_float64

pytestmark = pytest.mark.integration

NOISE = {"tiny det": 5e-4, "tiny rec": 1e-5, "small det": 5e-5, "small rec": 1e-5}
"""How far ONNX Runtime's probabilities may be from those in float64. The tiny detector makes most of rounding: relative
changes of 1e-7 to its input move its map by 3e-5.
"""
PADDLE_NOISE = {"tiny det": 3e-3, "tiny rec": 5e-5, "small det": 3e-4, "small rec": 3e-5}
"""The same between ONNX Runtime and Paddle Inference, which adds up averages one number after another."""


MODELS = [pytest.param(name, marks=pytest.mark.xdist_group(f"onnx {name}")) for name in SUMS]
"""Each model's tests run in one process, which keeps the answers."""

OPERATORS = {
    "tiny det": {"arm": 165, "opencl": 150},
    "tiny rec": {"arm": 69, "opencl": 65},
    "small det": {"arm": 165, "opencl": 150},
    "small rec": {"arm": 146, "opencl": 144},
}
"""Operators of the files for Paddle Lite, feed and fetch among them."""


@functools.cache
def model_of(name):
    return read_onnx(v6_file(name), None)


@functools.cache
def optimised(name):
    return optimise(model_of(name))[0]


@functools.cache
def answers(name):
    return [run_onnx(v6_file(name), x) for x in inputs_of(name)]


@functools.cache
def exact_answers(name):
    return [run_float64(model_of(name), x) for x in inputs_of(name)]


@pytest.mark.parametrize("name", MODELS)
def test_the_program_in_float64_is_the_original_but_for_its_rounding(name):
    for found, expected in zip(exact_answers(name), answers(name), strict=True):
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= NOISE[name]
        assert np.quantile(np.abs(found - expected), 0.99) <= 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_paddle_inference_on_the_written_files_agrees_with_the_original(name, tmp_path):
    files = tmp_path / "inference.pdmodel", tmp_path / "inference.pdiparams"
    write_model(model_of(name), *files)
    run = predictor(*files)
    for x, expected in zip(inputs_of(name), answers(name), strict=True):
        far = np.abs(run(x) - expected)
        assert far.max() <= PADDLE_NOISE[name]
        assert np.quantile(far, 0.99) <= max(4e-5, PADDLE_NOISE[name] / 10)


@pytest.mark.parametrize("name", MODELS)
def test_the_passes_keep_every_result(name):
    """In float64, so that nothing but the rounding of the new weights to float32 is between the two."""
    for x, before in zip(inputs_of(name), exact_answers(name), strict=True):
        assert np.abs(before - run_float64(optimised(name), x)).max() <= 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_each_file_for_paddle_lite_is_small_and_computes_the_original(name, shared_dir):
    """On tensors of the server's pipeline, against what the server got for them."""
    recorded = np.load(shared_dir / "server_tensors" / f"paddleocr_3.7_v6{name.split()[0]}_onnxruntime_raw.npz")
    for place, count in OPERATORS[name].items():
        made = lower(optimised(name), Target(place))
        assert len(made.ops) <= count
        file = to_onnx(read_nb(write_nb(made)))
        for x, expected in server_tensors(recorded, name.split()[1]):
            far = np.abs(run_onnx(file, x) - expected)
            assert far.max() <= 2 * NOISE[name]  # both engines round
            assert np.quantile(far, 0.99) <= 1e-5


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("options", [ConvertOptions("arm"), ConvertOptions("opencl,arm")], ids=["arm", "opencl"])
def test_opt_takes_it_and_the_own_writer_makes_the_same_bytes(name, env, options, tmp_path):
    files = ModelPair(tmp_path / "a.pdmodel", tmp_path / "a.pdiparams")
    write_model(optimised(name), files.program_file, files.params_file)
    env.convert(files, options, tmp_path / "a.nb")
    own = write_nb(OwnWriter().in_memory(optimised(name), options))
    assert sha256_bytes((tmp_path / "a.nb").read_bytes()) == sha256_bytes(own)


@pytest.mark.parametrize("role", V5_SUMS)
def test_an_export_of_v5_is_the_program_that_paddle_saved(role, tmp_path):
    """Read from ONNX and from PIR, the same model computes the same and comes to the same operators."""
    files = v5_mobile(role, tmp_path)
    model, x = read_onnx(v5_file(role), None), inputs_of(f"mobile {role}")[0]
    saved = read_model(files / "inference.json", files / "inference.pdiparams")
    np.testing.assert_allclose(run_float64(model, x), run_float64(saved, x), rtol=0, atol=1e-9)
    for place in ("arm", "opencl"):
        counts = [len(lower(optimise(each)[0], Target(place)).ops) for each in (model, saved)]
        assert counts[0] == counts[1]


def server_tensors(recorded, role):
    """Yield inputs and outputs of the server's models; probabilities below 1e-6 were recorded as 0."""
    for key in recorded.files:
        if key.endswith("_in") and f"/{role}" in key:
            yield recorded[key], recorded[key.removesuffix("_in") + "_out"]

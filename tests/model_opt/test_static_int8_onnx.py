"""Static int8 files as ONNX compute what Paddle Lite's own kernels gave on ARM."""

from __future__ import annotations

import numpy as np
import pytest
from static_int8_onnx import Form, static_int8_onnx, watched_onnx

from model_opt.emulator import emulate
from model_opt.nb import read_nb

CASES = ["conv1x1", "conv1x1_hard_swish", "conv1x1_relu", "conv3x3s1", "conv3x3s2", "dw3x3s1", "dw5x5s2"]
CHAINS = ["chain_1x1_dw_1x1", "chain_hard_swish"]


def micro(shared_dir, name):
    """Return a file of one or few kernels, an input, and the exact answer, which the ARM engine's data proves."""
    folder = shared_dir / "lite_golden" / "micro"
    model = read_nb(folder / f"int8_{name}.static_int8.nb")
    given = np.load(folder / f"int8_{name}.npz")["input"]
    feed = next(op for op in model.ops if op.type == "feed")
    (exact,) = emulate(model, {feed.outputs["Out"][0]: given}).values()
    return model, given, exact


def opencv(data, given):
    import cv2

    net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    net.setInput(given)
    return net.forward()


def runtime(data, given, outputs=None):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(outputs, {session.get_inputs()[0].name: given})


@pytest.mark.parametrize("name", CASES)
def test_integers_give_the_answers_of_the_arm_kernels(shared_dir, name):
    model, given, exact = micro(shared_dir, name)
    unit = np.abs(exact).max()
    quantised = static_int8_onnx(model, Form.QDQ)
    assert np.abs(opencv(quantised, given) - exact).max() < 1e-5 * unit
    assert np.abs(runtime(quantised, given)[0] - exact).max() < 1e-5 * unit


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_of_integers_is_off_by_a_step_at_most_where_a_value_lies_between_two(shared_dir, name):
    model, given, exact = micro(shared_dir, name)
    found = opencv(static_int8_onnx(model, Form.QDQ), given)
    far = np.abs(found - exact) > 1e-5 * np.abs(exact).max()
    assert far.mean() < 0.01


@pytest.mark.parametrize("name", CASES)
def test_an_output_in_8_bits_is_off_by_its_rounding_alone(shared_dir, name):
    model, given, exact = micro(shared_dir, name)
    data, watched = watched_onnx(model)
    ((filter_, (output, _)),) = watched.items()
    (plain,) = runtime(data, given, [output])
    low, high = min(float(plain.min()), 0.0), max(float(plain.max()), 0.0)
    found = opencv(static_int8_onnx(model, Form.QLINEAR, {filter_: (low, high)}), given)
    steepest = 1.5 if name.endswith("hard_swish") else 1.0
    off = np.abs(found - exact).max() * 255 / (high - low)
    assert 0.1 < off < 1.05 * steepest


def test_convinteger_holds_the_same_integers_without_sign(shared_dir):
    model, _, _ = micro(shared_dir, "conv1x1")
    data = static_int8_onnx(model, Form.INTEGER)
    filter_ = next(op for op in model.ops if op.type == "conv2d").inputs["Filter"][0]
    assert b"ConvInteger" in data
    assert (model.params[filter_].astype(np.int16) + 128).astype(np.uint8).tobytes() in data

"""int8 weights stay int8 in ONNX, and every engine computes the same with them."""

from __future__ import annotations

import numpy as np
import pytest

from model_opt.nb import read_nb
from model_opt.nb.compact_onnx import _on_grid, to_compact_onnx
from model_opt.nb.to_onnx import to_onnx
from model_opt.opt_tool import ConvertOptions, ModelPair, convert, find_tool
from model_opt.paddle_model import read_model, write_model
from model_opt.passes import optimise


@pytest.fixture(scope="module")
def made(mobile_det, mobile_rec, tmp_path_factory):
    """The two models, through the passes, as fp32 and weight-only int8 files."""
    folder, tool = tmp_path_factory.mktemp("nb"), find_tool()
    found = {}
    for role, model in (("det", mobile_det), ("rec", mobile_rec)):
        pair = ModelPair(folder / f"{role}.pdmodel", folder / f"{role}.pdiparams")
        write_model(optimise(read_model(model.pdmodel, model.pdiparams))[0], pair.pdmodel, pair.pdiparams)
        for bits in (None, 8):
            target = folder / f"{role}_{bits}.nb"
            convert(pair, ConvertOptions(weight_bits=bits), target, env=tool)
            found[role, bits] = read_nb(target)
    return found


def opencv(data: bytes, given: np.ndarray) -> np.ndarray:
    import cv2

    net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
    net.setInput(given)
    return net.forward()


def runtime(data: bytes, given: np.ndarray) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: given})[0]


@pytest.mark.parametrize("engine", [opencv, runtime])
@pytest.mark.parametrize(("role", "shape"), [("det", (1, 3, 96, 128)), ("rec", (1, 3, 48, 320))])
def test_engines_answer_as_with_floats_from_less_than_half_the_bytes(made, engine, role, shape):
    model = made[role, 8]
    plain, compact = to_onnx(model), to_compact_onnx(model)
    assert len(compact) < 0.45 * len(plain)
    given = np.random.default_rng(1).random(shape, dtype=np.float32)
    assert np.abs(engine(compact, given) - engine(plain, given)).max() < 2e-6


@pytest.mark.parametrize("role", ["det", "rec"])
def test_a_model_of_floats_gives_the_very_bytes_of_to_onnx(made, role):
    assert to_compact_onnx(made[role, None]) == to_onnx(made[role, None])


def test_the_same_model_gives_the_same_bytes(made):
    assert to_compact_onnx(made["det", 8]) == to_compact_onnx(made["det", 8])


def test_only_rows_that_come_back_as_they_were_count_as_a_grid():
    random = np.random.default_rng(2)
    scales = random.random(200).astype(np.float32) * np.float32(0.01)
    whole = random.integers(-127, 128, (200, 50))
    whole[:, 0] = 127
    whole[3] = 0
    rows = whole.astype(np.float32) * scales[:, None]
    steps, found = _on_grid(rows)
    assert np.array_equal(steps.astype(np.float32) * found[:, None], rows)
    assert np.array_equal(steps, whole)
    moved = rows.copy()
    moved[7, 5] = np.nextafter(moved[7, 5], np.float32(1))
    assert _on_grid(moved) is None
    coarse = whole.astype(np.float32) * np.float32(0.003)
    coarse[1:] = np.rint(coarse[1:] / np.float32(0.003) / 4) * np.float32(0.003)
    assert np.array_equal(np.multiply(_on_grid(coarse)[0], _on_grid(coarse)[1][:, None]), coarse)
    assert _on_grid(np.full((1, 4), np.nan, np.float32)) is None

"""The app's ONNX declares its input size and keeps int8 weights; engines compute with it what they do without."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from model_opt.convert import ConvertOptions, ModelPair, OwnWriter
from model_opt.nb import read_nb
from model_opt.nb.compact_onnx import (
    InputSize,
    _Quantised,
    _steps,
    _two_bytes,
    compact_graph,
    declare,
    to_compact_onnx,
)
from model_opt.nb.errors import NbError
from model_opt.nb.means import BY_ROWS, with_means
from model_opt.nb.onnx_inputs import onnx_inputs
from model_opt.nb.to_onnx import IR_VERSION, OPSET, to_onnx
from model_opt.nb.translate import fold, translate
from model_opt.nb.translate.proto import Graph, Node, encode_model
from model_opt.paddle_model import PaddleModelError, read_model, write_model
from model_opt.passes import optimise
from model_opt.quantize.stored import StoredWeights, store_nearest, to_rows, with_stored_weights

SIZES = {"det": InputSize(96, 128), "rec": InputSize(48, 320)}


@pytest.fixture(scope="module")
def made(mobile_det, mobile_rec, tmp_path_factory):
    """The two models, through the passes, as fp32 and weight-only int8 files."""
    folder = tmp_path_factory.mktemp("nb")
    found = {}
    for role, model in (("det", mobile_det), ("rec", mobile_rec)):
        pair = ModelPair(folder / f"{role}.pdmodel", folder / f"{role}.pdiparams")
        write_model(optimise(read_model(model.program_file, model.params_file))[0], pair.program_file, pair.params_file)
        for bits in (None, 8):
            target = folder / f"{role}_{bits}.nb"
            OwnWriter().convert(pair, ConvertOptions(weight_bits=bits), target)
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
    plain, compact = to_onnx(model), to_compact_onnx(model, SIZES[role])
    assert len(compact) < 0.45 * len(plain)
    given = np.random.default_rng(1).random(shape, dtype=np.float32)
    assert np.abs(engine(compact, given) - engine(plain, given)).max() < 2e-6


def test_16_bit_weights_pack_better_as_integers_than_as_floats(mobile_rec, tmp_path):
    target = tmp_path / "rec.nb"
    pair = ModelPair(mobile_rec.program_file, mobile_rec.params_file)
    OwnWriter().convert_export(pair, ConvertOptions(weight_bits=16), target)
    model = read_nb(target)
    plain, compact = to_onnx(model), to_compact_onnx(model, SIZES["rec"])
    packed = [len(zlib.compress(data, 9)) for data in (plain, compact)]
    assert packed[1] < 0.76 * packed[0]
    given = np.random.default_rng(1).random((1, 3, 48, 320), dtype=np.float32)
    for engine in (opencv, runtime):
        assert np.abs(engine(compact, given) - engine(plain, given)).max() < 2e-6


@pytest.mark.parametrize("role", ["det", "rec"])
def test_a_model_of_floats_differs_from_to_onnx_in_the_declared_size_alone(made, role):
    plain, compact = to_onnx(made[role, None]), to_compact_onnx(made[role, None], SIZES[role])
    size = SIZES[role]
    assert onnx_inputs(compact) == {"x": (1, 3, size.height, size.width)}
    assert onnx_inputs(plain) == {"x": (1, 3, None if role == "det" else 48, None)}
    assert 0 < len(compact) - len(plain) < 16


WIDTHS = [(1, 3, 48, width) for width in (151, 320, 700, 1500)]


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize(
    ("role", "size", "shapes"),
    [
        ("det", InputSize(960, 960), [(1, 3, 320, 320), (1, 3, 640, 960)]),
        ("rec", InputSize(48, 320), WIDTHS),
        ("rec", InputSize(48, 480), WIDTHS[:2]),
    ],
)
def test_opencv_answers_bit_for_bit_as_with_an_open_size(made, role, size, shapes, bits):
    model = made[role, bits]
    declared = to_compact_onnx(model, size)
    free = encode_model(compact_graph(model), opset=OPSET, ir_version=IR_VERSION, producer=("a", "b"))
    assert any(side is None for side in onnx_inputs(free)["x"])
    for shape in shapes:
        given = np.random.default_rng(shape).random(shape, dtype=np.float32)
        assert np.array_equal(opencv(declared, given), opencv(free, given))


def test_opencv_takes_a_mean_by_rows_with_more_digits():
    graph = Graph(
        (Node("GlobalAveragePool", ("x",), ("y",), {}),), {}, (("x", (1, 2, 480, 640)),), (("y", (1, 2, 1, 1)),)
    )
    given = np.random.default_rng(4).random((1, 2, 480, 640), dtype=np.float32)
    exact = given.astype(np.float64).mean((2, 3), keepdims=True)
    errors = [
        np.abs(opencv(encode_model(one, opset=OPSET, ir_version=IR_VERSION, producer=("a", "b")), given) - exact).max()
        for one in (graph, with_means(graph, BY_ROWS))
    ]
    assert errors[1] < 1e-6 < 5e-6 < errors[0]


def test_a_file_with_means_by_rows_answers_as_the_other(made):
    plain, by_rows = (to_compact_onnx(made["det", None], SIZES["det"], by_rows=rows) for rows in (False, True))
    assert [data.count(b"GlobalAveragePool_") for data in (plain, by_rows)] == [10, 0]
    assert [data.count(b"ReduceMean_") for data in (plain, by_rows)] == [0, 20]
    given = np.random.default_rng(1).random((1, 3, 96, 128), dtype=np.float32)
    assert np.abs(opencv(by_rows, given) - opencv(plain, given)).max() < 1e-5


@pytest.mark.parametrize("shape", [(1, 3, 48), (1, 3), (1, 1, 3, 48, 320)])
def test_an_input_that_is_no_image_is_refused(shape):
    graph = Graph((Node("Identity", ("x",), ("y",), {}),), {}, (("x", shape),), (("y", None),))
    with pytest.raises(NbError, match="is no image"):
        declare(graph, InputSize(48, 320))


def test_inputs_are_read_from_any_onnx_file_and_weights_are_none():
    weights = {"w": np.ones((2, 3), np.float32)}
    graph = Graph((Node("MatMul", ("x", "w"), ("y",), {}),), weights, (("x", (1, 2)), ("w", (2, 3))), (("y", None),))
    data = encode_model(graph, opset=OPSET, ir_version=IR_VERSION, producer=("a", "b"))
    assert onnx_inputs(data) == {"x": (1, 2)}
    assert onnx_inputs(b"") == {}
    for damaged in (data[:-7], b"\xff" * 40):
        with pytest.raises(PaddleModelError):
            onnx_inputs(damaged)


def test_the_same_model_gives_the_same_bytes(made):
    assert to_compact_onnx(made["det", 8], SIZES["det"]) == to_compact_onnx(made["det", 8], SIZES["det"])


def test_only_weights_that_the_scales_give_back_are_integers():
    random = np.random.default_rng(2)
    scales = random.random(200).astype(np.float32) * np.float32(0.01)
    whole = random.integers(-127, 128, (200, 50))
    whole[3] = 0
    rows = whole.astype(np.float32) * scales[:, None]
    found = _steps(rows, _Quantised(127, scales))
    assert found.dtype == np.int8
    assert np.array_equal(found, whole)
    wide = whole.astype(np.int32) * 256
    found = _steps(wide.astype(np.float32) * scales[:, None], _Quantised(32767, scales))
    assert found.dtype == np.int32
    assert np.array_equal(found, wide)
    assert _steps(wide.astype(np.float32) * scales[:, None], _Quantised(127, scales)) is None
    moved = rows.copy()
    moved[7, 5] = np.nextafter(moved[7, 5], np.float32(1))
    assert _steps(moved, _Quantised(127, scales)) is None
    assert _steps(rows, _Quantised(127, scales / 2)) is None
    assert _steps(np.full((1, 4), np.nan, np.float32), _Quantised(127, scales[:1])) is None


def test_two_bytes_hold_every_16_bit_integer():
    steps = np.arange(-32768, 32768).astype(np.int32).reshape(2, -1)
    _, parts = _two_bytes("w", 0, steps, np.ones(2, np.float32))
    high = parts["w/high"].astype(np.float32) * parts["bytes/high"]
    low = (parts["w/low"].astype(np.float32) - parts["bytes/zero"]) * parts["bytes/low"]
    assert np.array_equal(high + low, steps)


def stored_model(model, folder, slots, bits, halved=False):
    """Return the ``.nb`` file of ``model`` with some operators' weights rounded to ``bits`` in turns, and these."""
    model = optimise(read_model(model.program_file, model.params_file))[0]
    names = dict.fromkeys(op.input(slots[op.type]) for op in model.program.main.ops if op.type in slots)
    stored = {}
    for index, name in enumerate(names):
        one = store_nearest(to_rows(model.params[name]), bits[index % len(bits)])
        if halved:
            one = StoredWeights((one.rows // 2).astype(one.rows.dtype), one.scales * np.float32(2))
        stored[name] = one
    pair = ModelPair(folder / "own.pdmodel", folder / "own.pdiparams")
    write_model(with_stored_weights(model, stored), pair.program_file, pair.params_file)
    return read_nb(OwnWriter().convert(pair, ConvertOptions(), folder / "own.nb").path), stored


def test_rows_that_stop_short_of_127_and_16_bit_rows_come_back_too(mobile_rec, tmp_path):
    found, stored = stored_model(mobile_rec, tmp_path, {"conv2d": "Filter"}, (8, 16), halved=True)
    given = np.random.default_rng(1).random((1, 3, 48, 320), dtype=np.float32)
    plain, compact = to_onnx(found), to_compact_onnx(found, SIZES["rec"])
    saved = sum((4 - one.rows.itemsize) * one.rows.size for one in stored.values())
    assert 0.95 * saved < len(plain) - len(compact) < saved
    for engine in (opencv, runtime):
        assert np.abs(engine(compact, given) - engine(plain, given)).max() < 2e-6


@pytest.mark.parametrize("bits", [(8,), (16,), (8, 16)])
def test_opencv_restores_weights_bit_for_bit_when_it_loads_the_file(mobile_det, tmp_path, bits):
    import cv2

    found, _ = stored_model(mobile_det, tmp_path, {"conv2d": "Filter", "depthwise_conv2d": "Filter"}, bits)
    plain = encode_model(
        declare(fold(translate(found)), SIZES["det"]), opset=OPSET, ir_version=IR_VERSION, producer=("a", "b")
    )
    compact = to_compact_onnx(found, SIZES["det"])
    assert len(compact) < 0.6 * len(plain)
    layers = [cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8)).getLayerNames() for data in (plain, compact)]
    assert len(layers[0]) == len(layers[1])
    given = np.random.default_rng(1).random((1, 3, 96, 128), dtype=np.float32)
    assert np.array_equal(opencv(compact, given), opencv(plain, given))

"""The nb engine: equal to the server on files that opt makes for phones, whatever the size or the threads."""

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_kit.engines.base import EngineError, EngineOptions
from edge_kit.engines.nb import ExactNbEngine, NbEngine, open_nb
from edge_kit.engines.server import ServerEngine
from model_opt.convert import ConvertOptions
from model_opt.nb import NbError, read_nb
from model_opt.nb.to_onnx import to_onnx

CPU = EngineOptions()
SIZES = {"det": [(320, 320), (640, 640), (960, 704)], "rec": [(48, 320), (48, 333), (48, 1280)], "cls": [(48, 192)]}
KINDS = list(SIZES)
PLACES = ["arm", "opencl,arm"]


@pytest.fixture(scope="module")
def models(mobile_det, mobile_rec, mobile_cls):
    return {"det": mobile_det, "rec": mobile_rec, "cls": mobile_cls}


@pytest.fixture(scope="module")
def converted(models, env, tmp_path_factory):
    """Convert a model with opt, once for each set of options."""
    folder = tmp_path_factory.mktemp("nb")

    def make(kind: str, **options) -> Path:
        wanted = ConvertOptions(**options)
        path = folder / f"{kind}-{wanted.label}.nb"
        return path if path.is_file() else env.convert(models[kind], wanted, path).path

    return make


@pytest.fixture(scope="module")
def servers(models):
    engines = {kind: ServerEngine(model, CPU) for kind, model in models.items()}
    yield engines
    for engine in engines.values():
        engine.close()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng([height, width]).uniform(-1, 1, (1, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_official_models_equal_the_server_at_every_size(converted, servers, kind, place):
    """One engine for all sizes, and the first size again: nothing of a run stays behind."""
    engine = NbEngine(converted(kind, place=place), CPU)
    for height, width in [*SIZES[kind], SIZES[kind][0]]:
        x = noise(height, width)
        expected = servers[kind].run(x)
        found = engine.run(x)
        assert found.shape == expected.shape
        assert float(np.abs(found - expected).max()) <= 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_several_images_at_once_are_read_as_each_alone(converted, kind):
    engine = NbEngine(converted(kind), CPU)
    height, width = SIZES[kind][0]
    x = np.random.default_rng(3).uniform(-1, 1, (3, 3, height, width)).astype(np.float32)
    alone = np.concatenate([engine.run(x[i : i + 1]) for i in range(3)])
    assert float(np.abs(engine.run(x) - alone).max()) <= 1e-6
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run(x)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_opencv_answers_the_same_from_the_same_file(converted, kind, place):
    path = converted(kind, place=place)
    engine = NbEngine(path, CPU)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(to_onnx(read_nb(path)), np.uint8))
    for height, width in SIZES[kind]:
        x = noise(height, width)
        net.setInput(x)
        assert float(np.abs(net.forward() - engine.run(x)).max()) <= 1e-5


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_of_a_gpu_file_are_those_of_the_arm_file(converted, kind, bits):
    """opt quantises before it chooses kernels, so the two files must answer alike."""
    arm, gpu = (NbEngine(converted(kind, place=place, weight_bits=bits), CPU) for place in PLACES)
    x = noise(*SIZES[kind][0])
    assert float(np.abs(arm.run(x) - gpu.run(x)).max()) <= 1e-5


WEIGHT_ONLY = [
    ("det", "det_text_320x320", 8),
    ("det", "det_text_320x320", 16),
    ("rec", "rec_text_48x320", 8),
    ("rec", "rec_text_48x320", 16),
    ("cls", "cls_text_48x192", 8),
    ("cls", "cls_text_48x192", 16),
]


@pytest.mark.parametrize(("kind", "case", "bits"), WEIGHT_ONLY)
def test_weight_only_models_equal_the_arm_engine(converted, shared_dir, kind, case, bits):
    """Within 1e-4; the recogniser's golden outputs are kept in fp16, half a step of which is theirs."""
    golden = np.load(shared_dir / "lite_golden" / f"{case}.npz")
    expected = golden[f"out_int{bits}"]
    kept = np.spacing(np.abs(expected)).astype(np.float32) / 2 if expected.dtype == np.float16 else 0.0
    found = NbEngine(converted(kind, place="arm", weight_bits=bits), CPU).run(golden["input"])
    assert float((np.abs(found - expected.astype(np.float32)) - kept).max()) <= 1e-4
    if kind == "det":
        assert int(((found > 0.3) != (expected > 0.3)).sum()) == 0
    else:
        assert np.array_equal(found.argmax(-1), expected.argmax(-1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_does_not_depend_on_the_threads(converted, kind):
    path = converted(kind, place="arm")
    x = noise(*SIZES[kind][0])
    one, *others = (NbEngine(path, EngineOptions(threads=threads)).run(x) for threads in (1, 2, 4))
    for other in others:
        assert np.array_equal(one, other)


def test_threads_may_share_an_engine(converted):
    engine = NbEngine(converted("rec", place="arm"), CPU)
    inputs = [noise(48, width) for width in (320, 400, 480, 560)]
    expected = [engine.run(x) for x in inputs]
    found: dict[int, np.ndarray] = {}
    workers = [threading.Thread(target=lambda i=i: found.update({i: engine.run(inputs[i])})) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(found[i], expected[i]) for i in range(4))


@pytest.mark.parametrize(
    ("name", "fact"), [("det_fp16", "computes in fp16"), ("rec_fp16", "fp16"), ("det_static_int8", "computes in int8")]
)
def test_other_arithmetic_than_fp32_is_refused(shared_dir, name, fact):
    with pytest.raises(NbError, match=fact) as caught:
        NbEngine(shared_dir / "lite_golden" / f"{name}.nb", CPU)
    assert "exact emulation" in str(caught.value.hint)


def test_a_damaged_file_is_refused(tmp_path, shared_dir):
    data = (shared_dir / "lite_golden" / "cls_fp32.nb").read_bytes()
    path = tmp_path / "cut.nb"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(NbError):
        NbEngine(path, CPU)


@pytest.fixture
def golden_rec(shared_dir):
    return NbEngine(shared_dir / "lite_golden" / "rec_fp32.nb", CPU)


@pytest.mark.parametrize("shape", [(1, 1, 48, 320), (1, 3, 32, 320)])
def test_an_input_of_another_shape_is_refused(golden_rec, shape):
    with pytest.raises(EngineError, match=r"takes inputs of \[1, 3, 48, any\]"):
        golden_rec.run(np.zeros(shape, dtype=np.float32))


def test_lines_of_a_batch_are_read_as_each_alone(golden_rec):
    lines = np.random.default_rng(0).uniform(-1, 1, (2, 3, 48, 320)).astype(np.float32)
    together = golden_rec.run(lines)
    alone = np.concatenate([golden_rec.run(line[None]) for line in lines])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_an_input_that_the_model_cannot_take_is_an_error_that_says_so(shared_dir):
    engine = NbEngine(shared_dir / "lite_golden" / "det_fp32.nb", CPU)
    with pytest.raises(EngineError, match="does not run on an input") as caught:
        engine.run(np.zeros((1, 3, 100, 100), dtype=np.float32))
    assert "multiples of 32" in str(caught.value.hint)


def test_an_output_that_is_not_finite_is_an_error(golden_rec):
    x = noise(48, 320)
    x[0, 0, 5, 5] = np.nan
    with pytest.raises(EngineError, match="NaN or infinite"):
        golden_rec.run(x)


def test_a_device_other_than_the_cpu_is_refused(shared_dir):
    with pytest.raises(EngineError, match="cannot run on device 'gpu:0'"):
        NbEngine(shared_dir / "lite_golden" / "cls_fp32.nb", EngineOptions(device="gpu:0"))


def test_a_closed_engine_says_so(golden_rec):
    golden_rec.close()
    golden_rec.close()
    with pytest.raises(EngineError, match="was closed"):
        golden_rec.run(noise(48, 320))


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("det_fp32", NbEngine),
        ("det_weight_int8", NbEngine),
        ("det_fp16", ExactNbEngine),
        ("det_static_int8", ExactNbEngine),
    ],
)
def test_each_precision_gets_the_engine_that_computes_it(shared_dir, name, engine):
    path = shared_dir / "lite_golden" / f"{name}.nb"
    assert type(open_nb(path, EngineOptions())) is engine

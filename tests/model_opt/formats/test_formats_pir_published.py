"""PP-OCRv5 mobile as published: what is read of it computes what Paddle computes of the original files."""

import numpy as np
import onnxruntime
import pytest

from model_opt.convert import ConvertOptions, ModelPair, OwnWriter
from model_opt.formats import kind_of, read_model
from model_opt.formats.inference_yml import read_inference_yml
from model_opt.fs import sha256_bytes, sha256_file
from model_opt.nb import write_nb
from model_opt.nb.to_onnx import to_onnx
from model_opt.paddle_model import output_classes, write_model
from model_opt.passes import optimise
from tests.model_opt.formats.published import predictor, v5_mobile
from tests.model_opt.passes_float64 import run_float64

pytestmark = pytest.mark.integration
SHAPES = {"det": [(320, 320), (448, 640)], "rec": [(48, 320), (48, 480), (48, 1000)]}
SUMS = {
    "det": "05feef1acb00aa4cd7362b15f7f501fc4f99d7b1fa73c1c871e0c7b1504b0f5c",
    "rec": "24587345250c7332d0fc6f9a44e794d078cdaeb64c302fef906f325619de2569",
}


@pytest.fixture(scope="module", params=["det", "rec"])
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return v5_mobile(kind, tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module")
def original(folder):
    return predictor(folder / "inference.json", folder / "inference.pdiparams")


@pytest.fixture(scope="module")
def model(folder):
    return read_model(folder / "inference.json", folder / "inference.pdiparams")


def written(model, folder):
    files = folder / "made.pdmodel", folder / "made.pdiparams"
    write_model(model, *files)
    return predictor(*files)


def inputs(kind):
    draw = np.random.default_rng(5)
    return [draw.standard_normal((1, 3, *shape)).astype(np.float32) for shape in SHAPES[kind]]


def test_the_files_are_the_published_ones(folder, kind):
    assert sha256_file(folder / "inference.json") == SUMS[kind]
    assert kind_of(folder / "inference.json") == "pir"


def test_the_program_read_computes_the_same_bits(model, original, kind, tmp_path):
    made = written(model, tmp_path)
    for x in inputs(kind):
        assert original(x).tobytes() == made(x).tobytes()


def test_the_passes_keep_what_it_computes(model, original, kind, tmp_path):
    optimised, _ = optimise(model)
    made = written(optimised, tmp_path)
    assert len(optimised.program.ops) < len(model.program.ops)
    for x in inputs(kind):
        np.testing.assert_allclose(made(x), original(x), atol=1e-4 if kind == "det" else 1e-5, rtol=0)


def test_it_computes_what_the_recorded_server_did(model, kind, shared_dir, tmp_path):
    """Recorded from PaddleOCR 3.7 itself; probabilities below 1e-6 are zero in the recording."""
    optimised, _ = optimise(model)
    made = written(optimised, tmp_path)
    recorded = np.load(shared_dir / "server_tensors" / "paddleocr_3.7_v5mobile_raw.npz")
    names = [name.removesuffix("_in") for name in recorded.files if name.endswith("_in") and kind in name]
    assert len(names) == {"det": 2, "rec": 4}[kind]
    for name in names:
        found, wanted = made(recorded[f"{name}_in"]), recorded[f"{name}_out"]
        np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=0)
        if kind == "det":
            assert np.array_equal(found > 0.3, wanted > 0.3)
        else:
            assert np.array_equal(found.argmax(-1), recorded[f"{name}_argmax"])


def test_in_exact_arithmetic_the_passes_change_next_to_nothing(model, kind, shared_dir):
    """What Paddle rounds away is larger: the original is 1.6e-5 (rec) and 2.4e-5 (det) away from its own float64."""
    recorded = np.load(shared_dir / "server_tensors" / "paddleocr_3.7_v5mobile_raw.npz")
    x = recorded[f"cnocr_helloworld.jpg/{'det' if kind == 'det' else 'rec0'}_in"]
    before, after = run_float64(model, x), run_float64(optimise(model)[0], x)
    assert np.abs(after - before).max() < {"det": 4e-5, "rec": 4e-6}[kind]


def test_the_operators_stay_few(model, kind):
    optimised, _ = optimise(model)
    counts = {}
    for place in ("arm", "opencl,arm"):
        made = OwnWriter().in_memory(optimised, ConvertOptions(place))
        counts[place] = len(made.program.ops), sum(op.type == "io_copy" for op in made.program.ops)
    assert counts == {"arm": ({"det": 136, "rec": 128}[kind], 0), "opencl,arm": (121, 2)}


@pytest.mark.parametrize(
    "options",
    [ConvertOptions("arm"), ConvertOptions("opencl,arm"), ConvertOptions("x86")],
    ids=["arm", "opencl", "x86"],
)
def test_the_file_for_a_device_answers_as_the_recorded_server_did(model, kind, options, shared_dir):
    made = OwnWriter().in_memory(optimise(model)[0], options)
    session = onnxruntime.InferenceSession(to_onnx(made), providers=["CPUExecutionProvider"])
    recorded = np.load(shared_dir / "server_tensors" / "paddleocr_3.7_v5mobile_raw.npz")
    for name in [name.removesuffix("_in") for name in recorded.files if name.endswith("_in") and kind in name]:
        (found,) = session.run(None, {session.get_inputs()[0].name: recorded[f"{name}_in"]})
        np.testing.assert_allclose(found, recorded[f"{name}_out"], atol=1e-4 if kind == "det" else 4e-5, rtol=0)
        if kind == "rec":
            assert np.array_equal(found.argmax(-1), recorded[f"{name}_argmax"])


@pytest.mark.parametrize("options", [ConvertOptions("arm"), ConvertOptions("opencl,arm")], ids=["arm", "opencl"])
def test_opt_takes_it_and_the_own_writer_makes_the_same_bytes(model, env, options, tmp_path):
    optimised, _ = optimise(model)
    files = ModelPair(tmp_path / "a.pdmodel", tmp_path / "a.pdiparams")
    write_model(optimised, files.program_file, files.params_file)
    env.convert(files, options, tmp_path / "a.nb")
    own = write_nb(OwnWriter().in_memory(optimised, options))
    assert sha256_bytes((tmp_path / "a.nb").read_bytes()) == sha256_bytes(own)


def test_its_settings_fit_its_program(model, folder, kind):
    settings = read_inference_yml(folder / "inference.yml")
    assert (settings.kind, settings.model_name, settings.unknown) == (kind, f"PP-OCRv5_mobile_{kind}", ())
    if kind == "rec":
        assert settings.dictionary is not None
        assert output_classes(model.program) == len(settings.dictionary.characters) + 2 == 18385

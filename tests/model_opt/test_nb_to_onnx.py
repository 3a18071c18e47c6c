"""Translation of a ``.nb`` file to ONNX: equal to the kernels, one file for two engines, and nothing guessed."""

from __future__ import annotations

import dataclasses
import random
import re
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest

import tests.model_opt.nb_writer as nw
from model_opt.nb import NbError, NbModel, read_nb
from model_opt.nb.to_onnx import OPSET, to_onnx
from model_opt.nb.translate import TRANSLATORS, Graph, Node, encode_model, fold, ops_markdown, translate
from tests.model_opt.nb_mutator import mutate_model, to_bytes
from tests.model_opt.nb_op_cases import CASES, HOST, Case, conv_attrs, ints, op

DOCS = Path(__file__).resolve().parents[2] / "docs"
FIXED_PRECISIONS = ("fp32", "weight_int8", "weight_int16")
MICRO_CASES = 68
"""As many files of the ARM engine's single kernels are fp32 or weight-only."""


def session(data: bytes) -> ort.InferenceSession:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    return ort.InferenceSession(data, settings, providers=["CPUExecutionProvider"])


def run(data: bytes, x: np.ndarray) -> np.ndarray:
    made = session(data)
    return made.run(None, {made.get_inputs()[0].name: x})[0]


def run_opencv(net: cv2.dnn.Net, x: np.ndarray) -> np.ndarray:
    net.setInput(x)
    return net.forward()


def read_in_opencv(data: bytes) -> cv2.dnn.Net:
    return cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))


# ---------------------------------------------------------------- operators


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_operator_answers_what_its_kernel_does(case: Case):
    x = case.input()
    expected = case.answer(x)
    found = run(to_onnx(case.model()), x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * max(1.0, float(np.abs(expected).max())))


def test_every_operator_of_the_table_is_tried():
    tried = {node.type for case in CASES for node in case.ops}
    assert tried == TRANSLATORS.keys()


def test_the_table_in_the_documentation_is_the_tables():
    assert ops_markdown() in (DOCS / "nb-ops.md").read_text(encoding="utf-8")


def one_op(node: nw.Op, params: dict[str, np.ndarray] | None = None, shape: tuple[int, ...] = (1, 4, 7, 9)) -> NbModel:
    return Case("", [node], lambda x: x, params or {}, shape).model()


def conv(kernel: str = "def/arm/fp32/NCHW", inputs: dict[str, str] | None = None, **attrs: object) -> NbModel:
    node = op("conv2d", {"Input": "x", "Filter": "w", **(inputs or {})}, {"Output": "y"}, conv_attrs(**attrs), kernel)
    return one_op(node, {"w": np.ones((2, 4, 1, 1), dtype=np.float32)})


REFUSED = {
    "an unknown operator": (lambda: one_op(op("erf", {"X": "x"}, {"Out": "y"})), r"operator 1 \(erf\).*not known"),
    "an unknown kernel": (lambda: conv("new/arm/fp32/NCHW"), r"kernel new/arm/fp32/NCHW is not known"),
    "an unknown attribute": (lambda: conv(strength=3), r"operator 1 \(conv2d\): the attribute 'strength' \(= 3\)"),
    "an unknown input": (lambda: conv(inputs={"Mask": "x"}), r"input 'Mask' is not known"),
    "an unknown output": (
        lambda: one_op(op("relu", {"X": "x"}, {"Out": "y", "Mask": "z"})),
        r"output 'Mask' is not known",
    ),
    "an unknown activation": (lambda: conv(with_act=True, act_type="mish"), r"activation 'mish' on arm"),
    "an activation of the GPU on ARM": (lambda: conv(with_act=True, act_type="swish"), r"activation 'swish' on arm"),
    "a contradiction": (lambda: conv(fuse_relu=True), r"attribute 'fuse_relu' is True"),
    "another layout": (lambda: conv(data_format="NHWC"), r"'data_format' is 'NHWC', known is 'NCHW'"),
    "an unknown padding": (lambda: conv(padding_algorithm="CIRCULAR"), r"padding algorithm 'CIRCULAR'"),
    "wrong channels": (lambda: conv(groups=2), r"input of shape \[1, 4, 7, 9\] for a filter of 8 channels"),
    "an attribute of another type": (lambda: conv(strides=2), r"attribute 'strides' is of type INT"),
    "an unset variable": (lambda: conv(inputs={"Bias": "never"}), r"variable 'never' is read before"),
    "int8 arithmetic": (lambda: conv("int8_out/arm/int8/NCHW"), r"computes in int8"),
    "fp16 arithmetic": (lambda: conv("def/arm/fp16/NCHW"), r"computes in fp16"),
    "a file for an XPU": (lambda: conv("def/xpu/fp32/NCHW"), r"is for xpu, which nothing here knows"),
    "a table of another shape": (
        lambda: one_op(op("reshape", {"X": "x"}, {"Out": "y"}, {"shape": ints(5, -1)}, HOST)),
        r"\[1, 4, 7, 9\] cannot take the shape \[5, -1\]",
    ),
    "an fc that forgets its activation": (
        lambda: one_op(
            op("fc", {"Input": "x", "W": "w"}, {"Out": "y"}, {"in_num_col_dims": 3, "activation_type": "relu"}),
            {"w": np.ones((9, 2), dtype=np.float32)},
        ),
        r"for one row and forgets it for more",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_by_name(name):
    make, expected = REFUSED[name]
    with pytest.raises(NbError, match=expected) as caught:
        to_onnx(make())
    assert caught.value.hint


def test_a_reshape_of_two_unknown_sides_is_refused():
    node = op("reshape", {"X": "x"}, {"Out": "y"}, {"shape": ints(0, 2, 2, -1, 0)}, HOST)
    model = Case("", [node], lambda x: x, {}, (1, 4, 7, 9), declared=(-1, 4, -1, -1)).model()
    with pytest.raises(NbError, match=r"\[1, 4, h, w\] cannot take the shape"):
        to_onnx(model)


def test_the_same_file_gives_the_same_bytes():
    first, second = (to_onnx(CASES[0].model()) for _ in range(2))
    assert first == second


# ---------------------------------------------------------------- weights


def quantised(op_type: str, bits: int, shape: tuple[int, ...], **changes: object) -> tuple[NbModel, np.ndarray]:
    """A model with stored weights of ``bits``, and the float32 weights that the loader makes of them."""
    rng = np.random.default_rng(5)
    top = 2 ** (bits - 1)
    stored = rng.integers(-top, top, shape).astype(f"int{bits}")
    channels = shape[0] if op_type == "conv2d" else shape[-1]
    scales = rng.uniform(1e-4, 1e-2, channels).astype(np.float32)
    attrs = {"quantization_type": "post_weight_channel_wise_abs_max", "quantize_weight_bits": bits}
    attrs["w_quant_scale"] = ("floats", [float(scale) for scale in scales])
    attrs.update(changes)
    if op_type == "conv2d":
        node = op("conv2d", {"Input": "x", "Filter": "w"}, {"Output": "y"}, {**conv_attrs(), **attrs})
        real = scales.reshape(-1, 1, 1, 1) * stored.astype(np.float32)
    else:
        slots = ("Input", "W") if op_type == "fc" else ("X", "Y")
        more = {"in_num_col_dims": 3} if op_type == "fc" else {"trans_x": False, "trans_y": False}
        node = op(op_type, {slots[0]: "x", slots[1]: "w"}, {"Out": "y"}, {**more, **attrs})
        real = scales * stored.astype(np.float32)
    return one_op(node, {"w": stored}), real


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("op_type", "shape"), [("conv2d", (6, 4, 1, 1)), ("fc", (9, 5))])
def test_stored_integers_become_the_floats_of_the_loader(op_type, shape, bits):
    model, real = quantised(op_type, bits, shape)
    constants = translate(model).constants
    assert constants["w"].dtype == np.float32
    assert np.array_equal(constants["w"], real)


@pytest.mark.parametrize(
    ("op_type", "shape", "changes", "expected"),
    [
        ("fc", (9, 5), {"quantize_weight_bits": 16}, "are INT8, the operator says 16 bits"),
        ("fc", (9, 5), {"w_quant_scale": ("floats", [1.0])}, "have 1 scales for 5 channels"),
        ("fc", (9, 5), {"w_quant_scale": ("floats", [float("nan")] * 5)}, "not finite"),
        ("matmul_v2", (9, 5), {}, "are not restored by Paddle Lite's loader"),
        ("fc", (9, 5), {"quantization_type": "other"}, "is INT8 of .*, which no fp32 kernel reads"),
    ],
)
def test_weights_that_the_loader_would_spoil_are_refused(op_type, shape, changes, expected):
    model, _ = quantised(op_type, 8, shape, **changes)
    with pytest.raises(NbError, match=expected):
        to_onnx(model)


# ---------------------------------------------------------------- folding


def affine_chain(pads: tuple[int, ...], activation: str) -> Graph:
    """conv, * c, + d, an activation, * e, + f, conv."""
    rng = np.random.default_rng(11)
    shapes = {"w1": (5, 4, 3, 3), "b1": (5,), "w2": (6, 5, 3, 3), "c": (1,), "d": (1,), "e": (1,), "f": (1,)}
    constants = {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    attrs = {"kernel_shape": (3, 3), "pads": pads}
    nodes = (
        Node("Conv", ("x", "w1", "b1"), ("t1",), {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}),
        Node("Mul", ("c", "t1"), ("t2",), {}),
        Node("Add", ("t2", "d"), ("t3",), {}),
        Node(activation, ("t3",), ("t4",), {}),
        Node("Mul", ("t4", "e"), ("t5",), {}),
        Node("Add", ("t5", "f"), ("t6",), {}),
        Node("Conv", ("t6", "w2"), ("y",), attrs),
    )
    return Graph(nodes, constants, (("x", (1, 4, 8, 8)),), (("y", (1, 6, 8, 8)),))


def encoded(graph: Graph) -> bytes:
    return encode_model(graph, opset=OPSET, ir_version=8, producer=("test", ""))


@pytest.mark.parametrize(
    ("pads", "left"),
    [((0, 0, 0, 0), ["Conv", "HardSwish", "Conv"]), ((1, 1, 1, 1), ["Conv", "HardSwish", "Add", "Conv"])],
)
def test_folding_changes_the_nodes_and_not_the_results(pads, left):
    graph = affine_chain(pads, "HardSwish")
    folded = fold(graph)
    assert [node.op for node in folded.nodes] == left
    x = np.random.default_rng(2).normal(0, 1, (1, 4, 8, 8)).astype(np.float32)
    expected = run(encoded(graph), x)
    np.testing.assert_allclose(run(encoded(folded), x), expected, rtol=0, atol=3e-6 * np.abs(expected).max())


def test_folding_leaves_what_somebody_else_reads():
    graph = affine_chain((0, 0, 0, 0), "Relu")
    watched = dataclasses.replace(graph, outputs=(("y", (1, 6, 6, 6)), ("t1", (1, 5, 8, 8)), ("t5", (1, 5, 8, 8))))
    folded = fold(watched)
    x = np.random.default_rng(2).normal(0, 1, (1, 4, 8, 8)).astype(np.float32)
    both = [session(encoded(made)).run(None, {"x": x}) for made in (watched, folded)]
    for expected, found in zip(*both, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6 * np.abs(expected).max())


def test_a_factor_that_overflows_the_weights_is_not_folded():
    graph = affine_chain((0, 0, 0, 0), "Relu")
    huge = {**graph.constants, "c": np.array([3e38], dtype=np.float32)}
    assert [node.op for node in fold(dataclasses.replace(graph, constants=huge)).nodes][:2] == ["Conv", "Mul"]


def gelu_between_convolutions(bent: str) -> Graph:
    """Two 1x1 convolutions with the nodes of a gelu between them, by erf or by tanh."""
    rng = np.random.default_rng(3)
    constants = {name: rng.normal(0, 1, shape).astype(np.float32)
                 for name, shape in (("w1", (5, 4, 1, 1)), ("w2", (6, 5, 1, 1)))}  # fmt: skip
    constants |= {name: np.array([value], np.float32)
                  for name, value in (("root", 2**0.5), ("one", 1), ("half", 0.5))}  # fmt: skip
    nodes = (
        Node("Conv", ("x", "w1"), ("t",), {"kernel_shape": (1, 1)}),
        Node("Div", ("t", "root"), ("inner",), {}),
        Node(bent, ("inner",), ("bent",), {}),
        Node("Add", ("bent", "one"), ("gate",), {}),
        Node("Mul", ("t", "gate"), ("product",), {}),
        Node("Mul", ("product", "half"), ("gelu",), {}),
        Node("Conv", ("gelu", "w2"), ("y",), {"kernel_shape": (1, 1)}),
    )
    return Graph(nodes, constants, (("x", (1, 4, 8, 8)),), (("y", (1, 6, 8, 8)),))


@pytest.mark.parametrize("bent", ["Erf", "Tanh"])
def test_folding_leaves_a_gelu_complete(bent):
    graph = gelu_between_convolutions(bent)
    assert fold(graph).nodes == graph.nodes


def test_opencv_computes_a_folded_gelu_as_one_layer():
    folded = fold(gelu_between_convolutions("Erf"))
    net = read_in_opencv(encoded(folded))
    kinds = [net.getLayer(name).type for name in net.getLayerNames()]
    assert (kinds.count("Gelu"), kinds.count("Erf")) == (1, 0)
    x = np.random.default_rng(2).normal(0, 1, (1, 4, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(run_opencv(net, x), run(encoded(folded), x), rtol=0, atol=3e-6)


# ---------------------------------------------------------------- the real ARM engine


def micro_files(shared_dir: Path) -> list[tuple[str, str, Path]]:
    found = []
    for path in sorted((shared_dir / "lite_golden" / "micro").glob("*.nb")):
        name, precision, _ = path.name.split(".")
        if precision in FIXED_PRECISIONS:
            found.append((name, precision, path))
    return found


def test_single_kernels_equal_the_arm_engine(shared_dir):
    """fp32 and weight-only, within 1e-4 of the largest output; non-finite values would fail the comparison."""
    files = micro_files(shared_dir)
    assert len(files) == MICRO_CASES
    worst = {}
    for name, precision, path in files:
        golden = np.load(path.parent / f"{name}.npz")
        expected = golden[f"out_{precision}"]
        found = run(to_onnx(read_nb(path)), golden["input"])
        assert found.shape == expected.shape
        assert np.isfinite(found).all()
        worst[f"{name}.{precision}"] = float(np.abs(found - expected).max() / np.abs(expected).max())
    assert {name: error for name, error in worst.items() if not error <= 1e-4} == {}


def half_step(values: np.ndarray) -> np.ndarray | float:
    """How far a value may stand from the one it was rounded to when it was kept in fp16; 0 for what is kept in fp32."""
    return np.spacing(np.abs(values)).astype(np.float32) / 2 if values.dtype == np.float16 else 0.0


WHOLE = [
    ("det_fp32", "det_text_320x320", "out_fp32"),
    ("rec_fp32", "rec_text_48x320", "out_fp32"),
    ("cls_fp32", "cls_text_48x192", "out_fp32"),
    ("det_weight_int8", "det_text_320x320", "out_int8"),
    ("rec_weight_int8", "rec_text_48x320", "out_int8"),
]


def assert_equals_the_arm_engine(data: bytes, golden: np.lib.npyio.NpzFile, key: str) -> None:
    expected = golden[key]
    found = run(data, golden["input"])
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    error = np.abs(found - expected.astype(np.float32)) - half_step(expected)
    assert float(error.max()) <= 1e-4
    if found.ndim == 4:
        assert int(((found > 0.3) != (expected > 0.3)).sum()) == 0
    else:
        assert np.array_equal(found.argmax(-1), expected.argmax(-1))


@pytest.mark.parametrize(("name", "case", "key"), WHOLE, ids=[row[0] for row in WHOLE])
def test_whole_models_equal_the_arm_engine(shared_dir, name, case, key):
    folder = shared_dir / "lite_golden"
    assert_equals_the_arm_engine(to_onnx(read_nb(folder / f"{name}.nb")), np.load(folder / f"{case}.npz"), key)


# ---------------------------------------------------------------- one file for two engines


SIZES = {"det_fp32": [(320, 320), (640, 640), (960, 704)], "rec_fp32": [(48, 320), (48, 641), (48, 1280)]}


@pytest.mark.parametrize("name", SIZES)
def test_one_file_runs_in_onnx_runtime_and_opencv_at_every_size(shared_dir, name):
    data = to_onnx(read_nb(shared_dir / "lite_golden" / f"{name}.nb"))
    made, net = session(data), read_in_opencv(data)
    for height, width in [*SIZES[name], SIZES[name][0]]:
        x = np.random.default_rng(width).uniform(-1, 1, (1, 3, height, width)).astype(np.float32)
        expected = made.run(None, {"x": x})[0]
        found = run_opencv(net, x)
        assert found.shape == expected.shape
        assert float(np.abs(found - expected).max()) <= 1e-5


@pytest.mark.parametrize("name", ["det_fp32", "rec_fp32", "cls_fp32", "rec_weight_int8"])
def test_the_graph_computes_no_shapes(shared_dir, name):
    graph = fold(translate(read_nb(shared_dir / "lite_golden" / f"{name}.nb")))
    names = {node.op for node in graph.nodes}
    assert names.isdisjoint({"Shape", "Squeeze", "Unsqueeze", "Gather", "Cast", "ConstantOfShape", "Expand", "Where"})
    for node in graph.nodes:
        if node.op == "Reshape":
            assert list(graph.constants[node.inputs[1]]).count(-1) <= 1


# ---------------------------------------------------------------- damaged programs


@pytest.mark.filterwarnings("error")
def test_a_damaged_program_is_translated_or_refused():
    rng = random.Random(20)
    models = [case.model() for case in CASES]
    translated: list[int] = []
    refused: list[str] = []
    for _ in range(6000):
        model = mutate_model(rng, rng.choice(models), models)
        try:
            translated.append(len(to_onnx(model)))
        except NbError as error:
            refused.append(error.what)
    assert len(translated) > 1500
    assert len(refused) > 1500
    assert max(translated) < 1 << 20
    assert [what for what in refused if not re.match(r"operator \d+|the program has|the parameter", what)] == []


@pytest.mark.filterwarnings("error")
def test_a_damaged_program_survives_the_way_through_a_file():
    rng = random.Random(21)
    models = [case.model() for case in CASES]
    for _ in range(300):
        model = mutate_model(rng, rng.choice(models), models)
        try:
            expected = to_onnx(model)
        except NbError as error:
            with pytest.raises(NbError, match=re.escape(error.what)):
                to_onnx(read_nb(to_bytes(model)))
        else:
            assert to_onnx(read_nb(to_bytes(model))) == expected


def test_an_empty_parameter_is_refused_by_name():
    add = op("elementwise_add", {"X": "x", "Y": "w"}, {"Out": "y"}, {"axis": 0})
    case = Case("empty", [add], lambda x: x, {"w": np.zeros((0,), np.float32)})
    with pytest.raises(NbError, match=r"operator 1 \(elementwise_add\): the parameter 'w' is empty"):
        to_onnx(case.model())

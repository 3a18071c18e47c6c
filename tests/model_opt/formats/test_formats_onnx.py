"""The reader of ONNX on small graphs: each rule against ONNX Runtime, each refusal by its message."""

import numpy as np
import pytest

from model_opt.formats import FormatError, read_model
from model_opt.formats.onnx_model import read_onnx
from model_opt.paddle_model import decode_model
from model_opt.program import VarType
from tests.model_opt.formats.onnx_cases import CASES, IMAGE, LINE, sample, weight
from tests.model_opt.formats.onnx_graphs import edited, node, onnx_file, run_onnx
from tests.model_opt.passes_float64 import run_float64
from tests.model_opt.program_mutator import file_bytes


@pytest.mark.parametrize("name", CASES)
def test_each_operator_computes_what_onnx_runtime_does(name):
    data, shape = CASES[name].file, CASES[name].shape
    model = read_onnx(data, None)
    inner = [op.type for op in model.program.ops if op.type not in ("feed", "fetch")]
    assert inner == CASES[name].expected.split()
    x = sample(shape)
    expected, found = run_onnx(data, x), run_float64(model, x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_program_is_one_that_paddle_could_have_saved(name):
    """Its files hold the same program, and declare the shape that each tensor has."""
    model = read_onnx(CASES[name].file, None)
    program, params = file_bytes(model)
    again = decode_model(program, params)
    assert file_bytes(again) == (program, params)
    x, scope = sample(CASES[name].shape), {}
    run_float64(model, x, scope)
    for var in model.program.vars:
        if var.name in scope:
            assert var.data_type == VarType.FP32
            assert all(side in (-1, have) for side, have in zip(var.dims, scope[var.name].shape, strict=True))


def test_the_same_file_gives_the_same_program():
    data = CASES["resize to computed sizes"].file
    assert file_bytes(read_onnx(data, None)) == file_bytes(read_onnx(data, None))


def test_inputs_outputs_and_weights_keep_their_names():
    model = read_onnx(CASES["conv"].file, None)
    assert [op.output("Out") for op in model.program.ops if op.type == "feed"] == ["x"]
    assert [op.input("X") for op in model.program.ops if op.type == "fetch"] == ["y"]
    assert set(model.params) == {"w", "b"}


def test_same_padding_by_a_larger_step_stays_what_a_run_works_out():
    data = onnx_file(
        [node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=(2, 2))], {"w": weight(5, 4, 3, 3)}, IMAGE
    )
    conv = read_onnx(data, None).program.ops[1]
    assert conv.attr("padding_algorithm") == "SAME"


def test_one_constant_in_two_forms_becomes_two_parameters():
    """[1, 4, 1, 1] is [4] where it is added and stays where it is multiplied."""
    data = onnx_file([node("Add", "x c", "a"), node("Mul", "a c", "y")], {"c": weight(1, 4, 1, 1)}, IMAGE)
    model = read_onnx(data, None)
    assert {name: array.shape for name, array in model.params.items()} == {"c": (4,), "c.1": (1, 4, 1, 1)}
    x = sample(IMAGE)
    np.testing.assert_allclose(run_float64(model, x), run_onnx(data, x), rtol=1e-5, atol=1e-6)


def test_a_constant_node_is_a_constant():
    def add(message):
        made = message.graph.node.add(op_type=b"Constant", output=[b"c"])
        tensor = made.attribute.add(name=b"value", type=4).t
        tensor.data_type, tensor.raw_data = 1, np.array([2, 3, 4, 5, 6, 7], np.float32).tobytes()
        tensor.dims.append(6)
        nodes = [node for node in message.graph.node if node.op_type == b"Constant"]
        rest = [node for node in message.graph.node if node.op_type != b"Constant"]
        copies = [type(made).FromString(node.SerializeToString()) for node in (*nodes, *rest)]
        del message.graph.node[:]
        message.graph.node.extend(copies)

    data = edited(onnx_file([node("Mul", "x c", "y")], {}, LINE), add)
    x = sample(LINE)
    np.testing.assert_allclose(run_float64(read_onnx(data, None), x), run_onnx(data, x), rtol=1e-6)


def test_weights_listed_as_numbers_are_read():
    def listed(message):
        tensor = message.graph.initializer[0]
        values = np.frombuffer(tensor.raw_data, np.float32)
        tensor.ClearField("raw_data")
        tensor.float_data.extend(values.tolist())

    data = onnx_file([node("MatMul", "x w", "y")], {"w": weight(6, 5)}, LINE)
    assert np.array_equal(read_onnx(edited(data, listed), None).params["w"], read_onnx(data, None).params["w"])


def test_names_of_sides_are_open_sides():
    def named(message):
        message.graph.input[0].type.tensor_type.shape.dim[1].dim_param = b"width"

    data = edited(onnx_file([node("Relu", "x", "y")], {}, LINE), named)
    assert read_onnx(data, None).program.main.var("x").dims == (-1, -1, 6)


def test_read_model_takes_onnx_by_its_content(tmp_path):
    path = tmp_path / "model.pdmodel"
    path.write_bytes(CASES["conv"].file)
    assert [op.type for op in read_model(path, None).program.ops] == ["feed", "conv2d", "elementwise_add", "fetch"]


# ---- what is refused


def relu(**of):
    return onnx_file([node("Relu", "x", "y")], {}, LINE, **of)


def set_field(data, path, **values):
    def change(message):
        for part in path:
            message = message[part] if isinstance(part, int) else getattr(message, part)
        for name, value in values.items():
            setattr(message, name, value)

    return edited(data, change)


def dropped(data, field):
    return edited(data, lambda message: message.ClearField(field))


CONV = onnx_file([node("Conv", "x w", "y")], {"w": weight(5, 4, 1, 1)}, IMAGE)

REFUSED = {
    "no protobuf": (b"\xff\xff\xff", "no ONNX file"),
    "cut off": (CONV[:-40], "no ONNX file"),
    "no graph": (dropped(relu(), "graph"), "no graph"),
    "no opset": (dropped(relu(), "opset_import"), "opset"),
    "an opset to come": (relu(opset=99), "opset 99"),
    "another domain": (set_field(relu(), ("graph", "node", 0), domain=b"com.microsoft"), "'com.microsoft'"),
    "quantised": (onnx_file([node("QuantizeLinear", "x s", "y")], {"s": [1.0]}, LINE), "quantised"),
    "weights elsewhere": (set_field(CONV, ("graph", "initializer", 0), data_location=1), "external data"),
    "half precision": (set_field(CONV, ("graph", "initializer", 0), data_type=10), "float16"),
    "input of integers": (set_field(relu(), ("graph", "input", 0, "type", "tensor_type"), elem_type=7), "type 7"),
    "too few weights": (set_field(CONV, ("graph", "initializer", 0), raw_data=b"1234"), "holds 1 elements, 20"),
    "huge sides": (edited(CONV, lambda m: m.graph.initializer[0].dims.extend([1 << 62])), "sizes"),
    "sparse weights": (edited(CONV, lambda m: m.graph.sparse_initializer.append(b"")), "sparse"),
    "no order": (onnx_file([node("Relu", "a", "y"), node("Relu", "x", "a")], {}, LINE), "reads 'a'"),
    "made twice": (onnx_file([node("Relu", "x", "y"), node("Relu", "x", "y")], {}, LINE), "second time"),
    "no output": (edited(relu(), lambda m: m.graph.ClearField("output")), "no output"),
    "output of nobody": (set_field(relu(), ("graph", "output", 0), name=b"z"), "'z'"),
    "output is the shape": (onnx_file([node("Shape", "x", "y")], {}, LINE), "'y'"),
    "unknown operator": (onnx_file([node("LSTM", "x", "y")], {}, LINE), "LSTM"),
    "erf alone": (onnx_file([node("Erf", "x", "y")], {}, LINE), "gelu"),
    "root alone": (onnx_file([node("Sqrt", "x", "y")], {}, LINE), "layer_norm"),
    "channels that do not fit": (
        onnx_file([node("Conv", "x w", "y")], {"w": weight(5, 3, 1, 1)}, IMAGE),
        "does not fit",
    ),
    "weight that is computed": (onnx_file([node("Conv", "x x", "y")], {}, IMAGE), "no constant"),
    "input without channels": (onnx_file([node("GlobalAveragePool", "x", "y")], {}, LINE), r"\[N, C, H, W\]"),
    "window beyond the image": (
        onnx_file([node("Conv", "x w", "y")], {"w": weight(5, 4, 9, 9)}, (1, 4, 8, 8)),
        "size of",
    ),
    "constant of more sides": (onnx_file([node("Add", "x c", "y")], {"c": weight(1, 1, 6)}, (None, 6)), "beside"),
    "bilinear": (
        onnx_file([node("Resize", "x - f", "y", mode="linear")], {"f": [1.0, 1.0, 2.0, 2.0]}, IMAGE),
        "linear",
    ),
    "broken factor": (
        onnx_file([node("Resize", "x - f", "y", mode="nearest")], {"f": [1.0, 1.0, 1.5, 2.0]}, IMAGE),
        "factors",
    ),
    "two free sides": (
        onnx_file(
            [node("Transpose", "x", "t", perm=(1, 0, 2)), node("Shape", "t", "s"), node("Reshape", "x s", "y")],
            {},
            LINE,
        ),
        "no constant target",
    ),
    "softmax over several sides": (onnx_file([node("Softmax", "x", "y", axis=1)], {}, LINE, 11), "as one"),
    "places of largest values": (
        onnx_file([node("MaxPool", "x", "y z", kernel_shape=(2, 2))], {}, IMAGE),
        "second output",
    ),
    "backwards": (
        onnx_file([node("Slice", "x a b c d", "y")], {"a": [5], "b": [0], "c": [2], "d": [-1]}, LINE),
        "steps",
    ),
    "cut along an open side": (
        onnx_file([node("Slice", "x a b c", "y")], {"a": [0], "b": [2], "c": [1]}, LINE),
        "only a run knows",
    ),
    "cast to integers": (onnx_file([node("Cast", "x", "y", to=7)], {}, LINE), "cast"),
    "attribute of another type": (onnx_file([node("Softmax", "x", "y", axis="2")], {}, LINE), "'axis'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_reason(name, tmp_path):
    data, message = REFUSED[name]
    with pytest.raises(FormatError, match=message) as caught:
        read_onnx(data, tmp_path / "model.onnx")
    assert caught.value.path == str(tmp_path / "model.onnx")
    assert caught.value.hint

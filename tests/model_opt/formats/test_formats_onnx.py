"""The reader of ONNX on small graphs: each rule against ONNX Runtime, each refusal by its message."""

import math

import numpy as np
import pytest

from model_opt.formats import FormatError, read_model
from model_opt.formats.onnx_model import read_onnx
from model_opt.paddle_model import decode_model
from model_opt.program import VarType
from tests.model_opt.formats.onnx_graphs import edited, node, onnx_file, run_onnx
from tests.model_opt.passes_float64 import run_float64
from tests.model_opt.program_mutator import file_bytes

RNG = np.random.default_rng(7)
IMAGE = (None, 4, None, None)
LINE = (None, None, 6)


def weight(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def gelu(*product):
    """The nodes of a gelu; ``product`` are the multiplications."""
    return (node("Div", "x root", "a"), node("Erf", "a", "b"), node("Add", "b one", "c"), *product)


GELU = {"root": np.float32(math.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5)}


def layer_norm(square):
    return (
        node("ReduceMean", "x", "m", axes=(-1,)),
        node("Sub", "x m", "d"),
        square,
        node("ReduceMean", "q", "v", axes=(-1,)),
        node("Add", "v eps", "w"),
        node("Sqrt", "w", "r"),
        node("Div", "d r", "n"),
        node("Mul", "n scale", "s"),
        node("Add", "s bias", "y"),
    )


NORM = {"eps": np.float32(1e-5), "two": np.float32(2), "scale": weight(6), "bias": weight(6)}
STATISTICS = {"s": weight(4), "b": weight(4), "m": weight(4), "v": np.abs(weight(4)) + 0.5}

# Nodes, constants, declared shape, opset, and the operators of Paddle that come out of them.
CASES = {
    "conv": (
        [node("Conv", "x w b", "y", pads=(1, 1, 1, 1), kernel_shape=(3, 3))],
        {"w": weight(8, 4, 3, 3), "b": weight(8)},
        IMAGE,
        13,
        "conv2d elementwise_add",
    ),
    "depthwise conv": (
        [node("Conv", "x w", "y", group=4, strides=(2, 1), pads=(1, 1, 1, 1))],
        {"w": weight(4, 1, 3, 3)},
        IMAGE,
        13,
        "depthwise_conv2d",
    ),
    "grouped conv": ([node("Conv", "x w", "y", group=2)], {"w": weight(6, 2, 1, 1)}, IMAGE, 13, "conv2d"),
    "uneven pads": ([node("Conv", "x w", "y", pads=(0, 2, 1, 0))], {"w": weight(5, 4, 3, 3)}, IMAGE, 13, "conv2d"),
    "same upper": ([node("Conv", "x w", "y", auto_pad="SAME_UPPER")], {"w": weight(5, 4, 2, 2)}, IMAGE, 13, "conv2d"),
    "same lower": ([node("Conv", "x w", "y", auto_pad="SAME_LOWER")], {"w": weight(5, 4, 2, 3)}, IMAGE, 13, "conv2d"),
    "valid": ([node("Conv", "x w", "y", auto_pad="VALID")], {"w": weight(5, 4, 2, 2)}, IMAGE, 13, "conv2d"),
    "transposed conv": (
        [node("ConvTranspose", "x w b", "y", strides=(2, 2))],
        {"w": weight(4, 3, 2, 2), "b": weight(3)},
        IMAGE,
        13,
        "conv2d_transpose elementwise_add",
    ),
    "max pool": ([node("MaxPool", "x", "y", kernel_shape=(2, 2), auto_pad="SAME_UPPER")], {}, IMAGE, 13, "pool2d"),
    "average pool": ([node("AveragePool", "x", "y", kernel_shape=(3, 2), strides=(3, 2))], {}, IMAGE, 13, "pool2d"),
    "global pool": ([node("GlobalAveragePool", "x", "y")], {}, IMAGE, 13, "pool2d"),
    "resize": (
        [
            node(
                "Resize",
                "x - f",
                "y",
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        ],
        {"f": [1.0, 1.0, 2.0, 4.0]},
        IMAGE,
        13,
        "nearest_interp_v2",
    ),
    "resize by half pixels": (
        [node("Resize", "x - f", "y", mode="nearest")],
        {"f": [1.0, 1.0, 3.0, 2.0]},
        IMAGE,
        13,
        "nearest_interp_v2",
    ),
    "upsample": (
        [node("Upsample", "x f", "y", mode="nearest")],
        {"f": [1.0, 1.0, 2.0, 2.0]},
        IMAGE,
        9,
        "nearest_interp_v2",
    ),
    "resize to computed sizes": (
        [
            node("Shape", "x", "s"),
            node("Slice", "s a b", "hw"),
            node("Mul", "hw f", "big"),
            node("Slice", "s zero a", "nc"),
            node("Concat", "nc big", "all", axis=0),
            node(
                "Resize",
                "x - - all",
                "y",
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            ),
        ],
        {"zero": [0], "a": [2], "b": [4], "f": [2]},
        IMAGE,
        13,
        "nearest_interp_v2",
    ),
    "one number added": ([node("Add", "x c", "y")], {"c": np.float32(1.5)}, IMAGE, 13, "scale"),
    "one number in front": ([node("Mul", "c x", "y")], {"c": [1.5]}, IMAGE, 13, "scale"),
    "one number taken away": ([node("Sub", "x c", "y")], {"c": [1.5]}, IMAGE, 13, "scale"),
    "divided by one number": ([node("Div", "x c", "y")], {"c": [3.0]}, IMAGE, 13, "scale"),
    "channels added": ([node("Add", "c x", "y")], {"c": weight(1, 4, 1, 1)}, IMAGE, 13, "elementwise_add"),
    "channels multiplied": ([node("Mul", "x c", "y")], {"c": weight(4, 1, 1)}, IMAGE, 13, "elementwise_mul"),
    "last side added": ([node("Add", "x c", "y")], {"c": weight(6)}, LINE, 13, "elementwise_add"),
    "one channel added": (
        [node("Add", "x c", "y")],
        {"c": weight(1, 1, 1, 1)},
        (None, 1, None, None),
        13,
        "elementwise_add",
    ),
    "tensors of other ranks": (
        [node("ReduceMean", "x", "m", axes=(1,), keepdims=0), node("Add", "m x", "y")],
        {},
        (1, 6, 6),
        13,
        "reduce_mean elementwise_add",
    ),
    "gate": (
        [node("GlobalAveragePool", "x", "p"), node("Sigmoid", "p", "g"), node("Mul", "x g", "y")],
        {},
        IMAGE,
        13,
        "pool2d sigmoid elementwise_mul",
    ),
    "gelu": (gelu(node("Mul", "x c", "d"), node("Mul", "d half", "y")), GELU, IMAGE, 13, "gelu"),
    "gelu, half first": (gelu(node("Mul", "c half", "d"), node("Mul", "x d", "y")), GELU, IMAGE, 13, "gelu"),
    "gelu, half of x": (gelu(node("Mul", "x half", "d"), node("Mul", "d c", "y")), GELU, IMAGE, 13, "gelu"),
    "gelu by a product": (
        (node("Mul", "root x", "a"), *gelu(node("Mul", "x c", "d"), node("Mul", "half d", "y"))[1:]),
        GELU | {"root": np.float32(math.sqrt(0.5))},
        IMAGE,
        13,
        "gelu",
    ),
    "swish": ([node("Sigmoid", "x", "s"), node("Mul", "x s", "y")], {}, IMAGE, 13, "swish"),
    "hard swish": (
        [node("HardSigmoid", "x", "s", alpha=1 / 6, beta=0.5), node("Mul", "s x", "y")],
        {},
        IMAGE,
        13,
        "hard_swish",
    ),
    "hard swish written out": (
        [
            node("Add", "x three", "a"),
            node("Clip", "a zero six", "b"),
            node("Mul", "x b", "c"),
            node("Div", "c six", "y"),
        ],
        {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)},
        IMAGE,
        13,
        "hard_swish",
    ),
    "hard sigmoid": ([node("HardSigmoid", "x", "y", alpha=0.3)], {}, IMAGE, 13, "hard_sigmoid"),
    "hard sigmoid times x, another slope": (
        [node("HardSigmoid", "x", "s", alpha=0.2), node("Mul", "s x", "y")],
        {},
        IMAGE,
        13,
        "hard_sigmoid elementwise_mul",
    ),
    "relu6": ([node("Clip", "x", "y", min=0.0, max=6.0)], {}, IMAGE, 10, "relu6"),
    "tanh": ([node("Tanh", "x", "y")], {}, IMAGE, 13, "tanh"),
    "leaky relu": ([node("LeakyRelu", "x", "y", alpha=0.1)], {}, IMAGE, 13, "leaky_relu"),
    "layer norm": (layer_norm(node("Pow", "d two", "q")), NORM, LINE, 13, "layer_norm"),
    "layer norm by a product": (layer_norm(node("Mul", "d d", "q")), NORM, LINE, 13, "layer_norm"),
    "layer norm as one": (
        [node("LayerNormalization", "x s b", "y", epsilon=1e-3)],
        {"s": weight(6), "b": weight(6)},
        LINE,
        17,
        "layer_norm",
    ),
    "batch norm": ([node("BatchNormalization", "x s b m v", "y", epsilon=1e-3)], STATISTICS, IMAGE, 13, "batch_norm"),
    "batch norm of a line": (
        [node("BatchNormalization", "x s b m v", "y")],
        STATISTICS,
        (None, 4, None),
        13,
        "batch_norm",
    ),
    "softmax": ([node("Softmax", "x", "y")], {}, LINE, 13, "softmax"),
    "softmax of old": ([node("Softmax", "x", "y", axis=2)], {}, LINE, 11, "softmax"),
    "product": ([node("MatMul", "x w", "y")], {"w": weight(6, 5)}, LINE, 13, "matmul_v2"),
    "product of tensors": (
        [node("Transpose", "x", "t", perm=(0, 2, 1)), node("MatMul", "x t", "y")],
        {},
        LINE,
        13,
        "transpose2 matmul_v2",
    ),
    "gemm": (
        [node("Gemm", "x w b", "y", transB=1)],
        {"w": weight(5, 6), "b": weight(5)},
        (None, 6),
        13,
        "matmul_v2 elementwise_add",
    ),
    "mean": ([node("ReduceMean", "x", "y", axes=(2, 3), keepdims=1)], {}, IMAGE, 13, "reduce_mean"),
    "mean by an input": ([node("ReduceMean", "x a", "y", keepdims=0)], {"a": [-1]}, LINE, 18, "reduce_mean"),
    "reshape": ([node("Reshape", "x t", "y")], {"t": [0, -1, 2, 3]}, LINE, 13, "reshape2"),
    "reshape to a computed target": (
        [
            node("Shape", "x", "s"),
            node("Slice", "s zero two zero", "front"),
            node("Concat", "front less", "t", axis=0),
            node("Reshape", "x t", "y"),
        ],
        {"zero": [0], "two": [2], "less": [-1]},
        (None, 4, 1, None),
        13,
        "reshape2",
    ),
    "reshape to gathered sides": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s one", "w"),
            node("Cast", "w", "v", to=7),
            node("Unsqueeze", "v axis", "u"),
            node("Concat", "zero u two three", "t", axis=0),
            node("Reshape", "x t", "y"),
        ],
        {"one": np.int64(1), "axis": [0], "zero": [0], "two": [2], "three": [3]},
        LINE,
        13,
        "reshape2",
    ),
    "reshape to the shape that is there": (
        [node("Mul", "x c", "a"), node("Shape", "x", "s"), node("Reshape", "a s", "b"), node("Relu", "b", "y")],
        {"c": [2.0]},
        LINE,
        13,
        "scale relu",
    ),
    "flatten": ([node("Flatten", "x", "y", axis=2)], {}, (None, 4, 5), 13, "reshape2"),
    "squeeze": ([node("Squeeze", "x", "y", axes=(2,))], {}, (None, 4, 1, None), 11, "squeeze2"),
    "unsqueeze": ([node("Unsqueeze", "x a", "y")], {"a": [2, -1]}, LINE, 13, "unsqueeze2"),
    "concat": ([node("Relu", "x", "r"), node("Concat", "x r", "y", axis=-2)], {}, LINE, 13, "relu concat"),
    "slice": ([node("Slice", "x a b c", "y")], {"a": [1], "b": [-1], "c": [2]}, LINE, 13, "slice"),
    "slice of old": ([node("Slice", "x", "y", starts=(1,), ends=(100,), axes=(1,))], {}, IMAGE, 9, "slice"),
    "slice and squeeze": (
        [node("Slice", "x a b a", "s"), node("Squeeze", "s", "y", axes=(1,))],
        {"a": [1], "b": [2]},
        IMAGE,
        11,
        "slice",
    ),
    "gather": ([node("Gather", "x at", "y", axis=1)], {"at": np.int64(-1)}, IMAGE, 13, "slice"),
    "split": (
        [node("Split", "x", "a b", axis=1), node("Sub", "b a", "y")],
        {},
        IMAGE,
        13,
        "slice slice elementwise_sub",
    ),
    "constants are computed": (
        [
            node("Unsqueeze", "w axis", "v"),
            node("Transpose", "v", "u", perm=(1, 0, 2, 3)),
            node("Identity", "u", "t"),
            node("Conv", "x t", "y"),
        ],
        {"w": weight(4, 5, 1), "axis": [-1]},
        IMAGE,
        13,
        "conv2d",
    ),
    "names for the same": (
        [node("Identity", "x", "a"), node("Dropout", "a", "b"), node("Cast", "b", "c", to=1), node("Relu", "c", "y")],
        {},
        IMAGE,
        11,
        "relu",
    ),
    "a name for the output": ([node("Relu", "x", "a"), node("Identity", "a", "y")], {}, IMAGE, 13, "relu assign"),
    "what nothing reads": ([node("Relu", "x", "y"), node("Erf", "x", "z")], {}, IMAGE, 13, "relu"),
}


def file_of(name):
    nodes, constants, shape, opset, _ = CASES[name]
    return onnx_file(nodes, constants, shape, opset)


def sample(shape):
    open_sides = iter((1, 6, 7) if len(shape) == 4 else (1, 5))
    return RNG.standard_normal([next(open_sides) if side is None else side for side in shape]).astype(np.float32) * 3


@pytest.mark.parametrize("name", CASES)
def test_each_operator_computes_what_onnx_runtime_does(name):
    data, shape = file_of(name), CASES[name][2]
    model = read_onnx(data, None)
    inner = [op.type for op in model.program.ops if op.type not in ("feed", "fetch")]
    assert inner == CASES[name][4].split()
    x = sample(shape)
    expected, found = run_onnx(data, x), run_float64(model, x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_program_is_one_that_paddle_could_have_saved(name):
    """Its files hold the same program, and declare the shape that each tensor has."""
    model = read_onnx(file_of(name), None)
    program, params = file_bytes(model)
    again = decode_model(program, params)
    assert file_bytes(again) == (program, params)
    x, scope = sample(CASES[name][2]), {}
    run_float64(model, x, scope)
    for var in model.program.vars:
        if var.name in scope:
            assert var.data_type == VarType.FP32
            assert all(side in (-1, have) for side, have in zip(var.dims, scope[var.name].shape, strict=True))


def test_the_same_file_gives_the_same_program():
    data = file_of("resize to computed sizes")
    assert file_bytes(read_onnx(data, None)) == file_bytes(read_onnx(data, None))


def test_inputs_outputs_and_weights_keep_their_names():
    model = read_onnx(file_of("conv"), None)
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
    path.write_bytes(file_of("conv"))
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

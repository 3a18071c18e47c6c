import json

import numpy as np
import pytest

from model_opt.errors import KitError
from model_opt.formats import read_model
from model_opt.formats.pir import decode_pir
from model_opt.paddle_model import decode_model
from model_opt.passes import optimise
from model_opt.program import Model, VarType
from tests.model_opt.formats.pir_cases import CASES, POOL, biased, conv, detector, recogniser
from tests.model_opt.formats.pir_writer import I64, PirWriter, attr, tensor
from tests.model_opt.passes_float64 import run_float64
from tests.model_opt.program_mutator import file_bytes


def decoded(net: PirWriter) -> Model:
    return decode_pir(*net.files)


def types(model: Model) -> list[str]:
    return [op.type for op in model.program.ops]


def only(model: Model, kind: str):
    (op,) = (op for op in model.program.ops if op.type == kind)
    return op


def unary(name, *attrs, inputs=(), dims=(-1, 3, -1, -1)):
    """Return the one operator, between feed and fetch, that a PIR operator becomes."""
    net = PirWriter()
    x = net.data("x", dims)
    net.fetch(net.op(name, [x, *(make(net) for make in inputs)], [dims], *attrs))
    made = decoded(net)
    feed, op, fetch = made.program.ops
    assert (feed.type, feed.output("Out"), fetch.type, fetch.input_names) == ("feed", "x", "fetch", op.output_names[:1])
    return op


# ---- the programs of PP-OCR


@pytest.mark.parametrize("name", CASES)
def test_a_program_of_paddle_3_is_one_that_paddle_writes_as_pdmodel(name):
    """It survives the writer and the reader of .pdmodel, so nothing behind the reader sees where it came from."""
    made = decoded(CASES[name]())
    assert file_bytes(decode_model(*file_bytes(made))) == file_bytes(made)


def test_a_file_pair_is_read_by_its_content(tmp_path):
    program, params = detector().files
    (tmp_path / "a.pdmodel").write_bytes(program)
    (tmp_path / "b").write_bytes(params)
    assert file_bytes(read_model(tmp_path / "a.pdmodel", tmp_path / "b")) == file_bytes(decoded(detector()))


def test_the_operators_of_a_detector():
    made = decoded(detector())
    assert types(made) == [
        "feed", "conv2d", "batch_norm", "depthwise_conv2d", "elementwise_add", "elementwise_mul", "hard_swish",
        "pool2d", "hard_sigmoid", "elementwise_mul", "pool2d", "nearest_interp_v2", "concat", "conv2d_transpose",
        "sigmoid", "fetch",
    ]  # fmt: skip
    norm = only(made, "batch_norm")
    assert [norm.input(key) for key in ("Mean", "Variance", "Scale", "Bias")] == [
        "norm.w_1", "norm.w_2", "norm.w_0", "norm.b_0",
    ]  # fmt: skip
    assert (norm.output("MeanOut"), norm.output("VarianceOut")) == ("norm.w_1", "norm.w_2")
    assert only(made, "conv2d_transpose").attr("output_size") == ()
    assert only(made, "concat").attr("axis") == 1
    assert only(made, "nearest_interp_v2").attr("scale") == (2.0, 2.0)
    assert [op.attr("ksize") for op in made.program.ops if op.type == "pool2d"] == [(1, 1), (2, 2)]


def test_a_reshaped_bias_is_added_at_axis_1():
    """Paddle 3 reshapes a convolution's bias to [1, C, 1, 1]; .pdmodel adds the [C] parameter itself."""
    made = decoded(detector())
    add = only(made, "elementwise_add")
    assert (add.input("Y"), add.attr("axis")) == ("conv.b_0", 1)
    assert made.params["conv.b_0"].shape == (4,)


def test_the_operators_of_a_recogniser():
    made = decoded(recogniser())
    assert "dropout" not in types(made)
    assert not {"shape", "stack", "fill_constant", "assign_value"} & set(types(made))
    reshapes = [op for op in made.program.ops if op.type == "reshape2"]
    assert [op.attr("shape") for op in reshapes] == [(0, -1, 3, 2, 4), (0, -1, 8), (0, 1, -1, 8)]
    assert all(op.outputs["XShape"] for op in reshapes)
    assert only(made, "scale").attr("scale") == 0.5


@pytest.mark.parametrize("name", CASES)
def test_the_passes_keep_what_a_program_computes(name):
    made = decoded(CASES[name]())
    shape = (1, 3, 8, 12) if name == "detector" else (1, 3, 4, 12)
    x = np.random.default_rng(7).standard_normal(shape)
    before, after = run_float64(made, x), run_float64(optimise(made)[0], x)
    assert len(optimise(made)[0].program.ops) < len(made.program.ops)
    np.testing.assert_allclose(after, before, atol=1e-5)


# ---- one operator each


@pytest.mark.parametrize(
    ("name", "attrs", "kind", "made"),
    [
        ("1.relu", (), "relu", {}),
        ("1.relu_", (), "relu", {}),
        ("1.relu6", (), "relu6", {"threshold": 6.0}),
        ("1.sigmoid", (), "sigmoid", {}),
        ("1.tanh", (), "tanh", {}),
        ("1.sqrt", (), "sqrt", {}),
        ("1.swish", (), "swish", {"beta": 1.0}),
        ("1.silu", (), "swish", {"beta": 1.0}),
        ("1.gelu", (attr("approximate", True),), "gelu", {"approximate": True}),
        ("1.hardswish", (), "hard_swish", {"threshold": 6.0, "scale": 6.0, "offset": 3.0}),
        ("1.hardsigmoid", (attr("slope", 0.25), attr("offset", 0.5)), "hard_sigmoid", {"slope": 0.25, "offset": 0.5}),
        ("1.leaky_relu", (attr("negative_slope", 0.1),), "leaky_relu", {"alpha": 0.1}),
        ("1.leaky_relu", (attr("negative_slope", 0.1, "a_f64"),), "leaky_relu", {"alpha": 0.1}),
        ("1.softmax", (attr("axis", 1),), "softmax", {"axis": 1}),
        ("1.transpose", (attr("perm", [0, 2, 3, 1]),), "transpose2", {"axis": (0, 2, 3, 1)}),
        ("1.flatten", (attr("start_axis", 2), attr("stop_axis", 3)), "flatten_contiguous_range", {"start_axis": 2}),
        (
            "1.mean", (attr("axis", [2, 3], "a_i64"), attr("keepdim", True)), "reduce_mean",
            {"dim": (2, 3), "keep_dim": True, "reduce_all": False},
        ),
        ("1.mean", (attr("axis", [], "a_i64"), attr("keepdim", False)), "reduce_mean", {"reduce_all": True}),
        ("1.mean", (attr("axis", [1], "a_intarray"), attr("keepdim", True)), "reduce_mean", {"dim": (1,)}),
        ("1.cast", (attr("dtype", "int32", "a_dtype"),), "cast", {"in_dtype": 5, "out_dtype": 2}),
    ],
)  # fmt: skip
def test_an_operator_on_one_tensor(name, attrs, kind, made):
    op = unary(name, *attrs)
    assert op.type == kind
    assert {key: op.attr(key) for key in made} == made


@pytest.mark.parametrize(
    ("name", "inputs", "attrs", "kind", "made"),
    [
        ("1.scale", [lambda n: n.full(2.5)], (attr("bias", 1.0), attr("bias_after_scale", False)), "scale",
         {"scale": 2.5, "bias": 1.0, "bias_after_scale": False}),
        ("1.clip", [lambda n: n.full(-1), lambda n: n.full(4)], (), "clip", {"min": -1.0, "max": 4.0}),
        ("1.reshape", [lambda n: n.ints(0, 3, -1)], (), "reshape2", {"shape": (0, 3, -1)}),
        ("1.squeeze", [lambda n: n.ints(2)], (), "squeeze2", {"axes": (2,)}),
        ("1.unsqueeze", [lambda n: n.ints(1, 2)], (), "unsqueeze2", {"axes": (1, 2)}),
        ("1.expand", [lambda n: n.ints(-1, 3, 4, 5)], (), "expand_v2", {"shape": (-1, 3, 4, 5)}),
        ("1.sum", [lambda n: n.ints(1)], (attr("keepdim", True),), "reduce_sum", {"dim": (1,), "keep_dim": True}),
        ("1.max", [lambda n: n.ints(-1)], (attr("keepdim", False),), "reduce_max", {"dim": (-1,), "keep_dim": False}),
        ("1.pool2d", [lambda n: n.ints(3, 2)],
         (attr("strides", [3, 2]), attr("paddings", [0, 0]), attr("adaptive", False), *POOL), "pool2d",
         {"ksize": (3, 2), "strides": (3, 2), "pooling_type": "avg", "exclusive": True}),
        ("1.slice", [lambda n: n.ints(1), lambda n: n.ints((1 << 63) - 1)],
         (attr("axes", [1], "a_i64"), attr("decrease_axis", [], "a_i64")), "slice",
         {"axes": (1,), "starts": (1,), "ends": ((1 << 31) - 1,), "decrease_axis": ()}),
        ("1.dropout", [lambda n: n.full(0), lambda n: n.full(0.25)],
         (attr("is_test", True), attr("mode", "downgrade_in_infer")), "dropout",
         {"dropout_prob": 0.25, "dropout_implementation": "downgrade_in_infer", "is_test": True}),
    ],
)  # fmt: skip
def test_an_operand_that_is_a_constant_becomes_an_attribute(name, inputs, attrs, kind, made):
    op = unary(name, *attrs, inputs=inputs)
    assert op.type == kind
    assert {key: op.attr(key) for key in made} == made


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("add", "add"),
        ("subtract", "sub"),
        ("multiply", "mul"),
        ("divide", "div"),
        ("maximum", "max"),
        ("minimum", "min"),
    ],
)
def test_an_operator_on_two_tensors_broadcasts_at_the_last_side(name, kind):
    net = PirWriter()
    p = net.param("p", np.ones(1, np.float32))
    x = net.data("x", [-1, 3, -1, -1])
    net.fetch(net.op(f"1.{name}", [p, x], [[-1, 3, -1, -1]]))
    op = only(decoded(net), f"elementwise_{kind}")
    assert (op.input("X"), op.input("Y"), op.attr("axis")) == ("p", "x", -1)


def test_a_bias_in_front_of_a_difference_is_not_swapped():
    net = PirWriter()
    bias = net.param("b", np.arange(3, dtype=np.float32))
    x = net.data("x", [-1, 3, -1, -1])
    wide = net.op("1.reshape", [bias, net.ints(1, 3, 1, 1)], [[1, 3, 1, 1]])
    net.fetch(net.op("1.subtract", [wide, x], [[-1, 3, -1, -1]]))
    made = decoded(net)
    image = np.random.default_rng(1).standard_normal((1, 3, 2, 2))
    found = run_float64(made, image)
    np.testing.assert_allclose(found, np.arange(3).reshape(1, 3, 1, 1) - image)


def test_an_alias_leaves_no_operator():
    net = PirWriter()
    x = net.data("x", [-1, 3])
    y = net.op("1.relu", [x], [[-1, 3]])
    net.fetch(net.op("1.sigmoid", [net.op("1.assign", [y], [[-1, 3]])], [[-1, 3]]))
    assert types(decoded(net)) == ["feed", "relu", "sigmoid", "fetch"]


def test_the_parts_of_a_split_are_told_apart():
    net = PirWriter()
    x = net.data("x", [-1, 3, 4])
    kinds = [tensor([-1, 1, 4]), tensor([-1, 2, 4])]
    parts = net.op("1.split", [x, net.ints(1, 2), net.full(1, "int32")], [{"#": "0.t_vec", "D": kinds}])
    net.op("0.split", [parts], [[-1, 1, 4], [-1, 2, 4]])
    net.fetch(net._last)
    net.fetch(net.op("0.slice", [parts], [[-1, 1, 4]], attr("index", 0)), 1)
    made = decoded(net)
    cut, (second, first) = only(made, "split"), [op.input("X") for op in made.program.ops if op.type == "fetch"]
    assert cut.outputs["Out"] == (first, second)
    assert (cut.attr("sections"), cut.attr("axis")) == ((1, 2), 1)


def test_a_target_with_two_computed_sizes_is_left_to_the_passes():
    """Two sides that are computed cannot both be -1; the classic form asks for them while the model runs."""
    net = PirWriter()
    x = net.data("x", [-1, 3, 4, -1])
    sizes = net.op("1.shape64", [x], [tensor([4], I64)])
    cut = attr("axes", [0], "a_i64"), attr("decrease_axis", [0], "a_i64")
    sides = [net.op("1.slice", [sizes, net.ints(i), net.ints(i + 1)], [tensor([], I64)], *cut) for i in (0, 3)]
    parts = net.combine(sides[0], net.full(12, "int64", ()), sides[1])
    target = net.op("1.stack", [parts], [tensor([3], I64)], attr("axis", 0))
    net.fetch(net.op("1.reshape", [x, target], [[-1, 12, -1]]))
    made = decoded(net)
    assert len(only(made, "reshape2").inputs["ShapeTensor"]) == 3
    optimised = optimise(made)[0]
    assert types(optimised) == ["feed", "reshape2", "fetch"]
    assert only(optimised, "reshape2").attr("shape") == (0, 12, -1)


def test_what_no_output_depends_on_is_left_out_with_its_parameters():
    net = PirWriter()
    unread, weight = net.param("a.unread", np.ones((2, 2))), net.param("b", np.ones(3, np.float32))
    x = net.data("x", [-1, 3])
    net.op("1.cumsum", [unread], [[2, 2]])
    net.fetch(net.op("1.add", [x, weight], [[-1, 3]]))
    made = decoded(net)
    assert types(made) == ["feed", "elementwise_add", "fetch"]
    assert list(made.params) == ["b"]
    np.testing.assert_array_equal(made.params["b"], 1)


def test_parameters_follow_in_the_order_of_their_names():
    """The file holds no names: read in the order of the program the two would be swapped."""
    net = PirWriter()
    late, early = net.param("z", np.full(3, 2.0)), net.param("a", np.full(3, 5.0))
    x = net.data("x", [-1, 3])
    net.fetch(net.op("1.add", [net.op("1.multiply", [x, late], [[-1, 3]]), early], [[-1, 3]]))
    made = decoded(net)
    assert (made.params["z"][0], made.params["a"][0]) == (2.0, 5.0)


def test_a_result_never_takes_the_name_of_a_parameter():
    net = PirWriter()
    weight = net.param("relu_3.tmp_0", np.ones(3, np.float32))
    x = net.data("x", [-1, 3])
    y = net.op("1.relu", [x], [[-1, 3]])
    net.fetch(net.op("1.add", [y, weight], [[-1, 3]]))
    made = decoded(net)
    assert y == 3
    assert only(made, "relu").output("Out") not in made.params


def test_element_types_and_sizes_are_declared():
    made = decoded(recogniser())
    variables = made.program.main.var_map()
    assert variables["x"].dims == (-1, 3, 4, -1)
    assert variables[made.program.ops[-1].input("X")].dims == (-1, -1, 5)
    assert variables["conv.w_0"].data_type == VarType.FP32


# ---- errors


def broken(change, net=None):
    document = (net or detector()).document
    change(document, document["program"]["regions"][0]["blocks"][0]["ops"])
    return json.dumps(document).encode()


def _set(ops, name, **changes):
    next(op for op in ops if op["#"] == name).update(changes)


FAULTS = {
    "magic": (lambda d, o: d["base_code"].update(magic="other"), "magic"),
    "regions": (lambda d, o: d["program"].update(regions={}), "regions"),
    "two blocks": (lambda d, o: d["program"]["regions"].append(d["program"]["regions"][0]), "2 blocks"),
    "unknown operator": (lambda d, o: _set(o, "1.hardswish", **{"#": "1.lstm"}), "pd_op.lstm"),
    "another dialect": (lambda d, o: _set(o, "1.hardswish", **{"#": "3.mine"}), "custom_op.mine"),
    "control flow": (lambda d, o: _set(o, "1.hardswish", regions=[{"blocks": []}]), "control flow"),
    "unknown value": (lambda d, o: _set(o, "1.hardswish", I=[{"%": 9999}]), "9999"),
    "no operand": (lambda d, o: _set(o, "1.hardswish", I=[{"%": 0}]), "operand 0"),
    "a number that is text": (lambda d, o: _set(o, "1.hardswish", I=[{"%": "1"}]), "expected a number"),
    "made twice": (lambda d, o: _set(o, "1.hardswish", O=[{"%": 1, "TT": tensor([1])}]), "makes the value 1 again"),
    "no attribute": (lambda d, o: _set(o, "1.conv2d", A=[]), "strides"),
    "wide attribute": (lambda d, o: _set(o, "1.conv2d", A=[attr("strides", [1 << 40], "a_i64")]), "strides"),
    "element type": (lambda d, o: _set(o, "1.hardswish", O=[{"%": 99, "TT": tensor([1], "c64")}]), "t_c64"),
    "no output": (lambda d, o: o.pop(), "no output"),
    "not an object": (lambda d, o: o.append(3), "expected an object"),
    "same parameter": (lambda d, o: o.insert(0, dict(o[0], O={"%": 500, "TT": tensor([1])})), "twice"),
    "training": (lambda d, o: _set(o, "1.dropout", A=[attr("is_test", False)]), "test mode"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_program_is_named(tmp_path, name):
    change, found = FAULTS[name]
    net = recogniser() if name == "training" else detector()
    path, params = tmp_path / "inference.json", tmp_path / "inference.pdiparams"
    path.write_bytes(broken(change, net))
    params.write_bytes(net.files[1])
    with pytest.raises(KitError) as caught:
        read_model(path, params)
    assert found in str(caught.value)
    assert caught.value.path == str(path)
    assert caught.value.hint


def test_an_operand_that_is_computed_is_refused_by_name():
    net = PirWriter()
    x = net.data("x", [-1, 3, 4, -1])
    sizes = net.op("1.shape64", [x], [tensor([4], I64)])
    net.fetch(net.op("1.expand", [x, sizes], [[-1, 3, 4, -1]]))
    with pytest.raises(KitError, match=r"operator 2 \(pd_op.expand\).*computed while the model runs"):
        decoded(net)


def test_an_empty_constant_among_the_sizes_of_a_target_is_no_number():
    net = PirWriter()
    x = net.data("x", [-1, 3, 4, -1])
    parts = net.combine(net.full(0, "int64", ()), net.full(1, "int64", (0,)), net.full(3, "int64", ()))
    target = net.op("1.stack", [parts], [tensor([3], I64)], attr("axis", 0))
    net.fetch(net.op("1.reshape", [x, target], [[-1, -1, 3]]))
    assert only(decoded(net), "reshape2").attr("shape") == (0, -1, 3)


def test_all_unknown_operators_are_named_at_once():
    net = PirWriter()
    y = net.data("x", [-1, 3])
    for name in ("1.cumsum", "1.roll", "1.cumsum", "1.flip", "1.erfinv"):
        y = net.op(name, [y], [[-1, 3]])
    net.fetch(y)
    with pytest.raises(KitError, match=r"operator 1 \(pd_op.cumsum\), .*pd_op.flip\) and 1 more"):
        decoded(net)


@pytest.mark.parametrize(
    "text", [b"{", b'{"base_code": ' + b"[" * 100_000, b"\xff\xfe{", b'{"base_code": {"magic": "pir"}}']
)
def test_text_that_is_no_program_is_refused(text):
    with pytest.raises(KitError):
        decode_pir(text, b"")


def test_parameters_of_another_model_are_refused(tmp_path):
    (tmp_path / "a.json").write_bytes(detector().files[0])
    (tmp_path / "b.pdiparams").write_bytes(recogniser().files[1])
    with pytest.raises(KitError, match="of one export together"):
        read_model(tmp_path / "a.json", tmp_path / "b.pdiparams")


def test_a_convolution_keeps_the_bias_that_another_operator_reads_too():
    net = PirWriter()
    weight, bias = net.param("w", np.ones((3, 3, 1, 1), np.float32)), net.param("b", np.ones(3, np.float32))
    x = net.data("x", [-1, 3, -1, -1])
    y = biased(net, conv(net, x, weight, [-1, 3, -1, -1], padding=0), bias, [-1, 3, -1, -1])
    net.fetch(biased(net, y, bias, [-1, 3, -1, -1]))
    made = decoded(net)
    assert [op.input("Y") for op in made.program.ops if op.type == "elementwise_add"] == ["b", "b"]

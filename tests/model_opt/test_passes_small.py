"""Each pass on models made by hand: what it may fold, what it must leave, and that the rest stays as it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from model_opt.lower import LowerError, Target, lower
from model_opt.paddle_model import PaddleModelError
from model_opt.passes import PASSES, optimise
from model_opt.passes.constant_folding import constant_folding
from model_opt.passes.dead_channels import dead_channels
from model_opt.passes.dead_code import dead_code
from model_opt.passes.fold_affine import fold_affine
from model_opt.passes.fold_batch_norm import fold_batch_norm
from model_opt.passes.fuse_squeeze_excite import fuse_squeeze_excite
from model_opt.passes.identity import identity
from model_opt.passes.merge_convs import merge_convs
from model_opt.passes.operand_order import operand_order
from model_opt.passes.shape_constants import shape_constants
from model_opt.passes.simplify_attention import simplify_attention
from model_opt.passes.training_ops import training_ops
from model_opt.program import Block, Model, Op, Program, Var, VarType, attr_of
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import conv_at
from tests.model_opt.passes_float64 import run_float64
from tests.model_opt.random_numbers import generator

RNG = generator(5)
IMAGE = (-1, 4, -1, -1)


def op(kind: str, ins: dict, out: str | list[str], key: str = "Out", **attrs) -> Op:
    inputs = {name: tuple(v) if isinstance(v, list) else (v,) for name, v in ins.items()}
    outs = tuple(out) if isinstance(out, list) else (out,)
    return Op(kind, inputs, {key: outs}, {name: attr_of(value) for name, value in attrs.items()})


def conv(x: str, w: str, out: str, *, pad: int = 0, groups: int = 1, stride: int = 1) -> Op:
    kind = "depthwise_conv2d" if groups > 1 else "conv2d"
    ins = {"Input": x, "Filter": w}
    sides = {"paddings": (pad, pad), "strides": (stride, stride), "dilations": (1, 1)}
    return op(kind, ins, out, "Output", groups=groups, data_format="NCHW", **sides)


def binary(kind: str, x: str, y: str, out: str, axis: int = -1) -> Op:
    return op(f"elementwise_{kind}", {"X": x, "Y": y}, out, axis=axis)


def made(ops: list[Op], params: dict, output: str, dims: dict | None = None, given: tuple = IMAGE) -> Model:
    """Return a model from ``x`` to ``output``; variables are images of four channels unless ``dims`` says otherwise."""
    names = dict.fromkeys(name for one in ops for name in one.output_names if name not in params)
    shapes = dims or {}
    variables = [
        Var("feed", kind=VarType.FEED_MINIBATCH, persistable=True),
        Var("fetch", kind=VarType.FETCH_LIST, persistable=True),
        Var("x", data_type=VarType.FP32, dims=given, lod_level=0, need_check_feed=True),
        *(Var(name, data_type=VarType.FP32, dims=shapes.get(name, IMAGE)) for name in names),
    ]
    feed, fetch = op("feed", {"X": "feed"}, "x", col=0), op("fetch", {"X": output}, "fetch", col=0)
    model = Model(Program((Block(0, -1, tuple(variables), (feed, *ops, fetch), -1),), version=2006002), {})
    for name, array in params.items():
        model = model.with_param(name, np.asarray(array, dtype=np.float32))
    return model


def weight(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def types(model: Model) -> list[str]:
    return [one.type for one in model.program.main.ops if one.type not in ("feed", "fetch")]


def same(before: Model, after: Model, shape: tuple = (2, 4, 7, 9)) -> None:
    x = RNG.standard_normal(shape)
    a, b = run_float64(before, x), run_float64(after, x)
    assert a.shape == b.shape
    np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [3, 8, (1 << 31) - 1])
def test_groups_that_do_not_share_out_the_filters_are_no_convolution(groups):
    """A damaged file may claim any number of groups; arrays of that length would be made."""
    fine, odd = (made([conv("x", "w", "y", groups=g)], {"w": weight(4, 1, 1, 1)}, "y") for g in (4, groups))
    found, refused = (conv_at(GraphEditor(model, "test"), model.program.main.ops[1]) for model in (fine, odd))
    assert found is not None
    assert refused is None


# ---- fold_affine


def test_maps_behind_a_conv_go_into_it():
    ops = [
        conv("x", "w", "a", pad=1),
        binary("add", "a", "b", "c", 1),
        binary("mul", "s", "c", "d"),
        binary("add", "d", "t", "e"),
        op("relu", {"X": "e"}, "y"),
    ]
    model = made(ops, {"w": weight(4, 4, 3, 3), "b": weight(4), "s": [1.5], "t": [-0.5]}, "y")
    after, report = fold_affine(model)
    assert types(after) == ["conv2d", "elementwise_add", "relu"]
    assert set(after.params) == {"w", "b"}
    assert dict(report.done) == {"conv takes the map behind it": 1}
    same(model, after)


@pytest.mark.parametrize("operand", [(1, 4, 1, 1), (4, 1, 1)])
def test_a_value_for_each_channel_goes_into_the_conv_in_front(operand):
    ops = [conv("x", "w", "a"), binary("mul", "a", "s", "b"), binary("sub", "b", "t", "c"), op("relu", {"X": "c"}, "y")]
    model = made(ops, {"w": weight(4, 4, 1, 1), "s": weight(*operand), "t": weight(*operand)}, "y")
    after, _ = fold_affine(model)
    assert types(after) == ["conv2d", "elementwise_add", "relu"]
    same(model, after)


def test_a_map_behind_an_activation_goes_into_every_reader():
    ops = [
        op("hard_swish", {"X": "x"}, "h"),
        binary("mul", "s", "h", "i"),
        binary("add", "i", "t", "j"),
        conv("j", "w1", "a"),
        conv("j", "w2", "b"),
        binary("add", "a", "b", "y"),
    ]
    model = made(ops, {"s": [0.3], "t": [2.0], "w1": weight(4, 4, 1, 1), "w2": weight(4, 4, 1, 1)}, "y")
    after, report = fold_affine(model)
    assert types(after).count("elementwise_mul") == 0
    assert dict(report.done) == {"readers take scale and shift": 1}
    same(model, after)


@pytest.mark.parametrize("groups", [1, 4])
def test_an_addition_in_front_of_a_padded_conv_stays_and_says_why(groups):
    ops = [
        op("hard_swish", {"X": "x"}, "h"),
        binary("mul", "s", "h", "i"),
        binary("add", "i", "t", "j"),
        conv("j", "w", "y", pad=1, groups=groups),
    ]
    model = made(ops, {"s": [0.3], "t": [2.0], "w": weight(4, 4 // groups, 3, 3)}, "y")
    after, report = fold_affine(model)
    assert types(after) == ["hard_swish", "elementwise_add", ops[-1].type]
    assert "pads its input" in report.left[0].why
    same(model, after)


def test_a_shift_goes_into_an_unpadded_3x3_conv():
    ops = [op("relu", {"X": "x"}, "h"), binary("add", "h", "t", "i"), conv("i", "w", "y", groups=4)]
    model = made(ops, {"t": weight(1, 4, 1, 1), "w": weight(4, 1, 3, 3)}, "y")
    after, _ = fold_affine(model)
    assert types(after) == ["relu", "depthwise_conv2d", "elementwise_add"]
    same(model, after)


def test_a_factor_goes_through_pool_gate_and_concat():
    ops = [
        op("relu", {"X": "x"}, "h"),
        binary("mul", "h", "s", "i"),
        op("pool2d", {"X": "i"}, "p", adaptive=True, ksize=(1, 1), pooling_type="avg", paddings=(0, 0)),
        conv("p", "w1", "g"),
        binary("mul", "i", "g", "m"),
        op("concat", {"X": ["m", "x"]}, "k", axis=1),
        conv("k", "w2", "y", pad=1),
    ]
    dims = {"p": (-1, 4, 1, 1), "g": (-1, 4, 1, 1), "k": (-1, 8, -1, -1)}
    params = {"s": [0.25], "w1": weight(4, 4, 1, 1), "w2": weight(4, 8, 3, 3)}
    model = made(ops, params, "y", dims)
    after, report = fold_affine(model)
    assert "elementwise_mul" in types(after)
    assert types(after).count("elementwise_mul") == 1
    assert not report.left
    same(model, after)


@pytest.mark.parametrize("factor", [-0.5, 2.0])
def test_a_factor_passes_a_relu_only_when_it_is_positive(factor):
    ops = [
        op("sigmoid", {"X": "x"}, "h"),
        binary("mul", "h", "s", "i"),
        op("relu", {"X": "i"}, "r"),
        conv("r", "w", "y"),
    ]
    model = made(ops, {"s": [factor], "w": weight(4, 4, 1, 1)}, "y")
    after, report = fold_affine(model)
    assert report.changed == (factor > 0)
    same(model, after)


def test_an_addition_moves_behind_the_pool():
    ops = [
        op("relu", {"X": "x"}, "h"),
        binary("add", "h", "t", "i"),
        op(
            "pool2d", {"X": "i"}, "p", ksize=(2, 2), strides=(2, 2), paddings=(0, 0), pooling_type="avg", adaptive=False
        ),
        conv("p", "w", "y", pad=1),
    ]
    model = made(ops, {"t": [0.7], "w": weight(4, 4, 3, 3)}, "y")
    after, _ = fold_affine(model)
    assert types(after) == ["relu", "pool2d", "elementwise_add", "conv2d"]
    same(model, after)


def test_a_shared_weight_keeps_its_value_for_the_others():
    ops = [
        op("relu", {"X": "x"}, "h"),
        binary("mul", "h", "s", "i"),
        conv("i", "w", "a"),
        conv("x", "w", "b"),
        binary("add", "a", "b", "y"),
    ]
    model = made(ops, {"s": [3.0], "w": weight(4, 4, 1, 1)}, "y")
    after, _ = fold_affine(model)
    assert len(after.params) == 2
    same(model, after)


def test_a_transposed_conv_takes_maps_on_both_sides():
    deconv = op("conv2d_transpose", {"Input": "i", "Filter": "w"}, "a", "Output", groups=2, paddings=(0, 0))
    for name in ("strides", "dilations"):
        deconv = deconv.with_attr(name, (2, 2) if name == "strides" else (1, 1))
    ops = [
        op("relu", {"X": "x"}, "h"),
        binary("mul", "h", "s", "i"),
        deconv,
        binary("mul", "a", "u", "b"),
        op("relu", {"X": "b"}, "y"),
    ]
    model = made(ops, {"s": weight(4, 1, 1), "u": weight(1, 4, 1, 1), "w": weight(4, 2, 2, 2)}, "y")
    after, _ = fold_affine(model)
    assert types(after) == ["relu", "conv2d_transpose", "relu"]
    same(model, after)


@pytest.mark.parametrize("reader", ["an_operator_nobody_knows", "softmax"])
def test_an_unknown_reader_keeps_the_map(reader):
    ops = [
        op("relu", {"X": "x"}, "h"),
        binary("mul", "h", "s", "i"),
        op(reader, {"X": "i"}, "k", axis=1),
        conv("i", "w", "a"),
        binary("add", "a", "k", "y"),
    ]
    model = made(ops, {"s": [3.0], "w": weight(4, 4, 1, 1)}, "y")
    after, report = fold_affine(model)
    assert after is model
    assert reader in report.left[0].why


def test_the_name_of_the_output_stays():
    ops = [conv("x", "w", "a"), binary("mul", "a", "s", "y")]
    model = made(ops, {"s": [3.0], "w": weight(4, 4, 1, 1)}, "y")
    for each in PASSES:
        after, _ = each(model)
        assert after.program.main.ops[-1].input("X") == "y"


def test_a_value_that_another_block_reads_is_not_touched():
    ops = [conv("x", "w", "a"), binary("mul", "a", "s", "b"), op("relu", {"X": "b"}, "y")]
    model = made(ops, {"s": [3.0], "w": weight(4, 4, 1, 1)}, "y")
    inner = Block(1, 0, (), (op("print", {"In": "a"}, "z"),), -1)
    model = dataclasses.replace(model, program=dataclasses.replace(model.program, blocks=(model.program.main, inner)))
    after, _ = optimise(model)
    assert types(after) == ["conv2d", "elementwise_mul", "relu"]
    assert after.program.blocks[1] == inner


def test_a_name_written_twice_is_not_followed():
    ops = [conv("x", "w", "a"), op("relu", {"X": "a"}, "a"), binary("mul", "a", "s", "b"), op("relu", {"X": "b"}, "y")]
    model = made(ops, {"s": [-3.0], "w": weight(4, 4, 1, 1)}, "y")
    after, _ = optimise(model)
    assert types(after) == types(model)
    same(model, after)


def test_a_quantised_conv_is_left_alone():
    ops = [
        conv("x", "w", "a").with_attr("enable_int8", True),
        binary("mul", "a", "s", "b"),
        op("relu", {"X": "b"}, "y"),
    ]
    model = made(ops, {"s": [3.0], "w": weight(4, 4, 1, 1)}, "y")
    assert fold_affine(model)[0] is model


# ---- the other passes


def batch_norm(x: str, out: str, **attrs) -> Op:
    names = {"Scale": "g", "Bias": "b", "Mean": "m", "Variance": "v"}
    made_op = op("batch_norm", {"X": x, **names}, out, "Y", epsilon=1e-5, data_layout="NCHW", **attrs)
    return made_op.with_output("MeanOut", "m").with_output("VarianceOut", "v")


STATISTICS = {"g": weight(4), "b": weight(4), "m": weight(4), "v": np.abs(weight(4)) + 0.1}


@pytest.mark.parametrize("groups", [1, 4])
def test_batch_norm_goes_into_the_conv(groups):
    ops = [conv("x", "w", "a", pad=1, groups=groups), batch_norm("a", "c", is_test=True), op("relu", {"X": "c"}, "y")]
    model = made(ops, {"w": weight(4, 4 // groups, 3, 3), **STATISTICS}, "y")
    after, _ = fold_batch_norm(model)
    assert types(after) == [ops[0].type, "elementwise_add", "relu"]
    same(model, after)


def test_batch_norm_of_a_batch_stays():
    ops = [conv("x", "w", "a"), batch_norm("a", "c", is_test=False), op("relu", {"X": "c"}, "y")]
    model = made(ops, {"w": weight(4, 4, 1, 1), **STATISTICS}, "y")
    after, report = fold_batch_norm(model)
    assert after is model
    assert report.left[0].why == "it computes the statistics of its input"


@pytest.mark.parametrize("how", ["upscale_in_train", "downgrade_in_infer"])
def test_dropout_in_a_row_goes(how):
    attrs = {"is_test": True, "dropout_prob": 0.25, "dropout_implementation": how}
    ops = [op("dropout", {"X": "x"}, "a", **attrs), op("dropout", {"X": "a"}, "b", **attrs), conv("b", "w", "y")]
    model = made(ops, {"w": weight(4, 4, 1, 1)}, "y")
    after = fold_affine(training_ops(model)[0])[0]
    assert types(after) == ["conv2d"]
    same(model, after)


def test_dropout_that_trains_stays():
    ops = [
        op("dropout", {"X": "x"}, "a", is_test=False, dropout_implementation="upscale_in_train"),
        conv("a", "w", "y"),
    ]
    after, report = training_ops(made(ops, {"w": weight(4, 4, 1, 1)}, "y"))
    assert types(after) == ["dropout", "conv2d"]
    assert report.left[0].why == "dropout is not in test mode"


def test_the_backward_pass_goes():
    ops = [
        conv("x", "w", "y"),
        op("conv2d_grad", {"Input": "x"}, "g", op_role=1),
        op("sgd", {"Param": "g"}, "s", op_role=2),
    ]
    after, _ = training_ops(made(ops, {"w": weight(4, 4, 1, 1)}, "y"))
    assert types(after) == ["conv2d"]


def test_a_result_marked_as_training_stays_when_the_forward_pass_reads_it():
    ops = [op("relu", {"X": "x"}, "a", op_role=1), conv("a", "w", "y")]
    model = made(ops, {"w": weight(4, 4, 1, 1)}, "y")
    assert training_ops(model)[0] is model


def test_what_does_nothing_goes():
    ops = [
        op("assign", {"X": "x"}, "a"),
        op("scale", {"X": "a"}, "b", scale=1.0, bias=0.0, bias_after_scale=True),
        op("transpose2", {"X": "b"}, "c", axis=(0, 2, 1, 3)),
        op("transpose2", {"X": "c"}, "d", axis=(0, 2, 1, 3)),
        binary("mul", "d", "one", "e"),
        op("reshape2", {"X": "e"}, "f", shape=(0, 4, -1)),
        op("reshape2", {"X": "f"}, "g", shape=(0, 2, 2, -1)),
        op("relu", {"X": "g"}, "y"),
    ]
    dims = {"c": (-1, -1, 4, -1), "f": (-1, 4, -1), "g": (-1, 2, 2, -1), "y": (-1, 2, 2, -1)}
    model = made(ops, {"one": [1.0]}, "y", dims, given=(-1, 4, 3, -1))
    after, _ = identity(model)
    assert types(after)[-1] == "relu"
    assert set(types(after)) <= {"reshape2", "relu"}
    same(model, after, (2, 4, 3, 5))


def shape_model(third: str) -> Model:
    """Return a model that reshapes [n, w, 12] to [0, side of x, third, 4] with the side asked for while it runs."""
    ops = [
        op("shape", {"Input": "x"}, "s"),
        op("slice", {"Input": "s"}, "w", axes=(0,), starts=(1,), ends=(2,), decrease_axis=(0,)),
        *(op("fill_constant", {}, f"c{v}", shape=(1,), value=float(v), dtype=2) for v in (0, 3, 4)),
        op("relu", {"X": "x"}, "r"),
        op("reshape2", {"X": "r", "ShapeTensor": ["c0", "w", third, "c4"]}, "y", shape=(0, -1, 3, 4)),
    ]
    dims = {"r": (-1, -1, 12), "y": (-1, -1, 3, 4), "s": (3,), "w": (1,)}
    return made(ops, {}, "y", dims, given=(-1, -1, 12))


def test_a_side_asked_for_while_running_becomes_a_constant():
    model = shape_model("c3")
    after, _ = shape_constants(model)
    assert types(after) == ["relu", "reshape2"]
    assert after.program.main.ops[-2].attr("shape") == (0, -1, 3, 4)
    for n, w in ((1, 1), (2, 5), (3, 40)):
        same(model, after, (n, w, 12))


def test_a_shape_that_no_constant_says_stays():
    ops = [
        op("shape", {"Input": "x"}, "s"),
        op("slice", {"Input": "s"}, "h", axes=(0,), starts=(2,), ends=(3,), decrease_axis=(0,)),
        op("slice", {"Input": "s"}, "n", axes=(0,), starts=(0,), ends=(1,), decrease_axis=(0,)),
        op("fill_constant", {}, "c", shape=(1,), value=-1.0, dtype=2),
        op("reshape2", {"X": "x", "ShapeTensor": ["h", "n", "c"]}, "y", shape=(-1, -1, -1)),
    ]
    model = made(ops, {}, "y", {"s": (4,), "h": (1,), "n": (1,), "y": (-1, -1, -1)})
    after, report = shape_constants(model)
    assert after is model
    assert len(report.left) == 1


def test_constants_are_computed_now():
    ops = [
        op("fill_constant", {}, "c", shape=(4,), value=2.0, dtype=5),
        binary("mul", "c", "p", "d"),
        op("reshape2", {"X": "d"}, "e", shape=(1, 4, 1, 1)),
        binary("add", "x", "e", "f"),
        op("relu", {"X": "f"}, "y"),
    ]
    model = made(ops, {"p": weight(4)}, "y", {"c": (4,), "d": (4,), "e": (1, 4, 1, 1)})
    after, _ = constant_folding(model)
    assert types(after) == ["elementwise_add", "relu"]
    assert len(after.params) == 1
    same(model, after)


def test_dead_code_takes_its_parameters_with_it():
    ops = [conv("x", "w", "y"), conv("x", "u", "a"), op("relu", {"X": "a"}, "b"), op("print", {"In": "x"}, "z")]
    after, report = dead_code(made(ops, {"w": weight(4, 4, 1, 1), "u": weight(4, 4, 1, 1)}, "y"))
    assert types(after) == ["conv2d", "print"]
    assert set(after.params) == {"w"}
    assert "a" not in after.program.main.var_map()
    assert dict(report.done) == {"unread conv2d": 1, "unread relu": 1}


def test_a_constant_too_long_for_a_shape_is_no_shape():
    ops = [
        op("fill_constant", {}, "c", shape=(1 << 30,), value=1.0, dtype=2),
        Op("reshape2", {"X": ("x",), "Shape": ("c",)}, {"Out": ("y",)}),
    ]
    model = made(ops, {}, "y")
    after, report = shape_constants(model)
    assert after is model
    assert len(report.left) == 1


def test_parameters_stand_second_and_for_each_channel_at_axis_one():
    ops = [binary("mul", "s", "x", "a"), binary("add", "a", "t", "b"), op("relu", {"X": "b"}, "y")]
    model = made(ops, {"s": [2.0], "t": weight(1, 4, 1, 1)}, "y")
    after, _ = operand_order(model)
    mul, add = after.program.main.ops[1:3]
    assert (mul.input("X"), mul.input("Y")) == ("x", "s")
    assert add.attr("axis") == 1
    assert after.params[add.input("Y")].shape == (4,)
    same(model, after)


def gate_model(shortcut: bool, reader: str = "conv2d") -> Model:
    ops = [
        op("pool2d", {"X": "x"}, "p", adaptive=True, ksize=(1, 1), pooling_type="avg", paddings=(0, 0)),
        conv("p", "w1", "a"),
        binary("add", "a", "b1", "u", 1),
        op("hard_sigmoid", {"X": "u"}, "h", slope=0.2, offset=0.5),
        binary("mul", "x", "h", "m"),
    ]
    ops += [binary("add", "x", "m", "t")] if shortcut else []
    last = "t" if shortcut else "m"
    ops += [conv(last, "w2", "y", pad=1) if reader == "conv2d" else op(reader, {"X": last}, "y")]
    dims = dict.fromkeys(("p", "a", "u", "h"), (-1, 4, 1, 1))
    params = {"w1": weight(4, 4, 1, 1) * 3, "b1": weight(4), "w2": weight(4, 4, 3, 3)}
    return made(ops, {k: v for k, v in params.items() if k != "w2" or reader == "conv2d"}, "y", dims)


def test_a_gate_ends_in_relu6():
    model = gate_model(shortcut=False)
    after, _ = fuse_squeeze_excite(model)
    assert "hard_sigmoid" not in types(after)
    assert types(after).count("relu6") == 1
    same(model, after)


def test_a_shortcut_around_a_gate_is_added_to_the_gate():
    model = gate_model(shortcut=True)
    after, _ = fuse_squeeze_excite(model)
    assert types(after)[-4:] == ["hard_sigmoid", "elementwise_add", "elementwise_mul", "conv2d"]
    same(model, after)


def test_a_gate_that_reads_its_own_product_is_refused():
    ops = [
        op("pool2d", {"X": "m"}, "p", adaptive=True, ksize=(1, 1), pooling_type="avg", paddings=(0, 0)),
        conv("p", "w1", "a"),
        op("hard_sigmoid", {"X": "a"}, "h", slope=0.2, offset=0.5),
        binary("mul", "x", "h", "m"),
        conv("m", "w2", "y"),
    ]
    model = made(ops, {"w1": weight(4, 4, 1, 1), "w2": weight(4, 4, 1, 1)}, "y", dict.fromkeys("pah", (-1, 4, 1, 1)))
    with pytest.raises(
        PaddleModelError, match=r"operator 1 \(pool2d\) reads 'm', which only it or a later operator writes"
    ):
        optimise(model)


def test_an_operator_that_reads_its_own_output_is_refused():
    """Following such a chain from reader to reader never ends."""
    ops = [conv("x", "w", "a"), binary("mul", "b", "two", "b"), binary("add", "a", "b", "y")]
    model = made(ops, {"w": weight(4, 4, 1, 1), "two": np.float32([2])}, "y")
    with pytest.raises(PaddleModelError, match=r"operator 2 \(elementwise_mul\) reads 'b', which only it or a later"):
        optimise(model)
    with pytest.raises(LowerError, match="depends on its own output"):
        lower(model, Target())


def test_a_gate_whose_reader_takes_no_factor_stays():
    model = gate_model(shortcut=False, reader="sigmoid")
    after, report = fuse_squeeze_excite(model)
    assert after is model
    assert report.left[0].why == "sigmoid does not commute with it"


@pytest.mark.parametrize(("middle", "merged"), [(8, True), (1, False)])
def test_convs_merge_where_that_saves_work(middle, merged):
    ops = [
        conv("x", "w1", "a", pad=1),
        binary("add", "a", "b1", "b", 1),
        conv("b", "w2", "c"),
        binary("add", "c", "b2", "y", 1),
    ]
    dims = {"a": (-1, middle, -1, -1), "b": (-1, middle, -1, -1)}
    params = {"w1": weight(middle, 4, 3, 3), "b1": weight(middle), "w2": weight(4, middle, 1, 1), "b2": weight(4)}
    model = made(ops, params, "y", dims)
    after, report = merge_convs(model)
    assert report.changed == merged
    assert types(after).count("conv2d") == (1 if merged else 2)
    assert bool(report.left) != merged
    same(model, after)


@pytest.mark.parametrize(
    ("factor", "params"),
    [
        (op("scale", {"X": "s0"}, "s0s", scale=0.25, bias=0.0, bias_after_scale=True), {}),
        (binary("mul", "s0", "f", "s0s"), {"f": [0.25]}),
        (binary("div", "s0", "f", "s0s"), {"f": [4.0]}),
    ],
    ids=["scale", "product", "quotient"],
)
def test_heads_are_cut_on_four_sides_without_a_factor(factor, params):
    ops = [
        op("matmul_v2", {"X": "x", "Y": "w"}, "a", trans_x=False, trans_y=False),
        binary("add", "a", "b", "q", 2),
        op("reshape2", {"X": "q"}, "r", shape=(0, -1, 3, 2, 5)),
        op("transpose2", {"X": "r"}, "t", axis=(2, 0, 3, 1, 4)),
        *(
            op("slice", {"Input": "t"}, f"s{i}", axes=(0,), starts=(i,), ends=(i + 1,), decrease_axis=(0,))
            for i in range(3)
        ),
        factor,
        op("transpose2", {"X": "s1"}, "k", axis=(0, 1, 3, 2)),
        op("matmul_v2", {"X": "s0s", "Y": "k"}, "m", trans_x=False, trans_y=False),
        op("matmul_v2", {"X": "m", "Y": "s2"}, "y", trans_x=False, trans_y=False),
    ]
    dims = {"a": (-1, -1, 30), "q": (-1, -1, 30), "r": (-1, -1, 3, 2, 5), "t": (3, -1, 2, -1, 5)}
    model = made(ops, {"w": weight(12, 30), "b": weight(30), **params}, "y", dims, given=(-1, -1, 12))
    after, _ = simplify_attention(model)
    found = types(after)
    assert factor.type not in found
    assert found.count("transpose2") == 1
    assert max(len(var.dims or ()) for var in after.program.main.vars) <= 4
    for n, w in ((1, 1), (2, 7)):
        same(model, after, (n, w, 12))


@pytest.mark.parametrize("each", dict.fromkeys(PASSES), ids=lambda each: each.__name__)
def test_a_model_of_unknown_operators_is_returned_as_it_is(each):
    ops = [
        op("strange", {"A": "x"}, "a", "B"),
        op("stranger", {"A": ["a", "x"]}, ["b", "c"], "B"),
        op("odd", {"A": "b"}, "y", "B"),
    ]
    model = made([*ops, op("relu", {"X": "c"}, "r"), op("odd", {"A": "r"}, "y2", "B")], {}, "y")
    after, report = each(dead_code(model)[0])
    assert not report.changed
    assert [one.type for one in after.program.main.ops[1:4]] == ["strange", "stranger", "odd"]


# ---- dead_channels


WIDE = 12
DEAD = (1, 4, 5, 9)


def thin(shape: tuple[int, ...], zero: tuple[int, ...] = DEAD, axis: int = 0, to: float = 1e-12) -> np.ndarray:
    """Return weights that are next to nothing at some places of an axis."""
    made = weight(*shape)
    made[(slice(None),) * axis + (list(zero),)] *= to
    return made


def wide(*names: str) -> dict:
    return dict.fromkeys(names, (-1, WIDE, -1, -1))


def channels(model: Model, name: str) -> tuple[int, ...]:
    return model.params[name].shape


@pytest.mark.parametrize(
    ("activation", "attrs"),
    [
        *((name, {}) for name in ("relu", "hard_swish", "swish", "sigmoid")),
        ("relu6", {"threshold": 6.0}),
        ("hard_sigmoid", {"slope": 0.2, "offset": 0.5}),
        ("gelu", {"approximate": False}),
        ("gelu", {"approximate": True}),
    ],
)
def test_a_channel_that_is_only_its_bias_goes_into_the_bias_of_the_reader(activation, attrs):
    ops = [
        conv("x", "w1", "a", pad=1),
        binary("add", "a", "b1", "b", 1),
        op(activation, {"X": "b"}, "c", **attrs),
        conv("c", "w2", "d"),
        binary("add", "d", "b2", "y", 1),
    ]
    params = {"w1": thin((WIDE, 4, 3, 3)), "b1": weight(WIDE) + 1, "w2": weight(4, WIDE, 1, 1), "b2": weight(4)}
    model = made(ops, params, "y", wide("a", "b", "c"))
    after, report = dead_channels(model)
    assert dict(report.done) == {"channel cut": 4}
    assert (channels(after, "w1"), channels(after, "b1"), channels(after, "w2")) == ((8, 4, 3, 3), (8,), (4, 8, 1, 1))
    assert after.program.main.var("c").dims == (-1, 8, -1, -1)
    assert np.array_equal(after.params["w1"], np.delete(model.params["w1"], DEAD, 0))
    same(model, after)
    assert dead_channels(after)[0] is after


def test_a_reader_without_a_bias_gets_one():
    ops = [conv("x", "w1", "a"), binary("add", "a", "b1", "b", 1), conv("b", "w2", "y")]
    params = {"w1": thin((WIDE, 4, 1, 1)), "b1": weight(WIDE), "w2": weight(4, WIDE, 1, 1)}
    model = made(ops, params, "y", wide("a", "b"))
    after, _ = dead_channels(model)
    assert types(after) == ["conv2d", "elementwise_add", "conv2d", "elementwise_add"]
    same(model, after)


def test_a_channel_that_nothing_weighs_goes_too():
    ops = [conv("x", "w1", "a"), op("relu", {"X": "a"}, "b"), conv("b", "w2", "y", pad=1)]
    model = made(ops, {"w1": weight(WIDE, 4, 1, 1), "w2": thin((4, WIDE, 3, 3), axis=1)}, "y", wide("a", "b"))
    after, _ = dead_channels(model)
    assert types(after) == types(model)
    assert channels(after, "w1") == (8, 4, 1, 1)
    same(model, after)


def test_a_small_filter_that_its_reader_magnifies_stays():
    # Every channel matters alike: what the filters of the first lack, the weights of the second make good.
    factors = 2.0 ** np.arange(0, -48, -4).reshape(WIDE, 1, 1, 1)
    ops = [conv("x", "w1", "a"), op("relu", {"X": "a"}, "b"), conv("b", "w2", "y")]
    params = {
        "w1": factors * np.ones((WIDE, 4, 1, 1)),
        "w2": (1 / factors).reshape(1, WIDE, 1, 1) * np.ones((4, 1, 1, 1)),
    }
    model = made(ops, params, "y", wide("a", "b"))
    after, report = dead_channels(model)
    assert after is model
    assert not report.left


@pytest.mark.parametrize("pad", [0, 1])
def test_a_depthwise_filter_keeps_a_constant_unless_its_border_sees_zeros(pad):
    ops = [
        conv("x", "w1", "a"),
        binary("add", "a", "b1", "b", 1),
        conv("b", "w2", "c", pad=pad, groups=WIDE),
        binary("add", "c", "b2", "d", 1),
        op("hard_swish", {"X": "d"}, "e"),
        conv("e", "w3", "y"),
    ]
    params = {
        "w1": thin((WIDE, 4, 1, 1)),
        "b1": weight(WIDE) + 2,
        "w2": weight(WIDE, 1, 3, 3),
        "b2": weight(WIDE),
        "w3": weight(4, WIDE, 1, 1),
    }
    model = made(ops, params, "y", wide("a", "b", "c", "d", "e"))
    after, _ = dead_channels(model)
    assert (after is model) == bool(pad)
    same(model, after)
    nothing = made(ops, {**params, "w2": thin((WIDE, 1, 3, 3))}, "y", wide("a", "b", "c", "d", "e"))
    after, _ = dead_channels(nothing)
    (depthwise,) = (one for one in after.program.main.ops if one.type == "depthwise_conv2d")
    assert (depthwise.attr("groups"), channels(after, "w2")) == (8, (8, 1, 3, 3))
    same(nothing, after)


def test_dead_channels_of_a_gate_and_of_what_it_gates():
    ops = [
        conv("x", "w1", "a"),
        binary("add", "a", "b1", "b", 1),
        op("pool2d", {"X": "b"}, "p", pooling_type="avg", ksize=(1, 1), adaptive=True, paddings=(0, 0)),
        conv("p", "w2", "q"),
        op("relu", {"X": "q"}, "r"),
        conv("r", "w3", "s"),
        op("relu6", {"X": "s"}, "t", threshold=6.0),
        binary("mul", "b", "t", "u"),
        conv("u", "w4", "y"),
    ]
    params = {
        "w1": thin((WIDE, 4, 1, 1)),
        "b1": np.where(np.isin(np.arange(WIDE), DEAD), 0, weight(WIDE)),
        "w2": thin((8, WIDE, 1, 1), (0, 2, 3, 6)),
        "w3": weight(WIDE, 8, 1, 1),
        "w4": weight(4, WIDE, 1, 1),
    }
    shapes = wide("a", "b", "s", "t", "u") | {"p": (-1, WIDE, 1, 1), "q": (-1, 8, 1, 1), "r": (-1, 8, 1, 1)}
    model = made(ops, params, "y", shapes)
    after, report = dead_channels(model)
    assert dict(report.done) == {"channel cut": 8}
    assert channels(after, "w2") == (4, 8, 1, 1)
    assert channels(after, "w3") == (8, 4, 1, 1)
    same(model, after)


def test_a_sum_is_dead_only_where_both_sides_are():
    ops = [conv("x", "w1", "a"), conv("x", "w2", "b"), binary("add", "a", "b", "c"), conv("c", "w3", "y")]
    params = {"w1": thin((WIDE, 4, 1, 1)), "w2": weight(WIDE, 4, 1, 1), "w3": weight(4, WIDE, 1, 1)}
    model = made(ops, params, "y", wide("a", "b", "c"))
    assert dead_channels(model)[0] is model
    both = made(ops, {**params, "w2": thin((WIDE, 4, 1, 1))}, "y", wide("a", "b", "c"))
    after, _ = dead_channels(both)
    assert channels(after, "w1") == channels(after, "w2") == (8, 4, 1, 1)
    same(both, after)


def test_the_count_stays_a_multiple_of_four_and_the_rest_is_reported():
    ops = [conv("x", "w1", "a"), op("relu", {"X": "a"}, "b"), conv("b", "w2", "y")]
    params = {"w1": thin((WIDE, 4, 1, 1), (0, 1, 2, 3, 4, 5)), "w2": weight(4, WIDE, 1, 1)}
    model = made(ops, params, "y", wide("a", "b"))
    after, report = dead_channels(model)
    assert channels(after, "w1") == (8, 4, 1, 1)
    assert [left.why for left in report.left] == ["2 dead channels stay: the rest would be no multiple of 4"]
    same(model, after)


@pytest.mark.parametrize(
    ("behind", "why"),
    [
        ([op("concat", {"X": ["b", "x"]}, "c", axis=1), conv("c", "w3", "y")], "concat reads them"),
        ([op("softmax", {"X": "b"}, "c", axis=1), conv("c", "w2", "y")], "softmax reads them"),
        (
            [conv("b", "w2", "y"), conv("b", "w2", "z"), binary("add", "y", "z", "v")],
            "operators share their parameters",
        ),
        ([op("relu", {"X": "b"}, "y")], "fetch reads them"),
        ([op("conv2d", {"Input": "b", "Filter": "w2"}, "y", "Output", Input0_scale=0.1)], "conv2d reads them"),
    ],
)
def test_channels_that_something_else_uses_stay(behind, why):
    ops = [conv("x", "w1", "a"), op("relu", {"X": "a"}, "b"), *behind]
    params = {"w1": thin((WIDE, 4, 1, 1)), "w2": weight(4, WIDE, 1, 1), "w3": weight(4, WIDE + 4, 1, 1)}
    used = {name: array for name, array in params.items() if any(name in one.input_names for one in ops)}
    shapes = wide("a", "b") | {"c": (-1, WIDE + 4 if "concat" in why else WIDE, -1, -1)}
    if "fetch" in why:
        shapes |= wide("y")
    model = made(ops, used, ops[-1].output_names[0], shapes)
    after, report = dead_channels(model)
    assert after is model
    assert [left.why for left in report.left] == [f"4 channels hold a constant, but {why}"]


def test_weights_that_are_not_finite_are_not_dead():
    ops = [conv("x", "w1", "a"), op("relu", {"X": "a"}, "b"), conv("b", "w2", "y")]
    broken = thin((WIDE, 4, 1, 1))
    broken[0] = np.nan
    model = made(ops, {"w1": broken, "w2": weight(4, WIDE, 1, 1)}, "y", wide("a", "b"))
    assert dead_channels(model)[0] is model

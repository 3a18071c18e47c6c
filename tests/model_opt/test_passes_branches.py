"""The passes on what larger models bring: branches that are added, norms behind sums, means, shapes of products."""

from __future__ import annotations

import numpy as np
import pytest

from model_opt.passes import optimise
from model_opt.passes.fold_batch_norm import fold_batch_norm
from model_opt.passes.identity import identity
from model_opt.passes.parallel_convs import parallel_convs
from model_opt.passes.pooled_means import pooled_means
from model_opt.passes.shape_constants import shape_constants
from model_opt.passes.simplify_attention import simplify_attention
from tests.model_opt.passes_float64 import run_float64
from tests.model_opt.test_passes_small import STATISTICS, batch_norm, binary, conv, made, op, same, types, weight

# ---- branches of one value


def window(x: str, w: str, out: str, size: tuple[int, int], **attrs):
    """A convolution of ``size`` that keeps the sizes of the image."""
    made_op = conv(x, w, out, **attrs)
    return made_op.with_attr("paddings", (size[0] // 2, size[1] // 2))


@pytest.mark.parametrize("groups", [1, 4])
def test_branches_and_the_value_itself_become_one_convolution_with_the_norm_behind(groups):
    """RepVGG's block as an exporter leaves it: conv 3x3 + conv 1x1 + x, then batch norm."""
    ops = [
        window("x", "w3", "a", (3, 3), groups=groups),
        binary("add", "a", "b3", "a2", 1),
        window("x", "w1", "k", (1, 1), groups=groups),
        binary("add", "k", "b1", "k2", 1),
        binary("add", "a2", "k2", "c"),
        binary("add", "c", "x", "d"),
        batch_norm("d", "e", is_test=True),
        op("relu", {"X": "e"}, "y"),
    ]
    weights = {"w3": weight(4, 4 // groups, 3, 3), "w1": weight(4, 4 // groups, 1, 1)}
    model = made(ops, {**weights, "b3": weight(4), "b1": weight(4), **STATISTICS}, "y")
    after, _ = optimise(model)
    assert types(after) == [ops[0].type, "elementwise_add", "relu"]
    same(model, after)


def test_windows_of_three_shapes_become_the_largest():
    ops = [
        window("x", "w77", "a", (7, 7)),
        window("x", "w71", "b", (7, 1)),
        window("x", "w17", "c", (1, 7)),
        binary("add", "a", "b", "d"),
        binary("add", "d", "c", "e"),
        op("relu", {"X": "e"}, "y"),
    ]
    params = {"w77": weight(4, 4, 7, 7), "w71": weight(4, 4, 7, 1), "w17": weight(4, 4, 1, 7)}
    model = made(ops, params, "y")
    after, report = parallel_convs(model)
    assert types(after) == ["conv2d", "relu"]
    assert dict(report.done) == {"convolutions added": 2}
    assert parallel_convs(after)[0] is after
    same(model, after, (2, 4, 9, 11))


def test_a_value_beside_two_convolutions_goes_in_without_a_norm():
    ops = [
        window("x", "w3", "a", (3, 3)),
        conv("x", "w1", "b"),
        binary("add", "b", "a", "c"),
        binary("add", "x", "c", "d"),
        op("relu", {"X": "d"}, "y"),
    ]
    model = made(ops, {"w3": weight(4, 4, 3, 3), "w1": weight(4, 4, 1, 1)}, "y")
    after, report = parallel_convs(model)
    assert types(after) == ["conv2d", "relu"]
    assert dict(report.done)["value added to its convolution"] == 1
    same(model, after)


def test_a_plain_residual_block_keeps_its_addition():
    ops = [window("x", "w", "a", (3, 3)), binary("add", "x", "a", "b"), op("relu", {"X": "b"}, "y")]
    model = made(ops, {"w": weight(4, 4, 3, 3)}, "y")
    assert parallel_convs(model)[0] is model


NOT_ALIKE = {
    "another value": lambda: conv("r", "w1", "b"),
    "another stride": lambda: conv("x", "w1", "b", stride=2),
    "a window off the middle": lambda: conv("x", "w1", "b", pad=1),
    "other groups": lambda: conv("x", "wd", "b", groups=4),
}


@pytest.mark.parametrize("case", NOT_ALIKE)
def test_branches_that_differ_stay(case):
    ops = [
        op("relu", {"X": "x"}, "r"),
        window("x", "w3", "a", (3, 3)),
        NOT_ALIKE[case](),
        binary("add", "a", "b", "c"),
        op("relu", {"X": "c"}, "d"),
        binary("mul", "r", "d", "y"),
    ]
    params = {"w3": weight(4, 4, 3, 3), "w1": weight(4, 4, 1, 1), "wd": weight(4, 1, 1, 1)}
    used = {name for one in ops for name in one.input_names}
    model = made(ops, {name: array for name, array in params.items() if name in used}, "y")
    assert parallel_convs(model)[0] is model


def test_a_branch_that_something_else_reads_stays():
    ops = [
        window("x", "w3", "a", (3, 3)),
        conv("x", "w1", "b"),
        binary("add", "a", "b", "c"),
        binary("mul", "c", "b", "y"),
    ]
    model = made(ops, {"w3": weight(4, 4, 3, 3), "w1": weight(4, 4, 1, 1)}, "y")
    assert parallel_convs(model)[0] is model


# ---- norms, means, names


@pytest.mark.parametrize(("shape", "axis"), [((1, 4, 1, 1), -1), ((4, 1, 1), -1), ((4,), 1)])
def test_a_bias_of_any_shape_does_not_keep_the_norm_from_the_conv(shape, axis):
    ops = [
        conv("x", "w", "a", pad=1),
        binary("add", "a", "bias", "c", axis),
        batch_norm("c", "d", is_test=True),
        op("relu", {"X": "d"}, "y"),
    ]
    model = made(ops, {"w": weight(4, 4, 3, 3), "bias": weight(*shape), **STATISTICS}, "y")
    after, report = fold_batch_norm(model)
    assert report.changed
    assert types(after) == ["conv2d", "elementwise_add", "relu"]
    adder = after.program.main.ops[2]
    assert (after.params[adder.input("Y")].shape, adder.attr("axis")) == ((4,), 1)
    same(model, after)


@pytest.mark.parametrize("dim", [(2, 3), (-1, -2)])
def test_a_mean_over_the_image_is_a_pool(dim):
    model = made([op("reduce_mean", {"X": "x"}, "y", dim=dim, keep_dim=True, reduce_all=False)], {}, "y")
    after, _ = pooled_means(model)
    assert types(after) == ["pool2d"]
    same(model, after)


@pytest.mark.parametrize(("dim", "kept"), [((2, 3), False), ((1,), True), ((3,), True), ((1, 2, 3), True)])
def test_other_means_stay_and_are_reported(dim, kept):
    model = made([op("reduce_mean", {"X": "x"}, "y", dim=dim, keep_dim=kept, reduce_all=False)], {}, "y")
    after, report = pooled_means(model)
    assert after is model
    assert report.left


def test_the_writer_takes_over_the_name_of_an_output_that_only_copies():
    ops = [
        conv("x", "w", "a"),
        op("relu", {"X": "a"}, "b"),
        op("scale", {"X": "b"}, "save_infer_model/scale_0", scale=1.0, bias=0.0, bias_after_scale=True),
    ]
    model = made(ops, {"w": weight(4, 4, 1, 1)}, "save_infer_model/scale_0")
    after, _ = identity(model)
    assert types(after) == ["conv2d", "relu"]
    assert after.program.main.ops[-1].input("X") == "save_infer_model/scale_0"
    same(model, after)


def test_a_copy_of_the_input_stays_an_operator():
    model = made([op("assign", {"X": "x"}, "y")], {}, "y")
    assert types(identity(model)[0]) == ["assign"]


# ---- shapes of products, attention


def test_height_times_width_is_taken_apart_again():
    """SVTRv2's blocks: [n, c, h, w] to rows of h*w, and back by the width that was asked for before."""
    ops = [
        op("relu", {"X": "x"}, "r"),
        op("shape", {"Input": "r"}, "s"),
        op("slice", {"Input": "s"}, "w", axes=(0,), starts=(3,), ends=(4,), decrease_axis=(0,)),
        op("flatten_contiguous_range", {"X": "r"}, "f", start_axis=2, stop_axis=3),
        op("transpose2", {"X": "f"}, "t", axis=(0, 2, 1)),
        op("relu", {"X": "t"}, "t2"),
        op("transpose2", {"X": "t2"}, "u", axis=(0, 2, 1)),
        *(op("fill_constant", {}, f"c{v}", shape=(1,), value=float(v), dtype=2) for v in (0, 4, 6)),
        op("reshape2", {"X": "u", "ShapeTensor": ["c0", "c4", "c6", "w"]}, "y", shape=(0, 4, 6, -1)),
    ]
    dims = {"s": (4,), "w": (), "f": (-1, 4, -1), "t": (-1, -1, 4), "t2": (-1, -1, 4), "u": (-1, 4, -1)}
    model = made(ops, {}, "y", {**dims, "y": (-1, 4, 6, -1)}, given=(-1, 4, 6, -1))
    after, report = shape_constants(model)
    assert types(after) == ["relu", "reshape2", "transpose2", "relu", "transpose2", "reshape2"]
    assert not report.left
    assert after.program.main.ops[-2].attr("shape") == (0, 4, 6, -1)
    for width in (1, 7, 80):
        same(model, after, (2, 4, 6, width))


def test_rows_and_back_in_one_piece_vanish():
    ops = [
        op("relu", {"X": "x"}, "r"),
        op("transpose2", {"X": "r"}, "t", axis=(0, 2, 1)),
        op("reshape2", {"X": "t"}, "a", shape=(0, 4, 6, -1)),
        op("flatten_contiguous_range", {"X": "a"}, "b", start_axis=2, stop_axis=3),
        op("transpose2", {"X": "b"}, "u", axis=(0, 2, 1)),
        op("relu", {"X": "u"}, "y"),
    ]
    dims = {"r": (-1, -1, 4), "t": (-1, 4, -1), "a": (-1, 4, 6, -1), "b": (-1, 4, -1), "u": (-1, -1, 4)}
    model = made(ops, {}, "y", {**dims, "y": (-1, -1, 4)}, given=(-1, -1, 4))
    after, _ = optimise(model)
    # 6 times what is left is not known to be the rows that were there, so the first reshape may not vanish alone
    same(model, after, (2, 12, 4))
    rows = run_float64(after, np.arange(96, dtype=np.float64).reshape(2, 12, 4) - 40)
    assert rows.shape == (2, 12, 4)


@pytest.mark.parametrize("slot", ["X", "Y"])
def test_a_factor_on_the_product_of_two_heads_goes_into_the_matrix(slot):
    """Attention that scales behind the product of queries and keys, not before."""
    ops = [
        op("matmul_v2", {"X": "x", "Y": "w"}, "a", trans_x=False, trans_y=False),
        binary("add", "a", "b", "q", 2),
        op("reshape2", {"X": "q"}, "r", shape=(0, -1, 3, 2, 5)),
        op("transpose2", {"X": "r"}, "t", axis=(2, 0, 3, 1, 4)),
        *(
            op("slice", {"Input": "t"}, f"s{i}", axes=(0,), starts=(i,), ends=(i + 1,), decrease_axis=(0,))
            for i in range(3)
        ),
        op("transpose2", {"X": "s1"}, "k", axis=(0, 1, 3, 2)),
        op("matmul_v2", {"X": "s0", "Y": "k"}, "m", trans_x=False, trans_y=False),
        op("scale", {"X": "m"}, "ms", scale=0.25, bias=0.0, bias_after_scale=True),
        op("softmax", {"X": "ms"}, "p", axis=-1),
        op("matmul_v2", {"X": "p", "Y": "s2"}, "y", trans_x=False, trans_y=False),
    ]
    if slot == "Y":
        # the first operand is no cut, but a copy of it
        ops[8] = op("matmul_v2", {"X": "s0r", "Y": "s1"}, "m", trans_x=False, trans_y=True)
        ops[7] = op("relu", {"X": "s0"}, "s0r")
    dims = {"a": (-1, -1, 30), "q": (-1, -1, 30), "r": (-1, -1, 3, 2, 5), "t": (3, -1, 2, -1, 5)}
    model = made(ops, {"w": weight(12, 30), "b": weight(30)}, "y", dims, given=(-1, -1, 12))
    after, report = simplify_attention(model)
    assert "scale" not in types(after)
    assert dict(report.done)["factor into the matrix"] == 1
    for n, w in ((1, 1), (2, 7)):
        same(model, after, (n, w, 12))

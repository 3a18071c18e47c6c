"""Passes for PP-OCRv6: reshapes that sink, moves that undo one another, and factors that go through sums."""

from __future__ import annotations

import numpy as np
import pytest

from model_opt.passes import optimise
from model_opt.passes.fold_batch_norm import fold_batch_norm
from model_opt.passes.fuse_squeeze_excite import fuse_squeeze_excite
from model_opt.passes.shape_constants import shape_constants
from model_opt.passes.sink_reshapes import sink_reshapes
from model_opt.passes.undone_moves import undone_moves
from tests.model_opt.test_passes_small import binary, conv, made, op, same, types, weight

FLAT = (-1, 4, 1, -1)
"""An image of one row."""
LINE = (-1, 4, -1)
TURNED = (-1, -1, 4)
INPUT = (2, 4, 1, 9)


def reshape(x, out, *shape):
    return op("reshape2", {"X": x}, out, shape=shape)


def turn(x, out, *axis):
    return op("transpose2", {"X": x}, out, axis=axis)


def norm(x, out):
    ins = {"X": x, "Scale": "s", "Bias": "b", "Mean": "m", "Variance": "v"}
    return op("batch_norm", ins, out, "Y", epsilon=1e-5, is_test=True, data_layout="NCHW")


STATISTICS = {"s": weight(4), "b": weight(4), "m": weight(4), "v": np.abs(weight(4)) + 0.5}


# ---- sink_reshapes


def line_block(last="y"):
    return [conv("x", "w", "a"), reshape("a", "c", 0, 4, -1), norm("c", "d"), op("hard_swish", {"X": "d"}, last)]


def test_a_norm_behind_a_reshape_gets_to_its_convolution():
    model = made(line_block(), {"w": weight(4, 4, 1, 1), **STATISTICS}, "y", dict.fromkeys("cdy", LINE), FLAT)
    sunk, report = sink_reshapes(model)
    assert types(sunk) == ["conv2d", "batch_norm", "hard_swish", "reshape2"]
    assert dict(report.done) == {"reshape behind batch_norm": 1, "reshape behind hard_swish": 1}
    same(model, sunk, INPUT)
    folded, _ = fold_batch_norm(sunk)
    assert types(folded) == ["conv2d", "elementwise_add", "hard_swish", "reshape2"]
    same(model, folded, INPUT)


def test_a_row_that_is_dropped_and_comes_back_leaves_no_reshape():
    ops = [*line_block("e"), op("unsqueeze2", {"X": "e"}, "f", axes=(2,)), conv("f", "w", "y")]
    dims = dict.fromkeys("cde", LINE) | dict.fromkeys("afy", FLAT)
    model = made(ops, {"w": weight(4, 4, 1, 1), **STATISTICS}, "y", dims, FLAT)
    after, _ = optimise(model)
    assert types(after) == ["conv2d", "elementwise_add", "hard_swish", "conv2d"]
    same(model, after, INPUT)


@pytest.mark.parametrize(
    ("ops", "dims"),
    [
        # The normalisation counts other channels behind this reshape than in front of it.
        ([conv("x", "w", "a"), reshape("a", "c", 0, 2, 2, -1), op("relu", {"X": "c"}, "y")], (-1, 2, 2, -1)),
        # Two read the reshaped value.
        (
            [
                conv("x", "w", "a"),
                reshape("a", "c", 0, 4, -1),
                op("relu", {"X": "c"}, "d"),
                binary("add", "c", "d", "y"),
            ],
            LINE,
        ),
        # There is no convolution to take the activation.
        ([op("swish", {"X": "x"}, "a"), reshape("a", "c", 0, 4, -1), op("relu", {"X": "c"}, "y")], LINE),
    ],
)
def test_a_reshape_stays_where_sinking_would_be_wrong_or_useless(ops, dims):
    params = {"w": weight(4, 4, 1, 1)} if ops[0].type == "conv2d" else {}
    model = made(ops, params, "y", dict.fromkeys("cdy", dims), FLAT)
    assert sink_reshapes(model)[0] is model


def test_unsqueeze_is_a_reshape():
    ops = [op("relu", {"X": "x"}, "a"), op("unsqueeze2", {"X": "a"}, "y", axes=(2,))]
    model = made(ops, {}, "y", {"a": LINE, "y": FLAT}, LINE)
    after, _ = shape_constants(model)
    assert [one.attr("shape") for one in after.program.ops if one.type == "reshape2"] == [(0, 4, 1, -1)]
    same(model, after, (2, 4, 9))


# ---- undone_moves


def mixed(kind="add", back=(0, 2, 1), other="b"):
    """A value of lines, turned to an image, joined with a convolution's, and turned to lines again."""
    return [
        reshape("x", "l", 0, 4, -1),
        turn("l", "t", 0, 2, 1),
        op("softmax", {"X": "t"}, "n", axis=-1),
        reshape("n", "o", 0, 1, -1, 4),
        turn("o", "a", 0, 3, 1, 2),
        op("swish", {"X": "x"}, "b"),
        binary(kind, "a", other, "c"),
        reshape("c", "d", 0, 4, -1),
        turn("d", "y", *back),
    ]


DIMS = {"l": LINE, "t": TURNED, "n": TURNED, "o": (-1, 1, -1, 4), "d": LINE, "y": TURNED}
DIMS |= dict.fromkeys("abc", FLAT)


@pytest.mark.parametrize("kind", ["add", "mul"])
def test_moves_that_are_undone_behind_a_sum_move_the_other_operand_instead(kind):
    model = made(mixed(kind), {}, "y", DIMS, FLAT)
    after, report = undone_moves(model)
    assert types(after)[2:] == ["softmax", "swish", "reshape2", "transpose2", f"elementwise_{kind}"]
    assert dict(report.done) == {f"elementwise_{kind} where its operand is": 1}
    same(model, after, INPUT)
    assert undone_moves(after)[0] is after


def test_moves_stay_when_the_ones_behind_give_another_order():
    dims = DIMS | {"y": LINE}
    model = made([*mixed()[:-1], turn("d", "y", 0, 1, 2)], {}, "y", dims, FLAT)
    assert undone_moves(model)[0] is model


def test_moves_stay_when_something_else_reads_the_moved_value():
    ops = [*mixed(), binary("add", "a", "c", "e"), binary("add", "e", "b", "z")]
    model = made([*ops, reshape("z", "f", 0, 4, -1), binary("add", "f", "d", "g")], {}, "g", DIMS | {"f": LINE}, FLAT)
    assert types(undone_moves(model)[0]).count("transpose2") == types(model).count("transpose2")


def test_moves_stay_when_the_other_operand_is_spread():
    """One number for each channel cannot be moved as the image is."""
    ops = mixed(other="p")
    ops.insert(6, op("pool2d", {"X": "b"}, "p", ksize=(1, 1), adaptive=True, pooling_type="avg"))
    model = made(ops, {}, "y", DIMS | {"p": (-1, 4, 1, 1)}, FLAT)
    assert undone_moves(model)[0] is model


# ---- factors through sums


def gated_block(*more):
    """x times its gate, and a branch beside it: the block of PP-LCNetV4."""
    return [
        op("pool2d", {"X": "x"}, "p", ksize=(1, 1), adaptive=True, pooling_type="avg"),
        conv("p", "w", "q"),
        binary("add", "q", "qb", "r", 1),
        op("hard_sigmoid", {"X": "r"}, "g", slope=1 / 6, offset=0.5),
        binary("mul", "x", "g", "m"),
        conv("m", "u", "h"),
        op("gelu", {"X": "h"}, "i"),
        conv("i", "v", "j"),
        binary("add", "j", "jb", "k", 1),
        binary("add", "m", "k", "s"),
        conv("s", "z", "y", pad=1, groups=4),
        *more,
    ]


GATED = {
    "w": weight(4, 4, 1, 1), "qb": weight(4), "u": weight(4, 4, 1, 1), "v": weight(4, 4, 1, 1), "jb": weight(4),
    "z": weight(4, 1, 3, 3),
}  # fmt: skip
SMALL = dict.fromkeys("pqrg", (-1, 4, 1, 1))


def test_a_gate_in_a_residual_block_is_bound_and_the_branch_takes_its_factor():
    model = made(gated_block(), GATED, "y", SMALL)
    after, report = fuse_squeeze_excite(model)
    assert "hard_sigmoid" not in types(after)
    assert dict(report.done) == {"gate by relu6": 1}
    assert len(types(after)) == len(types(model))
    same(model, after)


def test_a_gate_stays_when_the_branch_is_read_elsewhere_too():
    model = made(gated_block(binary("add", "y", "k", "t")), GATED, "t", SMALL)
    after, report = fuse_squeeze_excite(model)
    assert after is model
    assert any("elementwise_add" in left.why for left in report.left)


def test_a_gate_stays_when_its_sum_is_the_output():
    model = made(gated_block()[:-1], {name: GATED[name] for name in GATED if name != "z"}, "s", SMALL)
    assert fuse_squeeze_excite(model)[0] is model


def test_a_branch_that_reads_the_gated_value_itself_takes_both_factors():
    ops = [one for one in gated_block() if one.output_names[0] not in ("h", "i")]
    ops[5] = conv("m", "v", "j")
    model = made(ops, {name: GATED[name] for name in GATED if name != "u"}, "y", SMALL)
    after, _ = fuse_squeeze_excite(model)
    assert "hard_sigmoid" not in types(after)
    same(model, after)

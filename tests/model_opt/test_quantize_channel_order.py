"""Channels in an order that keeps fp16 sums small: outputs stay, sums get nearer, what is unknown keeps its order."""

from __future__ import annotations

import numpy as np

from model_opt.emulator.winograd import F43, input_matrix, output_matrix_4
from model_opt.program import Model
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import conv_at
from model_opt.quantize.channel_order import Way, best_order, winograd_way
from model_opt.quantize.channels import channel_groups, with_orders
from model_opt.quantize.concat_split import best_split, split_concats, split_length
from tests.model_opt.passes_float64 import run_float64
from tests.model_opt.random_numbers import generator
from tests.model_opt.test_passes_small import binary, conv, made, op, weight

RNG = generator(23)


def chain(between: str = "hard_swish") -> Model:
    """x (4 channels) -> 1x1 to 12 -> depthwise -> ``between`` -> 1x1 to 5."""
    ops = [
        conv("x", "w1", "a"),
        binary("add", "a", "b1", "b", 1),
        conv("b", "wd", "c", pad=1, groups=12),
        op(between, {"X": "c"}, "d", offset=3.0, scale=6.0, threshold=6.0),
        conv("d", "w2", "y"),
    ]
    params = {"w1": weight(12, 4, 1, 1), "b1": weight(12), "wd": weight(12, 1, 3, 3), "w2": weight(5, 12, 1, 1)}
    return made(ops, params, "y", {**dict.fromkeys("abcd", (-1, 12, -1, -1)), "y": (-1, 5, -1, -1)})


def joined() -> Model:
    """x (4 channels) -> two 1x1 to 12 and 16 channels -> concat -> 3x3 by Winograd, bias, relu."""
    ops = [
        conv("x", "w1", "a"),
        conv("x", "w2", "b"),
        op("concat", {}, "c", axis=1),
        conv("c", "w", "d", pad=1),
        binary("add", "d", "bias", "e", 1),
        op("relu", {"X": "e"}, "y"),
    ]
    ops[2] = ops[2].with_input("X", "a", "b")
    params = {"w1": weight(12, 4, 1, 1), "w2": weight(16, 4, 1, 1), "w": weight(10, 28, 3, 3), "bias": weight(10)}
    dims = {"a": (-1, 12, -1, -1), "b": (-1, 16, -1, -1), "c": (-1, 28, -1, -1)}
    return made(ops, params, "y", {**dims, **dict.fromkeys("dey", (-1, 10, -1, -1))})


def outputs(model: Model) -> np.ndarray:
    x = generator(5).standard_normal((1, 4, 9, 8))
    return run_float64(model, x)


def test_any_order_of_channels_keeps_the_result() -> None:
    model = chain()
    groups = channel_groups(model)
    assert set(groups.source) == {"w2"}
    orders = {group: RNG.permutation(12) for group in groups.places}
    moved = with_orders(model, groups, orders)
    assert not np.array_equal(moved.params["w2"], model.params["w2"])
    np.testing.assert_allclose(outputs(moved), outputs(model), rtol=1e-9, atol=1e-9)


def test_channels_keep_their_order_around_an_operator_that_is_not_known() -> None:
    assert not channel_groups(chain("unknown_op")).source


def test_parts_of_a_concatenation_move_by_themselves() -> None:
    model = joined()
    groups = channel_groups(model)
    assert [(first, count) for _, first, count in groups.source["w"]] == [(0, 12), (12, 16)]
    orders = {group: RNG.permutation(count) for group, _, count in groups.source["w"]}
    np.testing.assert_allclose(outputs(with_orders(model, groups, orders)), outputs(model), rtol=1e-9, atol=1e-9)


def test_products_that_cancel_each_other_follow_one_another() -> None:
    values = RNG.standard_normal((500, 8)) * [100, 100, 100, 1, 1, 1, 1, 1]
    products = np.concatenate([values, -values + RNG.standard_normal((500, 8))], axis=1)
    way = Way(products.T @ products / len(products), np.zeros(16))
    plain, chosen = (way.squares(order) for order in (np.arange(16), best_order(way)))
    assert chosen.sum() < plain.sum() / 2
    sums = np.cumsum(products[:, best_order(way)], axis=1)
    np.testing.assert_allclose(chosen, (sums**2).mean(axis=0), rtol=1e-9)


def tiles_of(channels: int, signs: np.ndarray | None = None) -> np.ndarray:
    values = RNG.standard_normal((6, 6, channels, 40))
    if signs is not None:
        values += 300 * signs[None, None, :, None] * RNG.standard_normal((6, 6, 1, 40))
    return values @ values.swapaxes(2, 3) / 40


def test_a_split_convolution_is_the_same_in_exact_arithmetic() -> None:
    model = joined()
    tiles = {"w": tiles_of(28)}
    split, held, gains = split_concats(model, tiles, 0.01)
    convs = [one for one in split.program.main.ops if one.type == "conv2d"]
    assert len(convs) == 4
    assert set(gains) == {"w"}
    assert len(held) == 2
    np.testing.assert_allclose(outputs(split), outputs(model), rtol=1e-9, atol=1e-9)
    for name, gram in held.items():
        assert gram.shape[2:] == (split.params[name].shape[1],) * 2


def test_convolutions_stay_whole_without_a_gain() -> None:
    editor = GraphEditor(joined(), "test")
    layer = next(
        one
        for one in (conv_at(editor, each) for each in editor.each("conv2d"))
        if one and one.op.input("Filter") == "w"
    )
    way = winograd_way(layer, tiles_of(28))
    assert len(best_split(way, (12, 16), 1e9)) == 1
    whole = split_length(way, (12, 16), ((0, 1),))
    assert split_length(way, (12, 16), ((0,), (1,))) < whole


def test_the_matrices_of_winograd_give_the_convolution() -> None:
    tile, kernel = RNG.standard_normal((6, 6)), RNG.standard_normal((3, 3))
    matrix, factors, behind = input_matrix(F43), np.array(F43.weights), output_matrix_4()
    made_ = behind @ ((matrix @ tile @ matrix.T) * (factors @ kernel @ factors.T)) @ behind.T
    want = [[(tile[i : i + 3, j : j + 3] * kernel).sum() for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(made_, want, rtol=1e-9, atol=1e-9)

"""fp16 made more exact: the image in levels, factors made good, sums in parts. Results stay, errors fall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model_opt.convert import Converter, ConvertOptions
from model_opt.emulator.half import rounded
from model_opt.program import Model
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import conv_at
from model_opt.quantize import Observer
from model_opt.quantize.channel_order import Way, best_order, best_order_of_parts
from model_opt.quantize.integer_input import integer_input, levels_of
from model_opt.quantize.late_bias import bias_errors, late_bias
from model_opt.quantize.patches import Seen, grounds, layer_inputs
from model_opt.quantize.rescale import RescaleOptions, rescale_fp16
from model_opt.quantize.rounded_factors import undo_rounded_factors
from model_opt.quantize.sum_split import halve_sums, split_last_matrix, split_sums, tap_order
from model_opt.quantize.wide_means import wide_means
from tests.model_opt.passes_float64 import run_float64
from tests.model_opt.random_numbers import generator
from tests.model_opt.test_passes_small import binary, conv, made, op, weight
from tests.model_opt.test_quantize_rescale import emulated, in_fp32, silent

RNG = generator(41)
SWISH = {"offset": 3.0, "scale": 6.0, "threshold": 6.0}


def picture(height: int = 24, width: int = 32, channels: int = 4) -> np.ndarray:
    """Return a normalised picture of 256 levels."""
    mean = np.linspace(0.4, 0.5, channels, dtype=np.float32)[:, None, None]
    pixels = RNG.integers(0, 256, (channels, height, width)).astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(((pixels - mean) / np.float32(0.226))[None])


def one_conv(weights: np.ndarray, bias: np.ndarray, pad: int = 0, groups: int = 1, stride: int = 1) -> Model:
    dims = dict.fromkeys("ay", (-1, len(weights), -1, -1))
    ops = [conv("x", "w", "a", pad=pad, groups=groups, stride=stride), binary("add", "a", "b", "y", 1)]
    channels = weights.shape[1] * groups
    return made(ops, {"w": weights, "b": bias}, "y", dims, (-1, channels, -1, -1))


def activated(kind: str = "hard_swish", **attrs: float) -> Model:
    """x (4 channels) -> 1x1 to 12, bias -> ``kind`` -> + 0.7 -> depthwise -> 1x1 to 5."""
    ops = [
        conv("x", "w1", "a"),
        binary("add", "a", "b1", "b", 1),
        op(kind, {"X": "b"}, "c", **attrs),
        binary("add", "c", "s", "d"),
        conv("d", "wd", "e", pad=1, groups=12),
        conv("e", "w2", "y"),
    ]
    params = {"w1": weight(12, 4, 1, 1), "b1": weight(12), "s": np.array([0.7], np.float32)}
    params |= {"wd": weight(12, 1, 3, 3), "w2": weight(5, 12, 1, 1)}
    return made(ops, params, "y", {**dict.fromkeys("abcde", (-1, 12, -1, -1)), "y": (-1, 5, -1, -1)})


def seen_of(model: Model, x: np.ndarray, converter: Converter) -> dict[str, Seen]:
    editor = GraphEditor(model, "test")
    convs = {one.input("Filter"): conv_at(editor, one) for one in editor.ops if "conv2d" in one.type}
    observer = Observer(converter.in_memory(model, ConvertOptions()), list(convs))
    return layer_inputs(observer, convs, [x], silent)


def test_the_image_in_levels_is_exact_in_fp16(converter: Converter) -> None:
    x = picture()
    levels = levels_of([x])
    assert levels is not None
    np.testing.assert_allclose(levels.step, 1 / 255 / 0.226, rtol=1e-6)
    assert np.abs(levels.origin - levels.zero).max() <= 1 / 16
    model, done = integer_input(one_conv(weight(6, 4, 3, 3), weight(6), pad=1), [x])
    assert done
    values: dict = {}
    run_float64(model, x, values)
    counted = values[next(o.output("Out") for o in model.program.main.ops if o.type == "affine_channel")]
    unit = 2.0 ** np.round(np.log2(levels.step)).reshape(1, -1, 1, 1)
    eighths = counted / unit * 8
    assert np.abs(eighths - np.round(eighths)).max() < 1e-2
    np.testing.assert_array_equal(np.round(eighths), rounded(np.round(eighths).astype(np.float32)))
    assert "affine_channel" in {o.type for o in converter.in_memory(model, ConvertOptions(fp16=True)).ops}


def test_counting_levels_keeps_the_result_but_for_the_border() -> None:
    x, model = picture(), one_conv(weight(6, 4, 3, 3), weight(6), pad=1)
    want, got = run_float64(model, x), run_float64(integer_input(model, [x])[0], x)
    np.testing.assert_allclose(got[..., 1:-1, 1:-1], want[..., 1:-1, 1:-1], rtol=0, atol=1e-5)
    # A sixteenth of a level, in each of the taps outside.
    assert np.abs(got - want).max() < np.abs(model.params["w"]).sum(axis=(1, 2, 3)).max() / 255 / 0.226 / 16


def test_values_that_are_no_levels_stay_as_they_are() -> None:
    model = one_conv(weight(6, 4, 3, 3), weight(6), pad=1)
    noise = RNG.standard_normal((1, 4, 24, 32)).astype(np.float32)
    for inputs in ([noise], [np.zeros_like(noise)]):
        assert integer_input(model, inputs) == (model, False)


def test_the_sixth_of_a_hard_swish_is_made_good(converter: Converter) -> None:
    model = activated(**SWISH)
    made_, count = undo_rounded_factors(model, 0)
    assert count == 1
    factor = 6 * float(np.float16(1 / 6))
    assert made_.params["s"][0] == pytest.approx(0.7 * factor, rel=1e-6)
    np.testing.assert_allclose(made_.params["wd"], model.params["wd"] / factor, rtol=1e-6)


def test_values_behind_a_hard_swish_are_not_too_small_any_more(converter: Converter) -> None:
    positive = {name: np.abs(array) for name, array in activated(**SWISH).params.items()}
    model = activated(**SWISH)
    for name, array in (positive | {"b1": np.full(12, 40, np.float32)}).items():
        model = model.with_param(name, array)
    x = picture()
    want = in_fp32(model, x, converter)
    plain, better = (
        abs(float((emulated(m, x, converter) / want - 1).mean())) for m in (model, undo_rounded_factors(model, 0)[0])
    )
    assert plain > 2e-4
    assert better < plain / 2


def test_a_hard_swish_as_a_gate_and_a_product_is_the_same_function(converter: Converter) -> None:
    model, x = activated(**SWISH), picture()
    made_, count = undo_rounded_factors(model, 1)
    assert count == 1
    assert [o.type for o in made_.program.main.ops].count("hard_swish") == 0
    np.testing.assert_allclose(run_float64(made_, x), run_float64(model, x), rtol=0, atol=1e-5)
    want = in_fp32(model, x, converter)
    plain, better = (float(np.abs(emulated(m, x, converter) - want).mean()) for m in (model, made_))
    assert better < plain


def test_the_slope_of_a_hard_sigmoid_is_made_good_in_front() -> None:
    model, x = activated("hard_sigmoid", slope=0.2, offset=0.5), picture()
    made_, count = undo_rounded_factors(model, 0)
    assert count == 1
    np.testing.assert_allclose(made_.params["w1"], model.params["w1"] * (0.2 / float(np.float16(0.2))), rtol=1e-6)
    assert np.abs(run_float64(made_, x) - run_float64(model, x)).max() < 1e-2


def test_an_activation_that_something_unknown_reads_stays_as_it_is() -> None:
    model = activated(**SWISH)
    read = binary("mul", "c", "c", "y2")
    ops = [*model.program.main.ops[:-1], read, op("concat", {"X": ["y", "y2"]}, "z", axis=1)]
    params = {name: model.params[name] for name in ("w1", "b1", "s", "wd", "w2")}
    dims = {**dict.fromkeys(["a", "b", "c", "d", "e", "y2"], (-1, 12, -1, -1)), "y": (-1, 5, -1, -1)}
    assert undo_rounded_factors(made(ops[1:], params, "z", {**dims, "z": (-1, 17, -1, -1)}), 1)[1] == 0


@pytest.mark.parametrize(("side", "pad"), [(1, 0), (3, 1)])
def test_a_sum_in_parts_is_the_same_sum_with_smaller_errors(side: int, pad: int, converter: Converter) -> None:
    model = one_conv(weight(16, 64, side, side), weight(16), pad=pad)
    made_ = split_sums(model, {"w": 4})
    assert [o.type for o in made_.program.main.ops].count("conv2d") == 4
    x = picture(channels=64) + 1
    np.testing.assert_allclose(run_float64(made_, x), run_float64(model, x), rtol=0, atol=1e-9)
    want = in_fp32(model, x, converter)
    plain, better = (float(np.abs(emulated(m, x, converter) - want).mean()) for m in (model, made_))
    assert better < plain / 1.3


def classes(rows: int = 24) -> Model:
    """x (rows channels, height 1) -> rows of features -> 40 classes, bias, softmax: the end of a recogniser."""
    ops = [
        op("reshape2", {"X": "x"}, "a", shape=(0, rows, -1)).with_output("XShape", "as"),
        op("transpose2", {"X": "a"}, "b", axis=(0, 2, 1)).with_output("XShape", "bs"),
        op("matmul_v2", {"X": "b", "Y": "w"}, "c", trans_x=False, trans_y=False),
        binary("add", "c", "bias", "d", 2),
        op("softmax", {"X": "d"}, "y", axis=2),
    ]
    dims = {"a": (-1, rows, -1), "b": (-1, -1, rows), **dict.fromkeys("cdy", (-1, -1, 40))}
    dims |= {"as": (0, -1, rows, 1, -1), "bs": (0, -1, rows, -1)}
    params = {"w": weight(rows, 40), "bias": weight(40)}
    return made(ops, params, "y", dims, (-1, rows, 1, -1))


def test_the_product_of_the_classes_in_parts_is_the_same_product(converter: Converter) -> None:
    model, x = classes(), picture(1, 64, 24) * 2
    made_, name = split_last_matrix(model, 4)
    assert name == "w"
    np.testing.assert_allclose(run_float64(made_, x), run_float64(model, x), rtol=0, atol=1e-12)
    nb = converter.in_memory(made_, ConvertOptions(fp16=True))
    assert [o.type for o in nb.ops].count("fc") == 4
    want = in_fp32(model, x, converter)
    plain, better = (float(np.abs(emulated(m, x, converter) - want).mean()) for m in (model, made_))
    assert better < plain


def test_a_product_that_no_softmax_ends_or_of_other_rows_stays_whole() -> None:
    assert split_last_matrix(classes(23), 4)[1] is None
    assert split_last_matrix(classes(), 1)[1] is None
    model = classes()
    ops = [
        *(o for o in model.program.main.ops if o.type not in ("feed", "fetch", "softmax")),
        op("relu", {"X": "d"}, "y"),
    ]
    dims = {"a": (-1, 24, -1), "b": (-1, -1, 24), **dict.fromkeys("cdy", (-1, -1, 40))}
    other = made(ops, dict(model.params), "y", dims, (-1, 24, 1, -1))
    assert split_last_matrix(other, 4) == (other, None)


def test_a_wide_kernel_of_many_channels_is_cut_in_more_parts(converter: Converter) -> None:
    filters = weight(12, 96, 1, 3) * 0.05
    ops = [conv("x", "w", "a", pad=0), binary("add", "a", "b", "y", 1)]
    model = made(ops, {"w": filters, "b": weight(12)}, "y", dict.fromkeys("ay", (-1, 12, -1, -1)), (-1, 96, -1, -1))
    x = picture(16, 24, 96)
    better, report = rescale_fp16(model, [x], RescaleOptions(checked=0, windows_of=1), converter, silent)
    assert next(note for note in report.layers if note.weight == "w").facts["parts"] == 12
    assert [o.type for o in better.program.main.ops].count("conv2d") == 12
    want = in_fp32(model, x, converter)
    plain, less = (float(np.abs(emulated(m, x, converter) - want).mean()) for m in (model, better))
    assert less < plain / 1.5


def test_a_kernel_of_many_pixels_stays_whole(converter: Converter) -> None:
    model, x = one_conv(weight(8, 72, 3, 3) * 0.1, weight(8), pad=1, stride=2), picture(24, 32, 72)
    _, report = rescale_fp16(model, [x], RescaleOptions(checked=0, windows_of=1), converter, silent)
    assert report.totals["sums_in_parts"] == 0


def test_the_bias_of_a_sum_in_parts_is_judged_by_its_first_part(converter: Converter) -> None:
    x = picture(channels=64)
    model = one_conv(weight(16, 64, 1, 1), weight(16) * 8)
    seen = seen_of(model, x, converter)
    editor = GraphEditor(model, "test")
    first = conv_at(editor, next(editor.each("conv2d")))
    assert first is not None
    whole, part = (late_bias(model, seen, 1.0, parts)[1]["w"] for parts in ({}, {"w": 4}))
    early, last = bias_errors(replace(first, weight=first.weight[:, :16]), seen["w"].sample[:, :16])
    assert part == pytest.approx(early / last)
    assert part > whole


def test_means_in_fp32_are_the_same_means_without_the_errors_of_lanes(converter: Converter) -> None:
    pooled = {"pooling_type": "avg", "adaptive": True, "global_pooling": False, "ksize": (1, 1), "strides": (1, 1)}
    ops = [op("pool2d", {"X": "x"}, "a", paddings=(0, 0), **pooled), conv("a", "w", "y")]
    dims = {"a": (-1, 16, 1, 1), "y": (-1, 9, 1, 1)}
    model = made(ops, {"w": weight(9, 16, 1, 1)}, "y", dims, (-1, 16, -1, -1))
    made_, count = wide_means(model)
    assert count == 1
    x = picture(48, 320, 16) + 3
    np.testing.assert_allclose(run_float64(made_, x), run_float64(model, x), rtol=1e-12)
    kernels = {o.type: o.kernel for o in converter.in_memory(made_, ConvertOptions(fp16=True)).ops}
    assert kernels["reduce_mean"].precision_name == "fp32"
    assert kernels["conv2d"].precision_name == "fp16"
    want = in_fp32(model, x, converter)
    plain, better = (float(np.abs(emulated(m, x, converter) - want).mean()) for m in (model, made_))
    assert better < plain / 3


def test_pools_of_windows_and_largest_values_stay() -> None:
    window = op("pool2d", {"X": "x"}, "a", pooling_type="avg", global_pooling=False, ksize=(3, 2), strides=(3, 2))
    top = op("pool2d", {"X": "a"}, "y", pooling_type="max", global_pooling=True, ksize=(1, 1))
    model = made([window, top], {}, "y", {"a": (-1, 4, -1, -1), "y": (-1, 4, 1, 1)}, (-1, 4, -1, -1))
    assert wide_means(model) == (model, 0)


def test_halved_sums_are_the_same_sum_with_smaller_errors(converter: Converter) -> None:
    cases = (one_conv(weight(16, 16, 1, 1), weight(16)), one_conv(weight(16, 1, 3, 3), weight(16), pad=1, groups=16))
    for model in cases:
        x = picture(channels=16) + 2
        made_, gains = halve_sums(model, seen_of(model, x, converter), 1)
        assert gains["w"] > 1.2
        np.testing.assert_allclose(run_float64(made_, x), run_float64(model, x), rtol=0, atol=1e-9)
        want = in_fp32(model, x, converter)
        plain, better = (float(np.abs(emulated(m, x, converter) - want).mean()) for m in (model, made_))
        assert better < plain


def test_taps_of_the_first_convolution_are_added_pixel_by_pixel() -> None:
    editor = GraphEditor(one_conv(weight(8, 3, 3, 3), weight(8), pad=1, stride=2), "test")
    first = conv_at(editor, next(editor.each("conv2d")))
    assert first is not None
    assert tap_order(first).tolist()[:4] == [0, 9, 18, 1]


def test_parts_of_a_sum_get_an_order_each() -> None:
    values = RNG.standard_normal((200, 16)) * np.linspace(1, 30, 16)
    way = Way(values.T @ values / 200, np.zeros(16))
    order = best_order_of_parts(way, 4)
    assert sorted(order) == list(range(16))

    def length(chosen: np.ndarray) -> float:
        parts = (Way(way.products[np.ix_(s, s)], np.zeros(4)) for s in np.split(chosen, 4))
        return sum(float(part.squares(np.arange(4)).sum()) for part in parts)

    assert length(order) <= length(best_order(way))
    np.testing.assert_array_equal(best_order_of_parts(way, 3), best_order(way))


def test_a_wide_depthwise_convolution_gets_its_bias_late_where_that_helps(converter: Converter) -> None:
    model = one_conv(weight(12, 1, 5, 5) * 0.01, weight(12) * 50, pad=2, groups=12)
    x = picture(channels=12)
    seen = seen_of(model, x, converter)
    editor = GraphEditor(model, "test")
    first, last = bias_errors(conv_at(editor, next(editor.each("depthwise_conv2d"))), seen["w"].sample)
    assert last < first / 1.5
    made_, gains = late_bias(model, seen, 1.2)
    assert set(gains) == {"w"}
    want = in_fp32(model, x, converter)
    plain, better = (float(np.abs(emulated(m, x, converter) - want).mean()) for m in (model, made_))
    assert better < plain / 1.3


def test_grounds_have_the_colours_of_the_inputs() -> None:
    x = picture()
    low, middle, high = grounds([x, picture(48, 64)])
    assert low.shape == x.shape
    assert (low <= x).all()
    assert (high >= x).all()
    np.testing.assert_allclose(middle, (low + high) / 2, rtol=0, atol=1e-6)


def test_every_step_stands_in_the_report(converter: Converter) -> None:
    x = picture()
    _, report = rescale_fp16(activated(**SWISH), [x], RescaleOptions(checked=0), converter, silent)
    totals = report.totals
    assert (totals["image_exact"], totals["factors_undone"]) == (True, 1)
    assert totals["sums_halved"] >= 1
    assert totals["sums_in_parts"] == 0

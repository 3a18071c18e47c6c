"""Weights rounded to fp16 together, and biases added behind the sum: nearer outputs, same programs elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from model_opt.convert import Converter, ConvertOptions
from model_opt.emulator import emulate
from model_opt.program import Model
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import Conv, conv_at
from model_opt.quantize import Observer
from model_opt.quantize.gptq_fp16 import _upper, gptq_round, half, round_weights
from model_opt.quantize.late_bias import bias_errors, late_bias
from model_opt.quantize.patches import Seen, layer_inputs, windows
from tests.model_opt.passes_float64 import run_float64
from tests.model_opt.random_numbers import generator
from tests.model_opt.test_passes_small import binary, conv, made, op, weight

RNG = generator(11)
WIDE = (-1, 24, -1, -1)


def one_conv(behind: str = "hard_swish", bias: float = 20.0) -> Model:
    """x (4 channels) -> depthwise 3x3 -> 1x1 to 24 channels with a large bias -> ``behind``."""
    ops = [
        conv("x", "wd", "a", pad=1, groups=4),
        binary("add", "a", "bd", "b", 1),
        conv("b", "w", "c"),
        binary("add", "c", "bias", "d", 1),
        op(behind, {"X": "d"}, "y", offset=3.0, scale=6.0, threshold=6.0),
    ]
    params = {"wd": weight(4, 1, 3, 3), "bd": weight(4), "w": weight(24, 4, 1, 1) * 0.1, "bias": weight(24) * bias}
    return made(ops, params, "y", dict.fromkeys("cdy", WIDE))


def page(size: int = 32) -> np.ndarray:
    """Mostly blank, as pages are."""
    x = np.full((1, 4, size, size), 2.1, np.float32)
    x[:, :, 8:12, ::3] = -1.7
    return x + RNG.standard_normal(x.shape).astype(np.float32) * 0.01


def convs_of(model: Model) -> dict[str, Conv]:
    editor = GraphEditor(model, "test")
    return {one.op.input("Filter"): one for one in (conv_at(editor, op_) for op_ in editor.ops) if one is not None}


def seen_by(model: Model, inputs: list, converter: Converter) -> dict[str, Seen]:
    return layer_inputs(Observer(converter.in_memory(model, ConvertOptions())), convs_of(model), inputs, silent)


def silent(_: float, __: str) -> None:
    """Progress that nobody watches."""


def test_rounding_together_keeps_outputs_on_inputs_that_are_alike() -> None:
    rows, inputs = RNG.standard_normal((16, 27)), 2.1 + 0.1 * RNG.standard_normal((500, 27))
    held = gptq_round(rows[None], (inputs.T @ inputs / len(inputs))[None], 0.01)[0]
    np.testing.assert_array_equal(held, half(held))
    wanted = inputs @ rows.T
    together, alone = (np.abs(inputs @ made_.T - wanted).mean() for made_ in (held, half(rows)))
    assert together < alone / 3


@pytest.mark.parametrize("kind", ["conv2d", "strided", "depthwise", "grouped"])
def test_windows_times_weights_is_the_convolution(kind: str) -> None:
    shapes = {"conv2d": (6, 4, 3, 3), "strided": (6, 4, 3, 3), "depthwise": (4, 1, 3, 3), "grouped": (6, 2, 3, 3)}
    groups = {"depthwise": 4, "grouped": 2}.get(kind, 1)
    made_ = conv("x", "w", "y", pad=1, groups=groups, stride=2 if kind == "strided" else 1)
    made_ = op("conv2d", {"Input": "x", "Filter": "w"}, "y", "Output", **{k: a.value for k, a in made_.attrs.items()})
    model = made([made_], {"w": weight(*shapes[kind])}, "y", {"y": (-1, shapes[kind][0], -1, -1)})
    x = RNG.standard_normal((1, 4, 9, 8)).astype(np.float32)
    layer = convs_of(model)["w"]
    rows = layer.weight.astype(np.float64).reshape(groups, shapes[kind][0] // groups, -1)
    made_by_hand = np.einsum("gok,gnk->gon", rows, windows(x, layer)).reshape(shapes[kind][0], -1)
    want = run_float64(model, x.astype(np.float64))
    np.testing.assert_allclose(made_by_hand, want.reshape(shapes[kind][0], -1), rtol=1e-6, atol=1e-6)


def test_rounded_layers_hold_fp16_numbers_and_say_what_was_won(converter: Converter) -> None:
    model, x = one_conv(), page()
    rounded_, gains = round_weights(model, seen_by(model, [x], converter))
    assert gains.keys() == {"wd", "w"}
    assert gains["wd"] > 1.5
    for name in ("wd", "bd"):
        held = rounded_.params[name]
        np.testing.assert_array_equal(held, held.astype(np.float16).astype(np.float32))
        assert np.abs(held - model.params[name]).max() < 0.01
    assert [one.type for one in rounded_.program.main.ops] == [one.type for one in model.program.main.ops]


def test_a_late_bias_makes_sums_more_exact(converter: Converter) -> None:
    model, x = one_conv(), page()
    seen = seen_by(model, [x], converter)
    early, late = bias_errors(convs_of(model)["w"], seen["w"].sample)
    moved, gains = late_bias(model, seen, 1.5)
    assert gains == {"w": pytest.approx(early / late)}
    nb = converter.in_memory(moved, ConvertOptions(fp16=True))
    assert "elementwise_sub" in [one.type for one in nb.ops]
    assert next(one for one in nb.ops if one.inputs.get("Filter") == ("w",)).inputs.get("Bias", ()) == ()
    np.testing.assert_array_equal(run_float64(moved, x.astype(float)), run_float64(model, x.astype(float)))
    want = run_float64(model, x.astype(np.float64))
    first = next(iter(emulate(converter.in_memory(model, ConvertOptions(fp16=True)), {"x": x}).values()))
    last = next(iter(emulate(nb, {"x": x}).values()))
    assert np.abs(last - want).mean() < np.abs(first - want).mean()


def test_u_by_panels_is_the_u_of_one_column_after_the_other() -> None:
    for groups, size in ((3, 40), (2, 130), (1, 400)):
        inputs = RNG.standard_normal((groups, 2 * size, size))
        gram = inputs.transpose(0, 2, 1) @ inputs
        rest, want = gram.copy(), np.zeros_like(gram)
        for k in range(size - 1, -1, -1):
            want[:, :k, k] = rest[:, :k, k] / rest[:, k, k][:, None]
            rest[:, :k, :k] -= want[:, :k, k, None] * rest[:, None, :k, k]
        np.testing.assert_array_equal(_upper(gram), want)


def test_windows_are_kept_only_of_the_layers_asked_for(converter: Converter) -> None:
    model, x = one_conv(), page()
    observer = Observer(converter.in_memory(model, ConvertOptions()))
    some = layer_inputs(observer, convs_of(model), [x, x], silent, ["w"])
    every = seen_by(model, [x, x], converter)
    assert (some["w"].sample.shape[1], some["wd"].sample.size) == (4, 0)
    np.testing.assert_array_equal(some["w"].sample, every["w"].sample)
    for name, seen in every.items():
        np.testing.assert_array_equal(some[name].gram, seen.gram)
        assert (some[name].area, some[name].count) == (seen.area, seen.count)


def test_a_bias_stays_where_it_is_when_nothing_is_won_or_opt_would_fuse_it(converter: Converter) -> None:
    small, before_relu = one_conv(bias=0.001), one_conv("relu")
    for model in (small, before_relu):
        moved, gains = late_bias(model, seen_by(model, [page()], converter), 1.5)
        assert not gains
        assert moved is model

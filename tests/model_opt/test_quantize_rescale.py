"""fp16 without overflow: powers of two pass where they may, stop where they must, and change no result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from model_opt.convert import Converter, ConvertOptions
from model_opt.emulator import emulate, overflow_check
from model_opt.paddle_model import read_model
from model_opt.passes import optimise
from model_opt.program import Model, Op
from model_opt.quantize import Observer
from model_opt.quantize.exponents import factor_groups, with_exponents
from model_opt.quantize.rescale import RescaleError, RescaleOptions, rescale_fp16
from model_opt.resources import config_dir
from model_opt.zoo import ModelFiles
from tests.model_opt.passes_float64 import run_float64
from tests.model_opt.random_numbers import generator
from tests.model_opt.test_passes_small import binary, conv, made, op, weight

RNG = generator(7)
ONLY_POWERS = RescaleOptions(windows_of=0)
WIDE = dict.fromkeys(("a", "b", "c", "d", "e", "f"), (-1, 12, -1, -1))


def silent(_: float, __: str) -> None:
    """Progress that nobody watches."""


def image(size: int = 24) -> np.ndarray:
    return RNG.standard_normal((1, 4, size, size)).astype(np.float32)


def pool(x: str, out: str) -> Op:
    sides = {"ksize": (2, 2), "strides": (1, 1), "paddings": (0, 0), "padding_algorithm": "EXPLICIT"}
    flags = {"global_pooling": False, "adaptive": False, "ceil_mode": False, "exclusive": True}
    return op("pool2d", {"X": x}, out, pooling_type="max", data_format="NCHW", **sides, **flags)


def two_convs(between: Sequence = (), last: str = "a") -> Model:
    """x -> 1x1 to 12 channels of about 2,000 -> ``between`` -> 3x3 by Winograd back to size 1."""
    ops = [conv("x", "w1", "a"), *between, conv(last, "w2", "y", pad=1), op("sigmoid", {"X": "y"}, "z")]
    params = {"w1": weight(12, 4, 1, 1) * 1000, "w2": weight(12, 12, 3, 3) * 2e-5, "bias": weight(12) * 1000}
    return made(ops, params, "z", {**WIDE, "y": (-1, 12, -1, -1), "z": (-1, 12, -1, -1)})


def corner_of(name: str) -> np.ndarray:
    """Return 96x160 pixels of a calibration image as the detector sees them."""
    with Image.open(config_dir() / "calibration" / name) as file:
        pixels = np.asarray(file.convert("RGB"), dtype=np.float32)[:96, :160, ::-1] / 255
    scaled = (pixels - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], dtype=np.float32)


def overflows(model: Model, x: np.ndarray, converter: Converter) -> int:
    return len(overflow_check(converter.in_memory(model, ConvertOptions(fp16=True)), {"x": x}))


def emulated(model: Model, x: np.ndarray, converter: Converter) -> np.ndarray:
    return next(iter(emulate(converter.in_memory(model, ConvertOptions(fp16=True)), {"x": x}).values()))


def in_fp32(model: Model, x: np.ndarray, converter: Converter) -> np.ndarray:
    return Observer(converter.in_memory(model, ConvertOptions()), ()).run(x).output


@pytest.mark.parametrize(
    "between",
    [
        [op("relu", {"X": "a"}, "b")],
        [binary("add", "a", "bias", "b", 1)],
        [pool("a", "b")],
        [conv("a", "eye", "c", groups=12), binary("add", "a", "c", "b")],
        [op("sigmoid", {"X": "a"}, "c"), binary("mul", "a", "c", "b")],
    ],
    ids=["relu", "bias", "pool", "sum", "gate"],
)
def test_a_factor_passes_what_is_homogeneous(between: list, converter: Converter) -> None:
    model = two_convs(between, "b").with_param("eye", np.ones((12, 1, 1, 1), np.float32))
    group = factor_groups(model).group
    if any(one.type == "sigmoid" for one in between):
        assert "a" not in group
        return
    assert group["a"] == group["b"]
    x = image()
    made_, report = rescale_fp16(model, [x], ONLY_POWERS, converter, silent)
    assert overflows(model, x, converter)
    assert not overflows(made_, x, converter)
    assert report.totals["max_behind"] <= 65504 / 8 < report.totals["max_before"]
    np.testing.assert_allclose(in_fp32(made_, x, converter), in_fp32(model, x, converter), rtol=0, atol=1e-6)
    assert np.abs(emulated(made_, x, converter) - in_fp32(model, x, converter)).mean() < 0.01


@pytest.mark.parametrize("stop", ["hard_swish", "sigmoid", "swish", "hard_sigmoid", "softmax", "relu6", "unknown_op"])
def test_no_factor_passes_what_is_not_homogeneous(stop: str) -> None:
    group = factor_groups(two_convs([op(stop, {"X": "a"}, "b")], "b")).group
    assert not {"a", "b"} & group.keys()


def test_inputs_and_outputs_of_the_model_keep_their_size() -> None:
    group = factor_groups(two_convs()).group
    assert not {"x", "y", "z"} & group.keys()


def test_the_factors_of_a_product_of_values_add_up() -> None:
    model = two_convs([conv("a", "eye", "b", groups=12), binary("mul", "a", "b", "c")], "c")
    model = model.with_param("eye", weight(12, 1, 1, 1))
    groups = factor_groups(model)
    assert groups.group["a"] == groups.group["c"]
    assert "b" not in groups.group


def test_any_exponents_keep_the_result() -> None:
    between = [
        conv("a", "eye", "b", groups=12),
        binary("add", "b", "bias", "c", 1),
        op("concat", {"X": ["a", "c"]}, "d", axis=1),
        op("relu", {"X": "d"}, "e"),
        conv("e", "w3", "f"),
    ]
    dims = {**WIDE, "d": (-1, 24, -1, -1), "e": (-1, 24, -1, -1)}
    ops = [conv("x", "w1", "a"), *between, conv("f", "w2", "y", pad=1)]
    params = {"w1": weight(12, 4, 1, 1), "w2": weight(12, 12, 3, 3), "w3": weight(12, 24, 1, 1)}
    params |= {"bias": weight(12), "eye": weight(12, 1, 1, 1)}
    model = made(ops, params, "y", {**dims, "y": (-1, 12, -1, -1)})
    groups = factor_groups(model)
    names = sorted(set(groups.group.values()))
    assert len(names) == 2
    scaled = with_exponents(model, groups, {name: 5 - 9 * i for i, name in enumerate(names)})
    x = RNG.standard_normal((1, 4, 9, 9))
    np.testing.assert_array_equal(run_float64(model, x), run_float64(scaled, x))


def test_small_values_are_lifted_out_of_the_subnormals(converter: Converter) -> None:
    ops = [conv("x", "w1", "a"), op("relu", {"X": "a"}, "b"), conv("b", "w2", "y")]
    params = {"w1": weight(12, 4, 1, 1) * 1e-6, "w2": weight(12, 12, 1, 1) * 1e4}
    model = made(ops, params, "y", {**WIDE, "y": (-1, 12, -1, -1)})
    x = image()
    scaled, _ = rescale_fp16(model, [x], ONLY_POWERS, converter, silent)
    want = in_fp32(model, x, converter)
    assert np.abs(emulated(scaled, x, converter) - want).max() < np.abs(emulated(model, x, converter) - want).max() / 10


def test_what_cannot_be_mended_is_an_error_that_names_the_layer(converter: Converter) -> None:
    model = two_convs([op("hard_swish", {"X": "a"}, "b", offset=3.0, scale=6.0, threshold=6.0)], "b")
    with pytest.raises(RescaleError, match=r"'w\d'.*the largest fp16 number is 65,504"):
        rescale_fp16(model, [image() * 10], RescaleOptions(), converter, silent)
    with pytest.raises(RescaleError, match="no calibration input"):
        rescale_fp16(model, [], RescaleOptions(), converter, silent)
    with pytest.raises(RescaleError, match="headroom"):
        rescale_fp16(model, [image()], RescaleOptions(headroom=0.5), converter, silent)


def test_the_public_detector_is_finite_in_fp16(mobile_det: ModelFiles, converter: Converter) -> None:
    model, _ = optimise(read_model(mobile_det.program_file, mobile_det.params_file))
    page = corner_of("page_02.jpg")
    assert overflows(model, page, converter)
    scaled, report = rescale_fp16(model, [page], ONLY_POWERS, converter, silent)
    head = next(note for note in report.layers if note.weight == "conv2d_159.w_0")
    assert head.facts["input_exponent"] < 0
    assert head.facts["max_transformed"] > 65504
    np.testing.assert_allclose(in_fp32(scaled, page, converter), in_fp32(model, page, converter), rtol=0, atol=1e-6)
    assert np.isfinite(emulated(scaled, page, converter)).all()


def test_same_inputs_same_model(converter: Converter) -> None:
    model, x = two_convs([op("relu", {"X": "a"}, "b")], "b"), image()
    first, second = (rescale_fp16(model, [x], RescaleOptions(), converter, silent) for _ in range(2))
    assert first[1].to_dict() == second[1].to_dict()
    assert first[0].program == second[0].program
    assert all(np.array_equal(array, second[0].params[name]) for name, array in first[0].params.items())


def test_all_steps_keep_the_public_detector_near_fp32(mobile_det: ModelFiles, converter: Converter) -> None:
    model, _ = optimise(read_model(mobile_det.program_file, mobile_det.params_file))
    pages = [corner_of("page_02.jpg"), corner_of("page_04.jpg")]
    made_, report = rescale_fp16(model, pages, RescaleOptions(checked=0), converter, silent)
    assert report.totals["layers_rounded"] > 40
    assert report.totals["late_biases"] >= 3
    other = corner_of("page_05.jpg")
    want = in_fp32(model, other, converter)
    assert np.abs(in_fp32(made_, other, converter) - want).mean() < 5e-4
    assert np.abs(emulated(made_, other, converter) - want).mean() < 1e-3


def test_forms_that_no_window_describes_are_left_as_they_are(converter: Converter) -> None:
    ops = [conv("x", "w1", "a", pad=1, groups=4), op("relu", {"X": "a"}, "b"), conv("b", "w2", "y", pad=2)]
    same = ops[0].with_attr("padding_algorithm", "SAME")
    wide = ops[2].with_attr("dilations", (2, 2))
    model = made([same, ops[1], wide], {"w1": weight(4, 1, 3, 3), "w2": weight(4, 4, 3, 3)}, "y")
    made_, report = rescale_fp16(model, [image()], RescaleOptions(checked=0), converter, silent)
    assert report.totals["layers_rounded"] == 0
    assert all(np.array_equal(array, made_.params[name]) for name, array in model.params.items())

"""Static int8: what is written, what is refused, what it costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_kit.ocr.detection import detection_input
from edge_kit.ocr.image import read_image
from edge_kit.spec import profile
from model_opt.convert import Converter, ConvertOptions
from model_opt.emulator import emulate
from model_opt.errors import KitError
from model_opt.paddle_model import read_model
from model_opt.passes import optimise
from model_opt.program import Attr, AttrType, Block, Model, Op, Program, Var, VarType
from model_opt.quantize import StaticOptions, quantise_static
from model_opt.quantize.augment import AUGMENTATIONS, augmented, ends_of, inverted, washed_out
from model_opt.quantize.candidates import Candidate, preferred, without_needless_scalings
from model_opt.quantize.columns import CalibrationError, ConvLayer, conv_layers
from model_opt.quantize.equalize_channels import equalization, equalize_columns
from model_opt.quantize.int8_rounding import limits, round_by_error, round_input, round_nearest
from model_opt.quantize.qdq import ChannelScaling, Int8Layer, with_int8_layers
from model_opt.quantize.simulate import Simulator

Float32Array = NDArray[np.float32]


def _quiet(part: float, what: str) -> None:
    del part, what


def _inputs(count: int = 3, side: int = 32) -> list[Float32Array]:
    random = np.random.default_rng(5)
    return [random.standard_normal((1, 3, side, side)).astype(np.float32) for _ in range(count)]


def _model() -> Model:
    """Return 3x3 conv, bias, hard_swish, depthwise 3x3, 1x1, sigmoid."""
    random = np.random.default_rng(1)
    fp32 = VarType.FP32
    params = {
        "a.w": random.standard_normal((8, 3, 3, 3)) * 0.3,
        "a.b": random.standard_normal(8) * 0.2,
        "b.w": random.standard_normal((8, 1, 3, 3)) * 0.3,
        "c.w": random.standard_normal((4, 8, 1, 1)) * 0.3,
        "c.b": random.standard_normal(4) * 0.2,
    }
    ops = [
        Op("feed", {"X": ("feed",)}, {"Out": ("x",)}, {"col": Attr(AttrType.INT, 0)}),
        _conv("conv2d", "x", "a.w", "a0", 1, 1),
        _add("a0", "a.b", "a1"),
        Op("hard_swish", {"X": ("a1",)}, {"Out": ("a2",)}, _floats(scale=6.0, offset=3.0, threshold=6.0)),
        _conv("depthwise_conv2d", "a2", "b.w", "b0", 1, 8),
        _conv("conv2d", "b0", "c.w", "c0", 0, 1),
        _add("c0", "c.b", "c1"),
        Op("sigmoid", {"X": ("c1",)}, {"Out": ("y",)}),
        Op("fetch", {"X": ("y",)}, {"Out": ("fetch",)}, {"col": Attr(AttrType.INT, 0)}),
    ]
    sides = {"x": (-1, 3, -1, -1), "c0": (-1, 4, -1, -1), "c1": (-1, 4, -1, -1), "y": (-1, 4, -1, -1)}
    names = ("x", "a0", "a1", "a2", "b0", "c0", "c1", "y")
    tensors = [
        Var(n, data_type=fp32, dims=sides.get(n, (-1, 8, -1, -1)), lod_level=0, persistable=False) for n in names
    ]
    feeds = [
        Var("feed", kind=VarType.FEED_MINIBATCH, persistable=True),
        Var("fetch", kind=VarType.FETCH_LIST, persistable=True),
    ]
    model = Model(Program((Block(0, -1, (*feeds, *tensors), tuple(ops)),), version=0), {})
    for name, value in params.items():
        model = model.with_param(name, value.astype(np.float32))
    return model


def _floats(**values: float) -> dict[str, Attr]:
    return {name: Attr(AttrType.FLOAT, value) for name, value in values.items()}


def _conv(kind: str, x: str, weights: str, y: str, pad: int, groups: int) -> Op:
    attrs = {
        "strides": Attr(AttrType.INTS, (1, 1)),
        "paddings": Attr(AttrType.INTS, (pad, pad)),
        "dilations": Attr(AttrType.INTS, (1, 1)),
        "groups": Attr(AttrType.INT, groups),
        "padding_algorithm": Attr(AttrType.STRING, "EXPLICIT"),
        "data_format": Attr(AttrType.STRING, "NCHW"),
    }
    return Op(kind, {"Input": (x,), "Filter": (weights,)}, {"Output": (y,)}, attrs)


def _layer(model: Model, name: str, limit: float, scaling: ChannelScaling | None = None) -> Int8Layer:
    weights = model.params[name]
    rounded = round_nearest(weights if scaling is None else weights / scaling.factors[:, None, None])
    return Int8Layer(rounded.weights.reshape(weights.shape), rounded.scales, limit, scaling)


def _add(x: str, y: str, out: str) -> Op:
    return Op("elementwise_add", {"X": (x,), "Y": (y,)}, {"Out": (out,)}, {"axis": Attr(AttrType.INT, 1)})


def _exact(model: Model, x: Float32Array, converter: Converter) -> tuple[Float32Array, list[str]]:
    nb = converter.in_memory(model, ConvertOptions())
    kernels = [f"{op.type} {op.kernel.alias}" for op in nb.ops if op.kernel is not None]
    feed = next(op.outputs["Out"][0] for op in nb.ops if op.type == "feed")
    return next(iter(emulate(nb, {feed: x}).values())), kernels


def test_every_asked_layer_gets_an_int8_kernel(converter: Converter) -> None:
    quantised, report = quantise_static(_model(), _inputs(), StaticOptions(int8_share=1.0), converter, _quiet)
    y, kernels = _exact(quantised, _inputs()[0], converter)
    ends = {k.split()[1] for k in kernels if "conv2d" in k}
    assert len([k for k in kernels if "conv2d" in k]) == 3
    assert ends <= {"int8_out", "fp32_out"}
    assert kernels.count("affine_channel def") == report.totals["equalized_inputs"]
    assert report.totals["int8_macs_share"] == 1.0
    plain, _ = _exact(_model(), _inputs()[0], converter)
    assert 0 < np.abs(y - plain).mean() < 0.01


def test_chains_without_scalings_stay_int8(converter: Converter) -> None:
    model = _model()
    layers = {name: _layer(model, name, 4.0) for name in ("a.w", "b.w", "c.w")}
    _, kernels = _exact(with_int8_layers(model, layers), _inputs()[0], converter)
    assert [k for k in kernels if "conv2d" in k] == ["conv2d int8_out", "depthwise_conv2d int8_out", "conv2d fp32_out"]


def test_the_simulation_is_the_exact_emulation_but_for_ties(converter: Converter) -> None:
    model = _model()
    layers = {name: _layer(model, name, limit) for name, limit in (("a.w", 3.0), ("b.w", 4.0), ("c.w", 5.0))}
    want, _ = _exact(with_int8_layers(model, layers), _inputs()[1], converter)
    found = Simulator(converter.in_memory(model, ConvertOptions())).compile(layers).run(_inputs()[1])
    assert np.abs(found - want).mean() < 1e-5


def test_the_share_decides_how_many_layers_stay_in_fp32(converter: Converter) -> None:
    _, report = quantise_static(_model(), _inputs(), StaticOptions(int8_share=0.5), converter, _quiet)
    share = report.totals["int8_macs_share"]
    assert isinstance(share, float)
    assert 0.5 <= share < 1
    assert [note.facts["int8"] for note in report.layers].count(False) == report.totals["fp32_layers"]


def test_same_inputs_give_the_same_model(converter: Converter) -> None:
    first, second = (quantise_static(_model(), _inputs(), StaticOptions(), converter, _quiet)[0] for _ in range(2))
    assert first.program == second.program
    assert {n: a.tobytes() for n, a in first.params.items()} == {n: a.tobytes() for n, a in second.params.items()}


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        ([], "no calibration inputs"),
        ([np.zeros((1, 3, 32, 32), np.float32)], "blank"),
        ([np.full((1, 3, 32, 32), np.nan, np.float32)], "not finite"),
        ([np.zeros((3, 32, 32), np.float32)], "NCHW"),
    ],
)
def test_inputs_that_teach_nothing_are_refused(inputs: list[Float32Array], what: str, converter: Converter) -> None:
    with pytest.raises(CalibrationError, match=what):
        quantise_static(_model(), inputs, StaticOptions(), converter, _quiet)


def test_a_layer_that_sees_only_zeros_is_named(converter: Converter) -> None:
    model = _model().with_param("a.w", np.zeros((8, 3, 3, 3), np.float32)).with_param("a.b", np.zeros(8, np.float32))
    with pytest.raises(CalibrationError, match=r"'b\.w' sees only zeros"):
        quantise_static(model, _inputs(), StaticOptions(), converter, _quiet)


def test_a_model_without_convolutions_is_refused(converter: Converter) -> None:
    with pytest.raises(KitError, match="no convolution"):
        quantise_static(_model(), _inputs(), StaticOptions(exclude=("a.w", "b.w", "c.w")), converter, _quiet)


def test_a_share_that_exclusions_forbid_is_refused(converter: Converter) -> None:
    with pytest.raises(KitError, match="at most"):
        quantise_static(_model(), _inputs(), StaticOptions(int8_share=0.95, exclude=("a.w",)), converter, _quiet)


def test_unknown_names_and_shares_are_refused(converter: Converter) -> None:
    with pytest.raises(KitError, match="'nope'"):
        quantise_static(_model(), _inputs(), StaticOptions(exclude=("nope",)), converter, _quiet)
    with pytest.raises(KitError, match="int8_share"):
        StaticOptions(int8_share=1.5)


def test_dilated_convolutions_stay_out() -> None:
    model = _model()
    ops = [
        op.with_attr("dilations", (2, 2)) if op.inputs.get("Filter") == ("a.w",) else op
        for op in model.program.main.ops
    ]
    dilated = Model(model.program.with_ops(ops), model.params)
    assert [layer.filter for layer in conv_layers(dilated)] == ["b.w", "c.w"]


def test_rounding_by_error_beats_rounding_to_nearest() -> None:
    random = np.random.default_rng(3)
    weights = random.standard_normal((16, 32)).astype(np.float32)
    columns = (random.standard_normal((32, 32)) @ random.standard_normal((32, 2000))).astype(np.float32)

    def error(rounded: object) -> float:
        assert isinstance(rounded, type(round_nearest(weights)))
        real = rounded.weights * rounded.scales[:, None]
        return float(np.square((real - weights) @ columns).mean())

    assert error(round_by_error(weights, columns, centred=False)) < 0.7 * error(round_nearest(weights))


def test_limits_ignore_a_single_outlier_except_min_max() -> None:
    x = np.random.default_rng(2).standard_normal(100_000).astype(np.float32)
    x[0] = 500
    found = limits(x, 500.0)
    assert found["min_max"] == 500
    assert found["percentile_99_9"] < 5
    assert np.square(round_input(x[1:], found["percentile_99_99"]) - x[1:]).mean() < 0.01


def test_the_detector_keeps_its_mask_also_on_washed_out_text(
    converter: Converter, mobile_det, shared_dir: Path
) -> None:
    model = optimise(read_model(mobile_det.program_file, mobile_det.params_file))[0]
    images = sorted((Path(__file__).parents[2] / "configs" / "calibration").glob("*.[jp][pn]*g"))[::14]
    calibration = [detection_input(read_image(path), profile().detection)[:, :, :320, :320] for path in images]
    quantised, report = quantise_static(model, calibration, StaticOptions(trials=1), converter, _quiet)
    text = np.load(shared_dir / "lite_golden" / "det_text_320x320.npz")["input"].reshape(1, 3, 320, 320)
    for x in (text, washed_out(text)):
        mask = _exact(model, x, converter)[0] > 0.3
        flips = (mask != (_exact(quantised, x, converter)[0] > 0.3)).sum()
        assert 0 < flips < 0.02 * mask.sum()
    share = report.totals["int8_macs_share"]
    assert isinstance(share, float)
    assert share >= 0.72


def test_a_channel_scaling_survives_opt_and_the_simulation_knows_it(converter: Converter) -> None:
    model = _model()
    random = np.random.default_rng(9)
    factors, shifts = random.uniform(0.5, 4, 8).astype(np.float32), random.standard_normal(8).astype(np.float32)
    scaling = ChannelScaling(factors, shifts)
    layers = {"c.w": _layer(model, "c.w", 12.0, scaling)}
    found, kernels = _exact(with_int8_layers(model, layers), _inputs()[1], converter)
    assert [k for k in kernels if "affine" in k or "calib" in k or "int8" in k] == [
        "affine_channel def",
        "calib fp32_to_int8",
    ]
    simulated = Simulator(converter.in_memory(model, ConvertOptions())).compile(layers).run(_inputs()[1])
    assert np.abs(found - simulated).mean() < 1e-5


def test_a_scaled_input_is_rounded_less_at_the_same_output(converter: Converter) -> None:
    """Channels from 0.03 to 8, all of them positive: one scale for all loses the narrow ones."""
    model = _model()
    wide = np.geomspace(0.03, 8, 8).astype(np.float32)
    model = model.with_param("b.w", model.params["b.w"] * 0 + wide[:, None, None, None] / 9)
    model = model.with_param("c.w", np.asarray(model.params["c.w"] / wide[:, None, None], np.float32))
    observer = Simulator(converter.in_memory(model, ConvertOptions()))
    plain = [observer.compile({}).run(x) for x in _inputs()]
    low, high = wide * np.float32(-0.375), wide * np.float32(4)
    even = equalization(low, high, shifted=True)
    shift = (model.params["c.w"] / even.scaling.factors[:, None, None]).sum(axis=(2, 3)) @ even.scaling.shifts
    biases = {"c.b": np.asarray(model.params["c.b"] - shift, np.float32)}

    def error(layer: Int8Layer, biases: dict[str, Float32Array]) -> float:
        runner = observer.compile({"c.w": layer}, biases)
        return float(np.mean([np.abs(runner.run(x) - y).mean() for x, y in zip(_inputs(), plain, strict=True)]))

    scaled_error = error(_layer(model, "c.w", even.limit, even.scaling), biases)
    assert scaled_error < 0.5 * error(_layer(model, "c.w", float(high.max())), {})


def test_equalization_clips_nothing_and_leaves_zero_where_there_is_a_border() -> None:
    low, high = np.array([-0.375, -1, 0], np.float32), np.array([2, 16, 0], np.float32)
    for shifted in (True, False):
        even = equalization(low, high, shifted=shifted)
        ends = np.array([low, high]) * even.scaling.factors + even.scaling.shifts
        assert np.abs(ends).max() == pytest.approx(even.limit, rel=1e-6)
        assert even.scaling.factors[0] > even.scaling.factors[1] == 1
        assert even.scaling.factors[2] == 8, "a channel that held nothing counts as a 64th of the widest"
        assert shifted == bool(even.scaling.shifts.any())
    assert equalization(low, high, shifted=True).limit == pytest.approx(8.5)


def test_columns_are_scaled_as_the_tensor_is() -> None:
    columns = np.random.default_rng(4).standard_normal((1, 18, 5)).astype(np.float32)
    scaling = ChannelScaling(np.array([2, 3], np.float32), np.array([0.5, -1], np.float32))
    found = equalize_columns(columns, scaling)
    assert np.allclose(found[0, :9], columns[0, :9] * 2 + 0.5)
    assert np.allclose(found[0, 9:], columns[0, 9:] * 3 - 1)


def _judged(rule: str, sensitivity: float, name: str = "a") -> Candidate:
    scaling = ChannelScaling(np.ones(2, np.float32), np.zeros(2, np.float32)) if rule.startswith("equalized") else None
    int8 = Int8Layer(np.ones((1, 2, 1, 1), np.int8), np.ones(1, np.float32), 1.0, scaling)
    return Candidate(ConvLayer(name, "conv2d", None, (1, 1), (0, 0, 0, 0)), int8, None, rule, 200, sensitivity)


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        ({"largest": 1, "equalized": 0.7, "largest_varied": 4, "equalized_varied": 3}, "equalized_varied"),
        ({"largest": 1, "equalized": 0.5, "largest_varied": 4, "equalized_varied": 3}, "equalized"),
        ({"largest": 1, "equalized": 0.5, "equalized_varied": 3, "kl": 0.3}, "equalized"),
        ({"largest": 1, "equalized": 0.5, "equalized_varied": 3, "kl": 0.2}, "kl"),
        ({"largest_varied": 1, "kl": 0.6}, "largest_varied"),
    ],
)
def test_wide_limits_go_first_unless_others_are_clearly_better(found: dict[str, float], rule: str) -> None:
    assert preferred(_judged(name, value) for name, value in found.items()).rule == rule


def test_scalings_that_bring_little_to_the_whole_are_given_up() -> None:
    judged = [
        _judged("equalized_varied", 1.0, "a"),
        _judged("largest_varied", 3.0, "a"),
        _judged("equalized_varied", 0.1, "b"),
        _judged("largest_varied", 0.2, "b"),
    ]
    kept = without_needless_scalings([judged[0], judged[2]], judged)
    assert [(one.layer.filter, one.rule) for one in kept] == [("a", "equalized_varied"), ("b", "largest_varied")]


def test_inverted_inputs_stay_in_the_range_and_come_back() -> None:
    inputs = [x * (1 + index) for index, x in enumerate(_inputs(3))]
    ends = ends_of(inputs)
    for x in inputs:
        turned = inverted(x, ends)
        assert ((turned >= ends.low - 1e-5) & (turned <= ends.high + 1e-5)).all()
        assert np.allclose(inverted(turned, ends), x, atol=1e-5)
        darkest = np.unravel_index(x[0, 0].argmin(), x[0, 0].shape)
        assert turned[0, 0][darkest] == turned[0, 0].max()


def test_every_augmentation_is_another_image_within_the_range_of_all() -> None:
    inputs = [x[:, :, :30, :28] for x in _inputs(9)]
    ends = ends_of(inputs)
    found = list(augmented(inputs, 3))
    assert len(found) == 27
    assert all(np.array_equal(x, y) for x, y in zip(found, augmented(inputs, 3), strict=True))
    for x, y in zip(inputs * 3, found, strict=True):
        assert y.dtype == np.float32
        assert sorted(y.shape) == sorted(x.shape)
        assert ((y >= ends.low - 1e-5) & (y <= ends.high + 1e-5)).all()
        assert y.shape != x.shape or not np.array_equal(x, y)
    names = list(AUGMENTATIONS)
    assert np.array_equal(found[names.index("washed_out")], washed_out(inputs[names.index("washed_out")]))
    assert len({x.tobytes() for x in found[::9]}) == 3, "the augmentations of one input differ"

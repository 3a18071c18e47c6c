"""The exact emulation against the real ARM engine: single kernels, cut models, whole models."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model_opt.emulator import FP16_MAX, EngineBuild, emulate, overflow_check
from model_opt.emulator.half import fma, gemm, gemm_c8, matmul, rounded
from model_opt.emulator.int8 import quantise
from model_opt.emulator.run import run_watched
from model_opt.emulator.state import Values
from model_opt.nb import NbError, NbModel, read_nb
from model_opt.nb.translate.view import OpView
from model_opt.nb.types import KERNEL_ATTR
from model_opt.program import Attr, AttrType
from tests.model_opt.nb_op_cases import Case, activations, op, pools

INT8 = (
    "int8_chain_1x1_dw_1x1", "int8_chain_hard_swish", "int8_conv1x1", "int8_conv1x1_hard_swish", "int8_conv1x1_relu",
    "int8_conv3x3s1", "int8_conv3x3s2", "int8_conv3x3s2_first", "int8_dw3x3s1", "int8_dw3x3s2", "int8_dw5x5s1",
    "int8_dw5x5s2",
)  # fmt: skip
FP16 = (
    "add_scalar_mul_scalar", "concat", "conv1x1", "conv1x1_hard_swish", "conv1x1_large", "conv1x3",
    "conv3x3s1_winograd", "conv3x3s1_winograd_large", "conv3x3s1_winograd_relu", "conv3x3s2", "conv3x3s2_first",
    "conv_transpose2x2", "dw3x3s1", "dw3x3s2", "dw3x3s2x1", "dw5x5s1", "dw5x5s2", "fc", "hard_sigmoid", "hard_swish",
    "layer_norm", "matmul_qk", "mul_channel", "nearest_x2", "nearest_x8", "pool_avg_3x2", "pool_avg_global",
    "pool_max_2x2", "relu",
    "sigmoid", "softmax", "swish",
)  # fmt: skip
# Kernels that opt leaves in fp32, or whose exponential is a polynomial here and a library function there.
# The engine that ran whole models and the one that ran single kernels and cut models are two builds.
CUT = EngineBuild.FAST
NEARLY = ("gelu",)


def _golden(shared_dir: Path) -> Path:
    return shared_dir / "lite_golden"


def _run(model: NbModel, x: np.ndarray, build: EngineBuild = EngineBuild.RELEASE) -> np.ndarray:
    (name,) = [op.outputs["Out"][0] for op in model.ops if op.type == "feed"]
    (y,) = emulate(model, {name: x}, build).values()
    return y


def _micro(shared_dir: Path, name: str, precision: str) -> tuple[np.ndarray, np.ndarray]:
    folder = _golden(shared_dir) / "micro"
    with np.load(folder / f"{name}.npz") as file:
        return _run(read_nb(folder / f"{name}.{precision}.nb"), file["input"], CUT), file[f"out_{precision}"]


def _step(values: np.ndarray) -> float:
    return float(np.spacing(np.abs(values[np.isfinite(values)]).max().astype(np.float16)))


@pytest.mark.parametrize("name", INT8)
def test_static_int8_kernel_equals_the_engine(shared_dir, name):
    ours, theirs = _micro(shared_dir, name, "static_int8")
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()


@pytest.mark.parametrize("name", FP16)
def test_fp16_kernel_equals_the_engine_bit_for_bit(shared_dir, name):
    ours, theirs = _micro(shared_dir, name, "fp16")
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))
    finite = np.isfinite(theirs)
    np.testing.assert_array_equal(ours[finite], theirs[finite].astype(np.float32))


@pytest.mark.parametrize("name", NEARLY)
def test_fp16_kernel_with_an_exponential_is_within_one_step(shared_dir, name):
    ours, theirs = _micro(shared_dir, name, "fp16")
    assert np.abs(ours - theirs.astype(np.float32)).max() <= _step(theirs)


@pytest.mark.parametrize("name", ["conv3x3s1_winograd_large", "conv3x3s1_winograd_overflow"])
def test_every_value_that_winograd_overflows_is_predicted(shared_dir, name):
    ours, theirs = _micro(shared_dir, name, "fp16")
    assert not np.isfinite(theirs).all()
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))


def test_whole_static_int8_detector_equals_the_engine(shared_dir):
    folder = _golden(shared_dir)
    with np.load(folder / "det_text_320x320.npz") as given:
        ours = _run(read_nb(folder / "det_static_int8.nb"), given["input"])
    with np.load(folder / "det_static_int8_text_320x320.npz") as file:
        theirs = file["out_static_int8"]
    assert np.count_nonzero((ours > 0.3) != (theirs > 0.3)) == 0
    assert np.abs(ours - theirs).max() <= 1e-5


def _outputs_like(model: NbModel, x: np.ndarray, wanted: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Return, for each wanted array, what operators of a run wrote in its shape."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    before: list[str] = []

    def watch(op: OpView, values: Values) -> None:
        for written in before:
            array = values.named(op, written)
            for name, like in wanted.items():
                if array.size == like.size and array.dtype == np.float16:
                    found[name].append(array.reshape(like.shape).copy())
        kernels = ("fc", "conv2d", "conv2d_transpose", "hard_swish", "elementwise_add", "concat")
        before[:] = [next(iter(op.desc.outputs.values()))[0]] if op.desc.type in kernels else []

    (feed,) = [op.outputs["Out"][0] for op in model.ops if op.type == "feed"]
    run_watched(model, {feed: x}, watch, CUT)
    return found


@pytest.mark.parametrize(("kind", "text", "cuts"), [("det", "320x320", range(7)), ("rec", "48x320", range(6))])
def test_inner_variables_of_the_fp16_models_equal_the_engine_bit_for_bit(shared_dir, kind, text, cuts):
    folder = _golden(shared_dir)
    engine = {str(cut): np.load(folder / "cuts" / f"{kind}_cut{cut}.npz")["out_fp16"] for cut in cuts}
    with np.load(folder / f"{kind}_text_{text}.npz") as file:
        ours = _outputs_like(read_nb(folder / f"{kind}_fp16.nb"), file["input"], engine)
    for cut, theirs in engine.items():
        assert any(np.array_equal(array, theirs, equal_nan=True) for array in ours[cut]), f"cut {cut}"


def test_whole_fp16_detector_equals_the_engine_bit_for_bit_nan_included(shared_dir):
    folder = _golden(shared_dir)
    with np.load(folder / "det_text_320x320.npz") as file:
        ours, theirs = _run(read_nb(folder / "det_fp16.nb"), file["input"]), file["out_fp16"].astype(np.float32)
    assert np.isnan(theirs).sum() == 15360
    np.testing.assert_array_equal(ours, theirs)


def test_whole_fp16_recogniser_equals_the_engine_bit_for_bit(shared_dir):
    folder = _golden(shared_dir)
    with np.load(folder / "rec_text_48x320.npz") as file:
        ours, theirs = _run(read_nb(folder / "rec_fp16.nb"), file["input"]), file["out_fp16"].astype(np.float32)
    np.testing.assert_array_equal(ours, theirs)


def test_overflow_check_names_the_one_layer_that_overflows(shared_dir):
    folder = _golden(shared_dir)
    model = read_nb(folder / "det_fp16.nb")
    with np.load(folder / "det_text_320x320.npz") as file:
        (found,) = overflow_check(model, {"x": file["input"]})
    assert (found.filter, found.algorithm) == ("conv2d_159.w_0", "F(4,3)")
    assert 1900 < found.max_input < 2000
    assert found.max_transformed > FP16_MAX > found.max_output


def test_overflow_check_is_silent_where_the_engine_stays_finite(shared_dir):
    folder = _golden(shared_dir) / "micro"
    with np.load(folder / "conv3x3s1_winograd.npz") as file:
        assert np.isfinite(file["out_fp16"]).all()
        assert overflow_check(read_nb(folder / "conv3x3s1_winograd.fp16.nb"), {"x": file["input"]}) == ()


def test_quantise_rounds_half_away_from_zero_and_keeps_minus_128_out():
    values = np.array([0.5, -0.5, 1.5, -2.5, 126.5, 300, -128, -1e9, 0.49999997], np.float32)
    assert quantise(values).tolist() == [1, -1, 2, -3, 127, 127, -127, -127, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounded_is_the_nearest_fp16_number(dtype):
    rng = np.random.default_rng(6)
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = np.sort(halves[np.isfinite(halves)]).astype(dtype)
    between = (halves[1:] + halves[:-1]) / 2  # ties
    spread = rng.normal(size=200_000) * 2.0 ** rng.integers(-28, 14, 200_000)
    values = np.concatenate([halves, between, np.nextafter(between, dtype(0)), spread.astype(dtype)])
    np.testing.assert_array_equal(rounded(values), values.astype(np.float16))
    lost = np.array([65519, 65520, -65520, 1e30, np.inf, np.nan], dtype)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(rounded(lost), [65504, np.inf, -np.inf, np.inf, np.inf, np.nan])


def test_matmul_rounds_after_every_product_in_order():
    rng = np.random.default_rng(7)
    a, b = (rounded(rng.normal(size=shape).astype(np.float32)) for shape in ((5, 40), (40, 9)))
    b[:, 0] = rounded(b[:, 0] * np.float32(2.0**-18))  # subnormal sums
    expected = np.zeros((5, 9), np.float32)
    for k in range(40):
        expected = fma(expected, a[:, k : k + 1], b[k])
    np.testing.assert_array_equal(matmul(a, b), expected)


def test_matmul_rounds_ties_to_even():
    # 2048 + 1 lies in the middle of two fp16 numbers, and so does 2050 + 1.
    a, b = np.ones((1, 2), np.float32), np.array([[2048, 2050, -2048, 2.0**-14], [1, 1, -1, 2.0**-25]], np.float32)
    assert matmul(a, b)[0].tolist() == [2048, 2052, -2048, 2.0**-14]


def test_gemm_sums_its_last_columns_in_two_lanes():
    rng = np.random.default_rng(8)
    a, b = (rounded(rng.normal(size=shape).astype(np.float32)) for shape in ((3, 41), (41, 7)))
    start = rounded(rng.normal(size=3).astype(np.float32))
    expected = np.repeat(start[:, None], 7, axis=1)
    lanes = np.zeros((2, 3, 3), np.float32)
    for k in range(41):
        expected[:, :4] = fma(expected[:, :4], a[:, k : k + 1], b[k, :4])
        lanes[k % 2] = fma(lanes[k % 2], a[:, k : k + 1], b[k, 4:])
    expected[:, 4:] = rounded(expected[:, 4:] + rounded(lanes[0] + lanes[1]))
    np.testing.assert_array_equal(gemm(a, b, start), expected)


def test_gemm_c8_sums_its_last_columns_in_four_lanes():
    rng = np.random.default_rng(9)
    a, b = (rounded(rng.normal(size=shape).astype(np.float32)) for shape in ((3, 40), (40, 6)))
    lanes = np.zeros((4, 3, 2), np.float32)
    for k in range(40):
        lanes[k % 4] = fma(lanes[k % 4], a[:, k : k + 1], b[k, 4:])
    expected = rounded(rounded(lanes[0] + lanes[1]) + rounded(lanes[2] + lanes[3]))
    np.testing.assert_array_equal(gemm_c8(a, b)[:, 4:], expected)
    np.testing.assert_array_equal(gemm_c8(a, b)[:, :4], matmul(a, b[:, :4]))


def test_matmul_overflows_to_infinity():
    big = np.full((1, 4), 400, np.float32)
    with np.errstate(over="ignore"):
        assert matmul(big, big.T).item() == np.inf


def _one_op(shared_dir: Path, **changes: object) -> tuple[NbModel, np.ndarray]:
    folder = _golden(shared_dir) / "micro"
    model = read_nb(folder / "relu.fp16.nb")
    ops = tuple(dataclasses.replace(op, **changes) if op.type == "relu" else op for op in model.ops)
    with np.load(folder / "relu.npz") as file:
        return model.with_ops(ops), file["input"]


def test_an_unknown_operator_is_named(shared_dir):
    model, x = _one_op(shared_dir, type="quantum_relu")
    with pytest.raises(NbError, match=r"quantum_relu.*not known"):
        _run(model, x)


def test_an_unknown_attribute_is_named(shared_dir):
    model, _ = _one_op(shared_dir)
    relu = next(op for op in model.ops if op.type == "relu")
    model, x = _one_op(shared_dir, attrs={**relu.attrs, "slant": Attr(AttrType.INT, 3)})
    with pytest.raises(NbError, match="slant"):
        _run(model, x)


def test_the_faulty_pool_of_later_engines_is_refused(shared_dir):
    folder = _golden(shared_dir) / "micro"
    model = read_nb(folder / "pool_max_2x2.fp16.nb")
    with np.load(folder / "pool_max_2x2.npz") as file:
        assert file["input"].shape[3] > 16
        with pytest.raises(NbError, match="2x2 pool of stride 2"):
            _run(dataclasses.replace(model, opt_version="v2.14-rc"), file["input"])


@pytest.mark.parametrize("given", [{}, {"x": np.zeros((1, 2), np.float32)}, {"y": np.zeros((1, 2), np.float32)}])
def test_inputs_that_do_not_fit_are_refused(shared_dir, given):
    model = read_nb(_golden(shared_dir) / "micro" / "conv1x1.fp16.nb")
    with pytest.raises(NbError, match="input"):
        emulate(model, given)


POOLS = {case.name.removeprefix("pool2d "): case for case in pools()}


@pytest.mark.parametrize("name", ["max", "avg", "max, padded", "global", "global max"])
def test_pools_of_fp32_are_those_of_the_kernels(name):
    """Between int8 kernels; the references are those of the translation to ONNX."""
    case = POOLS[name]
    x = case.input()
    np.testing.assert_allclose(_run(case.model(), x), case.answer(x), rtol=0, atol=1e-6)


def test_a_padded_maximum_in_fp16_never_takes_the_pads():
    """The fp16 kernels start from the least number; all values here are below zero."""
    node = POOLS["max, padded"].ops[0]
    attrs = {key: value for key, value in node.attrs.items() if key != KERNEL_ATTR}
    ops = [
        op("calib", {"Input": "x"}, {"Out": "h"}, None, "fp32_to_fp16/arm/fp16/NCHW"),
        op("pool2d", {"X": "h"}, {"Out": "p"}, attrs, "def/arm/fp16/NCHW"),
        op("calib", {"Input": "p"}, {"Out": "y"}, None, "fp16_to_fp32/arm/fp16/NCHW"),
    ]
    x = -np.abs(POOLS["max, padded"].input()) - 1
    found = _run(Case("", ops, lambda x: x).model(), x)
    expected = POOLS["max, padded"].answer(x.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(found, expected)
    assert found.max() < 0


def test_relu6_clips_at_six_and_at_nothing_else():
    """The gates of PP-OCRv6 end in it, alone, and no fp16 kernel has it."""
    plain = next(case for case in activations() if case.name == "relu6 [6.0]")
    x = 3 * plain.input()
    y = _run(plain.model(), x)
    np.testing.assert_array_equal(y, np.clip(x, 0, 6))
    assert y.max() == 6
    other = dataclasses.replace(plain, ops=[op("relu6", {"X": "x"}, {"Out": "y"}, {"threshold": 5.0})])
    with pytest.raises(NbError, match="threshold"):
        _run(other.model(), x)


@pytest.mark.parametrize("name", ["avg, pads not counted", "max, ceil", "adaptive"])
def test_pools_whose_kernel_is_not_known_are_refused(name):
    case = POOLS[name]
    with pytest.raises(NbError, match="pool2d"):
        _run(case.model(), case.input())

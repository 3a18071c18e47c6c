"""Weights held as integers: one operator's own, in the file as given, and restored by Paddle Lite's own loader."""

import numpy as np
import pytest

from edge_kit.engines.base import EngineOptions
from edge_kit.engines.lite_x86 import LiteX86Engine
from model_opt.convert import ConvertOptions, ModelPair
from model_opt.errors import KitError
from model_opt.nb import read_nb
from model_opt.nb.to_onnx import to_onnx
from model_opt.opt_tool import OptError
from model_opt.paddle_model import PaddleModelError, integer_weights, read_model, write_model
from model_opt.passes import optimise
from model_opt.quantize.stored import from_rows, store_nearest, to_rows, with_stored_weights


@pytest.fixture(scope="module")
def rec(mobile_rec):
    return optimise(read_model(mobile_rec.program_file, mobile_rec.params_file))[0]


def weights_of(model):
    """The constant weights of convolutions and products, in program order."""
    found = []
    for op in model.program.main.ops:
        name = {"conv2d": "Filter", "depthwise_conv2d": "Filter", "matmul_v2": "Y"}.get(op.type)
        if name and op.input(name) in model.params:
            found.append(op.input(name))
    return found


def stored_rec(rec):
    """Every weight of the recogniser as integers, 8 and 16 bits in turn."""
    names = weights_of(rec)
    stored = {n: store_nearest(to_rows(rec.params[n]), (8, 16)[i % 2]) for i, n in enumerate(names)}
    return with_stored_weights(rec, stored), stored


def saved(model, folder):
    pair = ModelPair(folder / "m.pdmodel", folder / "m.pdiparams")
    write_model(model, pair.program_file, pair.params_file)
    return pair


def test_a_model_with_integer_weights_is_read_back_as_written(rec, tmp_path):
    model, stored = stored_rec(rec)
    pair = saved(model, tmp_path)
    again = read_model(pair.program_file, pair.params_file)
    assert integer_weights(again.program) == {name: one.bits for name, one in stored.items()}
    assert all(np.array_equal(again.params[name], model.params[name]) for name in model.params)
    assert all(again.params[n].dtype == (np.int8 if one.bits == 8 else np.int16) for n, one in stored.items())


def test_integers_without_the_operators_mark_are_refused(rec, tmp_path):
    model, _ = stored_rec(rec)
    unmarked = [op.without_attr("quantize_weight_bits") for op in model.program.main.ops]
    with pytest.raises(PaddleModelError, match="int8"):
        saved(model.with_program(model.program.with_ops(unmarked)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_paddle_lites_own_loader_restores_both_widths(rec, env, tmp_path):
    # The loader is one code for all platforms. Of a file with integers in fc, the x86 engine makes NaN, so
    # convolutions alone are looked at: the depthwise ones among them are what opt never stores as integers.
    kinds = {name: op.type for op in rec.program.main.ops for name in op.input_names}
    names = [name for name in weights_of(rec) if kinds[name] != "matmul_v2"]
    stored = {n: store_nearest(to_rows(rec.params[n]), (8, 16)[i % 3 > 0]) for i, n in enumerate(names)}
    assert {(kinds[n], one.bits) for n, one in stored.items()} >= {("depthwise_conv2d", 8), ("depthwise_conv2d", 16)}
    floats = rec
    for name, one in stored.items():
        floats = floats.with_param(name, from_rows(one.floats(), rec.params[name].shape))
    x = np.random.default_rng(7).normal(0, 0.5, (1, 3, 48, 320)).astype(np.float32)
    held, given, plain = (
        run_on_x86(saved(m, tmp_path), tmp_path, env, x) for m in (with_stored_weights(rec, stored), floats, rec)
    )
    assert np.array_equal(held, given)
    assert not np.array_equal(held, plain), "the rounding shows"


def run_on_x86(pair, folder, env, x):
    """The output of Paddle Lite's x86 engine."""
    engine = LiteX86Engine.from_nb(
        env.convert(pair, ConvertOptions("x86"), folder / "rec.nb").path, EngineOptions(), env=env
    )
    try:
        return engine.run(x)
    finally:
        engine.close()


def test_opt_keeps_each_layers_width_and_says_so(rec, env, tmp_path):
    model, _ = stored_rec(rec)
    done = env.convert(saved(model, tmp_path), ConvertOptions(weight_bits=8), tmp_path / "rec.nb")
    assert done.precision == "weight_int8+weight_int16"
    assert to_onnx(read_nb(done.path))


def test_fp16_on_integers_is_refused_before_opt_runs(rec, env, tmp_path):
    model, _ = stored_rec(rec)
    with pytest.raises(OptError, match="NaN"):
        env.convert(saved(model, tmp_path), ConvertOptions(fp16=True), tmp_path / "rec.nb")
    assert not (tmp_path / "rec.nb").exists()


def test_weights_that_no_operator_or_several_read_are_refused(rec):
    name = weights_of(rec)[0]
    one = store_nearest(to_rows(rec.params[name]), 8)
    with pytest.raises(KitError, match="no operator"):
        with_stored_weights(rec, {"absent": one})
    conv = next(op for op in rec.program.main.ops if name in op.input_names)
    twice = rec.with_program(rec.program.with_ops([*rec.program.main.ops, conv]))
    with pytest.raises(KitError, match="several operators read them"):
        with_stored_weights(twice, {name: one})


@pytest.mark.parametrize("bits", [8, 16])
def test_the_nearest_step_is_at_most_half_a_step_away(bits):
    rows = np.random.default_rng(1).normal(size=(4, 30)).astype(np.float32)
    rows[2] = 0
    one = store_nearest(rows, bits)
    assert (np.abs(one.floats() - rows) <= 0.5001 * one.scales[:, None]).all()
    assert np.abs(one.rows[0]).max() == (1 << (bits - 1)) - 1
    assert one.bits == bits

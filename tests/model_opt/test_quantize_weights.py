"""Weight-only int8: opt finds the very integers that were chosen, and the outputs move less than by plain rounding."""

import numpy as np
import pytest

from model_opt.errors import KitError
from model_opt.nb import NbModel
from model_opt.opt_tool import ConvertOptions
from model_opt.paddle_model import read_model
from model_opt.passes import optimise
from model_opt.quantize import Observer, convert_in_memory
from model_opt.quantize.columns import CalibrationError
from model_opt.quantize.int8_rounding import round_to_full_range
from model_opt.quantize.weights import WeightOptions, quantise_weights


def nothing(*_):
    """Progress that nobody watches."""


def pages(count, height, width, seed):
    """Return inputs with strokes on a flat ground, roughly as a normalised page of text looks."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        page = np.full((1, 3, height, width), random.uniform(1.0, 2.2), np.float32)
        for _ in range(60):
            y, x = random.integers(0, height - 4), random.integers(0, width - 4)
            page[:, :, y : y + random.integers(1, 8), x : x + random.integers(1, 8)] = random.uniform(-2, 0.5)
        made.append(page)
    return made


@pytest.fixture(scope="module", params=["det", "rec"])
def case(request, mobile_det, mobile_rec, env):
    """The optimised model, its rounded form, and inputs it was not calibrated on."""
    files = mobile_det if request.param == "det" else mobile_rec
    height, width = (96, 128) if request.param == "det" else (48, 320)
    model, _ = optimise(read_model(files.pdmodel, files.pdiparams))
    done, report = quantise_weights(model, pages(4, height, width, 1), WeightOptions(groups=2), env, nothing)
    return model, done, report, env, pages(2, height, width, 2)


def int8_rows(nb: NbModel):
    return {name: tensor for name, tensor in nb.params.items() if tensor.data_type.name == "INT8"}


def test_opt_stores_the_chosen_integers(case):
    model, done, report, env, _ = case
    stored = int8_rows(convert_in_memory(done, ConvertOptions(weight_bits=8), env))
    for note in report.layers:
        axis = (0,) if model.params[note.weight].ndim == 2 else (1, 2, 3)
        chosen = done.params[note.weight].astype(np.float64)
        scale = np.abs(chosen).max(axis=axis, keepdims=True) / 127
        found = np.asarray(stored[note.weight].data).reshape(chosen.shape)
        assert np.array_equal(found, np.rint(chosen / scale))
        assert np.abs(chosen / scale - found).max() < 1e-3, "the weights lie on the grid that opt finds"


def test_outputs_move_less_than_by_plain_rounding(case):
    model, done, _, env, inputs = case
    floats = Observer(convert_in_memory(model, ConvertOptions(), env), ())
    better, plain = (Observer(convert_in_memory(m, ConvertOptions(weight_bits=8), env), ()) for m in (done, model))
    moved = [
        sum(float(np.square(one.run(x).output - floats.run(x).output).sum()) for x in inputs) for one in (better, plain)
    ]
    assert moved[0] < 0.7 * moved[1]


def test_the_report_names_every_layer_and_what_it_won(case):
    model, done, report, *_ = case
    assert report.totals["layers"] == len(report.layers) > 30
    assert report.totals["median_gain"] > 1.2
    changed = {name for name, array in done.params.items() if not np.array_equal(array, model.params[name])}
    assert {note.weight for note in report.layers} <= changed
    depthwise = {op.input("Filter") for op in model.program.main.ops if op.type == "depthwise_conv2d"}
    assert not depthwise & changed


def test_equal_inputs_give_equal_bytes(mobile_rec, env):
    model, _ = optimise(read_model(mobile_rec.pdmodel, mobile_rec.pdiparams))
    inputs = pages(2, 48, 320, 3)
    first, second = (quantise_weights(model, inputs, WeightOptions(groups=2), env, nothing)[0] for _ in range(2))
    assert all(np.array_equal(first.params[name], second.params[name]) for name in first.params)


def test_each_row_reaches_the_end_of_the_range():
    random = np.random.default_rng(0)
    rows = random.normal(size=(5, 12)).astype(np.float32)
    rows[3] = 0
    spread = random.normal(size=(12, 40))
    found = round_to_full_range(rows, spread @ spread.T + np.eye(12))
    assert (np.abs(found.weights).max(axis=1) == 127).all()
    assert np.abs(found.weights[:3] * found.scales[:3, None] - rows[:3]).max() < 0.2


def test_what_cannot_teach_is_refused(mobile_rec, env):
    model, _ = optimise(read_model(mobile_rec.pdmodel, mobile_rec.pdiparams))
    with pytest.raises(CalibrationError, match="no calibration inputs"):
        quantise_weights(model, [], WeightOptions(), env, nothing)
    with pytest.raises(CalibrationError, match="blank"):
        quantise_weights(model, [np.zeros((1, 3, 48, 320), np.float32)], WeightOptions(), env, nothing)
    with pytest.raises(KitError, match="follow"):
        WeightOptions(follow=2.0)

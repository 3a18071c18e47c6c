"""Weights in 8 and 16 bits: the file holds the very integers that were chosen, and outputs move less than by plain
rounding.
"""

import numpy as np
import pytest

from model_opt.convert import ConvertOptions
from model_opt.errors import KitError
from model_opt.nb import precision_of
from model_opt.nb.translate import translate
from model_opt.paddle_model import SCALES_OF, read_model
from model_opt.passes import optimise
from model_opt.quantize import Observer
from model_opt.quantize.augment import ends_of, inverted
from model_opt.quantize.columns import CalibrationError
from model_opt.quantize.int8_rounding import round_by_gram, round_nearest
from model_opt.quantize.sensitivity import session_of
from model_opt.quantize.weights import WeightOptions, _Seen, quantise_weights

WIDE = 20_000


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
def case(request, mobile_det, mobile_rec, converter):
    """The optimised model, its rounded form, and inputs it was not calibrated on."""
    files = mobile_det if request.param == "det" else mobile_rec
    height, width = (96, 128) if request.param == "det" else (48, 320)
    model, _ = optimise(read_model(files.program_file, files.params_file))
    done, report = quantise_weights(
        model, pages(8, height, width, 1), WeightOptions(wide_bytes=WIDE), converter, nothing
    )
    return model, done, report, converter, pages(2, height, width, 2)


def test_opt_stores_the_chosen_integers(case):
    _, done, report, converter, _ = case
    nb = converter.in_memory(done, ConvertOptions(weight_bits=8))
    assert precision_of(nb) == "weight_int8+weight_int16"
    for note in report.layers:
        found = nb.params[note.weight]
        assert found.dtype.name == ("int8" if note.facts["bits"] == 8 else "int16")
        assert np.array_equal(found, done.params[note.weight])


def test_the_file_gives_back_the_floats_that_were_chosen(case):
    _, done, _, converter, _ = case
    graph = translate(converter.in_memory(done, ConvertOptions()))
    checked = 0
    for op in done.program.main.ops:
        for name in op.input_names:
            scales = op.attr(f"{name}{SCALES_OF}")
            if scales is None:
                continue
            axis = [-1, *[1] * (done.params[name].ndim - 1)] if done.params[name].ndim == 4 else [1, -1]
            floats = done.params[name].astype(np.float32) * np.asarray(scales, np.float32).reshape(axis)
            assert np.array_equal(graph.constants[name], floats), name
            checked += 1
    assert checked > 40


def test_outputs_move_less_than_by_plain_rounding(case):
    model, done, _, converter, inputs = case
    floats = Observer(converter.in_memory(model, ConvertOptions()), ())
    better, plain = (Observer(converter.in_memory(m, ConvertOptions(weight_bits=8)), ()) for m in (done, model))
    moved = [
        sum(float(np.square(one.run(x).output - floats.run(x).output).sum()) for x in inputs) for one in (better, plain)
    ]
    assert moved[0] < 0.7 * moved[1]


def test_sensitive_layers_get_16_bits_within_their_bytes(case):
    model, done, report, *_ = case
    wide = {note.weight for note in report.layers if note.facts["bits"] == 16}
    assert 0 < sum(model.params[name].size for name in wide) <= WIDE
    assert report.totals["wide_layers"] == len(wide)
    assert all((done.params[note.weight].dtype == np.int16) == (note.weight in wide) for note in report.layers)


def test_wide_layers_bring_the_output_nearer(mobile_rec, converter):
    model, _ = optimise(read_model(mobile_rec.program_file, mobile_rec.params_file))
    inputs, unseen = pages(4, 48, 320, 5), pages(2, 48, 320, 6)
    truth = session_of(converter.in_memory(model, ConvertOptions()))
    moved = []
    for wide in (0, 400_000):
        done, _ = quantise_weights(model, inputs, WeightOptions(wide_bytes=wide), converter, nothing)
        found = session_of(converter.in_memory(done, ConvertOptions()))
        moved.append(sum(float(np.square(found.run(x) - truth.run(x)).sum()) for x in unseen))
    assert moved[1] < moved[0]


def test_where_every_layer_fits_in_the_bytes_all_get_16_bits_and_none_is_measured(mobile_det, converter, monkeypatch):
    def refuse(*_):
        raise AssertionError("nothing is to be chosen")

    monkeypatch.setattr("model_opt.quantize.weights.output_moves", refuse)
    model, _ = optimise(read_model(mobile_det.program_file, mobile_det.params_file))
    done, report = quantise_weights(model, pages(2, 64, 96, 7), WeightOptions(wide_bytes=10**7), converter, nothing)
    assert {note.facts["bits"] for note in report.layers} == {16}
    assert all(done.params[note.weight].dtype == np.int16 for note in report.layers)


def test_the_report_names_every_layer_and_what_it_won(case):
    model, done, report, *_ = case
    assert report.totals["layers"] == len(report.layers) > 30
    gains = [note.facts["gain"] for note in report.layers if note.facts["bits"] == 8]
    assert report.totals["median_gain"] == sorted(gains)[len(gains) // 2] > 1.02  # behind pools it sees eight samples
    assert max(gains) > 1.5
    depthwise = {op.input("Filter") for op in model.program.main.ops if op.type == "depthwise_conv2d"}
    assert all(done.params[name].dtype == np.int16 for name in depthwise)
    stored = {note.weight for note in report.layers} | depthwise
    assert {name for name, array in done.params.items() if array.dtype != np.float32} == stored
    assert report.totals["bytes"] == sum(done.params[name].nbytes for name in stored)


def test_equal_inputs_give_equal_bytes(mobile_rec, converter):
    model, _ = optimise(read_model(mobile_rec.program_file, mobile_rec.params_file))
    inputs = pages(2, 48, 320, 3)
    first, second = (quantise_weights(model, inputs, WeightOptions(), converter, nothing)[0] for _ in range(2))
    assert all(np.array_equal(first.params[name], second.params[name]) for name in first.params)


def test_rounding_by_the_gram_matrix_beats_the_nearest_step():
    random = np.random.default_rng(0)
    rows = random.normal(size=(5, 12)).astype(np.float32)
    rows[3] = 0
    spread = random.normal(size=(12, 4)) @ random.normal(size=(4, 40)) + 0.1 * random.normal(size=(12, 40))
    gram = spread @ spread.T / 40
    found, nearest = round_by_gram(rows, gram + 1e-3 * np.eye(12)), round_nearest(rows)
    moved = [one.weights * one.scales[:, None].astype(np.float64) - rows for one in (found, nearest)]
    errors = [float(np.einsum("ij,jk,ik->", m, gram, m)) for m in moved]
    assert errors[0] < 0.5 * errors[1]
    assert not found.weights[3].any()


def test_what_cannot_teach_is_refused(mobile_rec, converter):
    model, _ = optimise(read_model(mobile_rec.program_file, mobile_rec.params_file))
    with pytest.raises(CalibrationError, match="no calibration inputs"):
        quantise_weights(model, [], WeightOptions(), converter, nothing)
    with pytest.raises(CalibrationError, match="blank"):
        quantise_weights(model, [np.zeros((1, 3, 48, 320), np.float32)], WeightOptions(), converter, nothing)
    with pytest.raises(KitError, match="damping"):
        WeightOptions(damping=0.0)
    with pytest.raises(KitError, match="wide_bytes"):
        WeightOptions(wide_bytes=-1)
    with pytest.raises(KitError, match="augmentations"):
        WeightOptions(augmentations=-1)


def test_few_samples_are_drawn_towards_the_diagonal():
    """Behind a global pool each input gives one sample, and more rows than samples fit those samples alone."""
    random = np.random.default_rng(3)
    mix = random.normal(size=(40, 40))
    truth = mix @ mix.T
    errors = {}
    for count in (20, 40_000):
        seen = _Seen(np.zeros(40), np.zeros((40, 40)))
        seen.add((mix @ random.normal(size=(40, count)) + 3).astype(np.float32))
        gram = seen.gram(centred=True)
        assert np.allclose(np.diag(gram), np.diag(seen.xx / count - np.outer(seen.mean, seen.mean)))
        assert np.linalg.matrix_rank(gram) == 40
        errors[count] = float(np.linalg.norm(gram - truth) / np.linalg.norm(truth))
        plain = seen.xx / count - np.outer(seen.mean, seen.mean)
        assert float(np.linalg.norm(gram - truth)) < 1.1 * float(np.linalg.norm(plain - truth))
    assert errors[40_000] < 0.05 < errors[20]


def test_augmented_inputs_are_used_too(mobile_det, converter):
    """Calibrated on dark on light, a model that is also shown the pages inverted moves less on light on dark."""
    model, _ = optimise(read_model(mobile_det.program_file, mobile_det.params_file))
    inputs = pages(9, 96, 128, 5)
    truth = session_of(converter.in_memory(model, ConvertOptions()))
    unseen = [inverted(x, ends_of(inputs)) for x in pages(3, 96, 128, 6)]
    moved, asked = [], []
    for count in (0, 1):
        done, _ = quantise_weights(
            model, inputs, WeightOptions(augmentations=count), converter, lambda part, what: asked.append(what)
        )
        found = session_of(converter.in_memory(done, ConvertOptions()))
        moved.append(sum(float(np.square(found.run(x) - truth.run(x)).sum()) for x in unseen))
    assert "watch layers, input 9 of 9" in asked
    assert "watch layers, input 18 of 18" in asked
    assert moved[1] < moved[0]

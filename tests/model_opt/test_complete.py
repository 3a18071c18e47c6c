"""Programs of newer Paddle, which leaves out what nothing reads: completed, they convert and answer as before."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from model_opt.convert import ConvertOptions, ModelPair
from model_opt.nb import read_nb
from model_opt.nb.to_onnx import to_onnx
from model_opt.paddle_model import complete, read_model, write_model
from model_opt.passes import optimise
from model_opt.program import Model, VarType
from tests.model_opt.pruned import OPTIONAL, saved_by_newer_paddle
from tests.model_opt.test_passes import predictor
from tests.model_opt.test_passes_small import made, op, weight

REAL = ("mobile_det", "mobile_rec", "mobile_cls")


def files_of(model: Model, folder, name: str = "m") -> ModelPair:
    pair = ModelPair(folder / f"{name}.pdmodel", folder / f"{name}.pdiparams")
    write_model(model, pair.program_file, pair.params_file)
    return pair


def answer_of(nb_path, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(to_onnx(read_nb(nb_path)), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("name", REAL)
def test_a_complete_model_comes_back_as_it_is(request, name):
    files = request.getfixturevalue(name)
    model = read_model(files.program_file, files.params_file)
    same, added = complete(model)
    assert same is model
    assert added == {}


SLOTS = {
    "reshape2": {"XShape"},
    "squeeze2": {"XShape"},
    "unsqueeze2": {"XShape"},
    "transpose2": {"XShape"},
    "flatten_contiguous_range": {"XShape"},
    "dropout": {"Mask"},
    "layer_norm": {"Mean", "Variance"},
    "instance_norm": {"SavedMean", "SavedVariance"},
}


@pytest.mark.parametrize("kind", SLOTS)
def test_each_operator_gets_the_outputs_that_its_kernel_asks_for(kind):
    key = "Y" if kind.endswith("norm") else "Out"
    model, added = complete(made([op(kind, {"X": "x"}, "y", key)], {}, "y"))
    (node,) = (one for one in model.program.main.ops if one.type == kind)
    assert set(node.outputs) == {key, *SLOTS[kind]}
    assert added == {f"{kind} {slot}": 1 for slot in SLOTS[kind]}
    variables = model.program.main.var_map()
    for slot in SLOTS[kind]:
        var = variables[node.output(slot)]
        assert var.kind == VarType.LOD_TENSOR
        assert var.data_type == (VarType.UINT8 if slot == "Mask" else VarType.FP32)
        if slot == "XShape":
            assert var.dims == (0, -1, 4, -1, -1)
    assert complete(model)[0] is model


def test_a_batch_norm_keeps_its_statistics_where_they_are():
    stats = {key: key.lower() for key in ("Scale", "Bias", "Mean", "Variance")}
    node = op("batch_norm", {"X": "x", **stats}, "y", "Y", is_test=True, epsilon=1e-5)
    model, added = complete(made([node], {name: np.ones(4) for name in stats.values()}, "y"))
    node = model.program.main.ops[1]
    assert (node.output("MeanOut"), node.output("VarianceOut")) == ("mean", "variance")
    assert node.output("SavedMean") != node.output("SavedVariance")
    assert sum(added.values()) == 4


def test_swish_gets_beta_once_and_only_where_it_lacks_one():
    model = made([op("swish", {"X": "x"}, "h"), op("swish", {"X": "h"}, "y", beta=2.0)], {}, "y")
    after, added = complete(model)
    assert [one.attr("beta") for one in after.program.main.ops] == [None, 1.0, 2.0, None]
    assert added == {"swish beta": 1}
    assert model.program.main.ops[1].attrs == {}


def test_new_names_are_nobody_elses():
    ops = [op("relu", {"X": "x"}, "y.XShape"), op("transpose2", {"X": "y.XShape"}, "y", axis=(0, 1, 3, 2))]
    model, _ = complete(made(ops, {}, "y"))
    assert model.program.main.ops[2].output("XShape") == "y.XShape.1"


@pytest.mark.parametrize("name", REAL)
def test_a_pruned_model_gives_the_file_of_the_full_one(request, name, env, tmp_path):
    """But for the names and sizes of what nothing reads: operators and parameters are compared."""
    files = request.getfixturevalue(name)
    whole = read_model(files.program_file, files.params_file)
    pruned = saved_by_newer_paddle(whole)
    assert not any(slot in OPTIONAL for one in pruned.program.main.ops for slot in one.outputs)
    for label, before, after in (("plain", whole, pruned), ("fast", optimise(whole)[0], optimise(pruned)[0])):
        env.convert(files_of(before, tmp_path, f"{label}-a"), ConvertOptions(), tmp_path / "a.nb")
        env.convert(files_of(after, tmp_path, f"{label}-b"), ConvertOptions(), tmp_path / "b.nb")
        a, b = read_nb(tmp_path / "a.nb"), read_nb(tmp_path / "b.nb")
        assert [(one.type, one.kernel) for one in a.ops] == [(one.type, one.kernel) for one in b.ops]
        assert a.params.keys() == b.params.keys()
        assert all(np.array_equal(a.params[key], b.params[key]) for key in a.params)
        for one in b.ops:
            if one.type in SLOTS:
                assert all(one.outputs.get(slot) for slot in SLOTS[one.type])


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("optimised", [False, True])
def test_a_recogniser_of_paddle_3_builds_and_answers_as_paddle(shared_dir, env, tmp_path, optimised):
    folder = shared_dir / "field_inputs" / "rec_paddle3_export"
    given = folder / "inference.pdmodel", folder / "inference.pdiparams"
    model = read_model(*given)
    pair = files_of(optimise(model)[0], tmp_path) if optimised else ModelPair(*given)
    env.convert(pair, ConvertOptions(), tmp_path / "m.nb")
    run = predictor(given)
    for width in (48, 320):
        x = np.random.default_rng(3).standard_normal((1, 3, 48, width)).astype(np.float32)
        expected = run(x)
        assert np.abs(answer_of(tmp_path / "m.nb", x) - expected).max() <= 1e-5 * expected.max()


def test_dropout_left_in_is_computed_as_paddle_does(env, tmp_path):
    """In test mode the older way of dropping multiplies; opt leaves that one in."""
    drop = {"is_test": True, "dropout_prob": 0.25, "dropout_implementation": "downgrade_in_infer"}
    convolution = op(
        "conv2d", {"Input": "x", "Filter": "w"}, "h", "Output",
        strides=(1, 1), paddings=(0, 0), dilations=(1, 1), groups=1,
    )  # fmt: skip
    model = made([convolution, op("dropout", {"X": "h"}, "y", **drop)], {"w": weight(4, 4, 1, 1)}, "y")
    pair = files_of(model, tmp_path)
    env.convert(pair, ConvertOptions(), tmp_path / "m.nb")
    assert "dropout" in {one.type for one in read_nb(tmp_path / "m.nb").ops}
    x = np.random.default_rng(3).standard_normal((1, 4, 5, 6)).astype(np.float32)
    expected = predictor((pair.program_file, pair.params_file))(x)
    np.testing.assert_allclose(answer_of(tmp_path / "m.nb", x), expected, atol=1e-5)

"""What is left out of a program for opt: smaller files, the same operators, the same numbers to the last bit."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from random_numbers import generator

from model_opt.nb import read_nb
from model_opt.nb.exact import run_exact
from model_opt.opt_tool import ConvertOptions, ModelPair, convert
from model_opt.opt_tool.lean import lean
from model_opt.opt_tool.worker import LiteWorker
from model_opt.paddle_model import Block, Op, PaddleModel, Program, attr_of, read_model, write_model
from model_opt.passes import optimise
from model_opt.quantize.sensitivity import Runner

SHAPES = {"det": (1, 3, 32, 64), "rec": (1, 3, 48, 64), "cls": (1, 3, 48, 192)}


@pytest.fixture(scope="module", params=SHAPES)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def pair(request, kind, tmp_path_factory) -> ModelPair:
    files, folder = request.getfixturevalue(f"mobile_{kind}"), tmp_path_factory.mktemp(kind)
    made = ModelPair(folder / "m.pdmodel", folder / "m.pdiparams")
    write_model(optimise(read_model(files.pdmodel, files.pdiparams))[0], made.pdmodel, made.pdiparams)
    return made


@pytest.fixture
def both(pair, env, tmp_path, monkeypatch):
    """Convert the model as it is and lean; returns the two paths."""

    def run(options: ConvertOptions):
        paths = tmp_path / f"{options.label}.full.nb", tmp_path / f"{options.label}.lean.nb"
        with monkeypatch.context() as patch:
            patch.setattr(importlib.import_module("model_opt.opt_tool.convert"), "lean", lambda model: model)
            convert(pair, options, paths[0], env=env)
        convert(pair, options, paths[1], env=env)
        return paths

    return run


def described(path):
    """Return what a file says of its operators but for attributes and empty argument lists, and its variables."""
    (block,) = read_nb(path).blocks
    filled = [
        {key: names for key, names in part.items() if names} for op in block.ops for part in (op.inputs, op.outputs)
    ]
    return [op.kernel for op in block.ops], filled, block.vars


@pytest.mark.parametrize(
    "options",
    [ConvertOptions(), ConvertOptions(weight_bits=8), ConvertOptions(fp16=True), ConvertOptions("opencl,arm")],
    ids=lambda options: options.label,
)
def test_only_attributes_go(both, kind, options):
    full, small = both(options)
    assert described(full) == described(small)
    a, b = read_nb(full), read_nb(small)
    assert a.params.keys() == b.params.keys()
    assert all(np.array_equal(a.params[name].data, b.params[name].data) for name in a.params)
    for before, after in zip(a.blocks[0].ops, b.blocks[0].ops, strict=True):
        assert after.attrs == {name: before.attrs[name] for name in after.attrs}
    assert full.stat().st_size - small.stat().st_size > {"det": 35_000, "rec": 27_000, "cls": 80_000}[kind]
    if options.place == "arm" and (kind != "cls" or not options.fp16):  # its fp16 kernels are not emulated
        x = generator(3).standard_normal(SHAPES[kind]).astype(np.float32)
        if options.fp16:
            y, z = (next(iter(run_exact(model, {"x": x}).values())) for model in (a, b))
        else:
            y, z = (Runner(model).run(x) for model in (a, b))
        assert np.array_equal(y, z, equal_nan=True)


def test_paddle_lite_loads_it_and_answers_the_same(both, kind, env):
    x = generator(4).standard_normal(SHAPES[kind]).astype(np.float32)
    workers = [LiteWorker(path, env) for path in both(ConvertOptions("x86"))]
    full, small = (worker.ask(x, 60) for worker in workers)
    assert np.isfinite(full).all()
    assert np.array_equal(full, small)


def only(op: Op) -> Op:
    """Return the operator as the lean form of a model holds it."""
    model = PaddleModel(Program((Block(0, -1, (), (op,)),)), {})
    return lean(model).program.main.ops[0]


def op(kind: str, inputs: dict | None = None, **attrs) -> Op:
    return Op(kind, inputs or {"X": ("a",)}, {"Out": ("b",)}, {name: attr_of(value) for name, value in attrs.items()})


def test_what_is_not_assumed_stays():
    usual = {"padding_algorithm": "EXPLICIT", "exclusive": True, "ceil_mode": False, "adaptive": False}
    other = {"padding_algorithm": "SAME", "exclusive": False, "ceil_mode": True, "adaptive": True}
    assert set(only(op("pool2d", **usual, ksize=(2, 2), op_device="")).attrs) == {"ksize"}
    assert set(only(op("pool2d", **other)).attrs) == set(other)
    assert set(only(op("slice", infer_flags=(1, -1), decrease_axis=(1,), axes=(0, 1))).attrs) == {
        "infer_flags",
        "decrease_axis",
        "axes",
    }
    assert set(only(op("slice", infer_flags=(1, 1), decrease_axis=(), axes=(0, 1))).attrs) == {"axes"}


def test_an_operator_that_nobody_read_loses_only_what_no_operator_has():
    given = op("nobody_knows", {"X": ("a",), "Y": ()}, op_device="", padding_algorithm="EXPLICIT", use_mkldnn=False)
    made = only(given)
    assert set(made.attrs) == {"padding_algorithm", "use_mkldnn"}
    assert made.inputs == given.inputs
    assert only(op("conv2d", {"Input": ("a",), "Bias": ()})).inputs == {"Input": ("a",)}

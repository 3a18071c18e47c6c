"""A sample of ``scripts/bench_fuzz_program.py``: damaged programs end in typed errors, at every step before opt."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest

from model_opt.paddle_model import PaddleModelError, decode_model
from model_opt.passes import optimise
from tests.model_opt.program_cases import CASES
from tests.model_opt.program_mutator import file_bytes

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_fuzz_program.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("bench_fuzz_program", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", CASES)
def test_the_undamaged_models_go_through(fuzz, name):
    program, params = file_bytes(CASES[name]())
    expected = "checks: refused" if name == "integers" else "passes: optimised"
    assert fuzz.try_files(program, params) == expected


def test_damaged_models_end_in_typed_errors(fuzz):
    rng = random.Random(7)
    models = [make() for make in CASES.values()]
    outcomes = [fuzz.one_run(rng, models, structure=0.5) for _ in range(400)]
    assert [outcome for outcome, files in outcomes if files] == []
    assert len({outcome for outcome, _ in outcomes}) >= 4


def test_a_pass_that_cannot_follow_a_program_says_so():
    model = CASES["branches"]()
    ops = [op.with_output("Out") if op.type == "elementwise_add" else op for op in model.program.main.ops]
    broken = decode_model(*file_bytes(model.with_program(model.program.with_ops(ops))))
    with pytest.raises(PaddleModelError, match="cannot be followed by the pass") as caught:
        optimise(broken)
    assert "export it again" in str(caught.value.hint)


def test_an_axis_beyond_every_image_takes_no_memory():
    model = CASES["branches"]()
    ops = [op.with_attr("axis", 1 << 30) if op.type == "elementwise_add" else op for op in model.program.main.ops]
    optimise(model.with_program(model.program.with_ops(ops)))


def test_values_that_depend_on_themselves_are_damage():
    """A mean that reads what is made of it: a factor would be followed around and around."""
    model = CASES["classifier"]()
    ops = [op.with_input("X", "m3") if op.type == "reduce_mean" else op for op in model.program.main.ops]
    with pytest.raises(PaddleModelError, match=r"\(reduce_mean\) reads .m3., which only it or a later operator writes"):
        optimise(model.with_program(model.program.with_ops(ops)))

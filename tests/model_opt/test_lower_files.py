"""The public models' files: by recorded sums everywhere, against opt itself where it runs."""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import pytest

from edge_kit.engines.base import EngineOptions
from edge_kit.engines.lite_x86 import LiteX86Engine
from edge_kit.engines.server import open_server
from model_opt.lower import LowerError, Target, lower
from model_opt.nb import NbModel, deduplicate_parts
from model_opt.nb.write import write_as_opt, write_nb
from model_opt.program import Model
from model_opt.zoo import fetch
from tests.model_opt.formats.pictures import inputs_of
from tests.model_opt.lower_files import (
    LATER,
    MODELS,
    PLACES,
    File,
    plain_files,
    plain_program,
    recipe_files,
    recorded,
    sum_of_program,
)

LIVE = {"det arm-fp32", "rec arm-fp16", "cls arm-weight_int8", "rec opencl-fp32", "cls x86-fp32", "det int8 0.7"}
LIVE |= {f"{name} x86-fp32" for name in LATER}  # for ARM and OpenCL: tests/model_opt/formats
MOST_OPS = {"det": 136, "rec": 128}
X86_NOISE = {"v5-mobile-det": 2e-3, "v6-tiny-det": 2e-3}
"""How far two engines may be apart where float noise alone exceeds 1e-4, measured against the original in float64 on
the same pages: Paddle Lite 4.1e-4 and the server 6.0e-4 (v5), 9.0e-4 and 1.3e-4 (v6 tiny). In float64 the passes
change less than 4e-5 (v5) and 5e-6 (v6).
"""


@functools.cache
def program(name: str) -> Model:
    return plain_program(name)


def lowered(file: File) -> NbModel:
    return lower(program(file.program), file.target)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_file_without_calibration_is_recorded():
    """The nine files of the recipes with an algorithm are compared by ``scripts/bench_nb_writer.py --recipes``."""
    names = {file.name for file in plain_files()}
    assert len(names) == 66
    assert names <= recorded().keys() <= names | {file.name for file in recipe_files()}


@pytest.mark.integration
@pytest.mark.parametrize("file", [*plain_files()], ids=lambda file: file.name)
def test_the_file_has_the_recorded_sums(file):
    """The sums of opt's canonical bytes, recorded with opt; a changed program must be recorded anew."""
    sums = recorded()[file.name]
    again = "the passes give another program: run scripts/bench_nb_writer.py --files --recipes --record beside opt"
    assert sum_of_program(program(file.program)) == sums["program"], again
    found = lowered(file)
    assert sha256(write_as_opt(found)) == sums["opt"]
    assert sha256(write_nb(found)) == sums["shared"]


@pytest.mark.parametrize("file", [f for f in plain_files() if f.name in LIVE], ids=lambda file: file.name)
def test_the_file_is_opts_before_and_after_sharing(file, oracle):
    opt = oracle.convert(program(file.program), file.options)
    found = lowered(file)
    assert write_as_opt(found) == opt
    assert write_nb(found) == deduplicate_parts(opt)


@pytest.mark.parametrize("role", MODELS)
def test_the_own_x86_file_answers_bit_for_bit_what_opts_answers(role, env, oracle, tmp_path):
    """In Paddle Lite's own x86 engine."""
    target, options = PLACES["x86-fp32"]
    answers = []
    for name, data in (
        ("own", write_nb(lower(program(role), target))),
        ("opt", oracle.convert(program(role), options)),
    ):
        path = tmp_path / f"{name}.nb"
        path.write_bytes(data)
        engine = LiteX86Engine.from_nb(path, EngineOptions(), env=env)
        shape = {"det": (1, 3, 160, 224), "rec": (2, 3, 48, 320), "cls": (3, 3, 48, 192)}[role]
        answers.append(engine.run(np.random.default_rng(7).standard_normal(shape).astype(np.float32)))
        engine.close()
    assert answers[0].shape == answers[1].shape
    assert answers[0].tobytes() == answers[1].tobytes()


@pytest.mark.parametrize("name", LATER)
def test_the_x86_file_of_a_later_model_answers_as_its_server(name, env, tmp_path):
    """In Paddle Lite's own x86 engine, against the original on its own runtime, at two sizes and more."""
    path = tmp_path / "own.nb"
    path.write_bytes(write_nb(lower(program(name), Target("x86"))))
    engine = LiteX86Engine.from_nb(path, EngineOptions(), env=env)
    server = open_server(fetch(LATER[name]), EngineOptions())
    for x in inputs_of(name):
        found, expected = engine.run(x), server.run(x)
        far = np.abs(found - expected)
        largest = X86_NOISE.get(name, 1e-4)
        assert far.max() <= largest
        assert np.quantile(far, 0.99) <= largest / 10
        if name.endswith("rec"):
            assert np.array_equal(found.argmax(-1), expected.argmax(-1))
    engine.close()
    server.close()


@pytest.mark.integration
@pytest.mark.parametrize("name", LATER)
def test_a_later_model_copies_twice_on_the_gpu(name):
    """The input to the GPU and the answer back."""
    made = lowered(File("", name, "opencl-fp32"))
    assert [op.type for op in made.ops].count("io_copy") <= 2


@pytest.mark.integration
@pytest.mark.parametrize("role", MOST_OPS)
def test_the_operators_stay_few(role):
    assert len(lowered(File("", role, "arm-fp32")).ops) <= MOST_OPS[role]


@pytest.mark.integration
def test_what_opt_ends_on_is_refused():
    with pytest.raises(LowerError, match="second input"):
        lower(program("cls"), Target("opencl", fp16=True))

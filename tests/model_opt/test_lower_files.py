"""The public models' files: by recorded sums everywhere, against opt itself where it runs."""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import pytest

from edge_kit.engines.base import EngineOptions
from edge_kit.engines.lite_x86 import LiteX86Engine
from model_opt.lower import LowerError, Target, lower
from model_opt.nb import NbModel, deduplicate_parts
from model_opt.nb.write import write_as_opt, write_nb
from model_opt.program import Model
from tests.model_opt.lower_files import (
    MODELS,
    PLACES,
    File,
    plain_files,
    plain_program,
    recipe_files,
    recorded,
    sum_of_program,
)

LIVE = ("det arm-fp32", "rec arm-fp16", "cls arm-weight_int8", "rec opencl-fp32", "cls x86-fp32", "det int8 0.7")
MOST_OPS = {"det": 136, "rec": 128}


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
    assert len(names) == 48
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


@pytest.mark.integration
@pytest.mark.parametrize("role", MOST_OPS)
def test_the_operators_stay_few(role):
    assert len(lowered(File("", role, "arm-fp32")).ops) <= MOST_OPS[role]


@pytest.mark.integration
def test_what_opt_ends_on_is_refused():
    with pytest.raises(LowerError, match="second input"):
        lower(program("cls"), Target("opencl", fp16=True))

"""Converting with the kit's own writer: what was asked for, in the file and in memory, or an error that names it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge_kit.engines.base import EngineOptions
from edge_kit.engines.lite_x86 import LiteX86Engine
from edge_kit.engines.nb import NbEngine
from model_opt.convert import (
    CONVERTERS,
    Converter,
    ConvertError,
    ConvertOptions,
    ModelPair,
    OwnWriter,
    converted,
    find_converter,
)
from model_opt.errors import KitError
from model_opt.fs import sha256_bytes
from model_opt.nb import place_of, precision_of, read_nb, write_nb
from model_opt.opt_tool import ToolEnv
from model_opt.paddle_model import read_model, write_model
from model_opt.passes import optimise
from model_opt.program import Model
from model_opt.quantize.stored import store_nearest, to_rows, with_stored_weights
from tests.model_opt.lower_programs import ONE_OP, TOKENS, Maker
from tests.model_opt.nb_op_cases import random

ROOT = Path(__file__).resolve().parents[2]
CASES = [
    (ConvertOptions(), "arm", "fp32"),
    (ConvertOptions(fp16=True), "arm", "fp16"),
    (ConvertOptions(weight_bits=8), "arm", "weight_int8"),
    (ConvertOptions(weight_bits=16), "arm", "weight_int16"),
    (ConvertOptions("opencl,arm"), "opencl", "fp16"),
    (ConvertOptions("opencl,arm", weight_bits=8), "opencl", "fp16+weight_int8"),
    (ConvertOptions("x86"), "x86", "fp32"),
]


@pytest.fixture(scope="module")
def rec(mobile_rec) -> Model:
    return optimise(read_model(mobile_rec.program_file, mobile_rec.params_file))[0]


def saved(model: Model, folder) -> ModelPair:
    pair = ModelPair(folder / "m.pdmodel", folder / "m.pdiparams")
    write_model(model, pair.program_file, pair.params_file)
    return pair


@pytest.mark.parametrize(("options", "place", "precision"), CASES)
def test_the_file_is_what_was_asked_for(rec, options, place, precision, tmp_path):
    done = OwnWriter().convert(saved(rec, tmp_path), options, tmp_path / "rec.nb")
    data = done.path.read_bytes()
    found = read_nb(data)
    assert (done.place, done.precision) == (place_of(found), precision_of(found)) == (place, precision)
    assert (done.sha256, done.nbytes, done.ops) == (sha256_bytes(data), len(data), len(found.ops))
    assert (done.opt_version, found.opt_version, found.is_canonical) == ("2.14rc0", "v2.14-rc", True)
    assert data == write_nb(OwnWriter().in_memory(rec, options))


def test_a_file_for_the_older_release_says_so(rec, tmp_path):
    done = OwnWriter("2.13rc0").convert(saved(rec, tmp_path), ConvertOptions(), tmp_path / "rec.nb")
    assert (done.opt_version, read_nb(done.path).opt_version) == ("2.13rc0", "v2.13-rc")


def test_an_exported_model_goes_through_the_passes_first(mobile_rec, rec, tmp_path):
    OwnWriter().convert_export(mobile_rec, ConvertOptions(), tmp_path / "a.nb")
    OwnWriter().convert(saved(rec, tmp_path), ConvertOptions(), tmp_path / "b.nb")
    assert (tmp_path / "a.nb").read_bytes() == (tmp_path / "b.nb").read_bytes()


def test_both_converters_write_the_same_file(rec, env, tmp_path):
    pair = saved(rec, tmp_path)
    files = [c.convert(pair, ConvertOptions(), tmp_path / f"{c.name}.nb").path for c in (OwnWriter(), env)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_converters_have_names(env):
    assert CONVERTERS == ("own", "opt")
    found: list[Converter] = [find_converter(), find_converter("opt")]
    assert found[0] == OwnWriter()
    assert isinstance(found[1], ToolEnv)
    assert found[1] == env
    assert [one.name for one in found] == list(CONVERTERS)
    with pytest.raises(KitError, match="unknown converter 'onnx'") as caught:
        find_converter("onnx")
    assert caught.value.hint == "use one of: own, opt"


# --- what Paddle Lite would load wrongly


def test_x86_weights_that_are_not_turned_back_stay_floats(rec, env, tmp_path):
    """opt rounds the matrices of products too; Paddle Lite's x86 engine then answers NaN."""
    x = random(1, 3, 48, 320)
    answers = {}
    for bits in (None, 8, 16):
        path = tmp_path / f"{bits}.nb"
        OwnWriter().convert(saved(rec, tmp_path), ConvertOptions("x86", weight_bits=bits), path)
        engine = LiteX86Engine.from_nb(path, EngineOptions(), env=env)
        answers[bits] = engine.run(x)
        engine.close()
    assert np.abs(answers[8] - answers[None]).max() < 0.2
    assert np.abs(answers[16] - answers[None]).max() < 1e-3
    kinds = Counter(op.type for op in read_nb(tmp_path / "8.nb").ops if "quantize_weight_bits" in op.attrs)
    assert set(kinds) == {"conv2d"}


def test_stored_integers_that_are_not_turned_back_are_refused(tmp_path):
    m = Maker(TOKENS)
    y = m.op("matmul_v2", {"X": "x", "Y": m.param(8, 4)}, (-1, 6, 4), trans_x=False, trans_y=False)
    model = m.model(m.op("relu", {"X": y}, None))
    stored = with_stored_weights(model, {"w0": store_nearest(to_rows(model.params["w0"]), 8)})
    with pytest.raises(ConvertError, match=r"operator 1 \(matmul_v2\) holds its weights 'w0' as integers") as caught:
        OwnWriter().convert(saved(stored, tmp_path), ConvertOptions(), tmp_path / "m.nb")
    assert caught.value.path == str(tmp_path / "m.pdmodel")
    assert not (tmp_path / "m.nb").exists()


def test_half_precision_on_integers_is_refused(tmp_path):
    model = ONE_OP["conv2d"]()
    stored = with_stored_weights(model, {"w0": store_nearest(to_rows(model.params["w0"]), 8)})
    with pytest.raises(ConvertError, match="return NaN everywhere"):
        OwnWriter().convert(saved(stored, tmp_path), ConvertOptions(fp16=True), tmp_path / "m.nb")


def test_half_precision_beside_opencl_is_refused():
    with pytest.raises(ConvertError, match="read as floats"):
        OwnWriter().in_memory(ONE_OP["conv2d"](), ConvertOptions("opencl,arm", fp16=True))


def test_a_precision_that_nothing_in_the_model_has_is_refused():
    with pytest.raises(ConvertError, match="no fp16 kernel"):
        OwnWriter().in_memory(ONE_OP["gelu"](), ConvertOptions(fp16=True))
    with pytest.raises(ConvertError, match="weights as fp32 instead of weight_int8"):
        OwnWriter().in_memory(ONE_OP["relu"](), ConvertOptions(weight_bits=8))


def test_an_operator_without_a_kernel_is_named_with_the_file(tmp_path):
    m = Maker()
    pair = saved(m.model(m.op("lgamma", {"X": "x"}, None)), tmp_path)
    with pytest.raises(ConvertError, match=r"for arm-fp32: operator 1 \(lgamma\): no kernel") as caught:
        OwnWriter().convert(pair, ConvertOptions(), tmp_path / "m.nb")
    assert caught.value.path == str(pair.program_file)
    assert "--converter opt" in str(caught.value.hint)


def test_a_disk_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(KitError, match="cannot convert the model"):
        OwnWriter().convert(saved(ONE_OP["relu"](), tmp_path), ConvertOptions(), tmp_path / "folder" / "m.nb")


# --- the cache


def test_a_conversion_is_kept_and_made_again_when_it_is_damaged(mobile_cls, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path))
    path = converted(mobile_cls, ConvertOptions(), OwnWriter())
    complete, stamp = path.read_bytes(), path.stat().st_mtime_ns
    assert converted(mobile_cls, ConvertOptions(), OwnWriter()).stat().st_mtime_ns == stamp
    path.write_bytes(complete[:1000])
    assert converted(mobile_cls, ConvertOptions(), OwnWriter()).read_bytes() == complete
    assert converted(mobile_cls, ConvertOptions("x86"), OwnWriter()) != path
    assert converted(mobile_cls, ConvertOptions(), OwnWriter("2.13rc0")) != path


# --- the engine nb on files for x86


@pytest.mark.parametrize(("kind", "shape"), [("det", (160, 224)), ("rec", (48, 320)), ("cls", (48, 192))])
def test_the_engine_nb_runs_a_file_for_x86_as_paddle_lite_does(request, kind, shape, env, tmp_path):
    files = request.getfixturevalue(f"mobile_{kind}")
    path = OwnWriter().convert_export(files, ConvertOptions("x86"), tmp_path / "m.nb").path
    x = random(1, 3, *shape)
    engines = NbEngine(path, EngineOptions()), LiteX86Engine.from_nb(path, EngineOptions(), env=env)
    found, wanted = (engine.run(x) for engine in engines)
    for engine in engines:
        engine.close()
    assert np.abs(found - wanted).max() <= 1e-4


def test_the_own_writer_needs_nothing_of_opt_nor_of_another_process(tmp_path):
    """In an interpreter that has none of it: a fork, a wheel or a child would end it."""
    pair = saved(ONE_OP["conv2d"](), tmp_path)
    script = f"""
import sys
for name in ("model_opt.opt_tool", "subprocess", "select", "fcntl", "resource", "flatbuffers", "paddle"):
    sys.modules[name] = None
from pathlib import Path
from model_opt.convert import ConvertOptions, ModelPair, OwnWriter
pair = ModelPair(Path({str(pair.program_file)!r}), Path({str(pair.params_file)!r}))
print(OwnWriter().convert(pair, ConvertOptions(), Path({str(tmp_path / "m.nb")!r})).sha256)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == sha256_bytes((tmp_path / "m.nb").read_bytes())


def test_options_are_frozen_values():
    assert dataclasses.replace(ConvertOptions(), fp16=True).label == "arm-fp16"

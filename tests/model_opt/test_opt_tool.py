"""Conversion by Paddle Lite's opt in a child process: equal bytes, the place asked for, and errors worth reading."""

import ast
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from model_opt.convert import ConvertOptions, ModelPair
from model_opt.errors import KitError
from model_opt.fs import sha256_file
from model_opt.nb import is_canonical, place_of, precision_of, read_nb
from model_opt.opt_tool import OptError, ToolEnv, interpreters
from model_opt.opt_tool.process import how_it_ended, last_lines, run_limited
from model_opt.paddle_model import read_model, write_model

OPTIONS = [
    (ConvertOptions("arm"), "arm", "fp32"),
    (ConvertOptions("arm", fp16=True), "arm", "fp16"),
    (ConvertOptions("arm", weight_bits=8), "arm", "weight_int8"),
    (ConvertOptions("arm", weight_bits=16), "arm", "weight_int16"),
    (ConvertOptions("opencl,arm"), "opencl", "fp16"),
    (ConvertOptions("opencl,arm", weight_bits=8), "opencl", "fp16+weight_int8"),
    (ConvertOptions("x86"), "x86", "fp32"),
]


@pytest.fixture
def det(mobile_det) -> ModelPair:
    return ModelPair(mobile_det.program_file, mobile_det.params_file)


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


@pytest.mark.parametrize(("options", "place", "precision"), OPTIONS, ids=lambda value: getattr(value, "label", None))
def test_two_conversions_are_byte_identical_and_what_was_asked_for(det, env, tmp_path, options, place, precision):
    first, second = (env.convert(det, options, tmp_path / name) for name in ("1.nb", "2.nb"))
    data = first.path.read_bytes()
    assert data == second.path.read_bytes()
    assert is_canonical(data)
    model = read_nb(first.path)
    assert (place_of(model), precision_of(model)) == (place, precision) == (first.place, first.precision)
    assert (first.sha256, first.nbytes, first.ops) == (sha256_file(first.path), len(data), len(model.ops))
    assert first.opt_version == env.opt_version
    assert "saved into model.nb successfully" in first.log[-1]


def test_the_recogniser_is_byte_identical_for_every_option(mobile_rec, env, tmp_path):
    for options, place, precision in OPTIONS:
        first, second = (env.convert(mobile_rec, options, tmp_path / name) for name in ("1.nb", "2.nb"))
        assert first.sha256 == second.sha256
        assert (first.place, first.precision) == (place, precision)


def test_folders_with_spaces_and_foreign_letters_work(det, env, tmp_path, monkeypatch):
    folder = tmp_path / "modèle 模型 #1 'x'"
    folder.mkdir()
    moved = ModelPair(folder / "my model.pdmodel", folder / "my model.pdiparams")
    moved.program_file.write_bytes(det.program_file.read_bytes())
    moved.params_file.write_bytes(det.params_file.read_bytes())
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setattr("tempfile.tempdir", None)
    there = env.convert(moved, ConvertOptions(), folder / "out dir" / "模型.nb")
    assert there.sha256 == env.convert(det, ConvertOptions(), tmp_path / "plain.nb").sha256
    assert sorted(path.name for path in folder.iterdir()) == ["my model.pdiparams", "my model.pdmodel", "out dir"]


def test_settings_of_the_caller_do_not_reach_opt(det, env, tmp_path, monkeypatch):
    plain = env.convert(det, ConvertOptions(), tmp_path / "1.nb")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "json.py").write_text("raise RuntimeError('a module of the caller was imported')\n")
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "json.py"))
    monkeypatch.setenv("GLOG_v", "5")
    assert env.convert(det, ConvertOptions(), tmp_path / "2.nb").sha256 == plain.sha256


def test_weights_that_paddle_lite_would_not_turn_back_are_refused(mobile_rec, env, tmp_path):
    """opt rounds the matrices of products for x86 too, and the runtime answers NaN."""
    with pytest.raises(OptError, match=r"\(matmul_v2\) holds its weights .* as integers"):
        env.convert(mobile_rec, ConvertOptions("x86", weight_bits=8), tmp_path / "rec.nb")
    assert not (tmp_path / "rec.nb").exists()


# --- the older opt


@pytest.mark.parametrize("options", [ConvertOptions(), ConvertOptions("opencl,arm"), ConvertOptions(weight_bits=8)])
def test_the_older_opt_converts_too_and_says_its_version(mobile_rec, older_env, tmp_path, options):
    first, second = (older_env.convert(mobile_rec, options, tmp_path / name) for name in ("1.nb", "2.nb"))
    assert first.sha256 == second.sha256
    assert first.opt_version == "2.13rc0"
    assert read_nb(first.path).opt_version == "v2.13-rc"


def test_opt_gets_the_beta_of_swish_written_out(mobile_rec, older_env, env, tmp_path, monkeypatch):
    """Models saved with clip_extra=True lack it, and opt 2.13 aborts on its absence."""
    whole = read_model(mobile_rec.program_file, mobile_rec.params_file)
    ops = [op.without_attr("beta") if op.type == "swish" else op for op in whole.program.main.ops]
    clipped = ModelPair(tmp_path / "clipped.pdmodel", tmp_path / "clipped.pdiparams")
    write_model(whole.with_program(whole.program.with_ops(ops)), clipped.program_file, clipped.params_file)
    before = sha256_file(clipped.program_file)

    completed = older_env.convert(clipped, ConvertOptions(), tmp_path / "clipped.nb")
    assert completed.sha256 == older_env.convert(mobile_rec, ConvertOptions(), tmp_path / "complete.nb").sha256
    assert sha256_file(clipped.program_file) == before

    monkeypatch.setattr("model_opt.paddle_model.complete", lambda model: (model, {}))
    with pytest.raises(OptError, match="beta") as caught:
        older_env.convert(clipped, ConvertOptions(), tmp_path / "left.nb")
    assert caught.value.returncode == -signal.SIGABRT


# --- failures


def test_an_abort_of_opt_is_an_error_with_its_last_words(mobile_cls, env, tmp_path):
    """The official classifier has no OpenCL conversion with fp16: opt aborts."""
    out = tmp_path / "cls.nb"
    with pytest.raises(OptError) as caught:
        env.convert(mobile_cls, ConvertOptions("opencl,arm", fp16=True), out)
    assert caught.value.returncode == -signal.SIGABRT
    assert "was ended by signal SIGABRT" in caught.value.what
    assert caught.value.log
    assert all(line in caught.value.what for line in caught.value.log)
    assert not out.exists()


@pytest.mark.parametrize("part", ["program_file", "params_file"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "junk", "longer", "folder"])
def test_a_damaged_model_is_refused_and_an_older_result_stays(det, env, tmp_path, part, damage):
    data = getattr(det, part).read_bytes()
    bad = tmp_path / f"bad.{part}"
    if damage == "folder":
        bad.mkdir()
    elif damage != "missing":
        contents = {"empty": b"", "half": data[: len(data) // 2], "junk": os.urandom(4096), "longer": data + b"\0\0"}
        bad.write_bytes(contents[damage])
    out = tmp_path / "out.nb"
    out.write_bytes(b"the last good one")
    files = {"program_file": det.program_file, "params_file": det.params_file, part: bad}
    with pytest.raises(OptError) as caught:
        env.convert(ModelPair(**files), ConvertOptions(), out)
    assert caught.value.path == str(bad)
    assert caught.value.hint
    assert out.read_bytes() == b"the last good one"


def test_files_of_two_models_are_refused(det, mobile_rec, env, tmp_path):
    with pytest.raises(OptError):
        env.convert(ModelPair(det.program_file, mobile_rec.params_file), ConvertOptions(), tmp_path / "out.nb")
    assert not (tmp_path / "out.nb").exists()


def test_a_conversion_that_takes_too_long_is_stopped_and_leaves_no_process(det, env, tmp_path):
    before = set(children())  # of other tests of this process
    with pytest.raises(OptError, match=r"did not finish within 0\.02 s") as caught:
        env.convert(det, ConvertOptions(), tmp_path / "out.nb", timeout_s=0.02)
    assert caught.value.returncode is None
    assert not (tmp_path / "out.nb").exists()
    assert set(children()) <= before


def test_the_whole_process_group_is_killed_when_time_runs_out(tmp_path):
    note = tmp_path / "pid"
    command = ["/bin/sh", "-c", f'sleep 300 & echo $! > "{note}"; wait']
    assert run_limited(command, cwd=tmp_path, log=tmp_path / "log", timeout_s=1.0) is None
    grandchild = int(note.read_text())
    for _ in range(100):
        if not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("the grandchild still runs")


def test_output_without_end_does_not_block_the_child(tmp_path):
    code = "import sys; sys.stdout.write('x' * (1 << 22)); sys.stderr.write('last\\n'); sys.exit(3)"
    returncode = run_limited([sys.executable, "-c", code], cwd=tmp_path, log=tmp_path / "log", timeout_s=60)
    assert returncode == 3
    assert (tmp_path / "log").stat().st_size > 1 << 22


def test_a_vanished_interpreter_is_an_error(det, env, tmp_path):
    gone = ToolEnv(tmp_path / "python3.7", env.python_version, env.opt_version, env.site)
    with pytest.raises(OptError, match="cannot be started") as caught:
        gone.convert(det, ConvertOptions(), tmp_path / "out.nb")
    assert caught.value.path == str(tmp_path / "python3.7")


def test_a_site_without_paddlelite_is_an_error_that_says_what_to_remove(det, env, tmp_path):
    empty = ToolEnv(env.python, env.python_version, env.opt_version, tmp_path / "tool" / "site")
    with pytest.raises(OptError, match="No module named 'paddlelite'") as caught:
        empty.convert(det, ConvertOptions(), tmp_path / "out.nb")
    assert str(tmp_path / "tool") in str(caught.value.hint)


def test_a_file_of_another_version_than_promised_is_refused(det, env, tmp_path):
    other = ToolEnv(env.python, env.python_version, "2.12", env.site)
    with pytest.raises(OptError, match=r"version v2\.1\S+ instead of 2\.12"):
        other.convert(det, ConvertOptions(), tmp_path / "out.nb")
    assert not (tmp_path / "out.nb").exists()


def test_an_output_that_cannot_be_written_is_an_error_without_traceback(det, env, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(KitError) as caught:
        env.convert(det, ConvertOptions(), tmp_path / "file" / "out.nb")
    assert caught.value.path == str(tmp_path / "file" / "out.nb")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"place": "metal"}, "unknown place 'metal'"),
        ({"weight_bits": 4}, "4 bits"),
        ({"place": "x86", "fp16": True}, "no fp16 kernels for x86"),
        ({"fp16": True, "weight_bits": 8}, "NaN"),
    ],
)
def test_options_that_cannot_work_are_refused(options, reason):
    with pytest.raises(KitError, match=reason):
        ConvertOptions(**options)


# --- small parts


def test_the_last_words_start_at_the_last_fatal_line():
    log = "Loading\n[W 11] a warning\n[F 11] Check failed\n  the reason \n\n"
    assert last_lines(log) == ("[F 11] Check failed", "the reason")
    assert last_lines("\n".join(map(str, range(20))), 3) == ("17", "18", "19")
    assert last_lines("\n \n") == ()


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "ended with code 0"), (3, "ended with code 3"), (-11, "signal SIGSEGV"), (-99, "signal 99")],
)
def test_the_end_of_a_process_is_told_in_words(code, words):
    assert words in how_it_ended(code)


def test_the_child_scripts_are_valid_on_python_3_7():
    folder = Path(interpreters.__file__).parent / "child"
    scripts = sorted(folder.glob("*.py"))
    assert [path.name for path in scripts] == ["check.py", "convert.py", "serve.py"]
    for path in scripts:
        ast.parse(path.read_text(), feature_version=(3, 7))

"""The lite_x86 engine: equal to the server, one worker that comes back, and guards against what Lite runs silently."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from edge_kit.engines.base import EngineError, EngineOptions
from edge_kit.engines.lite_x86 import LiteX86Engine
from edge_kit.engines.server import ServerEngine
from model_opt.convert import ConvertOptions
from model_opt.lower import Target, lower
from model_opt.nb import NbError, write_nb
from model_opt.opt_tool import ToolEnv
from model_opt.opt_tool.worker import LiteWorker, WorkerFault
from model_opt.paddle_model import read_model
from model_opt.passes import optimise

CPU = EngineOptions()
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def make_engine(env):
    """Make engines that are closed at the end of the test."""
    engines = []

    def make(model, **settings):
        engines.append(LiteX86Engine(model, CPU, env=env, **settings))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def rec_nb(mobile_rec, env, tmp_path_factory) -> Path:
    return env.convert(mobile_rec, ConvertOptions("x86"), tmp_path_factory.mktemp("nb") / "rec.nb").path


def text_tensor(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture of words on a noisy ground, as the models see it: [1, 3, height, width] in -1 … 1."""
    rng = np.random.default_rng([height, width, seed])
    image = rng.normal(200, 12, (height, width, 3)).clip(0, 255).astype(np.uint8)
    scale = min(height, 96) / 48
    for y in range(int(32 * scale), height + 1, int(48 * scale)):
        words = "".join(rng.choice(list("abcdefgh KLMNOP 0123456789"), 120))
        cv2.putText(image, words, (4, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), 2, cv2.LINE_AA)
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)


def workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "serve.py" in " ".join(child.cmdline())]


def gone(pid: int, seconds: float = 20.0) -> bool:
    """Whether a process ends (or has ended) within a time that is long for a healthy one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        ("mobile_det", [(320, 320), (640, 480), (96, 160), (320, 320), (480, 640), (96, 160), (704, 960)]),
        ("mobile_rec", [(48, 320), (48, 640), (48, 97), (48, 320), (48, 1280), (48, 96), (48, 640)]),
        ("mobile_cls", [(48, 192), (48, 192)]),
    ],
)
def test_equals_the_server_at_changing_shapes(model, shapes, make_engine, request):
    files = request.getfixturevalue(model)
    lite, server = make_engine(files), ServerEngine(files, CPU)
    for turn, shape in enumerate(shapes):
        x = text_tensor(*shape, seed=turn)
        expected, found = server.run(x), lite.run(x)
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        assert np.count_nonzero(~np.isfinite(found)) == 0
        assert np.abs(found - expected).max() < 1e-4
        assert np.ptp(expected) > 1e-3, "the picture leaves the model cold: the comparison would prove nothing"


def test_equal_inputs_give_equal_outputs_whatever_ran_between(make_engine, mobile_rec):
    engine = make_engine(mobile_rec)
    x = text_tensor(48, 200)
    first = engine.run(x)
    kept = first.copy()
    for width in (64, 320, 200):
        engine.run(text_tensor(48, width, seed=1))
    assert np.array_equal(engine.run(x), kept)
    assert np.array_equal(first, kept), "an earlier answer changed under its owner"


def test_a_batch_is_a_shape_of_its_own(make_engine, mobile_rec):
    engine = make_engine(mobile_rec)
    lines = [text_tensor(48, 160, seed=seed) for seed in range(3)]
    batch = engine.run(np.concatenate(lines))
    for row, line in zip(batch, lines, strict=True):
        assert np.abs(engine.run(line)[0] - row).max() < 1e-5


def test_runs_from_several_threads_do_not_mix(make_engine, mobile_rec):
    engine = make_engine(mobile_rec)
    inputs = [text_tensor(48, 64 + 16 * i) for i in range(4)]
    expected = [engine.run(x) for x in inputs]
    found = {}

    def work(i):
        for _ in range(3):
            found[i] = engine.run(inputs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        assert np.array_equal(found[i], expected[i])
    assert len(workers()) == 1


# --- the worker dies


def test_a_worker_killed_during_a_run_is_reported_and_replaced(make_engine, mobile_det):
    engine = make_engine(mobile_det)
    small = text_tensor(64, 64)
    expected = engine.run(small)
    (worker,) = workers()
    busy = text_tensor(704, 960)

    def kill_when_busy():
        begin = worker.cpu_times().user
        while worker.cpu_times().user < begin + 0.1:
            time.sleep(0.005)
        worker.kill()

    killer = threading.Thread(target=kill_when_busy)
    killer.start()
    with pytest.raises(EngineError) as caught:
        engine.run(busy)
    killer.join()
    assert "1x3x704x960" in caught.value.what
    assert "SIGKILL" in caught.value.what
    assert "memory" in str(caught.value.hint)
    assert np.array_equal(engine.run(small), expected)
    assert [process.pid for process in workers()] != [worker.pid]


def test_a_worker_that_died_between_runs_is_replaced_silently(make_engine, mobile_det):
    engine = make_engine(mobile_det)
    x = text_tensor(64, 64)
    expected = engine.run(x)
    (worker,) = workers()
    worker.kill()
    worker.wait()
    assert np.array_equal(engine.run(x), expected)


def test_the_final_output_of_an_aborted_worker_is_in_the_error(make_engine, mobile_rec):
    """The recogniser takes lines of 48 pixels; at 96 Paddle Lite aborts."""
    engine = make_engine(mobile_rec)
    with pytest.raises(EngineError, match="SIGABRT") as caught:
        engine.run(text_tensor(96, 320))
    assert "its last output:" in caught.value.what
    assert "Invalid shape is given" in caught.value.what
    assert "shape" in str(caught.value.hint)
    assert engine.run(text_tensor(48, 64)).shape == (1, 8, 6625)


def test_a_model_that_lite_cannot_load_is_reported_with_its_message(env, tmp_path):
    broken = tmp_path / "broken.nb"
    broken.write_bytes(b"\x02\x00v2.14-rc\0\0\0\0\0\0\0\0" + bytes(64))
    worker = LiteWorker(broken, env)
    with pytest.raises(WorkerFault) as caught:
        worker.ask(np.zeros((1, 3, 32, 32), np.float32), 60)
    worker.stop()
    assert caught.value.returncode is not None
    assert caught.value.returncode < 0
    assert caught.value.words


def test_a_run_that_takes_too_long_is_stopped(make_engine, mobile_det):
    engine = make_engine(mobile_det, timeout_s=0.05)
    with pytest.raises(EngineError, match="did not answer in time"):
        engine.run(text_tensor(704, 960))
    assert workers() == []


def test_a_vanished_interpreter_is_an_error(rec_nb, env, tmp_path):
    lost = ToolEnv(tmp_path / "python", env.python_version, env.opt_version, env.site)
    engine = LiteX86Engine.from_nb(rec_nb, CPU, env=lost)
    with pytest.raises(Exception, match="cannot be started") as caught:
        engine.run(text_tensor(48, 64))
    assert caught.value.path == str(tmp_path / "python")


# --- guards


@pytest.mark.parametrize("place", ["arm", "opencl,arm"])
def test_a_file_for_another_place_is_refused(mobile_det, env, tmp_path, place):
    path = env.convert(mobile_det, ConvertOptions(place), tmp_path / "det.nb").path
    with pytest.raises(NbError, match="the engine runs x86") as caught:
        LiteX86Engine.from_nb(path, CPU, env=env)
    assert caught.value.path == str(path)


def test_a_file_of_another_opt_is_refused(rec_nb, env, tmp_path):
    data = rec_nb.read_bytes()
    other = tmp_path / "rec.nb"
    other.write_bytes(data[:2] + b"v2.12".ljust(16, b"\0") + data[18:])
    with pytest.raises(NbError, match=r"converted by opt v2\.12"):
        LiteX86Engine.from_nb(other, CPU, env=env)


def test_a_truncated_file_is_refused(rec_nb, env, tmp_path):
    cut = tmp_path / "rec.nb"
    cut.write_bytes(rec_nb.read_bytes()[:-100])
    with pytest.raises(NbError):
        LiteX86Engine.from_nb(cut, CPU, env=env)


def test_an_answer_of_nan_is_an_error(mobile_rec, env, tmp_path):
    """Paddle Lite's x86 kernels answer NaN for a recogniser whose products hold integers, as opt writes it."""
    model, _ = optimise(read_model(mobile_rec.program_file, mobile_rec.params_file))
    path = tmp_path / "rec.nb"
    path.write_bytes(write_nb(lower(model, Target("x86", weight_bits=8))))
    engine = LiteX86Engine.from_nb(path, CPU, env=env)
    with pytest.raises(EngineError, match="NaN or infinite") as caught:
        engine.run(text_tensor(48, 320))
    engine.close()
    assert caught.value.path == str(path)


@pytest.mark.parametrize("device", ["gpu", "gpu:0", "npu"])
def test_a_device_other_than_the_cpu_is_refused_with_the_reason(mobile_det, rec_nb, env, device):
    for make in (lambda o: LiteX86Engine(mobile_det, o, env=env), lambda o: LiteX86Engine.from_nb(rec_nb, o, env=env)):
        with pytest.raises(EngineError, match="x86 kernels run on the CPU only"):
            make(EngineOptions(device=device))


def test_an_input_of_another_kind_is_refused(make_engine, mobile_det):
    engine = make_engine(mobile_det)
    for x in (np.zeros((3, 64, 64), np.float32), np.zeros((1, 3, 64, 64)), np.zeros((1, 3, 0, 64), np.float32)):
        with pytest.raises(EngineError, match="float32 tensors of shape"):
            engine.run(x)


@pytest.mark.parametrize("channels", [1, 4])
def test_channels_that_the_model_lacks_are_refused(make_engine, mobile_det, channels):
    """Paddle Lite would answer: it does not look."""
    engine = make_engine(mobile_det)
    with pytest.raises(EngineError, match=f"got {channels} channels, the model takes 3"):
        engine.run(np.zeros((1, channels, 64, 64), np.float32))


def test_a_damaged_conversion_in_the_cache_is_made_again(make_engine, mobile_cls, env, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path))
    make_engine(mobile_cls)
    (path,) = (tmp_path / "converted").glob("*.nb")
    complete = path.read_bytes()
    path.write_bytes(complete[: len(complete) // 2])
    assert make_engine(mobile_cls).run(text_tensor(48, 192)).shape == (1, 2)
    assert path.read_bytes() == complete


# --- nothing is left behind


def test_close_leaves_no_process_and_ends_the_engine(make_engine, mobile_det):
    engine = make_engine(mobile_det)
    engine.run(text_tensor(64, 64))
    (worker,) = workers()
    files = psutil.Process().num_fds()
    engine.close()
    engine.close()
    assert workers() == []
    assert not psutil.pid_exists(worker.pid)
    assert psutil.Process().num_fds() == files - 3
    with pytest.raises(EngineError, match="was closed"):
        engine.run(text_tensor(64, 64))


def test_a_forgotten_engine_ends_its_worker(mobile_det, env):
    engine = LiteX86Engine(mobile_det, CPU, env=env)
    engine.run(text_tensor(64, 64))
    (worker,) = workers()
    del engine
    gc.collect()
    assert gone(worker.pid)


@pytest.mark.parametrize("ending", ["return", "raise SystemExit(3)", "os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_no_worker_outlives_the_interpreter(rec_nb, env, ending):
    code = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from edge_kit.engines.base import EngineOptions\n"
        "from edge_kit.engines.lite_x86 import LiteX86Engine\n"
        "from model_opt.opt_tool import ToolEnv\n"
        "env = ToolEnv(Path(sys.argv[2]), sys.argv[3], sys.argv[4], Path(sys.argv[5]))\n"
        "engine = LiteX86Engine.from_nb(Path(sys.argv[1]), EngineOptions(), env=env)\n"
        "engine.run(np.zeros((1, 3, 48, 64), np.float32))\n"
        "def main():\n"
        "    print(engine._worker.pid, flush=True)\n"
        f"    {ending}\n"
        "main()\n"
    )
    arguments = [rec_nb, env.python, env.python_version, env.opt_version, env.site]
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip().isdigit(), done.stderr
    assert gone(int(done.stdout))


def test_a_stopped_worker_is_reaped(rec_nb, env):
    worker = LiteWorker(rec_nb, env)
    pid = worker.pid
    worker.stop()
    worker.stop()
    assert not psutil.pid_exists(pid)


# --- memory


def test_idle_predictors_are_bounded_by_memory_not_by_count(rec_nb, env):
    shapes = [(48, 320), (48, 352), (48, 384), (48, 640)]

    def resident_after(kept_bytes):
        worker = LiteWorker(rec_nb, env, kept_bytes=kept_bytes)
        answers = [worker.ask(text_tensor(*shape), 120) for shape in shapes]
        size = psutil.Process(worker.pid).memory_info().rss
        worker.stop()
        return size, answers

    none_kept, fresh = resident_after(0)
    all_kept, warm = resident_after(4 << 30)
    some_kept, _ = resident_after(256 << 20)
    assert all_kept > none_kept + (400 << 20)
    assert some_kept < none_kept + (300 << 20)
    for a, b in zip(fresh, warm, strict=True):
        assert np.array_equal(a, b)


def test_the_worker_offers_itself_first_when_memory_runs_out(rec_nb, env):
    worker = LiteWorker(rec_nb, env)
    worker.ask(text_tensor(48, 64), 60)
    score = int(Path(f"/proc/{worker.pid}/oom_score_adj").read_text())
    worker.stop()
    assert score == 1000


def test_a_worker_that_ignores_requests_does_not_block_the_sender(rec_nb, env):
    """A stopped process takes nothing from its pipe; the request is larger than the pipe."""
    worker = LiteWorker(rec_nb, env)
    worker.ask(text_tensor(48, 64), 60)
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerFault, match="did not answer in time"):
        worker.ask(text_tensor(48, 640), 0.5)
    pid = worker.pid
    worker.stop()
    assert not psutil.pid_exists(pid)


def test_several_lines_at_once_are_read_as_each_alone(make_engine, mobile_rec):
    engine = make_engine(mobile_rec)
    x = np.concatenate([text_tensor(48, 320, seed) for seed in range(3)])
    alone = np.concatenate([engine.run(x[i : i + 1]) for i in range(3)])
    for _ in range(2):
        assert float(np.abs(engine.run(x) - alone).max()) <= 1e-5

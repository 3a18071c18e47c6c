"""Worker processes of bulk runs: replaced when they die, gone when the run ends."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from edge_kit.batch.inputs import walk
from edge_kit.batch.local import run_local
from edge_kit.batch.manifest import prepare_manifest, read_manifest
from model_opt.errors import KitError
from tests.batch.running import rows, run, work, write_pictures


def entries_of(folder):
    return walk((str(folder),))


def children():
    return [one for one in psutil.Process().children(recursive=True) if "stub_worker" in " ".join(one.cmdline())]


def test_workers_read_what_one_process_reads(tmp_path):
    write_pictures(tmp_path / "in", 30)
    run([tmp_path / "in"], tmp_path / "expected", size=7)
    run([tmp_path / "in"], tmp_path / "out", lambda entries: run_local(entries, work(), 3), size=7)
    assert rows(tmp_path / "out", size=7) == rows(tmp_path / "expected", size=7)
    assert children() == []


def test_an_input_that_kills_its_worker_twice_gets_an_error_and_no_other(tmp_path):
    write_pictures(tmp_path / "in", 6)
    summary = run([tmp_path / "in"], tmp_path / "out", lambda entries: run_local(entries, work(dies_of=3), 2))
    assert summary.failed == 1
    errors = [row["error"] for row in rows(tmp_path / "out")]
    assert errors.pop(3) == "the worker process ended while it read this file: signal SIGKILL"
    assert errors == [None] * 5


def test_a_worker_that_is_killed_costs_no_input(tmp_path):
    write_pictures(tmp_path / "in", 20)

    def execute(entries):
        for number, answer in enumerate(run_local(entries, work(seconds=0.02), 2)):
            if number == 3:
                children()[0].kill()
            yield answer

    assert run([tmp_path / "in"], tmp_path / "out", execute).failed == 0
    assert [row["index"] for row in rows(tmp_path / "out")] == list(range(20))


def test_workers_that_cannot_load_end_the_run_with_their_message(tmp_path):
    write_pictures(tmp_path / "in", 2)
    with pytest.raises(KitError, match="the models are not here"):
        list(run_local(entries_of(tmp_path / "in"), work(fail="the models are not here"), 2))
    with pytest.raises(KitError, match="a worker process did not start: exit code 1"):
        list(run_local(entries_of(tmp_path / "in"), work(module="tests.batch.no_such_module"), 1))
    assert children() == []


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, also where a shell started the tests in its background and they ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_run_that_is_interrupted_does_not_wait_for_a_long_document(tmp_path, interruptible):
    write_pictures(tmp_path / "in", 4)
    prepare_manifest(tmp_path, (str(tmp_path / "in"),), lambda count: None)
    answered = run_local(read_manifest(tmp_path), work(seconds=60), 2)
    timer = threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt), contextlib.closing(answered):
        next(answered)
    assert time.monotonic() - begin < 20
    assert children() == []


def test_workers_end_when_the_run_is_killed(tmp_path):
    write_pictures(tmp_path / "in", 50)
    code = (
        "import sys; from pathlib import Path; from tests.batch.running import run, work\n"
        "from edge_kit.batch.local import run_local\n"
        "run([sys.argv[1]], Path(sys.argv[2]), lambda entries: run_local(entries, work(seconds=0.1), 2), size=5)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "in"), str(tmp_path / "out")]
    with subprocess.Popen(command) as process:
        log = tmp_path / "out" / "done.jsonl"
        for _ in range(300):
            if log.exists() and log.read_bytes().count(b"\n") >= 2:
                break
            time.sleep(0.1)
        workers = [one.pid for one in children()]
        process.kill()
    assert len(workers) == 2
    for _ in range(100):
        if not any(psutil.pid_exists(pid) for pid in workers):
            break
        time.sleep(0.1)
    assert not any(psutil.pid_exists(pid) for pid in workers)
    summary = run([tmp_path / "in"], tmp_path / "out", size=5)
    assert 0 < summary.read <= 40
    assert [row["index"] for row in rows(tmp_path / "out", size=5)] == list(range(50))

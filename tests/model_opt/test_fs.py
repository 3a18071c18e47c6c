"""Locks, atomic writes and swaps, sums that follow the file, and faults of the disk in plain words."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from model_opt import fs
from model_opt.errors import KitError
from model_opt.fs import (
    disk_error,
    disk_faults,
    exchange,
    file_lock,
    folder_lock,
    known_sum,
    locked,
    sha256_bytes,
    shared_lock,
    sole_lock_if_free,
    staged_folder,
    write_atomic,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_staged_folder_appears_whole(tmp_path: Path):
    with staged_folder(tmp_path / "a" / "model") as staging:
        (staging / "one").write_text("1")
        assert not (tmp_path / "a" / "model").exists()
    assert names(tmp_path / "a") == ["model"]
    assert names(tmp_path / "a" / "model") == ["one"]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert (tmp_path / "a" / "model").stat().st_mode == plain.stat().st_mode


def test_a_fault_while_staging_keeps_the_older_folder(tmp_path: Path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "old").write_text("old")

    def work(staging: Path):
        (staging / "new").write_text("new")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), staged_folder(model) as staging:
        work(staging)
    assert names(tmp_path) == ["model"]
    assert names(model) == ["old"]


def test_a_newer_folder_replaces_the_older_one(tmp_path: Path):
    for text in ("old", "new"):
        with staged_folder(tmp_path / "model") as staging:
            (staging / text).write_text(text)
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["new"]


def test_a_fault_while_replacing_brings_the_older_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with staged_folder(tmp_path / "model") as staging:
        (staging / "old").write_text("old")
    rename = Path.rename

    def fail(self: Path, target: Path):
        if "edge-kit-tmp" in self.name:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(fs, "exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output"), staged_folder(tmp_path / "model") as staging:
        (staging / "new").write_text("new")
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["old"]


def test_what_a_killed_process_left_goes_away(tmp_path: Path):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom model_opt.fs import staged_folder\n"
        "with staged_folder(Path(sys.argv[1])) as staging:\n    (staging / 'part').write_text('x')\n    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "model")], check=False)
    assert len(names(tmp_path)) == 1
    neighbour = tmp_path / ".model.other"
    neighbour.mkdir()
    with staged_folder(tmp_path / "model"):
        pass
    assert names(tmp_path) == [".model.other", "model"]


def test_a_lock_lets_one_in_at_a_time(tmp_path: Path):
    inside, most = [], []

    def work():
        with locked(tmp_path / "model"):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6


def test_a_lock_that_stays_taken_is_an_error_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fs, "LOCK_TIMEOUT", 0.05)
    with (
        locked(tmp_path / "model"),
        pytest.raises(KitError, match="another process") as caught,
        locked(tmp_path / "model"),
    ):
        pass
    assert str(tmp_path / ".model.lock") in str(caught.value)


def test_a_sum_is_noted_and_follows_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert known_sum(path) == sha256_bytes(b"one")
    with monkeypatch.context() as patched:
        patched.setattr(fs, "sha256_file", lambda _: pytest.fail("hashed again"))
        assert known_sum(path) == sha256_bytes(b"one")
    path.write_bytes(b"two")
    os.utime(path, ns=(0, 1))
    assert known_sum(path) == sha256_bytes(b"two")
    for note in (b"", b"{}", b'{"state": 1}', b"\xff"):
        (tmp_path / ".file.sum").write_bytes(note)
        assert known_sum(path) == sha256_bytes(b"two")


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "free some space"), (errno.EACCES, "permissions"), (errno.EIO, "check the path")]
)
def test_a_fault_of_the_disk_says_what_where_and_how_to_go_on(tmp_path: Path, monkeypatch, code: int, words: str):
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path))
    with pytest.raises(KitError) as caught, disk_faults("store the model", tmp_path / "m"):
        raise OSError(code, os.strerror(code), "/tmp/short-lived")
    for part in ("cannot store the model", os.strerror(code), str(tmp_path / "m"), words, "EDGE_KIT_CACHE"):
        assert part in str(caught.value)
    with pytest.raises(KitError) as caught, disk_faults("read", Path("/elsewhere/m")):
        raise OSError(code, os.strerror(code))
    assert "EDGE_KIT_CACHE" not in str(caught.value)


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, b"data")
    reader.join(10)
    assert read == [b"data"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_stays_a_link_to_the_new_content(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_bytes(b"old")
    with pytest.raises(OSError, match="directory"):
        write_atomic(tmp_path / "folder", b"new")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "inside"]


def test_exchange_swaps_two_folders_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"")
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange folders")
    assert (tmp_path / "a" / "b").exists()
    assert (tmp_path / "b" / "a").exists()


def test_exchange_with_something_absent_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "b")


def test_shared_locks_share_and_keep_the_sole_one_out(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with shared_lock(lock), shared_lock(lock), sole_lock_if_free(lock) as free:
        assert not free
    with sole_lock_if_free(lock) as free:
        assert free


def test_a_waiting_lock_gets_its_turn(tmp_path: Path) -> None:
    waits = threading.Event()
    order: list[str] = []

    def second() -> None:
        with file_lock(tmp_path / "lock", waits.set):
            order.append("second")

    with file_lock(tmp_path / "lock", lambda: None):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(20)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


def test_a_folder_lock_leaves_no_file(tmp_path: Path) -> None:
    def give_up() -> None:
        raise TimeoutError

    with folder_lock(tmp_path, give_up) as held:
        assert held
        with pytest.raises(TimeoutError), folder_lock(tmp_path, give_up):
            pytest.fail("two cannot hold it alone")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "part"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permissions"),
        (errno.EIO, "health of its disk"),
    ],
)
def test_an_error_of_the_disk_tells_what_where_and_a_remedy(code: int, part: str) -> None:
    error = disk_error(OSError(code, "reason"), "write the bundle", Path("build/arm64"))
    assert error.what == "cannot write the bundle: reason"
    assert error.path == "build/arm64"
    assert part in str(error.hint)

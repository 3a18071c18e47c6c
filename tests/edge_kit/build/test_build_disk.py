from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from edge_kit.build.disk import (
    disk_error,
    exchange,
    folder_lock,
    shared_lock,
    sole_lock,
    sole_lock_if_free,
)


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
        with sole_lock(tmp_path / "lock", waits.set):
            order.append("second")

    with sole_lock(tmp_path / "lock", lambda: None):
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
    error = disk_error(OSError(code, "reason"), "writing the bundle", Path("build/arm64"))
    assert error.what == "writing the bundle failed: reason"
    assert error.path == "build/arm64"
    assert part in str(error.hint)

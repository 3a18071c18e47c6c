"""What the build asks of the operating system: locks, durable folders, an atomic exchange, clear errors."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from model_opt.errors import KitError

if TYPE_CHECKING:
    from filelock import ReadWriteLock

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EINVAL)
_POLL_SECONDS = 0.05
_OPENS_FOLDERS = hasattr(os, "O_DIRECTORY")
"""Whether a folder can be opened, to lock it and to flush it: not on Windows."""


class DiskError(KitError):
    """The operating system refused to read or write something."""


def disk_error(error: OSError, doing: str, path: Path | None) -> DiskError:
    """Turn ``error``, met while ``doing`` something to ``path``, into an error with a remedy."""
    hints = {
        errno.ENOSPC: "free some space on that disk, or choose another one",
        errno.EDQUOT: "your quota on that disk is used up: free some space or choose another disk",
        errno.EFBIG: "the limit for file sizes is too low (ulimit -f) or the file system cannot hold the file",
        errno.EROFS: "that file system is mounted read-only: choose a folder that can be written",
        errno.EACCES: "change the permissions of that folder or choose another one",
        errno.EPERM: "change the permissions of that folder or choose another one",
        errno.ENAMETOOLONG: "choose a shorter name",
        errno.EBUSY: "that folder is a mount point or in use: choose a folder inside it",
        errno.EXDEV: "that folder is a mount point: choose a folder inside it",
    }
    reason = error.strerror or str(error)
    return DiskError(
        f"{doing} failed: {reason}",
        path=path,
        hint=hints.get(error.errno or 0, "look at that path and the health of its disk, then start again"),
    )


@contextmanager
def shared_lock(path: Path) -> Iterator[None]:
    """Hold the read-write lock at ``path`` together with others; waits while somebody holds it alone."""
    with _read_write_lock(path) as lock, lock.read_lock():
        yield


@contextmanager
def sole_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file at ``path`` alone, calling ``waiting`` before every new try.

    ``waiting`` ends the wait by raising. The lock dies with the process, however that ends.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            waiting()
            time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def sole_lock_if_free(path: Path) -> Iterator[bool]:
    """Try to hold the read-write lock at ``path`` alone and yield whether that worked; never waits."""
    from filelock import Timeout

    with _read_write_lock(path) as lock, ExitStack() as held:
        try:
            held.enter_context(lock.write_lock(blocking=False))
        except Timeout:
            yield False
            return
        yield True


@contextmanager
def _read_write_lock(path: Path) -> Iterator[ReadWriteLock]:
    """Give a lock object of its own: one object cannot be held by two that exclude each other."""
    from filelock import ReadWriteLock

    lock = ReadWriteLock(path, is_singleton=False)
    try:
        yield lock
    finally:
        lock.close()


@contextmanager
def folder_lock(folder: Path, waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold ``folder`` itself alone (no lock file is left in it) and yield whether it is held.

    Not held (False) on file systems that cannot lock folders, NFS for one, and on systems that cannot open them.
    """
    from filelock import lock_descriptor

    if not _OPENS_FOLDERS:
        yield False
        return
    with _opened(folder) as handle:
        try:
            while not lock_descriptor(handle, blocking=False):
                waiting()
                time.sleep(_POLL_SECONDS)
            held = True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            held = False
        yield held


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make the names inside ``folder`` survive a power cut, where the system and the file system can sync folders."""
    if not _OPENS_FOLDERS:
        return
    with _opened(folder) as handle:
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise


def exchange(one: Path, other: Path) -> bool:
    """Swap two existing paths of one file system in one atomic step (Linux ``renameat2``).

    Returns False, with nothing changed, where the system or the file system cannot do that.
    Raises ``OSError`` for every other fault.
    """
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # TypeError: Windows
        return False
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    if function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))

"""Files and folders: sums, locks, atomic writes and swaps, and faults of the disk as errors with a remedy."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from model_opt.errors import DiskError, KitError
from model_opt.resources import cache_dir

if TYPE_CHECKING:
    from filelock import ReadWriteLock

LOCK_TIMEOUT = 1800.0
"""Seconds to wait for another process that is filling the same place of the cache."""

_POLL_SECONDS = 0.05
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EINVAL)
_OPENS_FOLDERS = hasattr(os, "O_DIRECTORY")
"""Whether a folder can be opened, to lock it and to flush it: not on Windows."""

_HINTS = {
    errno.ENOSPC: "free some space on that disk, or choose another one",
    errno.EDQUOT: "your quota on that disk is used up: free some space or choose another disk",
    errno.EFBIG: "the limit for file sizes is too low (ulimit -f) or the file system cannot hold the file",
    errno.EROFS: "that file system is mounted read-only: choose a folder that can be written",
    errno.EACCES: "check the owner and the permissions of that path, or choose another one",
    errno.EPERM: "check the owner and the permissions of that path, or choose another one",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EBUSY: "that folder is a mount point or in use: choose a folder inside it",
    errno.EXDEV: "that folder is a mount point: choose a folder inside it",
    errno.ENOTDIR: "remove the file that stands where a folder should be",
    errno.EEXIST: "remove the file that stands where a folder should be",
    errno.ENOLCK: "that file system has no locks: choose a folder of a local disk",
}


def disk_error(error: OSError, action: str, path: Path | None) -> DiskError:
    """Return the error for ``error``, met when trying to ``action`` ("write the bundle"), with a remedy.

    ``path`` is named instead of the error's own file, which may be a short-lived temporary one.
    """
    hint = _HINTS.get(error.errno or 0, "check the path and the health of its disk, then start again")
    if path is not None and path.is_relative_to(cache_dir()):
        hint += ", or move the cache to another place with EDGE_KIT_CACHE"
    return DiskError(f"cannot {action}: {error.strerror or error}", path=path, hint=hint)


@contextmanager
def disk_faults(action: str, path: Path) -> Iterator[None]:
    """Turn an ``OSError`` raised inside into the ``DiskError`` of ``disk_error``."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, action, path) from error


def file_fault(error: OSError | UnicodeEncodeError) -> str:
    """Return why a file cannot be opened: what the system says, or that its name has no form in this locale."""
    if isinstance(error, UnicodeEncodeError):
        return f"its name cannot be written in {error.encoding}, the encoding of file names in this process"
    return error.strerror or str(error)


def file_hint(error: OSError | ValueError, otherwise: str) -> str:
    """Return what to do about a file name that has no form in this locale; ``otherwise`` for every other error."""
    is_name = isinstance(error, UnicodeEncodeError)
    return "set PYTHONUTF8=1, or a UTF-8 locale such as LC_ALL=C.UTF-8" if is_name else otherwise


# --- sums


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file at ``path`` as 64 hexadecimal digits, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def file_state(path: Path) -> list[int]:
    """Return size, time of change (ns) and inode of what ``path`` leads to; they differ once it was replaced."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def known_sum(path: Path) -> str:
    """Return the SHA-256 of ``path``, from a note beside it while the file's state is the noted one.

    The note (``.<name>.sum``) makes a second look at a large file cheap; who must not trust it hashes the file.
    """
    state = file_state(path)
    note = path.with_name(f".{path.name}.sum")
    try:
        noted = json.loads(note.read_bytes())
        if noted["state"] == state and isinstance(noted["sha256"], str):
            return str(noted["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no note, or one that is unreadable: the file itself decides
    found = sha256_file(path)
    with suppress(OSError):  # a read-only cache is fine, only slower
        write_atomic(note, json.dumps({"state": state, "sha256": found}).encode())
    return found


def same_file(one: Path | str, other: Path | str) -> bool:
    """Return whether two names lead to one file or folder that is there, through links too."""
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):  # absent, an address, or no name that the system knows
        return False


# --- locks


def deadline(seconds: float, error: KitError) -> Callable[[], None]:
    """Return an ``on_wait`` that raises ``error`` once ``seconds`` have passed."""
    end = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > end:
            raise error

    return check


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of ``target`` (the file ``.<name>.lock`` beside it) against other threads and processes.

    Raises ``KitError`` when the lock stays taken for ``LOCK_TIMEOUT`` seconds or cannot be made.
    """
    lock = target.with_name(f".{target.name}.lock")
    late = KitError(
        f"another process has been filling this place of the cache for {LOCK_TIMEOUT / 60:.0f} minutes",
        path=target,
        hint=f"end that process, or remove {lock} when there is none",
    )
    with ExitStack() as held:
        with disk_faults("write to the cache", target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(file_lock(lock, deadline(LOCK_TIMEOUT, late)))
        yield


@contextmanager
def file_lock(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file at ``path`` alone; ``on_wait`` is called before each new try and ends the wait by raising.

    The lock ends with the process, however that ends.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)

    def attempt() -> bool:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    _wait_for(attempt, on_wait)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def folder_lock(folder: Path, on_wait: Callable[[], None]) -> Iterator[bool]:
    """Hold ``folder`` itself alone (no lock file is left in it) and yield whether it is held.

    Not held (False) on file systems that cannot lock folders, NFS for one, and on systems that cannot open them.
    """
    from filelock import lock_descriptor

    if not _OPENS_FOLDERS:
        yield False
        return
    with _opened(folder) as handle:
        try:
            _wait_for(lambda: bool(lock_descriptor(handle, blocking=False)), on_wait)
            held = True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            held = False
        yield held


def _wait_for(attempt: Callable[[], bool], on_wait: Callable[[], None]) -> None:
    while not attempt():
        on_wait()
        time.sleep(_POLL_SECONDS)


@contextmanager
def shared_lock(path: Path) -> Iterator[None]:
    """Hold the read-write lock at ``path`` together with others; waits while somebody holds it alone."""
    with _read_write_lock(path) as lock, lock.read_lock():
        yield


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
    """Give a new lock object: one object cannot be held by two that exclude each other."""
    from filelock import ReadWriteLock

    lock = ReadWriteLock(path, is_singleton=False)
    try:
        yield lock
    finally:
        lock.close()


# --- atomic writes and swaps


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that readers see the old content or the new, never a part.

    The folder is created. An ``OSError`` (full disk, read-only folder) leaves the old file as it was. A link stays a
    link to the new content; a device or pipe (``/dev/stdout``) is written to, never replaced.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        path.write_bytes(data)
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def staged_folder(folder: Path, *, alone: bool = True) -> Iterator[Path]:
    """Give an empty temporary sibling of ``folder`` that takes its place when the block ends well.

    A fault inside removes the sibling and leaves an older ``folder`` as it was. With ``alone`` the caller holds a
    lock, so what a killed process left beside ``folder`` is nobody's and goes away first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    clear_siblings(folder, alone=alone)
    fresh = sibling(folder, "tmp")
    try:
        fresh.mkdir()
        yield fresh
        _swap(fresh, folder)
    finally:
        restore_folder(folder)
        shutil.rmtree(fresh, ignore_errors=True)  # the unfinished new folder, or the old one


def ensure_folder(
    folder: Path, action: str, fill: Callable[[Path], object], ready: Callable[[], bool] | None = None
) -> Path:
    """Return ``folder`` of the cache; ``fill`` fills it, complete or not at all, unless it is there or ``ready``.

    Processes that need it at once wait for the one that fills it. Raises what ``fill`` and ``locked`` raise, and
    ``DiskError`` that names the ``action`` ("unpack the model").
    """
    is_ready = ready or folder.is_dir
    if not is_ready():
        with locked(folder), disk_faults(action, folder):
            if not is_ready():
                with staged_folder(folder) as staging:
                    fill(staging)
    return folder


def clear_siblings(folder: Path, *, alone: bool) -> None:
    """Undo what a killed process left beside ``folder``: bring an old folder back; with ``alone`` delete the rest."""
    restore_folder(folder)
    for left in [*_siblings(folder, "tmp"), *_siblings(folder, "old")] if alone else []:
        shutil.rmtree(left, ignore_errors=True)


def restore_folder(folder: Path) -> None:
    """Bring back an old folder that a process, ended in the middle of a swap, left under its other name."""
    if not os.path.lexists(folder):
        for old in _siblings(folder, "old"):
            old.rename(folder)
            return


def _swap(fresh: Path, folder: Path) -> None:
    """Put ``fresh`` at ``folder``; afterwards an old folder, if there was one, is at ``fresh``.

    Where the system cannot exchange folders, a process killed between the two renames leaves no folder under its name
    until the next process calls ``restore_folder``.
    """
    if not os.path.lexists(folder) or not any(folder.iterdir()):
        _rename_over_empty(fresh, folder)
    elif not exchange(fresh, folder):
        old = sibling(folder, "old")
        folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    sync_folder(folder.parent)


def _rename_over_empty(fresh: Path, folder: Path) -> None:
    """Rename ``fresh`` to ``folder``, which is absent or an empty folder: in one step where the system can."""
    try:
        fresh.rename(folder)
    except FileExistsError:  # Windows
        folder.rmdir()
        fresh.rename(folder)


def sibling(folder: Path, kind: str) -> Path:
    """Return an unused temporary name beside ``folder``; ``kind`` is "tmp" (nothing of worth) or "old"."""
    return folder.parent / f".{folder.name}.edge-kit-{kind}-{os.getpid()}-{secrets.token_hex(8)}"


def _siblings(folder: Path, kind: str) -> list[Path]:
    """Return the folders beside ``folder`` that ``sibling`` named, newest first."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}\.edge-kit-{kind}-\d+-[0-9a-f]{{16}}")
    with os.scandir(folder.parent) as entries:
        ours = [e for e in entries if pattern.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
        ours.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns, reverse=True)
        return [Path(entry.path) for entry in ours]


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


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)

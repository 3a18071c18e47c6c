"""How the cache is written: one writer at a time, whole folders, checked sums, faults of the disk in plain words."""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_opt.errors import KitError
from model_opt.files import sha256_file, write_atomic
from model_opt.resources import cache_dir

LOCK_TIMEOUT = 1800.0
"""Seconds to wait for another process that is filling the same place of the cache."""

_HINTS = {
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "free some of your disk quota",
    errno.EACCES: "check the owner and the permissions of the path",
    errno.EPERM: "check the owner and the permissions of the path",
    errno.EROFS: "make its disk writable",
    errno.ENOTDIR: "remove the file that stands where a folder should be",
    errno.EEXIST: "remove the file that stands where a folder should be",
}

_STAGING, _OLD = "staging", "old"


class ChecksumError(KitError):
    """A file is not the one that was pinned; ``expected`` and ``found`` are SHA-256 sums of 64 digits."""

    def __init__(self, label: str, expected: str, found: str, *, hint: str, path: str | Path | None = None) -> None:
        self.label = label
        self.expected = expected
        self.found = found
        super().__init__(
            f"{label} has the wrong checksum\n  expected sha256 {expected}\n  found    sha256 {found}",
            path=path,
            hint=hint,
        )


@contextmanager
def disk_faults(action: str, path: Path) -> Iterator[None]:
    """Turn an ``OSError`` raised inside into a ``KitError`` that says what was attempted and how to go on."""
    try:
        yield
    except OSError as error:
        # The error's own file may be a short-lived temporary one; only the folder around it helps the reader.
        hint = _HINTS.get(error.errno or 0, "check the path and the disk, then start again")
        if path.is_relative_to(cache_dir()):
            hint += ", or move the cache to another place with EDGE_KIT_CACHE"
        raise KitError(f"cannot {action}: {error.strerror or error}", path=path, hint=hint) from error


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of ``target`` (the file ``.<name>.lock`` beside it) against other threads and processes.

    Raises ``KitError`` when the lock stays taken for ``LOCK_TIMEOUT`` seconds or cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = target.with_name(f".{target.name}.lock")
    with disk_faults("write to the cache", target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock, timeout=LOCK_TIMEOUT)
        try:
            held.acquire()
        except Timeout as error:
            raise KitError(
                f"another process has been filling this place of the cache for {LOCK_TIMEOUT / 60:.0f} minutes",
                path=target,
                hint=f"end that process, or remove {lock} when there is none",
            ) from error
    try:
        yield
    finally:
        held.release()


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Give an empty temporary sibling of ``folder`` that takes its place when the block ends well.

    A fault inside removes the sibling and leaves an older ``folder`` as it was. The caller holds the lock, so what
    a killed process left beside ``folder`` is nobody's and goes away first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for mark in (_STAGING, _OLD):
        for left in folder.parent.glob(f".{glob.escape(folder.name)}.{mark}-*"):
            shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.{_STAGING}-", dir=folder.parent))
    try:
        yield staging
        _open_to_readers(staging)
        _publish(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _open_to_readers(folder: Path) -> None:
    """Give the folder the rights a plain mkdir gives; mkdtemp makes it private."""
    umask = os.umask(0)
    os.umask(umask)
    folder.chmod(0o777 & ~umask)


def _publish(staging: Path, folder: Path) -> None:
    if not folder.exists():
        staging.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.{_OLD}-", dir=folder.parent))
    try:
        folder.rename(old / "was")
        try:
            staging.rename(folder)
        except OSError:
            (old / "was").rename(folder)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def known_sum(path: Path) -> str:
    """Return the SHA-256 of ``path``, from a note beside it while size and time of change are the noted ones.

    The note (``.<name>.sum``) makes a second look at a large file cheap; who must not trust it hashes the file.
    """
    stat = path.stat()
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
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

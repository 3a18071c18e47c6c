"""One file from an http(s) address: resumed after a break, retried with pauses, complete or not there."""

from __future__ import annotations

import errno
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_opt import http
from model_opt.errors import ChecksumError, KitError, SourceUnavailable
from model_opt.fs import disk_faults, sha256_file, write_atomic
from model_opt.http import DownloadRefused

if TYPE_CHECKING:
    import httpx

Progress = Callable[[str, int, int | None], None]
"""Called as ``progress(label, done, total)`` in bytes; ``total`` is None while it is unknown."""


@dataclass(frozen=True)
class Policy:
    """How patient a download is. Times in seconds; the pause doubles after each failed attempt.

    ``total_timeout`` bounds all attempts together: a server that sends a byte now and then never meets the others.
    """

    attempts: int = 4
    pause: float = 0.5
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    total_timeout: float = 3600.0
    max_bytes: int = 2 << 30


POLICY = Policy()


class _Transient(Exception):
    """A fault that a new attempt may not meet; ``fresh`` says that it must start from the first byte."""

    def __init__(self, what: str, *, fresh: bool = False) -> None:
        self.fresh = fresh
        super().__init__(what)


@dataclass(frozen=True)
class _Partial:
    """What is on the disk of an earlier attempt, and how to ask for the rest of the same file."""

    size: int = 0
    total: int | None = None
    validator: str | None = None


def download(
    url: str,
    target: Path,
    *,
    expected: str | None = None,
    label: str = "",
    progress: Progress | None = None,
    policy: Policy | None = None,
    stop: threading.Event | None = None,
) -> str:
    """Bring ``url`` to ``target`` and return its SHA-256. The caller holds the lock of ``target``.

    ``stop`` ends it from another thread, when nobody waits for the file any more.

    What a broken attempt leaves stays in ``<target>.part`` and is resumed (Range, If-Range; RFC 9110 section 14), by
    a later call too. A resumed file with another sum than ``expected`` is fetched once more from its first byte.

    Raises ``SourceUnavailable`` when the server does not deliver in time, ``ChecksumError`` when the sum is not
    ``expected``, ``DownloadRefused`` for a file that is too large, ``DiskError`` when the disk does not take it.
    """
    task = _Task(url, target, label or url, progress, policy or POLICY, expected is not None, stop)
    with disk_faults(f"store the download of {url}", target.parent), _no_space_kept(task):
        target.parent.mkdir(parents=True, exist_ok=True)
        resumed = _deliver(task)
        found = sha256_file(task.part)
        if expected not in (None, found) and resumed:
            task.discard()
            _deliver(task)
            found = sha256_file(task.part)
        if expected not in (None, found):
            task.discard()
            raise ChecksumError(
                f"the download of {url}",
                str(expected),
                found,
                hint="the file behind the address has changed: if you trust the new one, remove the entry of this "
                "address from downloads.lock.json in the cache (or correct the pinned sum) and start again",
            )
        task.part.replace(target)
        task.notes.unlink(missing_ok=True)
    return found


@dataclass(frozen=True)
class _Task:
    url: str
    target: Path
    label: str
    progress: Progress | None
    policy: Policy
    pinned: bool
    stop: threading.Event | None = None

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def notes(self) -> Path:
        return self.target.with_name(self.target.name + ".part.json")

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)

    def partial(self) -> _Partial:
        """Return what may be resumed: without a validator only a file whose sum will be checked anyway."""
        try:
            notes = json.loads(self.notes.read_bytes())
            size = self.part.stat().st_size
            known = _Partial(size, notes["total"], notes["validator"])
            usable = notes["url"] == self.url and (known.validator is not None or self.pinned) and size > 0
        except (OSError, ValueError, KeyError, TypeError):
            return _Partial()
        return known if usable else _Partial()


def _deliver(task: _Task) -> bool:
    """Complete ``task.part``; return whether some of it was resumed."""
    resumed, reason, cause = False, "", None
    end = time.monotonic() + task.policy.total_timeout
    for attempt in range(task.policy.attempts):
        if attempt:
            time.sleep(task.policy.pause * 2 ** (attempt - 1))
        partial = task.partial()
        resumed = resumed or partial.size > 0
        if partial.size and partial.size == partial.total:
            return resumed
        try:
            _attempt(task, partial, end)
            return resumed
        except _Transient as error:
            reason, cause = str(error), error
            if error.fresh:
                task.discard()
    check = http.hint_for(task.url, reason) or "check the network and the proxy settings"
    raise SourceUnavailable(
        f"cannot download {task.url}: {reason} ({task.policy.attempts} attempts)",
        hint=f"{check}, then start again: the download goes on where it broke off",
    ) from cause


@contextmanager
def _no_space_kept(task: _Task) -> Iterator[None]:
    """Give the space back when the disk is full: a partial file would keep everything else from working."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            task.discard()
        raise


def _attempt(task: _Task, partial: _Partial, end: float) -> None:
    """Ask once for the file, or for the rest of it, and write what comes until ``end`` (of ``time.monotonic``)."""
    import httpx

    policy = task.policy
    headers = {"Accept-Encoding": "identity"}  # the bytes as they are stored, so that lengths and ranges hold
    if partial.size:
        headers["Range"] = f"bytes={partial.size}-"
        if partial.validator is not None:
            headers["If-Range"] = partial.validator
    timeout = httpx.Timeout(policy.read_timeout, connect=policy.connect_timeout)
    limit = http.Limit(policy.total_timeout, end, task.stop)
    try:
        with http.get(task.url, headers, timeout, limit) as response:
            _receive(task, partial, response)
    except http.ConnectionSettingsError as error:
        what = f"cannot download {task.url}: {error.what}"
        raise http.ConnectionSettingsError(what, path=error.path, hint=error.hint) from error
    except httpx.RequestError as error:
        if http.is_certificate_fault(str(error)):  # the next attempt would meet it too
            what = f"cannot download {task.url}: {error}"
            raise SourceUnavailable(what, hint=http.hint_for(task.url, str(error))) from error
        raise _Transient(str(error) or type(error).__name__) from error


def _receive(task: _Task, partial: _Partial, response: httpx.Response) -> None:
    offset, total = _place(task, partial, response)
    if total is not None and total > task.policy.max_bytes:
        raise _too_large(task)
    etag, date = response.headers.get("ETag"), response.headers.get("Last-Modified")
    # A weak ETag must not be used for a range (RFC 9110 section 13.1.5).
    validator = etag if etag and not etag.startswith("W/") else date
    write_atomic(task.notes, json.dumps({"url": task.url, "total": total, "validator": validator}).encode())
    done = offset
    with task.part.open("ab" if offset else "wb") as file:
        for block in response.iter_raw():  # as they come: a chunk size would hold bytes back when the line breaks
            done += len(block)
            if done > task.policy.max_bytes:
                raise _too_large(task)
            file.write(block)
            if task.progress is not None:
                task.progress(task.label, done, total)
    if total is not None and done != total:
        raise _Transient(f"{done} of {total} bytes came", fresh=done > total)


def _place(task: _Task, partial: _Partial, response: httpx.Response) -> tuple[int, int | None]:
    """Return the offset of the answer's first byte in the file, and the file's length where the server states it."""
    status = response.status_code
    if status == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    if status == 206 and partial.size:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", "").strip())
        start, _, total = (int(group) for group in match.groups()) if match else (-1, -1, -1)
        if start != partial.size or partial.total not in (None, total):
            raise _Transient("the server sent another part than asked for", fresh=True)
        return start, total
    if status in (206, 416):
        raise _Transient(f"HTTP {status}: the server's file has changed", fresh=True)
    if status in (408, 425, 429) or status >= 500:
        raise _Transient(f"HTTP {status}")
    check = http.hint_for(task.url, str(status))
    hint = f"check the address{f'; {check}' if check else ''}"
    raise SourceUnavailable(f"cannot download {task.url}: HTTP {status}", hint=hint)


def _too_large(task: _Task) -> KitError:
    task.discard()
    return DownloadRefused(f"{task.url} is larger than {task.policy.max_bytes >> 20} MiB, which no file here is")

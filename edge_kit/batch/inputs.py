"""Inputs of a bulk run: folders, globs, lists and tar archives become single files and members, always in one order."""

from __future__ import annotations

import glob
import gzip
import os
import stat
import tarfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from edge_kit.documents import READ_SUFFIXES
from edge_kit.inputs import NAMED, PassedOver, unread_photos
from edge_kit.ocr.image import MAX_FILE, UNREAD_SUFFIXES, reason_of
from model_opt.errors import KitError
from model_opt.fs import sha256_bytes
from model_opt.http import is_url
from model_opt.tars import StrictHeader

ARCHIVES = (".tar", ".tar.gz", ".tgz")
LIST_MARK = "@"
"""Before the name of a file that holds one input a line."""

ARCHIVE_FAULTS = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError)


@dataclass(frozen=True)
class Entry:
    """One file, or one member of an archive, with what is known of it; one line of the manifest."""

    index: int
    path: str
    member: str | None = None
    offset: int = 0
    """Of a member: where its bytes begin in the archive, unpacked."""
    size: int | None = None
    mtime_ns: int | None = None
    """Time of change of the file or of the member's archive."""
    sha256: str | None = None
    error: str | None = None
    """Why nothing can be read here."""

    @property
    def name(self) -> str:
        """What messages call it: the path, and a member behind an exclamation mark."""
        return self.path if self.member is None else f"{self.path}!{self.member}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)


def check_inputs(inputs: Sequence[str]) -> None:
    """Raise ``KitError`` for an input that is not there, a glob without a match, a list that cannot be read."""
    for text in inputs:
        if text == f"{LIST_MARK}-":
            raise KitError("a list of inputs must be a file", hint="a rerun reads it again: write it to a file first")
        if next(_paths(text, _Seen(None)), None) is None and text.startswith(LIST_MARK):
            raise KitError("the list of inputs is empty", path=text[1:], hint="write one path a line")


def walk(inputs: Sequence[str], skip: Path | None = None) -> Iterator[Entry]:
    """Yield every input once, numbered from 0; the order depends on the arguments and the names alone.

    A folder is walked with its subfolders, by the bytes of the names; links are followed. Of a folder and an archive
    come files with the suffix of a picture or PDF; archives in a folder are opened. ``skip`` is a folder to leave out.
    What cannot be read is yielded with its ``error``. Nothing is read of a file but its size. At the end a warning of
    class ``PassedOver`` counts pictures of phones (HEIC, AVIF), which are passed over. Raises what ``check_inputs``
    raises.
    """
    index, seen = 0, _Seen(skip)
    for text in inputs:
        for path in _paths(text, seen):
            for entry in _entries(path, seen.photos):
                yield replace(entry, index=index)
                index += 1
    seen.photos.warn()


class Sources:
    """Reads the bytes of entries. The archive read last stays open: members in order are read in one pass."""

    def __init__(self) -> None:
        self._archive: IO[bytes] | None = None
        self._path: str | None = None

    def read(self, entry: Entry) -> bytes:
        """Return an entry's bytes. Raises ``KitError`` where they cannot be read or are not the manifest's."""
        if entry.error is not None:
            raise KitError(entry.error)
        if entry.size is not None and entry.size > MAX_FILE:
            raise KitError(f"the file is larger than {MAX_FILE >> 20} MiB")
        try:
            data = self._member(entry) if entry.member is not None else _file_bytes(entry)
        except ARCHIVE_FAULTS as error:
            self.close()
            raise KitError(f"cannot read the file: {_reason(error)}") from error
        if entry.member is not None and len(data) != entry.size:
            raise KitError("the archive ends within this file")
        if len(data) != entry.size or (entry.sha256 is not None and sha256_bytes(data) != entry.sha256):
            raise KitError("the file has changed since the manifest was made")
        return data

    def close(self) -> None:
        """Close the archive that is open."""
        if self._archive is not None:
            self._archive.close()
        self._archive = self._path = None

    def _member(self, entry: Entry) -> bytes:
        if self._archive is None or self._path != entry.path:
            self.close()
            self._archive, self._path = open_archive(entry.path), entry.path
        self._archive.seek(entry.offset)
        return self._archive.read(entry.size or 0)


def open_archive(path: str) -> IO[bytes]:
    """Return the bytes of a tar as a file that can seek, unpacked where they are packed by gzip."""
    file = Path(path).open("rb")  # noqa: SIM115
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not packed:
        return file
    file.close()
    return gzip.open(path, "rb")  # type: ignore[return-value]


def _file_bytes(entry: Entry) -> bytes:
    with Path(entry.path).open("rb") as file:
        return file.read((entry.size or 0) + 1)


class _Photos:
    """Counts pictures of phones, which are passed over."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[str] = []

    def note(self, name: str) -> None:
        """Count a file, if it is one by its suffix."""
        if _suffix(name) in UNREAD_SUFFIXES:
            self._count += 1
            if len(self._first) < NAMED:
                self._first.append(name)

    def warn(self) -> None:
        """Warn of what was counted."""
        if self._count:
            warnings.warn(f"passed over {unread_photos(self._first, self._count)}", PassedOver, stacklevel=3)


class _Seen:
    """Files that were yielded, so that overlapping inputs give each once, and the folder to leave out."""

    def __init__(self, skip: Path | None) -> None:
        self.photos = _Photos()
        self._paths: set[int] = set()
        self._skip = None
        if skip is not None:
            with suppress(OSError):
                self._skip = _identity(skip.stat())

    def new(self, path: str) -> bool:
        """Return whether a file comes for the first time; remembers 8 bytes of it."""
        key = int(sha256_bytes(os.fsencode(os.path.abspath(path)))[:16], 16)  # noqa: PTH100 - links must stay
        if key in self._paths:
            return False
        self._paths.add(key)
        return True

    def skips(self, status: os.stat_result) -> bool:
        """Return whether a folder is the one to leave out."""
        return self._skip is not None and _identity(status) == self._skip


def _paths(text: str, seen: _Seen) -> Iterator[str]:
    """Yield the files of one argument."""
    if text.startswith(LIST_MARK):
        for line in _lines(text[1:]):
            yield from _below(line, seen)
    elif not text.strip():
        raise KitError("an input is empty", hint="give files, folders, globs, @lists or tar archives")
    elif is_url(text):
        raise KitError("batch reads files, not addresses", path=text, hint="download the pictures first")
    elif os.path.lexists(text):
        yield from _below(text, seen)
    elif glob.has_magic(text):
        matches = sorted(glob.iglob(text, recursive=True), key=os.fsencode)  # noqa: PTH207 - '**' and absolute ones
        if not matches:
            raise KitError("no file matches", path=text, hint="check the pattern; '**' stands for any folders")
        for match in matches:
            yield from _below(match, seen)
    else:
        raise KitError("there is no such file or folder", path=text, hint="check the path")


def _lines(name: str) -> Iterator[str]:
    """Yield the lines of a list that are not empty, as paths."""
    try:
        with Path(name).open("rb") as file:
            for number, line in enumerate(file):
                path = line.removeprefix(b"\xef\xbb\xbf" if number == 0 else b"").rstrip(b"\r\n")
                if path.strip():
                    yield os.fsdecode(path)
    except (OSError, ValueError) as error:
        raise KitError(f"cannot read the list of inputs: {_reason(error)}", path=name, hint="check the path") from error


def _below(path: str, seen: _Seen) -> Iterator[str]:
    """Yield a file, or the files in a folder and its subfolders."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        status = None
    if status is None or not stat.S_ISDIR(status.st_mode):
        if seen.new(path):
            yield path
        return
    yield from _folder(path, (_identity(status),), status, seen)


def _folder(path: str, above: tuple[tuple[int, int], ...], status: os.stat_result, seen: _Seen) -> Iterator[str]:
    """Yield the files in a folder; one that cannot be listed stands for itself. ``above`` stops links in a circle."""
    if seen.skips(status):
        return
    try:
        with os.scandir(path) as listed:
            entries = sorted(listed, key=lambda entry: os.fsencode(entry.name))
    except OSError:
        if seen.new(path):
            yield path
        return
    for entry in entries:
        try:
            inside = entry.stat()
        except OSError:  # a broken link
            inside = None
        if inside is not None and stat.S_ISDIR(inside.st_mode):
            if _identity(inside) not in above:
                yield from _folder(entry.path, (*above, _identity(inside)), inside, seen)
        elif (_suffix(entry.name) in READ_SUFFIXES or is_archive(entry.name)) and seen.new(entry.path):
            yield entry.path
        elif _suffix(entry.name) in UNREAD_SUFFIXES and seen.new(entry.path):
            seen.photos.note(entry.path)


def is_archive(path: str) -> bool:
    """Return whether a path names a tar archive."""
    return path.lower().endswith(ARCHIVES)


def _entries(path: str, photos: _Photos) -> Iterator[Entry]:
    """Yield a file, or the pictures in an archive."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        yield Entry(0, path, error=f"cannot read the file: {reason_of(Path(path), error)}")
        return
    if stat.S_ISDIR(status.st_mode):
        yield Entry(0, path, error="cannot list the folder: check its rights")
    elif not stat.S_ISREG(status.st_mode):
        yield Entry(0, path, error="cannot read the file: it is a device, a pipe or a socket")
    elif is_archive(path):
        yield from _members(path, status.st_mtime_ns, photos)
    else:
        yield Entry(0, path, size=status.st_size, mtime_ns=status.st_mtime_ns)


def _members(path: str, mtime_ns: int, photos: _Photos) -> Iterator[Entry]:
    """Yield the pictures in an archive; damage is one more entry, with its error."""
    count = 0
    try:
        with open_archive(path) as stream, _tar(stream) as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep every header
                count += 1
                if not member.isreg() or _suffix(member.name) not in READ_SUFFIXES:
                    photos.note(f"{path}!{member.name}")
                    continue
                error = "cannot read the file: it is stored as a sparse file" if member.issparse() else None
                yield Entry(0, path, member.name, member.offset_data, member.size, mtime_ns, error=error)
    except ARCHIVE_FAULTS as error:
        yield Entry(0, path, error=f"the archive is damaged behind {count} members: {_reason(error)}")


def _tar(stream: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r:", tarinfo=StrictHeader)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path costs ten times as much


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _reason(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror or error or type(error).__name__)

"""Files of a stage or a bundle: their names, their sums, and the walk that finds them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from model_opt.errors import KitError
from model_opt.fs import sha256_file

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A value that JSON can hold."""


@dataclass(frozen=True)
class FileSum:
    """What a file holds: SHA-256 (64 hexadecimal digits) and length in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class SealedFile:
    """A file together with the sum it must have; copying it fails when it has another one."""

    path: Path
    sum: FileSum

    @classmethod
    def of(cls, path: Path) -> SealedFile:
        """Return the file at ``path`` with the sum that it has now."""
        return cls(path, FileSum(sha256_file(path), path.stat().st_size))

    @property
    def cache_key(self) -> str:
        """What a stage that is given the file depends on: its content, not its place."""
        return self.sum.sha256


def write_files(folder: Path, files: Mapping[str, bytes]) -> dict[str, SealedFile]:
    """Write files below ``folder`` by their names, and return each with its sum."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {name: SealedFile.of(folder / name) for name in files}


def name_fault(name: str) -> str | None:
    """Say why ``name`` cannot name a file inside a bundle, or None when it can.

    A good name is a relative POSIX path without ``.``, ``..``, empty parts, backslashes, control or
    undecodable characters, so it means the same file on every system and never one outside the folder.
    """
    if not name:
        return "is empty"
    if name.startswith("/"):
        return "is an absolute path"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "has an empty, '.' or '..' part"
    if "\\" in name or any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in name):
        return "has a backslash, a control character or an undecodable byte"
    return None


def walk_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the relative POSIX name and ``lstat`` of everything below ``folder`` that is not a folder.

    Links are yielded, never followed. The order is that of the names.
    """
    found: list[tuple[str, os.stat_result]] = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(name + "/")
                else:
                    found.append((name, entry.stat(follow_symlinks=False)))
    yield from sorted(found, key=lambda item: item[0])


def is_plain(status: os.stat_result) -> bool:
    """Tell whether an ``lstat`` result is that of a regular file."""
    return stat.S_ISREG(status.st_mode)


def folder_sums(folder: Path) -> dict[str, FileSum | None]:
    """Return what every file below ``folder`` holds, by name; None for a link and whatever is no regular file."""
    return {
        name: FileSum(sha256_file(folder / name), status.st_size) if is_plain(status) else None
        for name, status in walk_files(folder)
    }


def parse_json(text: bytes) -> object:
    """Return the value of a JSON document (UTF-8), stricter than ``json.loads``.

    A name twice in one object, NaN, infinity, broken UTF-8 and bottomless nesting are a ``ValueError`` too.
    """
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def json_bytes(value: Json, *, what: str) -> bytes:
    """Return ``value`` as JSON with sorted keys, two blanks of indent and a final newline: same value, same bytes.

    Raises ``KitError`` naming ``what`` when JSON cannot hold the value (NaN and infinity included).
    """
    try:
        text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise KitError(
            f"{what} cannot be written as JSON: {error}",
            hint="use only text, finite numbers, true/false, null, lists and mappings with text keys",
        ) from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} occurs twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number of JSON")

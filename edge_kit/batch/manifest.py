"""The manifest: every input of a run with its size and sum, one JSON line each, in the order of their rows.

It is made once, before the first shard; a rerun walks the inputs again and must find the same. A file whose size and
time are the noted ones is not read again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from edge_kit.batch.inputs import Entry, Sources, walk
from model_opt.errors import KitError
from model_opt.fs import disk_faults, sha256_bytes, sync_folder

MANIFEST_NAME = "manifest.jsonl"

OnCount = Callable[[int], None]
"""Called with the number of inputs seen so far."""


class ManifestError(KitError):
    """The inputs are not those of the manifest, or the manifest is damaged."""


def prepare_manifest(out: Path, inputs: Sequence[str], on_count: OnCount) -> int:
    """Make the manifest of ``inputs``, or check them against the one that is there; return how many there are.

    Raises ``ManifestError`` that names the first input that differs, ``KitError`` when there is none at all.
    """
    path = out / MANIFEST_NAME
    if path.exists():
        return _check(path, walk(inputs, out), on_count)
    found = walk(inputs, out)
    first = next(found, None)
    if first is None:
        raise KitError("there is no picture in the inputs", hint="give files, folders, globs, @lists or tar archives")
    return _write(path, chain([first], found), on_count)


def read_manifest(out: Path) -> Iterator[Entry]:
    """Yield the entries of a run's manifest. Raises ``ManifestError`` for a damaged line."""
    path = out / MANIFEST_NAME
    with disk_faults("read the manifest", path), path.open("rb") as lines:
        for number, line in enumerate(lines):
            yield _entry(path, number, line)


def entry_from(values: dict[str, Any]) -> Entry:
    """Return the entry of ``Entry.to_dict``."""
    return Entry(**values)


def _entry(path: Path, number: int, line: bytes) -> Entry:
    try:
        entry = entry_from(json.loads(line))
    except (ValueError, TypeError) as error:
        raise ManifestError(f"line {number + 1} of the manifest is damaged", path=path, hint=_ANEW) from error
    if entry.index != number:
        raise ManifestError(f"line {number + 1} of the manifest has number {entry.index}", path=path, hint=_ANEW)
    return entry


_ANEW = "choose another --out, or remove this folder to start anew"


def _write(path: Path, found: Iterator[Entry], on_count: OnCount) -> int:
    """Write the manifest line by line beside its place and put it there when it is complete; the folder is locked."""
    fresh, count, sources = path.with_name(f".{path.name}.tmp"), 0, Sources()
    try:
        with disk_faults("write the manifest", path):
            with fresh.open("wb") as file:
                for entry in found:
                    line = json.dumps(_summed(entry, sources).to_dict())
                    file.write(line.encode() + b"\n")
                    count += 1
                    on_count(count)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            sync_folder(path.parent)
    finally:
        sources.close()
        fresh.unlink(missing_ok=True)
    return count


def _summed(entry: Entry, sources: Sources) -> Entry:
    """Return an entry with its sum, or with the error that kept it from being read."""
    try:
        return replace(entry, sha256=sha256_bytes(sources.read(entry)))
    except KitError as error:
        return replace(entry, error=error.what)


def _check(path: Path, found: Iterator[Entry], on_count: OnCount) -> int:
    """Compare the inputs with the manifest, in step, so that memory does not grow with their number."""
    count, sources = 0, Sources()
    try:
        for noted, entry in zip_longest(read_manifest(path.parent), found):
            _compare(path, noted, entry, sources)
            count += 1
            on_count(count)
    finally:
        sources.close()
    return count


def _compare(path: Path, noted: Entry | None, entry: Entry | None, sources: Sources) -> None:
    hint = "give the inputs of the first run, or choose another --out"
    if noted is None or entry is None or (noted.path, noted.member) != (entry.path, entry.member):
        before = "no more inputs" if noted is None else noted.name
        now = "no more inputs" if entry is None else entry.name
        number = (noted or entry or Entry(0, "")).index + 1
        raise ManifestError(
            f"the inputs are others than before: number {number} was {before}, now {now}", path=path, hint=hint
        )
    if noted.error is not None or (noted.size, noted.mtime_ns, noted.offset) == (
        entry.size, entry.mtime_ns, entry.offset,
    ):  # fmt: skip
        return
    summed = _summed(entry, sources)
    if (noted.size, noted.sha256) != (summed.size, summed.sha256):
        raise ManifestError(
            f"{noted.name} has changed since the first run", path=path, hint="restore it, or choose another --out"
        )

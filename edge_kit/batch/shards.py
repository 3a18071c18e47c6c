"""Shards: files of rows, each for a fixed range of the manifest, and the log of those that are complete.

A shard is written beside its place, flushed and renamed; then a line of the log says so. Only a shard of the
log counts, so a run that is killed at any instant, or finds the disk full, repeats at most the shards under way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_kit.batch.rows import Answer
from edge_kit.batch.tables import parquet_bytes, parquet_rows
from model_opt.errors import KitError
from model_opt.fs import disk_faults, sync_folder, write_atomic

FORMATS = ("jsonl", "parquet")
ROWS_NAME, LOG_NAME = "rows", "done.jsonl"


@dataclass(frozen=True)
class Committed:
    """A complete shard, as the log has it."""

    shard: int
    inputs: int
    rows: int
    failed: int
    """Inputs with an error."""
    bytes: int
    """Size of the file."""
    sums: Mapping[str, Any] | None = None
    """What a comparison measured on the shard's images, added up."""


@dataclass(frozen=True)
class Shards:
    """The rows of a run in a folder ``out``: ``size`` inputs to a shard, in a format of ``FORMATS``."""

    out: Path
    form: str
    size: int
    schema: str
    """Names the fields of a row: a result schema, or ``compare``."""

    def path(self, number: int) -> Path:
        """Return the file of a shard."""
        return self.out / ROWS_NAME / f"part-{number:06d}.{self.form}"

    def range(self, number: int, total: int) -> range:
        """Return the inputs of a shard among ``total``."""
        return range(number * self.size, min((number + 1) * self.size, total))

    def commit(self, number: int, answers: Sequence[Answer], sums: Mapping[str, Any] | None = None) -> Committed:
        """Write a shard of answers, in the order of their inputs, then its line of the log.

        Raises ``DiskError`` with nothing half written.
        """
        ordered = sorted(answers, key=lambda answer: answer.index)
        lines = b"".join(answer.lines for answer in ordered)
        data = lines if self.form == "jsonl" else parquet_bytes(map(json.loads, lines.splitlines()), self.schema)
        path = self.path(number)
        with disk_faults("write the results", path):
            write_atomic(path, data)
            sync_folder(path.parent)
        counts = (len(ordered), sum(a.rows for a in ordered), sum(a.failed for a in ordered))
        done = Committed(number, *counts, len(data), sums)
        log = self.out / LOG_NAME
        with disk_faults("write the results", log), log.open("ab") as file:
            file.write(json.dumps(asdict(done)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return done

    def committed(self) -> dict[int, Committed]:
        """Return the complete shards by number; whatever a killed run left of others is removed. Needs the lock."""
        done: dict[int, Committed] = {}
        with disk_faults("read the results", self.out):
            for one in self._logged():
                path = self.path(one.shard)
                if path.is_file() and path.stat().st_size == one.bytes:
                    done[one.shard] = one
            lines = "".join(json.dumps(asdict(one)) + "\n" for one in done.values())
            write_atomic(self.out / LOG_NAME, lines.encode())
            (self.out / ROWS_NAME).mkdir(exist_ok=True)
            for left in (self.out / ROWS_NAME).glob(".part-*"):
                left.unlink()
        return done

    def _logged(self) -> Iterator[Committed]:
        """Yield the complete lines of the log; the last may have been cut off."""
        try:
            lines = (self.out / LOG_NAME).read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield Committed(**json.loads(line))
            except (ValueError, TypeError):
                continue

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of all complete shards in the order of their inputs, as JSON types."""
        for number in sorted({one.shard for one in self._logged()}):
            path = self.path(number)
            if self.form == "parquet":
                yield from parquet_rows(path)
                continue
            with path.open("rb") as lines:
                yield from map(json.loads, lines)


def check_format(form: str) -> None:
    """Raise ``KitError`` for a format that is unknown or lacks its package."""
    if form not in FORMATS:
        raise KitError(f"there is no format {form!r} of results", hint=f"use one of: {', '.join(FORMATS)}")
    if form == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise KitError(
                f"Parquet needs the package pyarrow: {error}",
                hint='pip install "edge-kit[batch]", or write JSON lines: --format jsonl',
            ) from error

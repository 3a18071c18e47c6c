"""Rows: what is said of each input, and how an input becomes its rows.

Local workers and Ray's actors share ``read_entry``. A row has the fields of ``COMMON`` and, where something was read,
those of the result schema; of a document each page is a row.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edge_kit.batch.inputs import Entry, Sources
from edge_kit.ocr.image import Image
from edge_kit.spec.model import Alpha
from model_opt.errors import KitError

COMMON = ("index", "path", "member", "page_index", "size", "sha256", "engine", "error", "seconds")
"""Fields of every row; ``index`` is the input's number in the manifest, ``error`` is null where it was read."""

TIMES = ("seconds", "timings")
"""Fields that differ from run to run."""


class Reader(Protocol):
    """Reads one page."""

    @property
    def engine(self) -> str:
        """What the rows name as their engine."""

    @property
    def alpha(self) -> Alpha:
        """What becomes of transparency (``edge_kit.ocr.image``)."""

    def read(self, image: Image, name: str) -> Mapping[str, Any]:
        """Return what was read in a BGR image, as JSON types. Raises ``KitError``."""


@dataclass(frozen=True)
class Answer:
    """The rows of one input, as JSON lines."""

    index: int
    rows: int
    failed: bool
    """Whether any row has an error."""
    lines: bytes


def read_entry(reader: Reader, sources: Sources, entry: Entry) -> Answer:
    """Return the rows of an input; whatever goes wrong with it is a row with its error."""
    return answer_of(entry, list(_rows(reader, sources, entry)))


def lost_entry(entry: Entry, engine: str, why: str) -> Answer:
    """Return the answer for an input that could not be read at all."""
    return answer_of(entry, [_row(entry, engine, None, 0.0, why)])


def answer_of(entry: Entry, rows: Sequence[Mapping[str, Any]]) -> Answer:
    """Return rows as an answer; a path that is not UTF-8 keeps its bytes as ``\\udcXX`` escapes."""
    lines = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    failed = any(row["error"] is not None for row in rows)
    return Answer(entry.index, len(rows), failed, lines.encode("utf-8", "backslashreplace"))


def sentence(error: BaseException) -> str:
    """Return an error as one sentence of a row."""
    if isinstance(error, KitError):
        return error.what
    if isinstance(error, MemoryError):
        return "not enough memory to read the file"
    traceback.print_exception(error, file=sys.stderr)
    return f"cannot read the file: {type(error).__name__}: {error}"


def _rows(reader: Reader, sources: Sources, entry: Entry) -> Iterator[dict[str, Any]]:
    for page, image, seconds, fault in _decoded(sources, entry, reader.alpha):
        begin = time.perf_counter()
        fields: Mapping[str, Any] = {}
        if image is not None:
            try:
                fields = {"width": image.shape[1], "height": image.shape[0], **reader.read(image, entry.name)}
            except Exception as error:  # noqa: BLE001 - one page's fault must not cost the others their run
                fault = sentence(error)
        seconds += time.perf_counter() - begin
        yield {**_row(entry, reader.engine, page, seconds, fault), **fields}


def _decoded(
    sources: Sources, entry: Entry, alpha: Alpha
) -> Iterator[tuple[int | None, Image | None, float, str | None]]:
    """Yield each page's number, image and seconds, or why there is none; also at last, if decoding ends early."""
    from edge_kit.batch.pages import pages_of

    page: int | None = None
    begin = time.perf_counter()
    try:
        for page, found in pages_of(sources.read(entry), entry.name, alpha):
            image, fault = (None, sentence(found)) if isinstance(found, KitError) else (found, None)
            yield page, image, time.perf_counter() - begin, fault
            begin = time.perf_counter()
    except Exception as error:  # noqa: BLE001 - as above
        yield None if page is None else page + 1, None, time.perf_counter() - begin, sentence(error)


def _row(entry: Entry, engine: str, page: int | None, seconds: float, error: str | None) -> dict[str, Any]:
    return {
        "index": entry.index,
        "path": entry.path,
        "member": entry.member,
        "page_index": page,
        "size": entry.size,
        "sha256": entry.sha256,
        "engine": engine,
        "error": error,
        "seconds": round(seconds, 6),
    }

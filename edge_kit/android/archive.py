"""A zip file as an APK needs it: the same bytes for the same files, stored ones aligned so they can be mapped.

Layout: PKWARE APPNOTE 6.3 (local headers, central directory, end record). Alignment is made by an extra field of kind
0xD935, which Android's own tools write and apksigner keeps. Deflate is libdeflate's at its best level: what zlib makes
of an app is 2 to 4 % larger, and differs between builds of zlib.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from edge_kit.android.errors import AndroidError

SO_ALIGN = 16384
"""Alignment in bytes of a stored native library: it is mapped from the APK, by pages."""
STORED_ALIGN = 4
"""Alignment of any other stored file; Android maps ``resources.arsc``."""

_DATE, _TIME = (1981 - 1980) << 9 | 1 << 5 | 1, 0
_ALIGNMENT_FIELD = 0xD935
_UTF8_NAMES = 0x0800
_LIMIT = 0xFFFFFFFF


_LEVEL = 12


@dataclass(frozen=True)
class Entry:
    """A file of an archive; ``stored`` files are not compressed, and aligned. ``packed`` is what ``pack`` made of the
    data, where that was done before.
    """

    name: str
    data: bytes
    stored: bool = False
    packed: bytes | None = None

    @property
    def align(self) -> int:
        """What the offset of the file's data must be divisible by."""
        if not self.stored:
            return 1
        return SO_ALIGN if self.name.endswith(".so") else STORED_ALIGN


def write_archive(entries: Iterable[Entry]) -> bytes:
    """Return a zip file of ``entries`` in the order given; no time, owner or platform is in it.

    Raises ``AndroidError`` for a name twice or a size beyond 4 GB (which an APK may not have).
    """
    out = bytearray()
    directory = bytearray()
    names: set[str] = set()
    for entry in entries:
        if entry.name in names:
            raise AndroidError(f"two files of the archive are called {entry.name!r}", hint="rename one of them")
        names.add(entry.name)
        directory += _append(out, entry)
    start = len(out)
    if start + len(directory) > _LIMIT or len(names) > 0xFFFF:
        raise AndroidError("the archive is larger than a zip file without extensions can be", hint="leave files out")
    out += directory
    out += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(names), len(names), len(directory), start, 0)
    return bytes(out)


def _append(out: bytearray, entry: Entry) -> bytes:
    """Append header and data of ``entry`` and return its record for the directory."""
    name = entry.name.encode("utf-8")
    packed = entry.data if entry.stored else entry.packed or pack(entry.data)
    at = len(out)
    extra = _padding(at + 30 + len(name), entry.align) if entry.stored else b""
    common = struct.pack(
        "<HHHHHIIIHH",
        20,
        0 if name.isascii() else _UTF8_NAMES,
        0 if entry.stored else 8,
        _TIME,
        _DATE,
        zlib.crc32(entry.data),
        len(packed),
        len(entry.data),
        len(name),
        len(extra),
    )
    out += struct.pack("<I", 0x04034B50) + common + name + extra + packed
    # The directory repeats the header without the padding, which only serves the data behind it.
    version, rest = common[:2], common[2:-2]
    return b"".join(
        (struct.pack("<IH", 0x02014B50, 20), version, rest, struct.pack("<HHHHII", 0, 0, 0, 0, 0, at), name)
    )


def _padding(data_at: int, align: int) -> bytes:
    """Return an extra field after which the data lies at a multiple of ``align``: kind, length, alignment, zeros."""
    zeros = -(data_at + 6) % align
    return struct.pack("<HHH", _ALIGNMENT_FIELD, 2 + zeros, align) + bytes(zeros)


def pack(data: bytes) -> bytes:
    """Return the raw deflate stream of ``data``; the same bytes give the same stream. Takes 0.25 s a megabyte."""
    import deflate

    return bytes(deflate.deflate_compress(data, _LEVEL))

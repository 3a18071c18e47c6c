"""The header of a ``.nb`` file, and its bytes that differ from build to build.

The header holds the version of opt as a C string in 16 bytes. opt leaves whatever its memory held behind the
NUL (pieces of a pointer), so two conversions of one model differ there and nowhere else.
"""

from __future__ import annotations

import struct

from model_opt.nb.errors import DAMAGED, fault

HEADER = struct.Struct("<H16sQ")
"""Meta version, version of opt, bytes of the topology."""

_VERSION = slice(2, 18)
# Read into objects, a topology takes some twenty times its bytes; those of PP-OCR have 0.2 to 0.5 MB.
_MAX_TOPOLOGY = 1 << 24
FREE_READS = 1 << 22
"""Bytes of a topology that may be read in any case: what is shared is read again at each use."""


def canonicalise(data: bytes) -> bytes:
    """Return ``data`` with the bytes behind the version's NUL zeroed; every other byte stays.

    Raises ``NbError`` when the header is not that of a ``.nb`` file.
    """
    parse_header(data)
    version = data[_VERSION].split(b"\0", 1)[0]
    return data[: _VERSION.start] + version.ljust(16, b"\0") + data[_VERSION.stop :]


def is_canonical(data: bytes) -> bool:
    """Return whether ``canonicalise`` would change nothing. Raises ``NbError`` as ``canonicalise`` does."""
    parse_header(data)
    _, _, tail = data[_VERSION].partition(b"\0")
    return not any(tail)


def parse_header(data: bytes) -> tuple[int, str, int]:
    """Return meta version, opt version and the position behind the topology; ``NbError`` when they cannot be."""
    if len(data) < HEADER.size:
        fault("header", len(data), f"{HEADER.size} bytes of header", f"{len(data)} bytes in the file")
    meta_version, raw_version, topology_size = HEADER.unpack_from(data)
    if meta_version != 2:
        old = meta_version in (0, 1) and raw_version[:1] in b"v0123456789abcdef"
        hint = "convert the model with a current opt (meta version 2)" if old else DAMAGED
        fault("header", 0, "meta version 2", f"{meta_version}", hint)
    text = raw_version.split(b"\0", 1)[0]
    if not text or any(byte < 0x21 or byte > 0x7E for byte in text):
        fault("header", 2, "the version of opt in printable ASCII", repr(text))
    room = min(len(data) - HEADER.size, _MAX_TOPOLOGY)
    if topology_size > room:
        fault("header", 18, f"a topology of at most {room} bytes", f"{topology_size}")
    return meta_version, text.decode("ascii"), HEADER.size + topology_size

"""Compiled XML for tests: one element with attributes of type string, as much of a manifest as adb's side reads."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_NONE = 0xFFFFFFFF


def compiled_xml(name: str, attributes: Mapping[str, str]) -> bytes:
    """Return a file of AOSP's binary XML: a pool of UTF-8 strings, the element, its end."""
    words = [name, *attributes, *attributes.values()]
    pool = b"".join(bytes([len(word), len(word.encode())]) + word.encode() + b"\0" for word in words)
    offsets, at = [], 0
    for word in words:
        offsets.append(at)
        at += len(word.encode()) + 3
    start = 28 + 4 * len(words)
    strings = struct.pack("<IIIII", len(words), 0, 1 << 8, start, 0) + struct.pack(f"<{len(words)}I", *offsets) + pool
    rows = b"".join(
        struct.pack("<IIIHBBI", _NONE, 1 + index, value, 8, 0, 3, value)
        for index, value in enumerate(range(1 + len(attributes), len(words)))
    )
    head = struct.pack("<IIIIHHHHHH", 1, _NONE, _NONE, 0, 20, 20, len(attributes), 0, 0, 0)
    body = _chunk(0x0001, 28, strings) + _chunk(0x0102, 16, head + rows) + _chunk(0x0103, 16, head[:16])
    return struct.pack("<HHI", 0x0003, 8, 8 + len(body)) + body


def _chunk(kind: int, header: int, data: bytes) -> bytes:
    return struct.pack("<HHI", kind, header, 8 + len(data)) + data

"""Small ELF shared objects for tests: as much of one as the packager reads."""

from __future__ import annotations

import struct


def shared_object(
    *, machine: int = 183, align: int = 16384, needed: tuple[str, ...] = (), bits: int = 64, kind: int = 3,
    payload: bytes = b"", relro: tuple[int, int] | None = None, writable: tuple[tuple[int, int], ...] = (),
) -> bytes:  # fmt: skip
    """Return a shared object with a LOAD segment, a dynamic section naming ``needed``, and ``payload`` behind.

    ``relro`` is the part that is read-only after relocation, ``writable`` are further LOAD segments without bytes in
    the file: address and length of each.
    """
    wide = bits == 64
    header, row = (64, 56) if wide else (52, 32)
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    rows_of_data = [(0x6474E552, relro), *((1, place) for place in writable)] if relro else []
    count = 2 + len(rows_of_data)
    strings_at = header + count * row
    dynamic_at = strings_at + len(strings) + (-len(strings) % 8)
    entries = [(1, strings.index(name.encode())) for name in needed] + [(5, strings_at), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ" if wide else "<iI", *entry) for entry in entries)
    total = dynamic_at + len(dynamic) + len(payload)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    shape = "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH"
    top = ident + struct.pack(shape, kind, machine, 1, 0, header, 0, 0, header, row, count, 0, 0, 0)

    def segment(which: int, offset: int, size: int, alignment: int) -> bytes:
        if wide:
            return struct.pack("<IIQQQQQQ", which, 5, offset, offset, offset, size, size, alignment)
        return struct.pack("<IIIIIIII", which, offset, offset, offset, size, size, 5, alignment)

    def unfilled(which: int, place: tuple[int, int]) -> bytes:
        address, size = place
        if wide:
            return struct.pack("<IIQQQQQQ", which, 6, 0, address, address, 0, size, align)
        return struct.pack("<IIIIIIII", which, 0, address, address, 0, size, 6, align)

    rows = segment(1, 0, total, align) + segment(2, dynamic_at, len(dynamic), 8)
    rows += b"".join(unfilled(which, place) for which, place in rows_of_data)
    body = top + rows + strings + bytes(dynamic_at - strings_at - len(strings)) + dynamic
    return body + payload

"""Tables as values, and the two ways to write them: as opt lays them out, and with each equal part once.

Both write what a table points at before the table, in the order of its fields. opt writes every use anew; only an
empty text field is one for the buffer (flatc's ``--force-empty`` takes it from ``CreateSharedString``). Layout,
padding and the sharing of vtables are those of Google's builder; tests compare with opt's buffers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from model_opt.nb.flat import WIDTHS, TableKind

Content = Union[bytes, "Part", tuple[bytes, ...], tuple["Part", ...]]
"""What a field holds: a number's bytes, a text or a list of numbers as bytes, a table, texts, tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One table: its present fields by slot. A number stands there as its little-endian bytes."""

    kind: TableKind
    fields: Mapping[int, Content]


def pack(root: Part) -> bytes:
    """Return the buffer of ``root`` with every use written anew, byte for byte as opt does."""
    return _Packer().finish(root)


def pack_shared(root: Part, most_read: int) -> bytes:
    """Return the buffer of ``root`` with equal texts, lists and tables written once.

    Where reading it, each part at every use, would take more than ``most_read`` bytes, nothing is shared.
    """
    packer = _SharingPacker()
    made = packer.finish(root)
    return made if packer.read <= most_read else pack(root)


class _Packer:
    """Writes parts into a buffer. A place is a distance from the buffer's end, as in Google's builder."""

    def __init__(self) -> None:
        self._buffer = _Backwards()
        self._empty: int | None = None

    def finish(self, root: Part) -> bytes:
        return self._buffer.finish(self._table(root))

    def _table(self, part: Part) -> int:
        kinds = part.kind.fields
        fields = [(slot, self._field(kinds[slot][1], part.fields[slot])) for slot in sorted(part.fields)]
        return self._once(("table", *fields), lambda: self._buffer.table(self._ordered(part.kind, fields)))

    def _field(self, kind: str, content: Any) -> bytes | int:
        """Return a number's bytes, or where the content of any other field stands."""
        if kind in WIDTHS:
            return bytes(content)
        if kind == "string":
            return self._text(content)
        if kind == "[string]":
            return self._offsets([self._item(text) for text in content])
        if not kind.startswith("["):
            return self._table(content)
        width = WIDTHS.get(kind.strip("[]"))
        if width is None:
            return self._offsets([self._table(part) for part in content])
        return self._once(("numbers", content, width), lambda: self._buffer.numbers(content, width))

    def _once(self, content: Hashable, put: Callable[[], int]) -> int:
        """Return where ``content`` stands, having put it there."""
        return put()

    def _ordered(self, kind: TableKind, fields: list[tuple[int, bytes | int]]) -> list[tuple[int, bytes | int]]:
        """Return the fields in the order in which a table is filled: wide ones first, so that none needs padding."""
        widths = kind.widths
        return sorted(fields, key=lambda field: (-widths[field[0]], -field[0]))

    def _text(self, text: bytes) -> int:
        if text:
            return self._item(text)
        if self._empty is None:
            self._empty = self._item(text)
        return self._empty

    def _item(self, text: bytes) -> int:
        return self._once(("string", text), lambda: self._buffer.text(text))

    def _offsets(self, places: list[int]) -> int:
        return self._once(("offsets", tuple(places)), lambda: self._buffer.offsets(places))


class _SharingPacker(_Packer):
    """Writes what is equal once. What is made is named by its content; places stand for children.

    ``read`` counts the bytes of all uses: what a reader takes that follows every offset, but for vtables, which it
    looks at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self._made: dict[Hashable, tuple[int, int]] = {}

    def _once(self, content: Hashable, put: Callable[[], int]) -> int:
        if content not in self._made:
            before = self._buffer.size - self._buffer.vtables_size
            self._made[content] = put(), self._buffer.size - self._buffer.vtables_size - before
        place, size = self._made[content]
        self.read += size
        return place

    def _ordered(self, kind: TableKind, fields: list[tuple[int, bytes | int]]) -> list[tuple[int, bytes | int]]:
        widths = kind.widths
        return sorted(fields, key=lambda field: (-widths[field[0]], field[0]))


class _Backwards:
    """A buffer that grows towards its beginning: pieces in falling order of their addresses."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        self.vtables_size = 0
        self._widest = 1
        self._vtables: dict[tuple[int, ...], int] = {}

    def finish(self, root: int) -> bytes:
        """Return the buffer whose root table is at ``root``."""
        self._align(self._widest, 4)
        self._put(_offset(self.size + 4 - root))
        return b"".join(reversed(self._pieces))

    def text(self, text: bytes) -> int:
        self._align(4, len(text) + 1)
        self._put(text + b"\0")
        return self._put(_offset(len(text)))

    def numbers(self, content: bytes, width: int) -> int:
        self._align(4, len(content))
        self._align(width, len(content))
        self._put(content)
        return self._put(_offset(len(content) // width))

    def offsets(self, places: Sequence[int]) -> int:
        self._align(4, 4 * len(places))
        at = self.size
        last = len(places) - 1
        held = [at + 4 * (last - index) + 4 - place for index, place in enumerate(places)]
        self._put(struct.pack(f"<{len(places)}I", *held))
        return self._put(_offset(len(places)))

    def table(self, fields: Sequence[tuple[int, bytes | int]]) -> int:
        """Write a table of number bytes and of offsets of parts written before, in this order."""
        end, slots = self.size, {}
        for slot, content in fields:
            if isinstance(content, bytes):
                self._align(len(content), 0)
                self._put(content)
            else:
                self._align(4, 0)
                self._put(_offset(self.size + 4 - content))
            slots[slot] = self.size
        self._align(4, 0)
        start = self.size + 4
        places = [start - slots.get(slot, start) for slot in range(max(slots, default=-1) + 1)]
        vtable = (4 + 2 * len(places), start - end, *places)
        known = self._vtables.get(vtable)
        self._put(struct.pack("<i", vtable[0] if known is None else known - start))
        if known is None:
            self._vtables[vtable] = self._put(struct.pack(f"<{len(vtable)}H", *vtable))
            self.vtables_size += vtable[0]
        return start

    def _align(self, width: int, coming: int) -> None:
        """Make room so that what stands in front of ``coming`` more bytes is aligned to ``width``."""
        self._widest = max(self._widest, width)
        self._put(bytes(-(self.size + coming) % width))

    def _put(self, piece: bytes) -> int:
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)
        return self.size


def _offset(distance: int) -> bytes:
    return struct.pack("<I", distance)

"""Bounds-checked access to one flatbuffers buffer.

Nothing is read before the place it stands in is known to lie inside the buffer, and nothing is allocated by a
count that was not compared with the bytes that are there. The rules are those of the flatbuffers format
(https://flatbuffers.dev/internals): a table starts with a signed offset back to its vtable, the vtable lists where
each field stands inside the table, strings and vectors start with a count, everything is little-endian and
aligned to its size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from model_opt.nb.errors import fault

_U32 = struct.Struct("<I").unpack_from
_I32 = struct.Struct("<i").unpack_from

# Writers may share strings and tables, so the sum of what is read can pass the size of the buffer; a buffer whose
# offsets all point at the same large table would cost the square of its size without a limit.
_SHARING = 2

NUMBERS = {
    kind: struct.Struct(f"<{code}") for kind, code in zip(("u8", "i32", "f32", "i64", "f64"), "Bifqd", strict=True)
}
"""How each type of number is stored."""
WIDTHS = {kind: stored.size for kind, stored in NUMBERS.items()}
"""The bytes of each type of number."""


@dataclass(frozen=True)
class TableKind:
    """The fields of one table type in slot order: ``(name, type)``.

    Types: ``u8``, ``i32``, ``f32``, ``i64``, ``f64``, ``string``, the name of a table type, and each in brackets for a
    vector of it.
    """

    name: str
    fields: tuple[tuple[str, str], ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """The bytes that each field takes inside the table: a number's own, 4 for an offset."""
        return tuple(WIDTHS.get(kind, 4) for _, kind in self.fields)


class Flat:
    """One flatbuffers buffer: the bytes ``start`` to ``end`` of ``data``. Positions are positions in ``data``."""

    __slots__ = ("_budget", "_vtables", "data", "end", "section", "start")

    def __init__(self, data: bytes, start: int, end: int, section: str, *, free: int = 0) -> None:
        """``free``: how many bytes may be read in any case, however small the buffer is."""
        self.data = data
        self.start = start
        self.end = end
        self.section = section
        self._budget = max(_SHARING * (end - start), free)
        self._vtables: dict[tuple[int, str], tuple[int, tuple[int, ...]]] = {}

    def fail(self, at: int, expected: str, found: str) -> NoReturn:
        """Raise the error for the byte position ``at``."""
        fault(self.section, at, expected, found)

    def root(self, kind: TableKind) -> Table:
        """Return the root table."""
        if self.end - self.start < 8:
            self.fail(self.start, "at least 8 bytes", f"{self.end - self.start}")
        return self.table(self.follow(self.start), kind)

    def follow(self, at: int) -> int:
        """Return where the offset stored at ``at`` (4 checked bytes) points: inside the buffer, aligned to 4."""
        (offset,) = _U32(self.data, at)
        target = at + offset
        if offset < 4 or target + 4 > self.end or (target - self.start) & 3:
            self.fail(at, f"an aligned offset to before byte {self.end - 3}", f"offset {offset}")
        return int(target)

    def spend(self, at: int, count: int) -> None:
        """Count ``count`` bytes as read, so that overlapping offsets cannot multiply the work."""
        self._budget -= count
        if self._budget < 0:
            self.fail(at, "tables, strings and vectors that do not overlap", "more content than the section holds")

    def table(self, at: int, kind: TableKind) -> Table:
        """Return the table at ``at`` (4 checked, aligned bytes)."""
        vtable = at - _I32(self.data, at)[0]
        cached = self._vtables.get((vtable, kind.name))
        if cached is None:
            cached = self._vtables[vtable, kind.name] = self._vtable(at, vtable, kind)
        size, offsets = cached
        if at + size > self.end:
            self.fail(at, f"a {kind.name} of {size} bytes before byte {self.end}", f"{self.end - at} bytes")
        self.spend(at, size)
        return Table(self, at, kind, offsets)

    def _vtable(self, table: int, at: int, kind: TableKind) -> tuple[int, tuple[int, ...]]:
        """Check the vtable at ``at``; return the table's size and, for each slot of ``kind``, the field's place."""
        if at < self.start or at + 4 > self.end or (at - self.start) & 1:
            self.fail(table, f"the vtable of {kind.name} inside the section", f"byte {at}")
        vtable_size, table_size = struct.unpack_from("<HH", self.data, at)
        if vtable_size < 4 or vtable_size & 1 or at + vtable_size > self.end or table_size < 4:
            self.fail(at, f"a vtable of {kind.name}", f"sizes {vtable_size} and {table_size}")
        self.spend(at, vtable_size)
        offsets = struct.unpack_from(f"<{(vtable_size - 4) // 2}H", self.data, at + 4)
        known = kind.fields
        if any(offsets[len(known) :]):
            self.fail(at, f"at most {len(known)} fields in {kind.name}", f"{len(offsets)}, as a later opt may write")
        for (name, _), width, offset in zip(known, kind.widths, offsets, strict=False):
            if offset and (offset < 4 or offset + width > table_size or offset & (min(width, 4) - 1)):
                self.fail(at, f"{kind.name}.{name} inside a table of {table_size} bytes", f"offset {offset}")
        return table_size, offsets[: len(known)] + (0,) * (len(known) - len(offsets))

    def vector(self, at: int, width: int, what: str) -> tuple[int, int]:
        """Return first byte and count of the vector at ``at`` (4 checked bytes) with elements of ``width`` bytes."""
        (count,) = _U32(self.data, at)
        first = at + 4
        if count * width > self.end - first or (width == 8 and count and (first - self.start) & 7):
            self.fail(at, f"{what}: at most {(self.end - first) // width} aligned elements", f"{count}")
        self.spend(at, 4 + count * width)
        return first, count

    def text(self, at: int, what: str, *, errors: str) -> str:
        """Return the string at ``at`` (4 checked bytes): a count, UTF-8 and a NUL."""
        (size,) = _U32(self.data, at)
        first = at + 4
        if size >= self.end - first or self.data[first + size]:
            self.fail(at, f"{what}: a string that ends with NUL before byte {self.end}", f"{size} bytes")
        self.spend(at, 5 + size)
        try:
            return self.data[first : first + size].decode("utf-8", errors)
        except UnicodeDecodeError:
            self.fail(at, f"{what} in UTF-8", repr(self.data[first : first + min(size, 40)]))


class Table:
    """One table. Fields are asked for by slot; an absent field gives the default."""

    __slots__ = ("_offsets", "at", "flat", "kind")

    def __init__(self, flat: Flat, at: int, kind: TableKind, offsets: tuple[int, ...]) -> None:
        self.flat = flat
        self.at = at
        self.kind = kind
        self._offsets = offsets

    def what(self, slot: int) -> str:
        """Return ``Table.field`` for messages."""
        return f"{self.kind.name}.{self.kind.fields[slot][0]}"

    def has(self, slot: int) -> bool:
        """Return whether the field is present."""
        return self._offsets[slot] != 0

    def number(self, slot: int, default: int = 0) -> Any:
        """Return a number of the slot's type; one of 8 bytes must be aligned."""
        offset, kind = self._offsets[slot], self.kind.fields[slot][1]
        if not offset:
            return default
        if WIDTHS[kind] == 8 and (self.at + offset - self.flat.start) & 7:
            self.flat.fail(self.at + offset, f"{self.what(slot)} aligned to 8 bytes", "an unaligned place")
        return NUMBERS[kind].unpack_from(self.flat.data, self.at + offset)[0]

    def flag(self, slot: int) -> bool:
        """Return a bool, False when absent; any byte but 0 and 1 is an error."""
        value = self.number(slot)
        if value > 1:
            self.flat.fail(self.at + self._offsets[slot], f"{self.what(slot)}: 0 or 1", f"{value}")
        return bool(value)

    def raw(self, slot: int) -> bytes:
        """Return the bytes of a number that is present."""
        first = self.at + self._offsets[slot]
        return self.flat.data[first : first + self.kind.widths[slot]]

    def string(self, slot: int, *, errors: str = "strict") -> str:
        """Return a string that must be present; a name must be valid UTF-8."""
        if not self._offsets[slot]:
            self.flat.fail(self.at, f"{self.what(slot)}", "nothing")
        return self.flat.text(self.flat.follow(self.at + self._offsets[slot]), self.what(slot), errors=errors)

    def lenient_string(self, slot: int) -> str:
        """Return free text, empty when absent; bytes that are not UTF-8 are shown as ``\\xNN``."""
        return self.string(slot, errors="backslashreplace") if self.has(slot) else ""

    def table(self, slot: int, kind: TableKind) -> Table | None:
        """Return a sub-table, None when absent."""
        if not self._offsets[slot]:
            return None
        return self.flat.table(self.flat.follow(self.at + self._offsets[slot]), kind)

    def need_table(self, slot: int, kind: TableKind) -> Table:
        """Return a sub-table that must be present."""
        table = self.table(slot, kind)
        if table is None:
            self.flat.fail(self.at, f"{self.what(slot)}", "nothing")
        return table

    def tables(self, slot: int, kind: TableKind) -> Iterator[Table]:
        """Yield the tables of a vector of tables, none when absent."""
        flat = self.flat
        first, count = self.raw_vector(slot, 4)
        for at in range(first, first + 4 * count, 4):
            yield flat.table(flat.follow(at), kind)

    def strings(self, slot: int, *, errors: str) -> tuple[str, ...]:
        """Return a vector of strings, empty when absent."""
        flat = self.flat
        first, count = self.raw_vector(slot, 4)
        what = self.what(slot)
        return tuple(flat.text(flat.follow(at), what, errors=errors) for at in range(first, first + 4 * count, 4))

    def numbers(self, slot: int) -> tuple[Any, ...]:
        """Return a vector of numbers of the slot's type, empty when absent."""
        stored = NUMBERS[self.kind.fields[slot][1].strip("[]")]
        first, count = self.raw_vector(slot, stored.size)
        return struct.unpack_from(f"<{count}{stored.format[1:]}", self.flat.data, first) if count else ()

    def flags(self, slot: int) -> tuple[bool, ...]:
        """Return a vector of bools; any byte but 0 and 1 is an error."""
        first, count = self.raw_vector(slot, 1)
        values = self.flat.data[first : first + count]
        if values.count(0) + values.count(1) != count:
            self.flat.fail(first, f"{self.what(slot)}: bytes 0 or 1", repr(values[:40]))
        return tuple(map(bool, values))

    def raw_vector(self, slot: int, width: int) -> tuple[int, int]:
        """Return first byte and count of a vector, ``(0, 0)`` when absent."""
        if not self._offsets[slot]:
            return 0, 0
        return self.flat.vector(self.flat.follow(self.at + self._offsets[slot]), width, self.what(slot))

"""A topology that holds each string, list and table once.

opt writes one for every use: 852 tables of attributes in the 8-bit detector, of which 119 differ. Offsets of a
flatbuffer may meet (https://flatbuffers.dev/internals), and Paddle Lite reads by offsets: its ``VerifyBuffer`` counts
tables and depth, not overlaps, and both of its readers, the views of the light engine and ``UnPackTo`` of the full one,
copy what they take.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from model_opt.nb.canonical import FREE_READS, HEADER, parse_header
from model_opt.nb.flat import WIDTHS, Flat, Table
from model_opt.nb.schema import PROGRAM, TOPOLOGY

if TYPE_CHECKING:
    from flatbuffers import Builder

_EXACT = "surrogateescape"


def share_equal_parts(data: bytes) -> bytes:
    """Return a ``.nb`` file whose topology stores equal strings, lists and tables once; it reads as the same model.

    Every field keeps its value, and is present or absent as before; header and parameters stay as they are. Doing it
    twice is doing it once. A topology beyond ``FREE_READS`` stays as it is: a reader takes no more overlaps than that.
    Raises ``NbError`` for a damaged file.
    """
    from flatbuffers import Builder

    _, _, end = parse_header(data)
    if end - HEADER.size > FREE_READS:
        return data
    topology = Flat(data, HEADER.size, end, "topology", free=FREE_READS)
    builder = Builder(end - HEADER.size)
    builder.Finish(_Copy(builder).table(topology.root(PROGRAM)))
    made = bytes(builder.Output())
    return data[: HEADER.size - 8] + struct.pack("<Q", len(made)) + made + data[end:]


class _Copy:
    """Copies tables into a builder. What is made is named by its content; places in the builder stand for children."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._made: dict[Hashable, int] = {}

    def table(self, table: Table) -> int:
        """Return where the table's copy stands."""
        slots = [slot for slot in range(len(table.kind.fields)) if table.has(slot)]
        fields = tuple((slot, self._field(table, slot, table.kind.fields[slot][1])) for slot in slots)
        return self._once(("table", fields), lambda: self._put_table(table, fields))

    def _once(self, content: Hashable, put: Callable[[], int]) -> int:
        if content not in self._made:
            self._made[content] = put()
        return self._made[content]

    def _field(self, table: Table, slot: int, kind: str) -> bytes | int:
        """Return a number's bytes, or where the copy of anything else stands."""
        if kind in WIDTHS:
            return table.raw(slot)
        if kind == "string":
            return self._string(_encoded(table.string(slot, errors=_EXACT)))
        if kind == "[string]":
            return self._offsets([self._string(_encoded(one)) for one in table.strings(slot, errors=_EXACT)])
        if not kind.startswith("["):
            return self.table(table.need_table(slot, TOPOLOGY[kind]))
        inner = kind.strip("[]")
        if inner in TOPOLOGY:
            return self._offsets([self.table(one) for one in table.tables(slot, TOPOLOGY[inner])])
        width = WIDTHS[inner]
        first, count = table.raw_vector(slot, width)
        return self._numbers(table.flat.data[first : first + count * width], width)

    def _string(self, text: bytes) -> int:
        return self._once(("string", text), lambda: int(self._builder.CreateString(text)))

    def _offsets(self, places: list[int]) -> int:
        def put() -> int:
            self._builder.StartVector(4, len(places), 4)
            for place in reversed(places):
                self._builder.PrependUOffsetTRelative(place)
            return int(self._builder.EndVector())

        return self._once(("offsets", tuple(places)), put)

    def _numbers(self, content: bytes, width: int) -> int:
        def put() -> int:
            self._builder.StartVector(width, len(content) // width, width)
            for first in range(len(content) - width, -1, -width):
                self._number(content[first : first + width])
            return int(self._builder.EndVector())

        return self._once(("numbers", content, width), put)

    def _number(self, content: bytes) -> None:
        prepend = {1: self._builder.PrependUint8, 4: self._builder.PrependUint32, 8: self._builder.PrependUint64}
        prepend[len(content)](int.from_bytes(content, "little"))

    def _put_table(self, table: Table, fields: tuple[tuple[int, bytes | int], ...]) -> int:
        """Write wide fields first, so that none needs padding in front of it."""
        widths = table.kind.widths
        self._builder.StartObject(len(widths))
        for slot, content in sorted(fields, key=lambda field: (-widths[field[0]], field[0])):
            if isinstance(content, bytes):
                self._number(content)
            else:
                self._builder.PrependUOffsetTRelative(content)
            self._builder.Slot(slot)
        return int(self._builder.EndObject())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", _EXACT)

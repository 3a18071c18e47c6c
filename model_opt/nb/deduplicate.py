"""Deduplicate the topology of a ``.nb`` file: each string, list and table is stored once.

opt writes one for every use: 852 tables of attributes in the 8-bit detector, of which 119 differ. Offsets of a
flatbuffer may meet (https://flatbuffers.dev/internals), and Paddle Lite reads by offsets: its ``VerifyBuffer`` counts
tables and depth, not overlaps, and both of its readers, the views of the light engine and ``UnPackTo`` of the full one,
copy what they take.
"""

from __future__ import annotations

import struct

from model_opt.nb.canonical import FREE_READS, HEADER, parse_header
from model_opt.nb.flat import WIDTHS, Flat, Table
from model_opt.nb.pack import Content, Part, pack_shared
from model_opt.nb.schema import PROGRAM, TOPOLOGY

_EXACT = "surrogateescape"


def deduplicate_parts(data: bytes) -> bytes:
    """Return a ``.nb`` file whose topology stores equal strings, lists and tables once; it reads as the same model.

    Every field keeps its value, and is present or absent as before; header and parameters stay as they are. Doing it
    twice is doing it once. A topology beyond ``FREE_READS`` stays as it is: a reader takes no more overlaps than that.
    Raises ``NbError`` for a damaged file.
    """
    _, _, end = parse_header(data)
    if end - HEADER.size > FREE_READS:
        return data
    topology = Flat(data, HEADER.size, end, "topology", free=FREE_READS)
    made = pack_shared(_part(topology.root(PROGRAM)), FREE_READS)
    return data[: HEADER.size - 8] + struct.pack("<Q", len(made)) + made + data[end:]


def _part(table: Table) -> Part:
    """Return a table of a buffer as a value: its fields, present or absent as they are."""
    slots = [slot for slot in range(len(table.kind.fields)) if table.has(slot)]
    return Part(table.kind, {slot: _content(table, slot, table.kind.fields[slot][1]) for slot in slots})


def _content(table: Table, slot: int, kind: str) -> Content:
    if kind in WIDTHS:
        return table.raw(slot)
    if kind == "string":
        return _encoded(table.string(slot, errors=_EXACT))
    if kind == "[string]":
        return tuple(_encoded(one) for one in table.strings(slot, errors=_EXACT))
    if not kind.startswith("["):
        return _part(table.need_table(slot, TOPOLOGY[kind]))
    inner = kind.strip("[]")
    if inner in TOPOLOGY:
        return tuple(_part(one) for one in table.tables(slot, TOPOLOGY[inner]))
    width = WIDTHS[inner]
    first, count = table.raw_vector(slot, width)
    return table.flat.data[first : first + count * width]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", _EXACT)

"""The wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding), as much as a model needs.

Paddle's own message classes cannot be used without paddlepaddle, and a second set of classes of the same names
clashes with them in one process. A message is decoded by a table of field kinds; what the table does not list
(a later Paddle may add fields) is kept as it stood and written back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from model_opt.paddle_model.errors import fault

Extra = tuple[tuple[int, bytes], ...]
"""Fields that nobody here knows: number and raw bytes, tag included."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_F32 = struct.Struct("<f")
_F64 = struct.Struct("<d")
_MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Schema:
    """A message type: its name and, for each known field number, ``int``, ``i32``, ``f32``, ``f64`` or ``bytes``."""

    name: str
    kinds: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of a file and its path for messages."""

    data: bytes
    path: Path | None

    def fail(self, at: int, what: str, expected: str, found: str) -> NoReturn:
        """Raise the error for byte ``at``."""
        fault(what, expected, found, path=self.path, offset=at)


Span = tuple[int, int]
Value = int | float | Span


class Message:
    """A decoded message: values by field number (spans of the source for strings and sub-messages)."""

    __slots__ = ("at", "extra", "schema", "source", "values")

    def __init__(self, source: Source, at: int, schema: Schema, values: dict[int, list[Value]], extra: Extra) -> None:
        self.source = source
        self.at = at
        self.schema = schema
        self.values = values
        self.extra = extra

    def _one(self, number: int) -> Value | None:
        found = self.values.get(number)
        if not found:  # absent, or packed and empty
            return None
        if len(found) > 1:
            self.source.fail(self.at, f"{self.schema.name} field {number}", "one value", f"{len(found)}")
        return found[0]

    def integer(self, number: int) -> int | None:
        """Return a signed integer or enum number, None when absent."""
        value = self._one(number)
        return value if isinstance(value, int) else None

    def flag(self, number: int) -> bool | None:
        """Return a bool, None when absent."""
        value = self._one(number)
        return None if value is None else bool(value)

    def real(self, number: int) -> float | None:
        """Return a float, None when absent."""
        value = self._one(number)
        return value if isinstance(value, float) else None

    def span(self, number: int) -> Span | None:
        """Return where a string or sub-message stands, None when absent."""
        value = self._one(number)
        return value if isinstance(value, tuple) else None

    def text(self, number: int) -> str | None:
        """Return a string, None when absent. Bytes that are not UTF-8 survive as surrogates."""
        span = self.span(number)
        return None if span is None else self._decode(span)

    def need_text(self, number: int) -> str:
        """Return a string that must be there."""
        text = self.text(number)
        if text is None:
            self.source.fail(self.at, self.schema.name, f"field {number}, a name", "nothing")
        return text

    def need_integer(self, number: int) -> int:
        """Return a number that must be there."""
        value = self.integer(number)
        if value is None:
            self.source.fail(self.at, self.schema.name, f"field {number}, a number", "nothing")
        return value

    def integers(self, number: int) -> tuple[int, ...]:
        """Return a repeated integer field."""
        return tuple(value for value in self.values.get(number, ()) if isinstance(value, int))

    def reals(self, number: int) -> tuple[float, ...]:
        """Return a repeated float field."""
        return tuple(value for value in self.values.get(number, ()) if isinstance(value, float))

    def spans(self, number: int) -> tuple[Span, ...]:
        """Return where repeated strings or sub-messages stand."""
        return tuple(value for value in self.values.get(number, ()) if isinstance(value, tuple))

    def texts(self, number: int) -> tuple[str, ...]:
        """Return a repeated string field."""
        return tuple(map(self._decode, self.spans(number)))

    def _decode(self, span: Span) -> str:
        return self.source.data[span[0] : span[1]].decode("utf-8", "surrogateescape")


def decode(source: Source, span: Span, schema: Schema) -> Message:
    """Decode the message that stands at ``span``. Raises ``PaddleModelError`` for bytes that are no message."""
    values: dict[int, list[Value]] = {}
    extra: list[tuple[int, bytes]] = []
    at, end = span
    kinds = schema.kinds
    while at < end:
        begin = at
        tag, at = _varint(source, at, end, schema)
        number, wire = tag >> 3, tag & 7
        value, at = _value(source, at, end, number, wire, schema)
        kind = kinds.get(number)
        if kind is None:
            extra.append((number, source.data[begin:at]))
        else:
            values.setdefault(number, []).extend(_typed(source, begin, kind, wire, value, schema))
    return Message(source, span[0], schema, values, tuple(extra))


def _varint(source: Source, at: int, end: int, schema: Schema) -> tuple[int, int]:
    data = source.data
    result = shift = 0
    start = at
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & _MASK64, at
        shift += 7
    return source.fail(start, schema.name, "a number of at most 10 bytes", "no end of it")


def _value(source: Source, at: int, end: int, number: int, wire: int, schema: Schema) -> tuple[int | Span, int]:
    """Return the value behind a tag (a number for a varint, else a span) and the position behind it."""
    if number == 0 or wire not in (VARINT, FIXED64, LENGTH, FIXED32):
        source.fail(at, schema.name, "a field of a known wire type", f"field {number} of wire type {wire}")
    if wire == VARINT:
        return _varint(source, at, end, schema)
    if wire == LENGTH:
        size, at = _varint(source, at, end, schema)
    else:
        size = 8 if wire == FIXED64 else 4
    if size > end - at:
        source.fail(at, f"{schema.name} field {number}", f"at most {end - at} bytes", f"{size}")
    return (at, at + size), at + size


def _typed(source: Source, begin: int, kind: str, wire: int, value: int | Span, schema: Schema) -> list[Value]:
    """Return the values of one field; a packed field holds many."""
    if isinstance(value, int):
        if kind in ("int", "i32"):
            return [_signed(source, begin, kind, value, schema)]
    elif wire == LENGTH:
        return [value] if kind == "bytes" else _packed(source, kind, value, schema)
    elif (kind, wire) in (("f32", FIXED32), ("f64", FIXED64)):
        return list((_F32 if kind == "f32" else _F64).unpack_from(source.data, value[0]))
    return source.fail(begin, schema.name, f"a field of kind {kind}", f"wire type {wire}")


def _signed(source: Source, at: int, kind: str, value: int, schema: Schema) -> int:
    signed = value - (1 << 64) if value >> 63 else value
    if kind == "i32" and not fits_32_bits(signed):
        source.fail(at, schema.name, "a number of 32 bits", f"{signed}")
    return signed


def fits_32_bits(value: int) -> bool:
    """Return whether a signed 32-bit field can hold ``value``."""
    return -(1 << 31) <= value < 1 << 31


def _packed(source: Source, kind: str, span: Span, schema: Schema) -> list[Value]:
    at, end = span
    numbers: list[Value] = []
    if kind in ("int", "i32"):
        while at < end:
            value, at = _varint(source, at, end, schema)
            numbers.append(_signed(source, at, kind, value, schema))
        return numbers
    size = 4 if kind == "f32" else 8
    if (end - at) % size:
        source.fail(at, schema.name, f"packed floats of {size} bytes", f"{end - at} bytes")
    return list(struct.unpack_from(f"<{(end - at) // size}{'f' if kind == 'f32' else 'd'}", source.data, at))


def put_varint(value: int) -> bytes:
    """Encode an integer; a negative one takes ten bytes, as in protocol buffers' ``int32`` and ``int64``."""
    value &= _MASK64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put_int(number: int, value: int | None) -> list[tuple[int, bytes]]:
    """Encode an integer, enum or bool field; nothing for None."""
    return [] if value is None else [(number, put_varint(number << 3 | VARINT) + put_varint(int(value)))]


def put_f32(number: int, value: float) -> tuple[int, bytes]:
    """Encode a 32-bit float field."""
    return number, put_varint(number << 3 | FIXED32) + _F32.pack(value)


def put_f64(number: int, value: float) -> tuple[int, bytes]:
    """Encode a 64-bit float field."""
    return number, put_varint(number << 3 | FIXED64) + _F64.pack(value)


def put_bytes(number: int, value: bytes) -> tuple[int, bytes]:
    """Encode a string or sub-message field."""
    return number, put_varint(number << 3 | LENGTH) + put_varint(len(value)) + value


def put_text(number: int, value: str) -> tuple[int, bytes]:
    """Encode a string field; surrogates of ``Message.text`` become the bytes they came from."""
    return put_bytes(number, value.encode("utf-8", "surrogateescape"))


def encode(fields: Iterable[tuple[int, bytes]]) -> bytes:
    """Join encoded fields in the order of their numbers; fields of one number keep their order."""
    return b"".join(data for _, data in sorted(fields, key=lambda field: field[0]))

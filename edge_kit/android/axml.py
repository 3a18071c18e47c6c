"""Read the compiled ``AndroidManifest.xml`` of an APK.

Layout: AOSP ``ResourceTypes.h`` (ResChunk_header, ResStringPool_header, ResXMLTree_node, Res_value).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_kit.android.errors import AndroidError

Value = str | int | bool

_STRINGS, _START, _END = 0x0001, 0x0102, 0x0103
_UTF8 = 1 << 8
_NONE = 0xFFFFFFFF
_TYPE_STRING, _TYPE_BOOLEAN = 0x03, 0x12


@dataclass
class Element:
    """An element: its name, its attributes without their namespace, the elements inside."""

    name: str
    attributes: dict[str, Value]
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        """Yield every element called ``name`` below this one, in the order of the file."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all(name)


def read_axml(data: bytes, name: str) -> Element:
    """Return the root element of compiled XML; ``AndroidError`` naming ``name`` when it is damaged."""
    try:
        return _read(data)
    except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
        raise AndroidError(
            f"this is not a complete compiled XML file: {error}", path=name, hint="build it again"
        ) from error


def _read(data: bytes) -> Element:
    top = Element("", {})
    stack = [top]
    strings: list[str] = []
    for kind, at, header in _chunks(data):
        if kind == _STRINGS:
            strings = _string_pool(data, at)
        elif kind == _START:
            element = _element(data, at + header, strings)
            stack[-1].children.append(element)
            stack.append(element)
        elif kind == _END:
            stack.pop()
    if len(stack) != 1 or len(top.children) != 1:
        raise ValueError("its elements do not close")
    return top.children[0]


def _chunks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield kind, offset and header length of each chunk inside the one that is the file."""
    kind, header, size = struct.unpack_from("<HHI", data)
    if kind != 0x0003 or size != len(data):
        raise ValueError("the header is wrong")
    at = header
    while at < size:
        kind, header, length = struct.unpack_from("<HHI", data, at)
        if length < 8 or at + length > size:
            raise ValueError("a chunk ends behind the file")
        yield kind, at, header
        at += length


def _string_pool(data: bytes, at: int) -> list[str]:
    _, header, _, count, _, flags, start, _ = struct.unpack_from("<HHIIIIII", data, at)
    offsets = struct.unpack_from(f"<{count}I", data, at + header)
    read = _utf8 if flags & _UTF8 else _utf16
    return [read(data, at + start + offset) for offset in offsets]


def _utf8(data: bytes, at: int) -> str:
    at += 2 if data[at] & 0x80 else 1  # the length in UTF-16 units
    length = data[at]
    at += 1
    if length & 0x80:
        length = (length & 0x7F) << 8 | data[at]
        at += 1
    return data[at : at + length].decode("utf-8")


def _utf16(data: bytes, at: int) -> str:
    (length,) = struct.unpack_from("<H", data, at)
    at += 2
    if length & 0x8000:
        length = (length & 0x7FFF) << 16 | struct.unpack_from("<H", data, at)[0]
        at += 2
    return data[at : at + 2 * length].decode("utf-16-le")


def _element(data: bytes, at: int, strings: list[str]) -> Element:
    _, name, start, size, count = struct.unpack_from("<IIHHH", data, at)
    attributes: dict[str, Value] = {}
    for index in range(count):
        _, key, raw, _, _, kind, value = struct.unpack_from("<IIIHBBI", data, at + start + index * size)
        if kind == _TYPE_STRING:
            attributes[strings[key]] = strings[value]
        elif kind == _TYPE_BOOLEAN:
            attributes[strings[key]] = value != 0
        else:
            attributes[strings[key]] = value if raw == _NONE else strings[raw]
    return Element(strings[name], attributes)

"""Does the app use only what Android has since its lowest version? Every reference of the dex is looked up.

The list of an API level comes from animal-sniffer's signature files: a gzipped Java object stream of ``Clazz`` values
(name, superclass, interfaces, members), read here without Java. Grammar: Java Object Serialization Specification,
chapter 6.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.android.dex import DexFile, Member
from edge_kit.android.errors import AndroidError


@dataclass(frozen=True)
class ApiClass:
    """A class of an API level: its superclass and interfaces, and its members as ``name(arguments)result`` or
    ``name#type``."""

    parents: tuple[str, ...]
    members: frozenset[str]


Api = Mapping[str, ApiClass]


def read_api(path: Path) -> dict[str, ApiClass]:
    """Return the classes of a signature file by name; ``AndroidError`` when it is damaged."""
    try:
        return dict(_Stream(gzip.decompress(path.read_bytes())).classes())
    except (OSError, EOFError, zlib.error, struct.error, ValueError, IndexError, KeyError, TypeError) as error:
        told = f"the list of Android's classes is damaged: {error}"
        raise AndroidError(told, path=path, hint="fetch it again") from error


def unknown_references(dex: DexFile, api: Api, newer: Collection[str] = ()) -> tuple[str, ...]:
    """Return what ``dex`` refers to that neither it nor ``api`` has: classes, then members as ``class.name(…)…``.

    A member may be inherited from any class or interface above. ``newer`` names classes, and members as
    ``class.name``, that the app reaches only on Android versions that have them.
    """
    lost = {name for name in dex.referred if name not in dex.classes and name not in api}
    lost = {name for name in lost if not name.startswith("dalvik/annotation/")}  # the dex format's own
    found = [name for name in sorted(lost) if name not in newer]
    spelt = [(m, f"{m.name}{m.shape}") for m in dex.methods] + [(f, f"{f.name}#{f.shape}") for f in dex.fields]
    for member, signature in spelt:
        told = f"{member.owner}.{member.name}"
        excused = not member.owner or member.owner in lost or told in newer
        if not excused and not _known(member, signature, dex, api):
            found.append(f"{told}{member.shape}")
    return tuple(found)


def _known(member: Member, signature: str, dex: DexFile, api: Api) -> bool:
    """Look for a member on its class and on everything above that."""
    pending, seen = [member.owner], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in dex.classes:
            if Member(name, member.name, member.shape) in dex.declared:
                return True
            pending += dex.classes[name]
        elif name in api:
            if signature in api[name].members:
                return True
            # An interface's value can do what every object can.
            pending += api[name].parents or ("java/lang/Object",)
    return False


_NULL, _REFERENCE, _CLASS, _OBJECT, _STRING, _ARRAY = range(0x70, 0x76)
_BLOCK, _END_OF_BLOCK = 0x77, 0x78
_FIRST_HANDLE = 0x7E0000
_WRITES_MORE = 0x01
_LENGTHS = {"B": 1, "C": 2, "D": 8, "F": 4, "I": 4, "J": 8, "S": 2, "Z": 1}


@dataclass(frozen=True)
class _Described:
    """A class as the stream describes it: its fields as (type, name), its flags, the one above."""

    name: str
    flags: int
    fields: tuple[tuple[str, str], ...]
    above: _Described | None


class _Stream:
    """A Java object stream: as much of the grammar as lists of classes use."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != b"\xac\xed\x00\x05":
            raise ValueError("this is no Java object stream")
        self.data = data
        self.at = 4
        self.handles: list[Any] = []

    def classes(self) -> Iterator[tuple[str, ApiClass]]:
        """Yield every class up to the null at the end."""
        while (found := self._content()) is not None:
            parents = [*filter(None, [found["superClass"]]), *(found["superInterfaces"] or ())]
            yield found["name"], ApiClass(tuple(parents), frozenset(found["signatures"]))

    def _take(self, shape: str) -> Any:
        value = struct.unpack_from(f">{shape}", self.data, self.at)
        self.at += struct.calcsize(f">{shape}")
        return value[0]

    def _text(self) -> str:
        length = self._take("H")
        self.at += length
        return self.data[self.at - length : self.at].decode("utf-8")

    def _content(self) -> Any:
        kind = self._take("B")
        if kind == _NULL:
            return None
        if kind == _REFERENCE:
            return self.handles[self._take("I") - _FIRST_HANDLE]
        if kind == _STRING:
            self.handles.append(text := self._text())
            return text
        if kind == _CLASS:
            return self._class()
        if kind == _OBJECT:
            return self._object()
        if kind == _ARRAY:
            self._content()
            values: list[Any] = []
            self.handles.append(values)
            values += [self._content() for _ in range(self._take("I"))]
            return values
        raise ValueError(f"unknown kind {kind:#x} at byte {self.at}")

    def _class(self) -> _Described:
        name = self._text()
        self.at += 8  # the serial version
        place = len(self.handles)
        self.handles.append(None)
        flags = self._take("B")
        fields = []
        for _ in range(self._take("H")):
            kind, field_name = chr(self._take("B")), self._text()
            if kind in "L[":
                self._content()  # the field's type
            fields.append((kind, field_name))
        if self._take("B") != _END_OF_BLOCK:
            raise ValueError(f"class {name} is annotated")
        self.handles[place] = made = _Described(name, flags, tuple(fields), self._content())
        return made

    def _object(self) -> Any:
        """Return the fields of an object by name, or the elements of a set."""
        described = self._content()
        place = len(self.handles)
        self.handles.append(None)
        line = [described]
        while line[-1].above is not None:
            line.append(line[-1].above)
        fields: dict[str, Any] = {}
        elements: list[Any] | None = None
        for part in reversed(line):
            for kind, name in part.fields:
                fields[name] = self._content() if kind in "L[" else self._bytes(_LENGTHS[kind])
            if part.flags & _WRITES_MORE:
                elements = self._elements()
        self.handles[place] = value = fields if elements is None else elements
        return value

    def _elements(self) -> list[Any]:
        """Return what a HashSet writes: capacity, load factor and size in a block, then the elements."""
        if self._take("B") != _BLOCK or self._take("B") != 12:
            raise ValueError("a set of an unknown shape")
        self._bytes(8)
        found = [self._content() for _ in range(self._take("I"))]
        if self._take("B") != _END_OF_BLOCK:
            raise ValueError("a set without an end")
        return found

    def _bytes(self, length: int) -> bytes:
        self.at += length
        return self.data[self.at - length : self.at]

"""Class files to dex by dx, and what the packager reads of a dex file to check it.

Layout: Android's documentation of the dex format (header, string, type, proto, field, method and class tables, map).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_kit.android.errors import AndroidError
from edge_kit.android.tools import OnPoll, require_tools, run_tool

_MAIN = "com.android.dx.command.Main"
_CALL_SITES = 0x0007
_NO_INDEX = 0xFFFFFFFF
_PRIMITIVE = frozenset("VZBSCIJFD")


@dataclass(frozen=True)
class Member:
    """A field or method that the code refers to; ``shape``: the field's type or the method's ``(arguments)result``."""

    owner: str
    name: str
    shape: str


@dataclass(frozen=True)
class DexFile:
    """What a dex file holds: its own classes, and every class, method and field it refers to (``java/lang/String``)."""

    version: str
    classes: Mapping[str, tuple[str, ...]] = field(hash=False)
    """Each class with its superclass and interfaces."""
    referred: frozenset[str]
    methods: tuple[Member, ...]
    fields: tuple[Member, ...]
    declared: frozenset[Member] = field(hash=False)
    """The methods and fields that its own classes declare."""
    call_sites: int
    """Places of ``invoke-custom``: what is left of an invokedynamic, which Android knows only since API 26 and
    whose bootstrap methods it lacks."""


def make_dex(classes: Path, dx: Path, min_sdk: int, out: Path, on_poll: OnPoll | None = None) -> DexFile:
    """Turn the jar ``classes`` into ``out`` and return what is in it.

    Raises ``ToolFailed`` with dx's message, ``AndroidError`` for code that Android cannot run though dx took it.
    """
    java = require_tools(("java",))["java"]
    run_tool(
        "turn the app's classes into dex",
        [
            java, "-Xmx1500m", "-XX:+UseSerialGC", "-cp", dx, _MAIN, "--dex", f"--min-sdk-version={min_sdk}",
            f"--output={out}", classes,
        ],
        hint="dx reads class files up to Java 8: compile the named class with target 1.8",
        on_poll=on_poll,
    )  # fmt: skip
    found = read_dex(out.read_bytes(), str(out))
    if found.call_sites:
        raise AndroidError(
            f"{found.call_sites} calls of the app are invokedynamic, which Android cannot run",
            path=classes,
            hint="compile Kotlin with -Xlambdas=class -Xsam-conversions=class -Xstring-concat=inline, Java for 1.8",
        )
    return found


def read_dex(data: bytes, name: str) -> DexFile:
    """Read a dex file; ``AndroidError`` naming ``name`` when it is none or is damaged."""
    try:
        return _Reader(data).read()
    except (struct.error, ValueError, IndexError) as error:
        raise AndroidError(f"this is not a complete dex file: {error}", path=name, hint="build it again") from error


class _Reader:
    """Reads the tables of one dex file; offsets are in bytes from its start."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != b"dex\n":
            raise ValueError("the magic number is missing")
        self.data = data
        (length,) = struct.unpack_from("<I", data, 32)
        if length != len(data):
            raise ValueError(f"the header says {length} bytes, there are {len(data)}")
        self.strings = [self._string(at) for (at,) in self._table(56, "<I")]
        self.types = [self.strings[index] for (index,) in self._table(64, "<I")]
        self.protos = [self._proto(*row) for row in self._table(72, "<III")]
        self.fields = tuple(
            Member(_class(self.types[owner]), self.strings[name], self.types[kind])
            for owner, kind, name in self._table(80, "<HHI")
        )
        self.methods = tuple(
            Member(_class(self.types[owner]), self.strings[name], self.protos[proto])
            for owner, proto, name in self._table(88, "<HHI")
        )

    def read(self) -> DexFile:
        rows = list(self._table(96, "<8I"))
        declared: set[Member] = set()
        for row in rows:
            declared.update(self._declared(row[6]))
        return DexFile(
            version=self.data[4:7].decode("ascii"),
            classes={_class(self.types[row[0]]): self._parents(row[2], row[3]) for row in rows},
            referred=frozenset(filter(None, map(_class, self.types))),
            methods=self.methods,
            fields=self.fields,
            declared=frozenset(declared),
            call_sites=self._map().get(_CALL_SITES, 0),
        )

    def _declared(self, at: int) -> Iterator[Member]:
        """Yield the members of one class; their indices are stored as differences."""
        if at == 0:
            return
        counts = []
        for _ in range(4):
            count, at = self._number(at)
            counts.append(count)
        for count, members, extra in zip(
            counts, (self.fields, self.fields, self.methods, self.methods), (1, 1, 2, 2), strict=True
        ):
            index = 0
            for _ in range(count):
                step, at = self._number(at)
                index += step
                yield members[index]
                for _ in range(extra):  # access flags, and the place of a method's code
                    _, at = self._number(at)

    def _number(self, at: int) -> tuple[int, int]:
        """Return an unsigned LEB128 number and the offset behind it."""
        value, shift = 0, 0
        while self.data[at] & 0x80:
            value |= (self.data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
        return value | self.data[at] << shift, at + 1

    def _table(self, at: int, shape: str) -> Iterator[tuple[int, ...]]:
        count, start = struct.unpack_from("<II", self.data, at)
        end = start + count * struct.calcsize(shape)
        if end > len(self.data):
            raise ValueError("a table ends behind the file")
        return struct.iter_unpack(shape, self.data[start:end])

    def _string(self, at: int) -> str:
        while self.data[at] & 0x80:  # the length in UTF-16 units, which the final zero makes needless
            at += 1
        at += 1
        return self.data[at : self.data.index(0, at)].decode("utf-8", "replace")

    def _proto(self, _: int, result: int, arguments: int) -> str:
        return f"({''.join(self._type_list(arguments))}){self.types[result]}"

    def _type_list(self, at: int) -> list[str]:
        if at == 0:
            return []
        (count,) = struct.unpack_from("<I", self.data, at)
        return [self.types[index] for index in struct.unpack_from(f"<{count}H", self.data, at + 4)]

    def _parents(self, superclass: int, interfaces: int) -> tuple[str, ...]:
        above = [] if superclass == _NO_INDEX else [self.types[superclass]]
        return tuple(map(_class, [*above, *self._type_list(interfaces)]))

    def _map(self) -> dict[int, int]:
        """Return how many items of each kind the file holds."""
        (at,) = struct.unpack_from("<I", self.data, 52)
        (count,) = struct.unpack_from("<I", self.data, at)
        rows = (struct.unpack_from("<HHII", self.data, at + 4 + 12 * index) for index in range(count))
        return {kind: size for kind, _, size, _ in rows}


def _class(descriptor: str) -> str:
    """Return the class name in a type descriptor; empty for a primitive type. An array stands for its elements."""
    element = descriptor.lstrip("[")
    return "" if element in _PRIMITIVE else element[1:-1]

"""What the packager must know of a native library: processor, alignment of its segments, libraries it needs.

Layout: System V ABI, chapters 4 and 5 (ELF header, program header, dynamic section).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge_kit.android.errors import RuntimeUnfit

MACHINES: Mapping[str, int] = {"arm64-v8a": 183, "armeabi-v7a": 40, "x86_64": 62}
"""ELF machine number of each ABI."""
PAGE = 16384
"""Page size that 64-bit devices may have since Android 15."""

_PT_LOAD, _PT_DYNAMIC, _PT_GNU_RELRO = 1, 2, 0x6474E552
_PF_W = 2
_DT_NEEDED, _DT_STRTAB, _DT_SONAME = 1, 5, 14


@dataclass(frozen=True)
class Segment:
    """A program header: kind and flags, place in the file, address, length in file and memory, alignment; in bytes."""

    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    align: int

    @property
    def end(self) -> int:
        """The address behind its last byte in memory."""
        return self.address + self.memory_size


@dataclass(frozen=True)
class Library:
    """What an ELF shared object says about itself."""

    machine: int
    bits: int
    segments: tuple[Segment, ...]
    soname: str | None
    needed: tuple[str, ...]

    @property
    def load_align(self) -> int:
        """The smallest alignment of a LOAD segment in bytes."""
        return min(s.align for s in self.segments if s.kind == _PT_LOAD)

    def closed_data(self, page: int) -> int:
        """Return how many bytes of writable data become read-only with the RELRO part, on pages of ``page`` bytes.

        After relocation Android's linker protects every page that this part touches (``phdr_table_protect_gnu_relro``
        of bionic): what else lies in its first and last page can no longer be written.
        """
        writable = [s for s in self.segments if s.kind == _PT_LOAD and s.flags & _PF_W]
        count = 0
        for relro in (s for s in self.segments if s.kind == _PT_GNU_RELRO):
            before = (relro.address // page * page, relro.address)
            behind = (relro.end, -(-relro.end // page) * page)
            for start, end in (before, behind):
                count += sum(max(0, min(end, load.end) - max(start, load.address)) for load in writable)
        return count


def read_library(data: bytes, name: str) -> Library:
    """Read a shared object; ``RuntimeUnfit`` naming ``name`` when it is none or is damaged."""
    if len(data) < 20 or data[:4] != b"\x7fELF" or data[5] != 1:
        raise RuntimeUnfit("this is no ELF file of a little-endian processor", path=name, hint="give a .so for Android")
    bits = {1: 32, 2: 64}.get(data[4], 0)
    try:
        kind, machine = struct.unpack_from("<HH", data, 16)
        segments = tuple(_segments(data, bits))
        entries = tuple(_dynamic(data, bits, segments))
        strings = _strings(data, segments, entries)
    except (struct.error, ValueError, OverflowError) as error:
        raise RuntimeUnfit(f"the library is damaged: {error}", path=name, hint="fetch it again") from error
    if kind != 3 or not any(s.kind == _PT_LOAD for s in segments):
        raise RuntimeUnfit("this is no shared library", path=name, hint="give a .so for Android")
    named = [(tag, _text(strings, value)) for tag, value in entries if tag in (_DT_NEEDED, _DT_SONAME)]
    soname = next((text for tag, text in named if tag == _DT_SONAME), None)
    return Library(machine, bits, segments, soname, tuple(text for tag, text in named if tag == _DT_NEEDED))


def check_library(data: bytes, name: str, abi: str) -> Library:
    """Return the library when it can be loaded on ``abi``; ``RuntimeUnfit`` says what is wrong.

    A 64-bit library must have every LOAD segment aligned to 16 KB, or devices with such pages refuse it; and no data
    in the pages of its RELRO part, or the first write to it ends the app.
    """
    library = read_library(data, name)
    if library.machine != MACHINES[abi]:
        known = {number: known_abi for known_abi, number in MACHINES.items()}
        found = known.get(library.machine, f"ELF machine {library.machine}")
        raise RuntimeUnfit(f"the library is made for {found}, not for {abi}", path=name, hint=f"give the one for {abi}")
    if library.bits == 64 and library.load_align < PAGE:
        raise RuntimeUnfit(
            f"a LOAD segment is aligned to {library.load_align} bytes; devices with 16 KB pages need {PAGE}",
            path=name,
            hint="give a library linked with -Wl,-z,max-page-size=16384",
        )
    closed = library.closed_data(PAGE) if library.bits == 64 else 0
    if closed:
        raise RuntimeUnfit(
            f"{closed} bytes of writable data lie in 16 KB pages of its RELRO part, which Android makes read-only",
            path=name,
            hint="give a library linked with -Wl,-z,max-page-size=16384,-z,common-page-size=16384",
        )
    return library


def _segments(data: bytes, bits: int) -> Iterator[Segment]:
    if bits == 64:
        (start,) = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
    elif bits == 32:
        (start,) = struct.unpack_from("<I", data, 28)
        size, count = struct.unpack_from("<HH", data, 42)
    else:
        raise ValueError("unknown ELF class")
    for index in range(count):
        at = start + index * size
        if bits == 64:
            kind, flags, offset, address, _, length, memory, align = struct.unpack_from("<IIQQQQQQ", data, at)
        else:
            kind, offset, address, _, length, memory, flags, align = struct.unpack_from("<IIIIIIII", data, at)
        if offset + length > len(data):
            raise ValueError("a segment ends behind the file")
        yield Segment(kind, flags, offset, address, length, memory, align)


def _dynamic(data: bytes, bits: int, segments: tuple[Segment, ...]) -> Iterator[tuple[int, int]]:
    shape = "<qQ" if bits == 64 else "<iI"
    width = struct.calcsize(shape)
    for segment in segments:
        if segment.kind == _PT_DYNAMIC:
            for at in range(segment.offset, segment.offset + segment.file_size - width + 1, width):
                tag, value = struct.unpack_from(shape, data, at)
                if tag == 0:
                    return
                yield tag, value


def _strings(data: bytes, segments: tuple[Segment, ...], entries: tuple[tuple[int, int], ...]) -> bytes:
    """Return the bytes from the dynamic string table on."""
    address = next((value for tag, value in entries if tag == _DT_STRTAB), None)
    if address is None:
        return b""
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.file_size:
            return data[segment.offset + address - segment.address : segment.offset + segment.file_size]
    raise ValueError("the string table is in no segment")


def _text(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at)
    if end < 0:
        raise ValueError("a name has no end")
    return strings[at:end].decode("utf-8", "replace")

"""What the packager must know of a native library: processor, alignment of its segments, libraries it needs."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_kit.android.errors import RuntimeUnfit

MACHINES: Mapping[str, int] = {"arm64-v8a": 183, "armeabi-v7a": 40, "x86_64": 62}
"""ELF machine number of each ABI."""
PAGE = 16384
"""Page size that 64-bit devices may have since Android 15."""
_WRITABLE = 2


@dataclass(frozen=True)
class Library:
    """What an ELF shared object says about itself. ``segments`` are its program headers by the names of the ABI."""

    machine: int
    bits: int
    segments: tuple[Any, ...]
    soname: str | None
    needed: tuple[str, ...]

    @property
    def load_align(self) -> int:
        """The smallest alignment of a LOAD segment in bytes."""
        return min(int(s["p_align"]) for s in self.segments if s["p_type"] == "PT_LOAD")

    def closed_data(self, page: int) -> int:
        """Return how many bytes of writable data become read-only with the RELRO part, on pages of ``page`` bytes.

        After relocation Android's linker protects every page that this part touches (``phdr_table_protect_gnu_relro``
        of bionic): what else lies in its first and last page can no longer be written.
        """
        writable = [_span(s) for s in self.segments if s["p_type"] == "PT_LOAD" and s["p_flags"] & _WRITABLE]
        count = 0
        for first, last in (_span(s) for s in self.segments if s["p_type"] == "PT_GNU_RELRO"):
            for start, end in ((first // page * page, first), (last, -(-last // page) * page)):
                count += sum(max(0, min(end, stop) - max(start, begin)) for begin, stop in writable)
        return count


def _span(segment: Any) -> tuple[int, int]:
    return segment["p_vaddr"], segment["p_vaddr"] + segment["p_memsz"]


def read_library(data: bytes, name: str) -> Library:
    """Read a shared object; ``RuntimeUnfit`` naming ``name`` when it is none or is damaged."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile
    from elftools.elf.enums import ENUM_E_MACHINE

    if len(data) < 20 or data[:4] != b"\x7fELF" or data[5] != 1:
        raise RuntimeUnfit(
            "this is not an ELF file of a little-endian processor", path=name, hint="give a .so for Android"
        )
    try:
        file = ELFFile(io.BytesIO(data))
        # Android's linker reads no section, and pyelftools reads without end what a damaged table of them says.
        file.header["e_shoff"] = 0
        if file["e_phnum"] == 0xFFFF or file["e_phentsize"] != file.structs.Elf_Phdr.sizeof():
            raise ValueError("its table of segments is of an unknown shape")
        segments = tuple(file.iter_segments())
        if any(s["p_offset"] + s["p_filesz"] > len(data) for s in segments):
            raise ValueError("a segment ends behind the file")
        dynamic = [s for s in segments if isinstance(s, DynamicSegment)]
        width = file.structs.Elf_Dyn.sizeof()
        tags = [t for s in dynamic for t in itertools.islice(s.iter_tags(), s["p_filesz"] // width)]
        needed = tuple(t.needed for t in tags if t.entry.d_tag == "DT_NEEDED")
        soname = next((t.soname for t in tags if t.entry.d_tag == "DT_SONAME"), None)
        if "" in (soname, *needed):
            raise ValueError("a name has no end")
    except (ELFError, ValueError, OverflowError, AssertionError) as error:
        what = f"the library is damaged: {str(error) or 'its names are missing'}"
        raise RuntimeUnfit(what, path=name, hint="fetch it again") from error
    if file["e_type"] != "ET_DYN" or not any(s["p_type"] == "PT_LOAD" for s in segments):
        raise RuntimeUnfit("this is not a shared library", path=name, hint="give a .so for Android")
    machine = file["e_machine"]
    return Library(ENUM_E_MACHINE.get(machine, machine), file.elfclass, segments, soname, needed)


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

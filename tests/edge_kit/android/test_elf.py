from __future__ import annotations

import struct

import pytest

from edge_kit.android.elf import check_library, read_library
from edge_kit.android.errors import RuntimeUnfit
from tests.edge_kit.android.elf_writer import shared_object


@pytest.mark.parametrize(("bits", "machine"), [(64, 183), (32, 40)])
def test_machine_alignment_and_needed_libraries_are_read(bits, machine):
    library = read_library(
        shared_object(bits=bits, machine=machine, align=4096, needed=("libc.so", "libm.so")), "liba.so"
    )
    assert (library.machine, library.bits, library.load_align) == (machine, bits, 4096)
    assert library.needed == ("libc.so", "libm.so")


def test_a_library_of_another_processor_is_refused_by_name():
    with pytest.raises(RuntimeUnfit, match="made for x86_64, not for arm64-v8a"):
        check_library(shared_object(machine=62), "liba.so", "arm64-v8a")


def test_64_bit_libraries_must_fit_16_kb_pages_and_32_bit_ones_need_not():
    with pytest.raises(RuntimeUnfit, match="aligned to 4096 bytes"):
        check_library(shared_object(align=4096), "liba.so", "arm64-v8a")
    assert check_library(shared_object(align=65536), "liba.so", "arm64-v8a").load_align == 65536
    assert check_library(shared_object(bits=32, machine=40, align=4096), "liba.so", "armeabi-v7a").load_align == 4096


PAGE = 0x4000


@pytest.mark.parametrize(
    ("relro", "writable", "closed"),
    [
        # lld: the data has a LOAD of its own, a page further on.
        ((0x10000, 0x2A10), ((0x10000, 0x2A10), (0x14000, 0x800)), 0),
        # Its own LOAD, but in the last page of the RELRO part.
        ((0x10000, 0x2A10), ((0x10000, 0x2A10), (0x13000, 0x800)), 0x800),
        # bfd with pages of 4 KB: data behind it in the same LOAD, up to the page's end and beyond.
        ((0x11000, 0x2000), ((0x11000, 0x6000),), 0x1000),
        ((0x11000, 0x2000), ((0x11000, 0x2010),), 0x10),
        # The same with its end at a multiple of 16 KB.
        ((0x11000, 0x3000), ((0x11000, 0x6000),), 0),
        # Data in front of it in its first page.
        ((0x11000, 0x3000), ((0x10800, 0x5800),), 0x800),
    ],
)
def test_data_that_android_would_protect_with_the_relro_part_is_counted_and_refused(relro, writable, closed):
    data = shared_object(relro=relro, writable=writable)
    assert read_library(data, "liba.so").closed_data(PAGE) == closed
    if closed:
        with pytest.raises(RuntimeUnfit, match=f"{closed} bytes of writable data") as caught:
            check_library(data, "liba.so", "arm64-v8a")
        assert "common-page-size" in (caught.value.hint or "")
    else:
        check_library(data, "liba.so", "arm64-v8a")


def test_a_32_bit_library_meets_no_16_kb_page():
    data = shared_object(bits=32, machine=40, align=4096, relro=(0x11000, 0x2000), writable=((0x11000, 0x6000),))
    assert read_library(data, "liba.so").closed_data(PAGE) == 0x1000
    check_library(data, "liba.so", "armeabi-v7a")


def test_no_damage_gets_past_as_anything_but_a_fault_of_the_file():
    whole = shared_object(needed=("libc.so",))
    for length in range(len(whole)):
        with pytest.raises(RuntimeUnfit):
            read_library(whole[:length], "cut.so")
    with pytest.raises(RuntimeUnfit, match="not a shared library"):
        read_library(shared_object(kind=2), "program")


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("value", [0x00, 0x7F, 0xFF])
def test_a_damaged_byte_is_a_fault_of_the_file_or_does_no_harm(bits, value):
    intact = shared_object(bits=bits, needed=("libc.so", "libm.so"), relro=(0x11000, 0x2000), writable=((0x11000, 9),))
    refused = 0
    for place in range(len(intact)):
        damaged = bytearray(intact)
        damaged[place] = value
        try:
            library = read_library(bytes(damaged), "odd.so")
        except RuntimeUnfit as error:
            assert error.path == "odd.so"  # noqa: PT017
            refused += 1
        else:
            assert library.load_align >= 0
            assert library.closed_data(PAGE) >= 0
    assert refused > 20


def test_a_name_without_an_end_and_a_table_of_no_names_are_damage():
    intact = shared_object(needed=("libc.so",))
    behind = struct.pack("<qQ", 1, len(intact) + 5)
    at = intact.index(struct.pack("<qQ", 1, 1))
    with pytest.raises(RuntimeUnfit, match="a name has no end"):
        read_library(intact[:at] + behind + intact[at + 16 :], "odd.so")
    nameless = intact.replace(struct.pack("<q", 5), struct.pack("<q", 6))
    with pytest.raises(RuntimeUnfit, match="its names are missing"):
        read_library(nameless, "odd.so")


@pytest.mark.timeout(20)
def test_tables_that_claim_endless_rows_take_no_time():
    """e_phnum 65535 means: as many as the first section says. A row length of 0 makes every row the same bytes."""
    intact = bytearray(shared_object(needed=("libc.so",)))
    section = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, (1 << 63) - 1, 0, (1 << 32) - 1, 0, 0)
    struct.pack_into("<Q", intact, 40, len(intact))  # e_shoff
    struct.pack_into("<HHH", intact, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    assert read_library(bytes(intact) + section, "odd.so").needed == ("libc.so",)
    struct.pack_into("<H", intact, 56, 0xFFFF)
    for row in (56, 0):
        struct.pack_into("<H", intact, 54, row)
        with pytest.raises(RuntimeUnfit, match="table of segments"):
            read_library(bytes(intact) + section, "odd.so")

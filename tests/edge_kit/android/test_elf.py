from __future__ import annotations

import pytest
from elf_writer import shared_object

from edge_kit.android.elf import check_library, read_library
from edge_kit.android.errors import RuntimeUnfit


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
    with pytest.raises(RuntimeUnfit, match="no shared library"):
        read_library(shared_object(kind=2), "program")

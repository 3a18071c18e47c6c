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


def test_no_damage_gets_past_as_anything_but_a_fault_of_the_file():
    whole = shared_object(needed=("libc.so",))
    for length in range(len(whole)):
        with pytest.raises(RuntimeUnfit):
            read_library(whole[:length], "cut.so")
    with pytest.raises(RuntimeUnfit, match="no shared library"):
        read_library(shared_object(kind=2), "program")

"""Canonical files: the tail of the version is zeroed, and nothing else changes."""

from __future__ import annotations

import pytest

import tests.model_opt.nb_writer as nw
from model_opt.nb import NbError, canonicalise, inspect_nb, is_canonical, read_nb

DIRTY = nw.small_model(version=b"v2.14-rc\0\xcd\x5b\xd9\xfe\x7f\0\0")


def test_only_the_tail_of_the_version_changes():
    clean = canonicalise(DIRTY)
    assert clean[:10] == DIRTY[:10]
    assert clean[10:18] == b"\0" * 8
    assert clean[18:] == DIRTY[18:]
    assert len(clean) == len(DIRTY)


def test_two_files_that_differ_in_the_tail_become_the_same():
    other = bytearray(DIRTY)
    other[12:18] = b"\x01\x02\x03\x04\x05\x06"
    assert bytes(other) != DIRTY
    assert canonicalise(bytes(other)) == canonicalise(DIRTY)


def test_canonicalising_twice_is_canonicalising_once():
    clean = canonicalise(DIRTY)
    assert canonicalise(clean) == clean


def test_a_canonical_file_is_known_as_one():
    assert not is_canonical(DIRTY)
    assert is_canonical(canonicalise(DIRTY))
    assert not read_nb(DIRTY).is_canonical
    assert "not_canonical" in {warning.code for warning in inspect_nb(read_nb(DIRTY)).warnings}
    assert inspect_nb(read_nb(canonicalise(DIRTY))).warnings == ()


def test_a_version_of_full_length_stays():
    full = nw.small_model(version=b"v2.14-rc-1234567")
    assert canonicalise(full) == full
    assert is_canonical(full)
    assert read_nb(full).opt_version == "v2.14-rc-1234567"


@pytest.mark.parametrize("junk", [b"", b"\x02", b"GIF89a" * 20])
def test_what_is_no_nb_file_is_refused(junk: bytes):
    with pytest.raises(NbError):
        canonicalise(junk)
    with pytest.raises(NbError):
        is_canonical(junk)


@pytest.mark.shared
def test_golden_files_are_canonical_already(shared_dir):
    data = (shared_dir / "lite_golden" / "micro" / "relu.fp32.nb").read_bytes()
    assert canonicalise(data) == data

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_kit.android.archive import Entry, pack, write_archive
from edge_kit.android.errors import AndroidError

NAMES = st.text("abcé/", min_size=1, max_size=30)


def data_offset(packed: bytes, info: zipfile.ZipInfo) -> int:
    name, extra = struct.unpack_from("<HH", packed, info.header_offset + 26)
    return info.header_offset + 30 + name + extra


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(NAMES, st.tuples(st.binary(max_size=300), st.booleans()), max_size=8))
def test_every_file_comes_back_and_stored_ones_lie_aligned(files):
    entries = [Entry(name + end, data, stored) for name, (data, stored) in files.items() for end in (".so", ".x")]
    packed = write_archive(entries)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [entry.name for entry in entries]
        for entry, info in zip(entries, archive.infolist(), strict=True):
            assert archive.read(info) == entry.data
            assert data_offset(packed, info) % (entry.align) == 0
            assert info.compress_type == (zipfile.ZIP_STORED if entry.stored else zipfile.ZIP_DEFLATED)
            assert info.date_time == (1981, 1, 1, 0, 0, 0)


def test_stored_native_libraries_lie_at_pages_of_16_kb():
    packed = write_archive([Entry("a", b"1", True), Entry("lib/x.so", b"2" * 10, True), Entry("b", b"3", True)])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        offsets = {info.filename: data_offset(packed, info) for info in archive.infolist()}
    assert offsets["lib/x.so"] % 16384 == 0
    assert offsets["a"] % 4 == offsets["b"] % 4 == 0


@given(st.binary(max_size=2000))
def test_a_packed_stream_gives_its_data_back(data):
    assert zlib.decompress(pack(data), -15) == data


def test_packing_beats_zlib_and_a_stream_made_before_is_taken_as_it_is(mobile_rec):
    data = mobile_rec.program_file.read_bytes()[:200_000]
    packed = pack(data)
    assert len(packed) < len(zlib.compress(data, 9)) - 6
    made = write_archive([Entry("lib/x.so", data, packed=packed)])
    assert made == write_archive([Entry("lib/x.so", data)])
    assert packed in made


def test_the_same_files_give_the_same_bytes():
    entries = [Entry("a.so", b"x" * 1000, True), Entry("b", b"y" * 1000)]
    assert write_archive(entries) == write_archive(list(entries))


def test_a_name_twice_is_refused():
    with pytest.raises(AndroidError, match="'a'"):
        write_archive([Entry("a", b""), Entry("a", b"")])

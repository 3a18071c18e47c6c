"""Archives that are broken or hostile: only the wanted files come out, and nothing lands beside them."""

from __future__ import annotations

import errno
import gzip
import io
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_opt.errors import KitError
from model_opt.fs import disk_faults, staged_folder
from model_opt.zoo import ZooError
from model_opt.zoo import archive as archive_module
from model_opt.zoo.archive import Limits, extract_model
from tests.model_opt.zoo_samples import tar_bytes, tar_members

PDMODEL, PDIPARAMS = "inference.pdmodel", "inference.pdiparams"
WANTED = (PDMODEL, PDIPARAMS)
FILES = {PDMODEL: b"program" * 100, PDIPARAMS: b"parameters" * 1000}


def extract(data: bytes, tmp_path: Path, **options) -> Path:
    """Write ``data`` as an archive and extract it into a folder of its own, deep below ``tmp_path``."""
    (tmp_path / "a.tar").write_bytes(data)
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True, exist_ok=True)
    extract_model(tmp_path / "a.tar", folder, required=WANTED, **options)
    return folder


def outside(tmp_path: Path) -> list[Path]:
    """Every file below ``tmp_path`` that is neither the archive nor a wanted file in its folder."""
    allowed = {tmp_path / "a.tar", *(tmp_path / "deep" / "folder" / name for name in WANTED)}
    return [path for path in tmp_path.rglob("*") if not path.is_dir() and path not in allowed]


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = link
    return member


@pytest.mark.parametrize("top", ["", "./", "NAME_infer/", "./NAME_infer/", "a/b/"])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_the_wanted_files_come_out_of_any_top_folder_and_packing(tmp_path: Path, top: str, mode: str):
    data = tar_bytes({**FILES, "inference.pdiparams.info": b"x", "README": b"y"}, top=top, mode=mode)
    folder = extract(data, tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_a_packed_archive_cut_anywhere_is_an_error(tmp_path: Path, mode: str):
    noise = {PDMODEL: b"p", PDIPARAMS: random.Random(0).randbytes(5000)}
    whole = tar_bytes(noise, mode=mode)
    for part in (10, len(whole) // 4, len(whole) // 2):
        with pytest.raises(ZooError):
            extract(whole[:part], tmp_path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_an_archive_without_its_end_mark_is_an_error_and_one_block_of_zeros_is_enough(tmp_path: Path, pack):
    whole = tar_bytes({**FILES, "inference.yml": b"a: 1"})
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for part in (end, end - 1024, end - 1000):  # behind the last member, before and within its header
        with pytest.raises(ZooError, match="it ends with"):
            extract(pack(whole[:part]), tmp_path)
    extract(pack(whole[: end + 512]), tmp_path)


def test_an_optional_file_is_taken_when_there(tmp_path: Path):
    (tmp_path / "a.tar").write_bytes(tar_bytes({**FILES, "inference.yml": b"a: 1"}))
    names = extract_model(tmp_path / "a.tar", tmp_path, required=WANTED, optional=("inference.yml", "other"))
    assert sorted(names) == sorted([*WANTED, "inference.yml"])


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/tmp/evil", "../inference.pdmodel", "/inference.pdmodel", "..", "a\\..\\evil"]
)
def test_an_unsafe_path_is_refused(tmp_path: Path, name: str):
    members = [(info(name), b"evil"), *((info(wanted), data) for wanted, data in FILES.items())]
    with pytest.raises(ZooError, match="unsafe path"):
        extract(tar_members(*members), tmp_path)
    assert outside(tmp_path) == []
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("name", ["other", PDMODEL])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes, name: str):
    members = [(info(name, kind, "/etc/passwd"), b""), *((info(wanted), data) for wanted, data in FILES.items())]
    with pytest.raises(ZooError, match="not a plain file"):
        extract(tar_members(*members), tmp_path)
    assert outside(tmp_path) == []


def test_a_file_cannot_be_written_through_an_earlier_link(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    members = [(info(PDMODEL, tarfile.SYMTYPE, str(victim)), b""), (info(PDMODEL), b"evil"), (info(PDIPARAMS), b"p")]
    with pytest.raises(ZooError):
        extract(tar_members(*members), tmp_path)
    assert victim.read_text() == "mine"


def test_a_small_archive_that_unpacks_to_gigabytes_is_refused(tmp_path: Path):
    header = info(PDIPARAMS)
    header.size = 8 << 30
    with pytest.raises(ZooError, match="far more than a model"):
        extract(gzip.compress(header.tobuf() + bytes(1 << 20)), tmp_path)
    assert not (tmp_path / "deep" / "folder" / PDIPARAMS).exists()


def test_many_members_within_their_sizes_are_refused_by_the_sum(tmp_path: Path):
    data = tar_members(*((info(f"f{i}"), bytes(3000)) for i in range(10)))
    with pytest.raises(ZooError, match="far more"):
        extract(data, tmp_path, limits=Limits(unpacked=29_999))
    with pytest.raises(ZooError, match="far more"):
        extract(data, tmp_path, limits=Limits(members=9))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_gigabytes_is_not_read_into_memory(tmp_path: Path, kind: bytes):
    header = info("long", kind)
    header.size = 6 << 30
    (tmp_path / "a.tar").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(8 << 20)))
    with pytest.raises(ZooError, match="far too long"):
        extract_model(tmp_path / "a.tar", tmp_path, required=WANTED)


def test_a_sparse_member_is_refused(tmp_path: Path):
    with pytest.raises(ZooError):
        extract(tar_members((info(PDMODEL, tarfile.GNUTYPE_SPARSE), b"p"), (info(PDIPARAMS), b"p")), tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"<html>not found</html>", bytes(range(256)) * 50, b"\x1f\x8b\x08broken", b"BZh9"]
)
def test_what_is_no_tar_is_said(tmp_path: Path, data: bytes):
    with pytest.raises(ZooError, match=r"empty|cannot read the archive"):
        extract(data, tmp_path)


def test_a_missing_member_is_named_with_what_is_there(tmp_path: Path):
    with pytest.raises(ZooError, match=r"no inference\.pdiparams; it holds .*inference\.pdmodel"):
        extract(tar_bytes({PDMODEL: b"p", "best.pdparams": b"q"}), tmp_path)


def test_two_models_in_one_archive_are_refused(tmp_path: Path):
    with pytest.raises(ZooError, match="more than one model"):
        extract(tar_bytes({f"det/{PDMODEL}": b"p", f"rec/{PDIPARAMS}": b"p"}), tmp_path)
    with pytest.raises(ZooError, match="twice"):
        extract(tar_bytes({f"det/{PDMODEL}": b"p", f"rec/{PDMODEL}": b"p"}), tmp_path)


def test_wanted_files_may_be_patterns_and_one_of_them_must_be_there(tmp_path: Path):
    (tmp_path / "a.tar").write_bytes(tar_bytes({"rec.onnx": b"model", "README": b"y"}, top="m/"))
    assert extract_model(tmp_path / "a.tar", tmp_path, optional=("*.pdmodel", "*.onnx")) == ("rec.onnx",)
    with pytest.raises(ZooError, match=r"the archive holds no model; it holds m/rec\.onnx, m/README"):
        extract_model(tmp_path / "a.tar", tmp_path, optional=("*.pdmodel",))


def test_a_full_disk_leaves_no_half_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.tar").write_bytes(tar_bytes(FILES))

    def full(source, target, length):
        target.write(source.read(10))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive_module.shutil, "copyfileobj", full)
    folder = tmp_path / "model"
    with (
        pytest.raises(KitError, match="No space left on device"),
        disk_faults("store the model", folder),
        staged_folder(folder) as staging,
    ):
        extract_model(tmp_path / "a.tar", staging, required=WANTED)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


NAMES = st.one_of(
    st.sampled_from([*WANTED, "inference.yml", "..", "../x", "/x", "a/../x", "./" + PDMODEL, "a/" + PDMODEL, ""]),
    st.text(alphabet="./\\ab\u4e2d\0 ", max_size=12),
)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE]
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(members=st.lists(st.tuples(NAMES, KINDS, st.binary(max_size=40)), max_size=6))
def test_whatever_the_members_are_only_wanted_files_are_written(members, tmp_path: Path):
    data = tar_members(*((info(name, kind, "../target"), content) for name, kind, content in members))
    try:
        extract(data, tmp_path)
    except ZooError:
        pass
    else:
        names = [Path(name).name for name, kind, _ in members if kind in (tarfile.REGTYPE, tarfile.AREGTYPE)]
        assert set(WANTED) <= set(names)
    assert outside(tmp_path) == []
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=12),
    cut=st.integers(0, 4096),
    whole=st.booleans(),
)
def test_damaged_archives_end_in_our_error_or_in_whole_files(changes, cut, whole, tmp_path: Path):
    data = bytearray(tar_bytes({PDMODEL: b"program", "\u4e2d" * 60: b"pax", PDIPARAMS: b"parameters"}))
    for at, value in changes:
        data[at % len(data)] = value
    try:
        folder = extract(bytes(data if whole else data[:cut]), tmp_path)
    except ZooError:
        assert outside(tmp_path) == []
    else:
        assert all((folder / name).is_file() for name in WANTED)
        assert outside(tmp_path) == []


def test_reading_stops_at_the_end_mark(tmp_path: Path):
    buffer = io.BytesIO(tar_bytes(FILES))
    buffer.seek(0, io.SEEK_END)
    buffer.write(b"trailing rubbish")
    assert {path.name for path in extract(buffer.getvalue(), tmp_path).iterdir()} == set(FILES)

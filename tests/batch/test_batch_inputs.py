"""Inputs of bulk runs: what becomes an entry, in which order, and what is said of what cannot be read."""

import gzip
import io
import os
import random
import tarfile

import pytest

from edge_kit.batch.inputs import Sources, check_inputs, walk
from edge_kit.inputs import PassedOver
from model_opt.errors import KitError
from tests.batch.running import picture, write_pictures


def names(*inputs, skip=None):
    return [entry.name for entry in walk(tuple(map(str, inputs)), skip)]


def tar_of(path, members, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_a_folder_is_walked_with_its_subfolders_by_the_bytes_of_the_names(tmp_path):
    for name in ("b/2.png", "b/10.png", "B.jpg", "a.TIFF", "ä.png", "b.pdf", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = [name.removeprefix(f"{tmp_path}/") for name in names(tmp_path)]
    assert found == ["B.jpg", "a.TIFF", "b/10.png", "b/2.png", "b.pdf", "ä.png"]


def test_a_file_that_is_named_may_have_any_suffix_and_comes_once(tmp_path):
    odd = tmp_path / "scan"
    odd.write_bytes(picture(1))
    write_pictures(tmp_path / "p", 2)
    found = names(odd, tmp_path / "p", f"{tmp_path}/p/*.png", f"{tmp_path}/p/../p/000.png")
    assert found == [str(odd), f"{tmp_path}/p/000.png", f"{tmp_path}/p/001.png"]


def test_globs_and_lists_name_files_folders_and_archives(tmp_path):
    write_pictures(tmp_path / "p" / "q", 2)
    tar_of(tmp_path / "s.tar", [("in/x.png", picture(3)), ("in/x.txt", b"label")])
    listed = tmp_path / "list.txt"
    listed.write_bytes(f"\ufeff{tmp_path}/p\r\n\n{tmp_path}/s.tar\n{tmp_path}/absent.png\n".encode())
    expected = [f"{tmp_path}/p/q/000.png", f"{tmp_path}/p/q/001.png"]
    assert names(f"{tmp_path}/**/*.png") == expected
    entries = list(walk((f"@{listed}",)))
    assert [entry.name for entry in entries] == [*expected, f"{tmp_path}/s.tar!in/x.png", f"{tmp_path}/absent.png"]
    assert [entry.index for entry in entries] == [0, 1, 2, 3]
    assert entries[3].error == "cannot read the file: No such file or directory"


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_members_of_an_archive_have_the_bytes_that_were_packed(tmp_path, mode):
    path = tar_of(tmp_path / "s.tar.gz", [(f"{i}.png", picture(i)) for i in range(5)] + [("a/0.png", b"other")], mode)
    entries = list(walk((str(path),)))
    sources = Sources()
    assert [entry.member for entry in entries] == ["0.png", "1.png", "2.png", "3.png", "4.png", "a/0.png"]
    for i in (0, 3, 4, 1):  # backwards too
        assert sources.read(entries[i]) == picture(i)
    assert sources.read(entries[5]) == b"other"
    sources.close()


def test_members_of_the_same_name_are_both_read(tmp_path):
    path = tar_of(tmp_path / "s.tar", [("x.png", picture(1)), ("x.png", picture(2))])
    sources = Sources()
    assert [sources.read(entry) for entry in walk((str(path),))] == [picture(1), picture(2)]
    sources.close()


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_archive_gives_its_sound_members_and_an_error(tmp_path, packed):
    noise = random.Random(1).randbytes(20_000)
    data = tar_of(tmp_path / "s.tar", [(f"{i}.png", picture(i) + noise) for i in range(4)]).read_bytes()
    path = tmp_path / "cut.tar"
    path.write_bytes(gzip.compress(data, 0)[:50_000] if packed else data[:50_000])
    entries = list(walk((str(path),)))
    good = [entry for entry in entries if entry.error is None]
    assert [entry.member for entry in good][:2] == ["0.png", "1.png"]
    assert "the archive is damaged behind" in entries[-1].error
    assert sum(entry.error is not None for entry in entries) == 1


CUTS = {"between members": 2048, "within a header": 2300, "before the end mark": 4096}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", CUTS)
def test_an_archive_that_is_cut_where_no_member_is_is_damaged(tmp_path, packed, place):
    data = tar_of(tmp_path / "s.tar", [(f"{i}.png", b"x" * 512) for i in range(4)]).read_bytes()[: CUTS[place]]
    (tmp_path / "cut.tar").write_bytes(gzip.compress(data) if packed else data)
    *good, last = walk((str(tmp_path / "cut.tar"),))
    assert [entry.member for entry in good] == [f"{i}.png" for i in range(CUTS[place] // 1024)]
    assert f"damaged behind {len(good)} members: it ends" in last.error


def test_a_damaged_header_is_not_the_end_of_an_archive(tmp_path):
    path = tar_of(tmp_path / "s.tar", [(f"{i}.png", b"x" * 512) for i in range(4)])
    data = bytearray(path.read_bytes())
    data[2050] ^= 1
    path.write_bytes(data)
    assert [entry.error is None for entry in walk((str(path),))] == [True, True, False]


@pytest.mark.parametrize("packed", [False, True])
def test_one_block_of_zeros_ends_an_archive(tmp_path, packed):
    data = tar_of(tmp_path / "s.tar", [("0.png", b"x" * 512)]).read_bytes()[: 1024 + 512]
    (tmp_path / "short.tar").write_bytes(gzip.compress(data) if packed else data)
    (entry,) = walk((str(tmp_path / "short.tar"),))
    assert entry.error is None


def test_what_is_no_archive_is_an_error_of_its_own(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar")
    (entry,) = walk((str(tmp_path),))
    assert "the archive is damaged behind 0 members" in entry.error


def test_links_are_followed_and_circles_end(tmp_path):
    write_pictures(tmp_path / "real", 1)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "more").symlink_to(tmp_path / "real")
    (tmp_path / "in" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "one.png").symlink_to(tmp_path / "real" / "000.png")
    (tmp_path / "in" / "broken.png").symlink_to(tmp_path / "nowhere")
    found = [name.removeprefix(f"{tmp_path}/in/") for name in names(tmp_path / "in")]
    assert found == ["broken.png", "more/000.png", "one.png"]
    broken = next(walk((str(tmp_path / "in"),)))
    assert broken.error == f"cannot read the file: it is a link to {tmp_path}/nowhere, which cannot be reached"


def test_pictures_of_phones_are_counted_and_named_with_what_to_do(tmp_path):
    write_pictures(tmp_path / "in", 1)
    for number in range(3):
        (tmp_path / "in" / f"{number}.HEIC").write_bytes(b"x")
    archive = tar_of(tmp_path / "s.tar", [("x.avif", b"x")])
    with pytest.warns(PassedOver) as warned:
        assert names(tmp_path / "in", archive, tmp_path / "in") == [f"{tmp_path}/in/000.png"]
    shown = ", ".join(f"{tmp_path}/in/{number}.HEIC" for number in range(3))
    assert [str(one.message) for one in warned] == [
        f"passed over 4 HEIC or AVIF images ({shown}, …), which the kit does not read: convert them to JPEG or PNG"
    ]


def test_a_folder_with_the_name_of_a_picture_is_a_folder_and_a_pipe_is_an_error(tmp_path):
    write_pictures(tmp_path / "x.png", 1)
    os.mkfifo(tmp_path / "y.png")
    first, second = walk((str(tmp_path),))
    assert first.name.endswith("x.png/000.png")
    assert first.error is None
    assert second.error == "cannot read the file: it is a device, a pipe or a socket"


def test_names_that_are_not_utf_8_are_kept(tmp_path):
    (tmp_path / os.fsdecode(b"\xff\xfe.png")).write_bytes(picture(9))
    (entry,) = walk((str(tmp_path),))
    assert os.fsencode(entry.path) == os.fsencode(tmp_path) + b"/\xff\xfe.png"
    assert Sources().read(entry) == picture(9)


def test_the_output_folder_is_left_out(tmp_path):
    write_pictures(tmp_path / "in", 1)
    write_pictures(tmp_path / "in" / "out", 1)
    assert names(tmp_path / "in", skip=tmp_path / "in" / "out") == [f"{tmp_path}/in/000.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("absent.png", "no such file or folder"),
        ("no-*.png", "no file matches"),
        ("@absent.txt", "cannot read the list of inputs: No such file"),
        ("@empty.txt", "the list of inputs is empty"),
        ("@-", "must be a file"),
        ("https://example.com/a.png", "not addresses"),
        (" ", "an input is empty"),
    ],
)
def test_an_input_that_cannot_be_is_refused_at_once(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(KitError, match=message):
        check_inputs((text,))


def test_a_file_that_changes_after_the_manifest_is_not_read_for_another(tmp_path):
    (path,) = write_pictures(tmp_path, 1)
    (entry,) = walk((str(path),))
    path.write_bytes(picture(7) + b"more")
    with pytest.raises(KitError, match="changed since the manifest"):
        Sources().read(entry)

"""Bulk runs: every input once, whatever interrupts them; one folder, one kind of rows."""

import errno
import json
import os
import random
import sys
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image as Pillow

from edge_kit.batch import run as run_module
from edge_kit.batch import shards as shards_module
from edge_kit.batch.manifest import ManifestError
from edge_kit.batch.run import Progress, check_run
from edge_kit.batch.work import MixedError
from model_opt.errors import DiskError, KitError
from model_opt.fs import write_atomic
from tests.batch.running import Killed, in_process, manifest, picture, rows, run, write_pictures


@pytest.fixture
def pictures(tmp_path):
    return write_pictures(tmp_path / "in", 10)


def test_every_input_has_one_row_in_the_order_of_the_manifest(tmp_path, pictures):
    out = tmp_path / "out"
    summary = run([tmp_path / "in"], out)
    assert (summary.inputs, summary.rows, summary.failed, summary.read) == (10, 10, 0, 10)
    assert summary.passed
    found = rows(out)
    assert [row["path"] for row in found] == [str(path) for path in pictures]
    assert [row["rec_texts"] for row in found] == [[f"mean {i} 文"] for i in range(10)]
    assert [row["sha256"] for row in found] == [line["sha256"] for line in manifest(out)]
    assert (found[3]["width"], found[3]["height"], found[3]["engine"], found[3]["page_index"]) == (8, 6, "stub", None)
    assert sorted(path.name for path in (out / "rows").iterdir()) == [f"part-{i:06d}.jsonl" for i in range(3)]


def test_a_rerun_reads_nothing_again(tmp_path, pictures):
    run([tmp_path / "in"], tmp_path / "out")

    def execute(entries):
        pytest.fail("a worker was started")

    summary = run([tmp_path / "in"], tmp_path / "out", execute)
    assert (summary.inputs, summary.read) == (10, 0)


def test_a_run_killed_again_and_again_gives_the_rows_of_one_that_was_not(tmp_path, pictures):
    run([tmp_path / "in"], tmp_path / "expected", size=2)
    out = tmp_path / "out"
    chance = random.Random(5)
    for _ in range(5):
        with suppress(Killed):
            run([tmp_path / "in"], out, in_process(stop_after=chance.randint(0, 5)), size=2)
    summary = run([tmp_path / "in"], out, size=2)
    assert rows(out, size=2) == rows(tmp_path / "expected", size=2)
    assert summary.inputs == 10


@pytest.mark.parametrize("step", ["before", "after", "torn"])
def test_a_kill_at_any_step_of_a_commit_loses_no_row_and_doubles_none(tmp_path, pictures, monkeypatch, step):
    out, done = tmp_path / "out", []

    def killed(path, data):
        if len(done) == 1 and step == "before":  # the new file lies beside its place
            path.with_name(f".{path.name}.abc").write_bytes(data[:7])
            raise Killed
        write_atomic(path, data)
        done.append(path)
        if len(done) == 2:
            if step == "torn":
                (out / "done.jsonl").open("ab").write(b'{"shard": 1, "inp')
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(
            shards_module,
            "write_atomic",
            lambda path, data: killed(path, data) if path.name.startswith("part-") else write_atomic(path, data),
        )
        with pytest.raises(Killed):
            run([tmp_path / "in"], out)
    summary = run([tmp_path / "in"], out)
    assert summary.read == 6
    assert [row["index"] for row in rows(out)] == list(range(10))
    assert sorted(path.name for path in (out / "rows").iterdir()) == [f"part-{i:06d}.jsonl" for i in range(3)]


def test_a_kill_while_the_manifest_is_made_leaves_none(tmp_path, pictures):
    def killed(progress: Progress):
        if progress.done == 5:
            raise Killed

    given = run_module.BatchRun((str(tmp_path / "in"),), tmp_path / "out", "jsonl", 4, {"edge_kit": "1"})
    with pytest.raises(Killed):
        run_module.run_batch(given, in_process(), killed)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["batch.json"]
    assert run([tmp_path / "in"], tmp_path / "out").inputs == 10


def test_a_full_disk_is_named_and_leaves_complete_shards_only(tmp_path, pictures, monkeypatch):
    def full(path, data):
        if path.name == "part-000001.jsonl":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_atomic(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(shards_module, "write_atomic", full)
        with pytest.raises(DiskError, match="No space left on device"):
            run([tmp_path / "in"], tmp_path / "out")
    assert len(rows(tmp_path / "out")) == 4
    assert run([tmp_path / "in"], tmp_path / "out").read == 6


def test_a_shard_that_was_cut_or_removed_is_made_again(tmp_path, pictures):
    run([tmp_path / "in"], tmp_path / "out")
    expected = rows(tmp_path / "out")
    (tmp_path / "out" / "rows" / "part-000000.jsonl").unlink()
    with (tmp_path / "out" / "rows" / "part-000002.jsonl").open("rb+") as file:
        file.truncate(10)
    assert run([tmp_path / "in"], tmp_path / "out").read == 6
    assert rows(tmp_path / "out") == expected


def test_another_kind_of_run_is_refused_and_named(tmp_path, pictures):
    out = tmp_path / "out"
    run([tmp_path / "in"], out, description={"edge_kit": "1", "models": {"det": "a", "rec": "b"}, "profile": "p"})
    before = (out / "batch.json").read_bytes()
    with pytest.raises(MixedError) as caught:
        run([tmp_path / "in"], out, description={"edge_kit": "2", "models": {"det": "a", "rec": "c"}, "profile": "p"})
    assert "edge_kit: 1 before, 2 now" in str(caught.value)
    assert "models.rec: b before, c now" in str(caught.value)
    assert "det" not in str(caught.value).replace("models.rec", "")
    assert (out / "batch.json").read_bytes() == before


def test_a_folder_with_other_files_is_refused(tmp_path, pictures):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(KitError, match="holds other files: mine"):
        run([tmp_path / "in"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_inputs_that_changed_since_the_first_run_are_refused_by_name(tmp_path, pictures):
    out = tmp_path / "out"
    run([tmp_path / "in"], out)
    os.utime(pictures[1], ns=(1, 1))  # another time, the same bytes
    assert run([tmp_path / "in"], out).read == 0
    pictures[2].write_bytes(picture(200))
    with pytest.raises(ManifestError, match=r"002\.png has changed since the first run"):
        run([tmp_path / "in"], out)
    pictures[2].unlink()
    with pytest.raises(ManifestError, match=r"number 3 was .*002\.png, now .*003\.png"):
        run([tmp_path / "in"], out)
    pictures[2].write_bytes(picture(2))
    (tmp_path / "in" / "zz.png").write_bytes(picture(1))
    with pytest.raises(ManifestError, match=r"number 11 was no more inputs, now .*zz\.png"):
        run([tmp_path / "in"], out)


def test_a_damaged_manifest_is_named_with_its_line(tmp_path, pictures):
    run([tmp_path / "in"], tmp_path / "out")
    path = tmp_path / "out" / "manifest.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:20], *lines[2:]]))
    with pytest.raises(ManifestError, match="line 2 of the manifest is damaged"):
        run([tmp_path / "in"], tmp_path / "out")


def test_two_runs_into_one_folder_are_refused(tmp_path, pictures):
    def second(entries):
        with pytest.raises(KitError, match="another run writes to this folder"):
            run([tmp_path / "in"], tmp_path / "out")
        yield from in_process()(entries)

    assert run([tmp_path / "in"], tmp_path / "out", second).inputs == 10


def test_bad_files_are_rows_with_their_error_and_the_others_are_read(tmp_path, pictures):
    (tmp_path / "in" / "a-empty.png").write_bytes(b"")
    (tmp_path / "in" / "b-text.png").write_text("no picture")
    (tmp_path / "in" / "c-link.png").symlink_to(tmp_path / "nowhere")
    summary = run([tmp_path / "in"], tmp_path / "out", in_process(refuses=3, fails=5))
    assert (summary.inputs, summary.rows, summary.failed) == (13, 13, 5)
    assert not summary.passed
    errors = {row["path"].rsplit("/", 1)[1]: row["error"] for row in rows(tmp_path / "out") if row["error"]}
    assert errors == {
        "003.png": "the engine refuses 3",
        "005.png": "cannot read the file: ZeroDivisionError: no such luck",
        "a-empty.png": "the image file is empty",
        "b-text.png": "not an image that OpenCV can decode",
        "c-link.png": f"cannot read the file: it is a link to {tmp_path}/nowhere, which cannot be reached",
    }


def test_pages_of_a_document_are_rows_of_one_input(tmp_path):
    frames = [Pillow.fromarray(np.full((6, 8, 3), value, np.uint8)) for value in (10, 20, 30)]
    (tmp_path / "in").mkdir()
    frames[0].save(tmp_path / "in" / "a.tiff", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "in" / "b.pdf", save_all=True, append_images=frames[1:], resolution=72)
    (tmp_path / "in" / "c.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (tmp_path / "in" / "d.png").write_bytes(picture(1))
    summary = run([tmp_path / "in"], tmp_path / "out", in_process(refuses=20))
    found = rows(tmp_path / "out")
    assert [(row["index"], row["page_index"]) for row in found] == [
        *((0, i) for i in range(3)), *((1, i) for i in range(3)), (2, None), (3, None),
    ]  # fmt: skip
    assert [row["error"] is None for row in found] == [True, False, True, True, False, True, False, True]
    assert "not a PDF that can be read" in found[6]["error"]
    assert (summary.inputs, summary.rows, summary.failed) == (4, 8, 3)


def test_files_of_the_same_name_in_two_folders_stay_apart(tmp_path):
    write_pictures(tmp_path / "a", 1, first=1)
    write_pictures(tmp_path / "b", 1, first=2)
    run([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert [(row["path"], row["rec_texts"][0]) for row in rows(tmp_path / "out")] == [
        (f"{tmp_path}/a/000.png", "mean 1 文"),
        (f"{tmp_path}/b/000.png", "mean 2 文"),
    ]


def test_parquet_holds_the_rows_of_json_lines_in_nested_columns(tmp_path, pictures):
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "in" / "bad.png").write_bytes(b"x")
    run([tmp_path / "in"], tmp_path / "lines")
    run([tmp_path / "in"], tmp_path / "tables", form="parquet", description={"edge_kit": "1", "format": "parquet"})
    assert rows(tmp_path / "tables", "parquet") == rows(tmp_path / "lines")
    table = parquet.read_table(tmp_path / "tables" / "rows")
    assert table.schema.field("dt_polys").type == pyarrow.list_(pyarrow.list_(pyarrow.list_(pyarrow.int32())))
    assert table.schema.field("rec_texts").type == pyarrow.list_(pyarrow.string())
    assert table.num_rows == 11


def test_a_name_that_is_not_utf_8_is_a_row_in_both_formats(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / os.fsdecode(b"\xff.png")).write_bytes(picture(4))
    for form in ("jsonl", "parquet"):
        out = tmp_path / form
        assert run([tmp_path / "in"], out, form=form).failed == 0
        (row,) = rows(out, form)
        assert row["path"].endswith("\udcff.png" if form == "jsonl" else "\\udcff.png")
    json.loads((tmp_path / "jsonl" / "rows" / "part-000000.jsonl").read_bytes().decode("utf-8"))


def test_no_picture_at_all_is_an_error_and_the_folder_can_be_used_again(tmp_path, pictures):
    (tmp_path / "empty").mkdir()
    with pytest.raises(KitError, match="no picture in the inputs"):
        run([tmp_path / "empty"], tmp_path / "out")
    assert run([tmp_path / "in"], tmp_path / "out", description={"edge_kit": "other"}).inputs == 10


def test_a_format_without_its_package_says_what_to_install(tmp_path, pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(KitError, match="pyarrow") as caught:
        check_run((str(tmp_path / "in"),), tmp_path / "out", "parquet")
    assert 'pip install "edge-kit[batch]"' in str(caught.value)
    assert not (tmp_path / "out").exists()

"""``edge-kit ocr`` writes each result when it was made, whatever happens afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_kit import api
from edge_kit.cli.ocr import OcrRequest, run_ocr
from edge_kit.inputs import ImageInput
from edge_kit.ocr.result import OcrResult
from model_opt.errors import KitError

ROOT = Path(__file__).resolve().parents[3]


def result(path: str, page: int | None = None) -> tuple[ImageInput, OcrResult]:
    box = np.array([[[1, 1], [9, 1], [9, 5], [1, 5]]], np.int32)
    image = np.zeros((10, 10, 3), np.uint8)
    name = None if page is None else f"{Path(path).stem}_{page}"
    read = OcrResult(path, box, (0.9,), ("text",), (0.8,), {}, image, name=name, page_index=page)
    return ImageInput(path, page_index=page), read


def fault(path: str, page: int | None = None) -> tuple[ImageInput, KitError]:
    return ImageInput(path, page_index=page), KitError("cannot be read", path=path, hint="repair it")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch):
    """Makes the pipeline answer with these outcomes; an exception among them is raised."""

    def answer(*outcomes) -> None:
        class Stub(api.Pipeline):
            def _load(self) -> None:
                """Load nothing."""

            def predict_each(self, input, **overrides):
                for one in outcomes:
                    if isinstance(one, BaseException):
                        raise one
                    yield one

        monkeypatch.setattr(api, "Pipeline", Stub)

    return answer


def request(*paths: str, **options) -> OcrRequest:
    return OcrRequest(paths, {}, None, None, options.pop("save", None), options.pop("json_file", None), **options)


def test_an_interrupt_leaves_every_result_that_was_made(answers, tmp_path, capsys):
    answers(result("a.png"), fault("b.png"), result("c.png"), KeyboardInterrupt())
    lines = tmp_path / "lines.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_ocr(request("a.png", "b.png", "c.png", "d.png", json_file=str(lines), save_path=tmp_path / "saved"))
    assert [json.loads(line)["input_path"] for line in lines.read_text().splitlines()] == ["a.png", "c.png"]
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {"a.json", "a.png", "c.json", "c.png"}
    assert "skipped: cannot be read\n  file: b.png" in capsys.readouterr().err


def test_lines_are_in_the_file_before_the_next_image_is_read(answers, tmp_path):
    lines = tmp_path / "lines.jsonl"
    seen = []

    class Outcomes(list):
        def __iter__(self):
            yield result("a.png")
            seen.append(lines.read_text().count("\n"))
            yield result("b.png")

    answers()
    api.Pipeline.predict_each = lambda self, paths: iter(Outcomes())
    assert run_ocr(request("a.png", "b.png", json_file=str(lines))) == 0
    assert seen == [1]


def test_a_table_holds_what_was_read_before_an_interrupt(answers, capsys, monkeypatch):
    answers(result("a.png"), KeyboardInterrupt())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(KeyboardInterrupt):
        run_ocr(request("a.png", "b.png"))
    assert "a.png" in capsys.readouterr().out


def test_the_only_image_that_cannot_be_read_is_the_commands_error_and_leaves_files_alone(answers, tmp_path, capsys):
    answers(fault("a.png"))
    lines = tmp_path / "lines.jsonl"
    lines.write_text("of an earlier run\n")
    with pytest.raises(KitError, match="cannot be read"):
        run_ocr(request("a.png", json_file=str(lines)))
    assert lines.read_text() == "of an earlier run\n"
    assert "skipped" not in capsys.readouterr().err


def test_pages_are_numbered_and_a_page_that_cannot_be_read_is_skipped(answers, tmp_path, capsys):
    answers(fault("a.pdf", 0), result("a.pdf", 1), fault("a.pdf", 2))
    assert run_ocr(request("a.pdf", save_path=tmp_path)) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("a.pdf#page=2\t")
    assert printed.err.count("skipped: cannot be read") == 2
    assert {path.name for path in tmp_path.iterdir()} == {"a_1.json", "a_1.png"}
    assert json.loads((tmp_path / "a_1.json").read_text())["page_index"] == 1


def test_a_run_without_a_result_leaves_an_empty_file(answers, tmp_path):
    answers(fault("a.png"), fault("b.png"))
    lines = tmp_path / "new" / "lines.jsonl"
    assert run_ocr(request("a.png", "b.png", json_file=str(lines))) == 1
    assert lines.read_bytes() == b""


def test_a_place_that_cannot_be_written_to_is_an_error_with_its_name(answers):
    answers(result("a.png"))
    with pytest.raises(KitError, match="cannot write the results") as caught:
        run_ocr(request("a.png", json_file="/dev/full"))
    assert caught.value.path == "/dev/full"


def refused(asked: OcrRequest, *inputs: Path) -> str:
    """Run a request that is refused before any work, look that the inputs are as they were, and return the error."""
    before = [path.read_bytes() for path in inputs]
    with pytest.raises(KitError) as caught:
        run_ocr(asked)
    assert [path.read_bytes() for path in inputs] == before
    return str(caught.value)


@pytest.fixture
def photos(tmp_path, answers) -> tuple[Path, Path]:
    """Two inputs of one name; reading them is a fault."""
    answers(AssertionError("work was done"))
    paths = tmp_path / "a" / "photo.jpg", tmp_path / "b" / "photo.jpg"
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(str(path).encode())
    return paths


def test_no_picture_replaces_an_input(photos, tmp_path):
    first, second = photos
    for inputs, save in [([first], first.parent), ([first.parent], first.parent), ([first, second], second.parent)]:
        error = refused(request(*map(str, inputs), save=save), first, second)
        assert "--save would replace an input" in error
        assert f"file: {save / 'photo.jpg'}" in error
        assert f"next: name another folder, as in --save {save / 'out'}" in error
    (tmp_path / "link").symlink_to(second.parent)
    assert "would replace" in refused(request(str(tmp_path / "link" / "photo.jpg"), save=second.parent), second)


def test_no_page_and_no_numbered_result_replaces_an_input(photos, tmp_path):
    first, second = photos
    third, pages = second.with_name("photo_2.jpg"), second.with_name("scan_0.png")
    for path in (third, pages):
        path.write_bytes(b"x")
    asked = request(str(first), str(third), save=second.parent)
    assert "photo_2.jpg" in refused(asked, third)
    assert "scan_0.png" in refused(request(str(tmp_path / "scan.pdf"), str(pages), save=second.parent), pages)


def test_the_names_of_paddlex_may_lie_beside_the_inputs_but_replace_none(photos, answers, tmp_path):
    first, _ = photos
    earlier = first.with_name("photo_ocr_res_img.jpg")
    words = {"result_schema": "paddlex-3"}
    asked = replace(request(str(first), save_path=first.parent), settings=words)
    source, read = result(str(first))
    answers((source, replace(read, schema="paddlex-3")))
    assert run_ocr(asked) == 0
    earlier.write_bytes(b"x")
    assert "photo_ocr_res_img.jpg" in refused(replace(asked, paths=(str(first.parent),)), earlier)
    page = first.with_name("page.json")
    page.write_bytes(b"x")
    assert "--save_path would replace" in refused(request(str(page), save_path=first.parent), page)


def test_lines_replace_no_input(photos, tmp_path):
    first, second = photos
    asked = request(str(first), str(second.parent), json_file=str(second))
    assert "--json names an input of this command" in refused(asked, first, second)
    characters = tmp_path / "dict.txt"
    characters.write_text("a\n")
    asked = replace(request(str(first), json_file=str(characters)), settings={"rec_dict": str(characters)})
    assert "--json names an input" in refused(asked, characters)


@pytest.mark.parametrize("json_file", [None, "-", "/dev/stdout"])
def test_a_reader_that_leaves_is_no_fault_of_an_image(json_file):
    """The pipe is closed before the first result; the exit code is that of a program that SIGPIPE ended."""
    code = (
        "import os, sys\n"
        "from edge_kit import api\n"
        "from edge_kit.cli import main\n"
        "from tests.edge_kit.cli.test_ocr_output import result\n"
        "api.Pipeline._load = lambda self: None\n"
        "api.Pipeline.predict_each = lambda self, given: (result(f'{n}.png') for n in range(3))\n"
        "main()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    options = [] if json_file is None else ["--json", json_file]
    command = [sys.executable, "-c", code, "ocr", "0.png", *options]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")

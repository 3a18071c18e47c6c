"""The examples in Python work as they stand; those of the service and of the AAR have tests beside theirs."""

from __future__ import annotations

import json
import runpy
import sys

import pytest

import tests.model_opt.nb_writer as nw
from tests.docs.pages import ROOT
from tests.model_opt.nb_op_cases import op

EXAMPLES = ROOT / "examples"


def run(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    try:
        runpy.run_path(str(EXAMPLES / "python" / name), run_name="__main__")
    except SystemExit as ended:
        return ended.code
    return 0


@pytest.mark.integration
def test_text_is_read_and_a_bad_image_does_not_end_the_run(monkeypatch, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    good = ROOT / "configs" / "regression" / "tiny.png"
    assert run(monkeypatch, "read_text.py", bad, good) == 1
    out, err = capsys.readouterr()
    truth = json.loads((ROOT / "configs" / "regression" / "truth.json").read_text(encoding="utf-8"))
    (line,) = [json.loads(line) for line in out.splitlines()]
    assert line["image"] == str(good)
    assert line["lines"] == [one["text"] for one in truth["images"]["tiny.png"]]
    assert "bad.png" in err


def test_an_nb_file_is_shown_and_run(monkeypatch, tmp_path, capsys):
    ops = [nw.feed("x"), op("sigmoid", {"X": "x"}, {"Out": "y"}), nw.fetch("y")]
    file = tmp_path / "sigmoid.nb"
    file.write_bytes(nw.nb_bytes(ops, {}, shapes={"x": (1, 3, 4, 5)}))
    assert run(monkeypatch, "inspect_nb.py", file, "1,3,4,5") == 0
    assert capsys.readouterr().out.splitlines() == [
        "sigmoid.nb: arm, 3 operators, 0 bytes of parameters",
        "output 1x3x4x5, from 0.5 to 0.5",
    ]


def test_every_example_has_a_row_with_a_test_that_exists():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| [")]
    shown = {(EXAMPLES / row[1].split("](")[1].rstrip(") ")).resolve() for row in rows}
    assert shown >= set((EXAMPLES / "python").glob("*.py")) | {EXAMPLES / "serve"}
    for row in rows:
        assert (ROOT / row[3].strip(" `")).is_file()

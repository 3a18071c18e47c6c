"""``edge-kit models verify``: each table's headings say what is in its columns."""

import pytest

from edge_kit.cli.models import run_verify_models
from model_opt import zoo
from model_opt.zoo.fetching import FileVerdict
from tests.model_opt.zoo_samples import write_sample


def headings(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("┃")[1:-1]] for line in text.splitlines() if "┃" in line]


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("missing", 1)])
def test_a_users_own_model_has_a_kind_and_a_cached_one_files(tmp_path, monkeypatch, capsys, state, code):
    model = write_sample(tmp_path / "my_det")
    found = (FileVerdict("inference.pdmodel", tmp_path, state, None, None),)
    monkeypatch.setattr(zoo, "verify", lambda name: found)
    assert run_verify_models((str(model), "PP-OCRv6_tiny_det")) == code
    shown = capsys.readouterr().out
    assert headings(shown) == [["model", "file", "state"], ["your model", "kind", "state"]]
    assert [cell.strip() for cell in shown.splitlines()[-2].split("│")[1:-1]] == [str(model), "det", "ok"]


def test_own_models_alone_have_one_table(tmp_path, capsys):
    assert run_verify_models((str(write_sample(tmp_path / "my_det")),)) == 0
    assert headings(capsys.readouterr().out) == [["your model", "kind", "state"]]

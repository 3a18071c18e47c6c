from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_kit.build.fingerprint import code_fingerprint, folder_fingerprint
from model_opt.errors import KitError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "fingerprinted"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "inner" / "work.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_changed_line_anywhere_in_a_package_changes_its_fingerprint(package: Path) -> None:
    before = code_fingerprint("fingerprinted")
    (package / "inner" / "work.py").write_text("x = 2\n")
    changed = code_fingerprint("fingerprinted")
    assert changed != before
    (package / "inner" / "work.py").write_text("x = 1\n")
    (package / "inner" / "__pycache__").mkdir(exist_ok=True)
    (package / "inner" / "__pycache__" / "work.py").write_bytes(b"byte code")
    assert code_fingerprint("fingerprinted") == before
    (package / "inner" / "work.py").rename(package / "inner" / "other.py")
    assert code_fingerprint("fingerprinted") != before


def test_a_single_module_is_read_alone_and_not_imported(package: Path) -> None:
    before = code_fingerprint("fingerprinted.inner.work")
    (package / "__init__.py").write_text("y = 1\n")
    assert code_fingerprint("fingerprinted.inner.work") == before
    assert "fingerprinted.inner.work" not in sys.modules


def test_the_order_of_modules_does_not_matter() -> None:
    one = code_fingerprint("model_opt.files", "model_opt.errors")
    assert one == code_fingerprint("model_opt.errors", "model_opt.files", "model_opt.errors")
    assert one != code_fingerprint("model_opt.errors")


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.inner", "model_opt.nothing", "sys"])
def test_a_module_without_source_is_an_error(name: str) -> None:
    with pytest.raises(KitError, match=f"no source of a module '{name}'"):
        code_fingerprint(name)


def test_a_folder_fingerprint_counts_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    first = folder_fingerprint(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = folder_fingerprint(tmp_path)
    (tmp_path / "b").write_bytes(b"2")
    assert len({first, second, folder_fingerprint(tmp_path)}) == 3

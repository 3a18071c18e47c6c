from __future__ import annotations

import ast
from pathlib import Path

import pytest

from edge_kit.build.fingerprint import PACKAGES, SourceTree, folder_fingerprint, read_sources
from model_opt.errors import KitError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def kit() -> SourceTree:
    return read_sources()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "__init__.py").write_text("from shop.eager import thing\n")
    (folder / "inner" / "work.py").write_text("def run():\n    import shop.late as late, os\n    return late\n")
    (folder / "inner" / "many.py").write_text("from shop import (\n    late,  # a module\n    VALUE,\n)\n")
    for name in ("eager", "late", "other"):
        (folder / f"{name}.py").write_text("thing = 1\n")
    return folder


def tree(package: Path) -> SourceTree:
    return read_sources(package.parent, ("shop",))


def test_a_closure_holds_packages_above_imports_in_functions_and_modules_taken_from_packages(package: Path) -> None:
    found = tree(package)
    assert found.closure("shop.inner.work") == {
        "shop", "shop.inner", "shop.inner.work", "shop.eager", "shop.late",
    }  # fmt: skip
    assert found.closure("shop.inner.many") == {"shop", "shop.inner", "shop.inner.many", "shop.eager", "shop.late"}
    assert found.closure("shop.late") == {"shop", "shop.late"}


@pytest.mark.parametrize("name", ["late", "eager", "inner/__init__", "__init__", "inner/work"])
def test_a_changed_line_in_the_closure_changes_the_fingerprint(package: Path, name: str) -> None:
    before = tree(package)
    path = package / f"{name}.py"
    path.write_text(path.read_text() + "# one more line\n")
    after = tree(package)
    assert after.fingerprint("shop.inner.work") != before.fingerprint("shop.inner.work")
    assert after.fingerprint("shop.other") == before.fingerprint("shop.other") or name == "__init__"


def test_two_modules_that_swap_their_contents_change_it(package: Path) -> None:
    (package / "late.py").write_text("thing = 2\n")
    before = tree(package).fingerprint("shop.inner.work")
    for name, number in (("late", 1), ("eager", 2)):
        (package / f"{name}.py").write_text(f"thing = {number}\n")
    assert tree(package).fingerprint("shop.inner.work") != before


@pytest.mark.parametrize("name", ["no_such_package", "model_opt.nothing", "sys"])
def test_a_module_without_source_is_an_error(kit: SourceTree, name: str) -> None:
    with pytest.raises(KitError, match=f"no source of a module '{name}'"):
        kit.fingerprint(name)


def imports_by_ast(path: Path, known: frozenset[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: the kit has no relative import"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & known


def test_the_regular_expression_misses_no_import_of_this_kit(kit: SourceTree) -> None:
    known = frozenset(kit.modules)
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(files) == len(known)
    for path in files:
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        assert imports_by_ast(path, known) <= kit.modules[name].imports, name


def test_a_folder_fingerprint_counts_names_and_contents_but_no_byte_code(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    first = folder_fingerprint(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"byte code")
    assert folder_fingerprint(tmp_path) == first
    (tmp_path / "a").rename(tmp_path / "b")
    second = folder_fingerprint(tmp_path)
    (tmp_path / "b").write_bytes(b"2")
    assert len({first, second, folder_fingerprint(tmp_path)}) == 3

"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _lacking(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _shared(name: str) -> Path:
    folder = ROOT.parent / "shared" / name
    if folder.is_dir():
        return folder
    _lacking(f"needs the regression data {name!r} beside the checkout, which a user's clone lacks")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes do not name a test: an archive holds the time of its making, and two workers would name it differently."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def lacking() -> Callable[[str], NoReturn]:
    """Ends a test for want of something: ``lacking("not installed: mvn")`` skips, and fails in CI."""
    return _lacking


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of shared regression data; skipped without it, a failure in CI."""
    return _shared("images").parent


@pytest.fixture(scope="session")
def converter():
    """The kit's own writer, as a build takes it."""
    from model_opt.convert import OwnWriter

    return OwnWriter()


@pytest.fixture(scope="session")
def env():
    """The environment of Paddle Lite's own programs; skipped where its wheel cannot run, a failure in CI."""
    from model_opt.opt_tool import ToolError, find_tool

    try:
        return find_tool()
    except ToolError as error:
        _lacking(str(error))


@pytest.fixture
def changed_config(tmp_path: Path):
    """Writes a changed copy of a file of configs/, or of another folder, and returns its path:

    ``changed_config("gates.yaml", change)``.
    """
    import yaml

    from model_opt.resources import config_dir

    def write(name: str, change, folder: Path | None = None) -> Path:
        document = yaml.safe_load(((folder or config_dir()) / name).read_text(encoding="utf-8"))
        change(document)
        path = tmp_path / name
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def mobile_det():
    """Files of the pinned mobile detector."""
    from model_opt.zoo import fetch

    return fetch("PP-OCRv4_mobile_det")


@pytest.fixture(scope="session")
def mobile_rec():
    """Files of the pinned mobile recogniser."""
    from model_opt.zoo import fetch

    return fetch("PP-OCRv4_mobile_rec")


@pytest.fixture(scope="session")
def mobile_cls():
    """Files of the pinned angle classifier."""
    from model_opt.zoo import fetch

    return fetch("ch_ppocr_mobile_v2.0_cls")

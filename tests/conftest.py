"""Fixtures that every test may ask for."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cores import take_cores

ROOT = Path(__file__).resolve().parent.parent

# Whoever asks for one of these fixtures is no unit test: they fetch a model, start opt, or need the Android tools.
INTEGRATION = {
    "env", "older_env", "oracle", "older_oracle", "mobile_det", "mobile_rec", "mobile_cls", "shared_dir",
    "shared_downloads", "clean_cache", "set_files",
}  # fmt: skip
APP = {"chromium", "maven", "arm", "arm_sets", "android_kit", "opencv", "sample"}


def _lacking(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _shared(name: str) -> Path:
    folder = ROOT.parent / "shared" / name
    if folder.is_dir():
        return folder
    _lacking(f"needs the regression data {name!r} beside the checkout, which a user's clone lacks")


def pytest_configure(config: pytest.Config) -> None:
    """Give each process of pytest-xdist cores of its own: two engines of two threads each would wait for each other.

    Measured on two cores: PP-OCRv5 and v6 on Paddle and ONNX Runtime take 148 s of processor time with two threads,
    87 s with one.
    """
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        take_cores(int(worker["workerid"][2:]), int(worker["workercount"]))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test into its lane by its fixtures, also by those that a test with ``request`` names in a parameter.

    ``app`` comes before ``integration``; a test of neither is a unit test. What is no unit test stays in one process
    with its module, unless it has a group: else each process of pytest-xdist makes the module's fixtures anew.
    """
    for item in items:
        call = getattr(item, "callspec", None)
        asked = {*getattr(item, "fixturenames", ())}
        if "request" in asked:
            asked |= {value for value in (call.params.values() if call else ()) if isinstance(value, str)}
        if asked & APP:
            item.add_marker("app")
        elif asked & INTEGRATION:
            item.add_marker("integration")
        if _no_unit_test(item) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _no_unit_test(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(lane) for lane in ("integration", "app"))


def _loopback(address: object) -> bool:
    """Say whether a socket's address stays on this machine; Unix sockets have a path for an address."""
    if not isinstance(address, tuple):
        return True
    return str(address[0]) in {"", "localhost", "::1"} or str(address[0]).startswith("127.")


# Programs that a unit test starts find a proxy that refuses, and no packages in a folder.
OFFLINE = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
    "NO_PROXY": "localhost,127.0.0.1,::1",
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "0",
}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A unit test reaches no other machine, and finds an empty cache."""
    if _no_unit_test(item):
        yield
        return
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def guarded(self: socket.socket, address: object) -> None:
        if not _loopback(address):
            raise RuntimeError(f"a unit test connects to {address!r}: mark it 'integration'")
        connect(self, address)

    def looked_up(host: object, *rest: object, **named: object) -> object:
        if host is not None and not _loopback((host,)):
            raise RuntimeError(f"a unit test looks up {host!r}: mark it 'integration'")
        return resolve(host, *rest, **named)

    with tempfile.TemporaryDirectory(prefix="edge-kit-unit-") as cache, pytest.MonkeyPatch.context() as patch:
        for name, value in {**OFFLINE, "EDGE_KIT_CACHE": cache}.items():
            patch.delenv(name.lower(), raising=False)  # it would come before the other
            patch.setenv(name, value)
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket, "getaddrinfo", looked_up)
        yield


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
def maven(lacking) -> Path:
    """The path of ``mvn``; skipped without it or a JDK, a failure in CI."""
    missing = [name for name in ("javac", "mvn") if shutil.which(name) is None]
    if missing:
        lacking(f"{' and '.join(missing)} not found: apt-get install openjdk-17-jdk-headless maven")
    return Path(str(shutil.which("mvn")))


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
        # pytest lists the reason of a skip once for each place that asks: one line of it will do.
        short = f"{str(error).splitlines()[0].removesuffix('; tried:')} ('edge-kit doctor' says what to install)"
        _lacking(str(error) if os.environ.get("CI") == "true" else short)


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


@pytest.fixture(scope="session")
def set_files(converter, tmp_path_factory):
    """Returns both models of a set as shipped files and as the app's, made at the first call: ``set_files(name)``."""
    from tests.edge_kit.android.set_models import write_set

    return functools.cache(lambda name: write_set(tmp_path_factory.mktemp(name), name, converter))

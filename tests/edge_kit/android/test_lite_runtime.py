"""Paddle Lite's runtime: taken from a release archive or the user's files, refused when a device could not use it."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tarfile
import time
import zipfile
from dataclasses import replace

import pytest

from edge_kit.android import lite
from edge_kit.android.config import load_android
from edge_kit.android.errors import RuntimeUnfit
from edge_kit.android.lite import LiteRuntime, NoRuntime, next_attempt, read_runtime, release_runtime, release_tag
from model_opt.fs import sha256_bytes
from tests.edge_kit.android.elf_writer import shared_object
from tests.model_opt.zoo_samples import serving

VERSION = "v2.14-rc"
ARM64 = shared_object(payload=b"\0v2.14-rc\0", needed=("libc.so",))
ARM32 = shared_object(payload=b"\0v2.14-rc\0", machine=40, bits=32, align=4096)


def jar(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names or ("com/baidu/paddle/lite/PaddlePredictor.class",):
            archive.writestr(zipfile.ZipInfo(name), b"class")
    return out.getvalue()


def release(so: bytes = ARM64, java: bytes | None = None) -> bytes:
    """A release archive as the project packs it: more is in it than the app takes."""
    packed = io.BytesIO()
    top = "inference_lite_lib.android.armv8"
    files = {
        f"{top}/cxx/lib/libpaddle_light_api_shared.so": b"not taken",
        f"{top}/java/jar/PaddlePredictor.jar": jar() if java is None else java,
        f"{top}/java/so/libpaddle_lite_jni.so": so,
    }
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "release.tar.gz"
    path.write_bytes(release())
    return path


def test_a_release_archive_gives_jar_library_and_version(archive):
    found = read_runtime(archive, ("arm64-v8a",), "2.14rc0")
    assert found == LiteRuntime(jar(), {"arm64-v8a": ARM64}, VERSION)


def test_a_folder_may_hold_loose_files_and_archives_of_several_processors(tmp_path):
    (tmp_path / "java").mkdir()
    (tmp_path / "java" / "PaddlePredictor.jar").write_bytes(jar())
    (tmp_path / "java" / "libpaddle_lite_jni.so").write_bytes(ARM64)
    (tmp_path / "armv7.tar.gz").write_bytes(release(ARM32))
    found = read_runtime(tmp_path, ("arm64-v8a", "armeabi-v7a"), VERSION)
    assert found.libraries == {"arm64-v8a": ARM64, "armeabi-v7a": ARM32}
    assert set(read_runtime(tmp_path, ("armeabi-v7a",), VERSION).libraries) == {"armeabi-v7a"}


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (release(so=ARM32), "no libpaddle_lite_jni.so for arm64-v8a"),
        (release(so=shared_object(align=4096)), "aligned to 4096 bytes"),
        (release(so=b"\x7fELF"), "damaged|not an ELF"),
        (release(so=shared_object(payload=b"\0v2.10\0")), r"Paddle Lite v2\.10, the models are made by opt v2\.14-rc"),
        (release(java=b"PK"), "PaddlePredictor.jar is damaged"),
        (release(java=jar("a.class")), "holds no class com.baidu.paddle.lite.PaddlePredictor"),
        (release()[:200], "cannot be read|no PaddlePredictor"),
        (gzip.compress(gzip.decompress(release())[:1024]), "the archive cannot be read: it ends without an end mark"),
    ],
)  # fmt: skip
def test_what_a_device_could_not_use_is_refused(tmp_path, packed, message):
    path = tmp_path / "release.tar.gz"
    path.write_bytes(packed)
    with pytest.raises(RuntimeUnfit, match=message):
        read_runtime(path, ("arm64-v8a",), VERSION)


def test_a_path_that_is_not_there_or_holds_nothing_is_told(tmp_path):
    with pytest.raises(RuntimeUnfit, match="no such file"):
        read_runtime(tmp_path / "absent", ("arm64-v8a",), VERSION)
    with pytest.raises(RuntimeUnfit, match=r"no PaddlePredictor\.jar"):
        read_runtime(tmp_path, ("arm64-v8a",), VERSION)


def test_a_library_that_names_no_release_is_taken_and_said_to_be_unnamed(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(release(so=shared_object()))
    assert read_runtime(tmp_path, ("arm64-v8a",), VERSION).version is None


@pytest.mark.parametrize("spelling", ["2.14rc0", "v2.14-rc"])
def test_both_spellings_of_a_converter_mean_one_release(spelling):
    assert release_tag(spelling) == "v2.14-rc"
    assert release_tag("v2.12") == release_tag("2.12") == "v2.12"


PATH = "/v2.14-rc/armv8.tar.gz"
ABIS = ("arm64-v8a",)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A loopback server that stands in for the release's, with a cache of its own."""
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as running:
        yield running


def ask(server, *, config=None, opt="2.14rc0", **options) -> LiteRuntime | NoRuntime:
    config = config or replace(load_android(), lite_url=server.url("/{version}/{arch}.tar.gz"))
    return release_runtime(config, ABIS, opt, **{"offline": False, **options})


def cached(tmp_path):
    (path,) = (tmp_path / "cache" / "files").glob("*/paddle-lite.tar.gz")
    return path


def test_the_release_is_downloaded_once_and_its_sum_recorded(server, tmp_path):
    url = server.add(PATH, release())
    first = ask(server)
    assert first == LiteRuntime(jar(), {"arm64-v8a": ARM64}, VERSION)
    assert ask(server, offline=True) == first
    assert len(server.requests) == 1
    entry = {"sha256": sha256_bytes(release()), "files": {}}
    assert json.loads((tmp_path / "cache" / "downloads.lock.json").read_text())["downloads"] == {url: entry}
    assert cached(tmp_path).read_bytes() == release()
    assert not [path for path in (tmp_path / "cache" / "downloads").iterdir() if path.suffix != ".lock"]


FAULTS = {
    "absent": (lambda server: None, r"cannot download .*404"),
    "for another processor": (
        lambda server: server.add(PATH, release(so=ARM32)),
        r"no libpaddle_lite_jni\.so for arm64",
    ),
    "not aligned": (lambda server: server.add(PATH, release(so=shared_object(align=4096))), "aligned to 4096 bytes"),
    "of another version": (
        lambda server: server.add(PATH, release(so=shared_object(payload=b"\0v2.10\0"))),
        r"runtime is Paddle Lite v2\.10",
    ),
    "without its jar": (lambda server: server.add(PATH, release(java=b"PK")), r"PaddlePredictor\.jar is damaged"),
    "truncated": (lambda server: server.add(PATH, release()[:-40]), "is no release: the archive cannot be read"),
    "a page for people": (lambda server: server.add(PATH, b"<html>log in</html>"), "is no release"),
    "hangs up": (
        lambda server: server.add(PATH, release(), cuts=[100]),
        r"100 of \d+ bytes|without sending|incomplete",
    ),
    "redirects for ever": (lambda server: server.add(PATH, b"", location=server.url(PATH)), "redirects without end"),
    "too slow": (lambda server: server.add(PATH, release() + bytes(1 << 20), pace=0.07), "less than 20 kB a second"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_is_wrong_with_a_release_is_a_reason_and_no_error(server, tmp_path, monkeypatch, fault):
    prepare, message = FAULTS[fault]
    if fault == "too slow":
        monkeypatch.setattr(lite, "_GRACE", 0.2)
    prepare(server)
    first = ask(server)
    assert isinstance(first, NoRuntime)
    assert re.search(message, first.reason)
    assert "\n" not in first.reason
    # The same reason at once, without a second download: it stands in the manifest.
    count = len(server.requests)
    assert ask(server) == replace(first, hint=ask(server).hint)
    assert len(server.requests) == count


@pytest.mark.parametrize(
    ("name", "value"), [("ALL_PROXY", "socks5://127.0.0.1:9"), ("ALL_PROXY", "foo://x"), ("HTTP_PROXY", "http://[::1/")]
)
def test_a_faulty_proxy_is_a_reason_and_no_error(server, monkeypatch, name, value):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv(name, value)
    server.add(PATH, release())
    assert isinstance(ask(server), NoRuntime)


@pytest.mark.parametrize("opt", ["develop", "2.14rc0-dirty", ""])
def test_a_converter_of_no_release_is_a_reason_and_no_error(server, opt):
    found = ask(server, opt=opt)
    assert isinstance(found, NoRuntime)
    assert "which is no release of Paddle Lite" in found.reason
    assert server.requests == []


def test_another_file_than_the_recorded_one_is_not_taken(server, tmp_path):
    server.add(PATH, release())
    ask(server)
    cached(tmp_path).unlink()
    server.add(PATH, release(so=shared_object(payload=b"changed")))
    found = ask(server)
    assert isinstance(found, NoRuntime)
    assert "wrong checksum" in found.reason
    assert "downloads.lock.json" in str(found.hint)
    assert not list((tmp_path / "cache").rglob("*.tar.gz"))


def test_a_damaged_file_in_the_cache_is_fetched_again(server, tmp_path):
    server.add(PATH, release())
    first = ask(server)
    cached(tmp_path).write_bytes(release()[:300])
    assert isinstance(ask(server, offline=True), NoRuntime)
    assert ask(server) == first
    assert len(server.requests) == 2
    (tmp_path / "cache" / "downloads.lock.json").write_bytes(b"[")
    found = ask(server)
    assert isinstance(found, NoRuntime)
    assert "the recorded sums cannot be read" in found.reason


def test_an_archive_that_cannot_be_read_is_not_pinned(server, tmp_path):
    server.add(PATH, release()[:-40])
    assert isinstance(ask(server), NoRuntime)
    server.add(PATH, release())
    assert isinstance(ask(server, insist=True), LiteRuntime)


def test_a_failed_address_is_tried_again_after_an_hour_and_when_paddle_lite_is_required(server, tmp_path):
    found = ask(server)
    assert isinstance(found, NoRuntime)
    at = next_attempt(found.reason)
    assert at is not None
    assert 3500 < at - time.time() <= 3600
    assert next_attempt("another reason") is None
    server.add(PATH, release())
    assert ask(server) == NoRuntime(found.reason)
    assert isinstance(ask(server, insist=True), LiteRuntime)
    assert next_attempt(found.reason) is None
    assert isinstance(ask(server), LiteRuntime)


def test_a_proxy_that_is_corrected_counts_at_once(server, monkeypatch):
    server.add(PATH, release())
    with monkeypatch.context() as patch:
        patch.delenv("NO_PROXY")
        patch.setenv("HTTP_PROXY", "socks://127.0.0.1:1")
        found = ask(server)
    assert isinstance(found, NoRuntime)
    assert "HTTP_PROXY" in found.reason
    assert next_attempt(found.reason) is None
    assert isinstance(ask(server), LiteRuntime)


def test_an_hour_later_the_address_is_tried_again(server, tmp_path):
    ask(server)
    server.add(PATH, release())
    (note,) = (tmp_path / "cache" / "downloads").glob("*.failed")
    os.utime(note, (time.time() - 3700,) * 2)
    assert isinstance(ask(server), LiteRuntime)


def test_a_processor_without_a_release_is_a_reason(server):
    config = replace(load_android(), lite_url=server.url("/{version}/{arch}.tar.gz"))
    assert isinstance(release_runtime(config, ("x86_64",), "2.14rc0", offline=False), NoRuntime)
    assert server.requests == []

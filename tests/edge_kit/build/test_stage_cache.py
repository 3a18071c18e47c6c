from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_kit.build.cache import StageCache, content_key, default_cache
from edge_kit.build.files import Json
from model_opt.errors import KitError

KEY = "a" * 64


def never() -> None:
    raise AssertionError("nobody else works on this key")


def fill(out: Path) -> Json:
    (out / "deep" / "er").mkdir(parents=True)
    (out / "deep" / "er" / "model.nb").write_bytes(b"model" * 1000)
    (out / "labels.txt").write_text("文字\n", encoding="utf-8")
    return {"ops": 199, "shape": (1, 3), "name": "det"}


def test_a_result_is_found_again_as_it_was_made(cache: StageCache) -> None:
    with cache.in_use():
        assert cache.find("convert", KEY) is None
        made, by_another = cache.make("convert", KEY, fill, never)
        assert not by_another
        assert cache.find("convert", KEY) == made
    assert made.value == {"ops": 199, "shape": [1, 3], "name": "det"}
    assert (made.folder / "deep" / "er" / "model.nb").read_bytes() == b"model" * 1000
    assert (made.folder / "labels.txt").read_text(encoding="utf-8") == "文字\n"


def flip_byte_keeping_size_and_times(entry: Path) -> None:
    path = entry / "out" / "deep" / "er" / "model.nb"
    status = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[2500] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def truncate(entry: Path) -> None:
    path = entry / "out" / "labels.txt"
    path.chmod(0o644)
    os.truncate(path, 3)


def replace_by_link(entry: Path) -> None:
    path = entry / "out" / "labels.txt"
    other = entry / "copy"
    path.rename(other)
    path.symlink_to(other)


def change_result(entry: Path) -> None:
    path = entry / "result.json"
    path.write_bytes(path.read_bytes().replace(b"199", b"198"))


def change_digest(entry: Path) -> None:
    path = entry / "digest.json"
    path.write_bytes(path.read_bytes().replace(b"5000", b"5001"))


DAMAGES: list[Callable[[Path], object]] = [
    flip_byte_keeping_size_and_times,
    truncate,
    replace_by_link,
    change_result,
    change_digest,
    lambda entry: (entry / "out" / "labels.txt").unlink(),
    lambda entry: (entry / "out" / "extra").write_bytes(b""),
    lambda entry: (entry / "result.json").unlink(),
    lambda entry: (entry / "digest.json").unlink(),
    lambda entry: (entry / "digest.json").write_bytes(b'{"stage": "convert"'),
    lambda entry: (entry / "digest.json").write_bytes(b"[]"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_never_used_but_made_again(damage: Callable[[Path], object], cache: StageCache) -> None:
    with cache.in_use():
        made, _ = cache.make("convert", KEY, fill, never)
        damage(cache.root / KEY)
        assert cache.find("convert", KEY) is None
        again, by_another = cache.make("convert", KEY, fill, never)
        assert not by_another
        assert again == made
        assert cache.find("convert", KEY) == made
    assert sorted(p.name for p in cache.root.iterdir()) == [".locks", KEY]


def test_a_result_is_not_taken_for_that_of_another_stage(cache: StageCache) -> None:
    with cache.in_use():
        cache.make("convert", KEY, fill, never)
        assert cache.find("verify", KEY) is None


def link_out(out: Path) -> Json:
    (out / "link").symlink_to("/etc/hostname")
    return {}


def bad_name(out: Path) -> Json:
    (out / "a\\b").write_bytes(b"")
    return {}


@pytest.mark.parametrize(
    ("filler", "part"),
    [
        (link_out, "is a link"),
        (bad_name, "backslash"),
        (lambda out: {"x": math.nan}, "result of stage 'convert' cannot be written as JSON"),
        (lambda out: {"x": out}, "result of stage 'convert' cannot be written as JSON"),
    ],
)
def test_what_a_result_cannot_hold_is_an_error_and_leaves_nothing(
    filler: Callable[[Path], Json], part: str, cache: StageCache
) -> None:
    with cache.in_use():
        with pytest.raises(KitError, match=part):
            cache.make("convert", KEY, filler, never)
        assert cache.find("convert", KEY) is None
    assert [p.name for p in cache.root.iterdir()] == [".locks"]


def test_two_threads_on_one_key_do_the_work_once(cache: StageCache) -> None:
    started, go_on = threading.Event(), threading.Event()
    outcomes: dict[str, bool] = {}

    def slow(out: Path) -> Json:
        started.set()
        assert go_on.wait(20)
        return fill(out)

    def first() -> None:
        outcomes["first"] = cache.make("convert", KEY, slow, never)[1]

    with cache.in_use():
        thread = threading.Thread(target=first)
        thread.start()
        assert started.wait(20)
        outcomes["second"] = cache.make("convert", KEY, fill, go_on.set)[1]  # lets the first go on by waiting
        thread.join()
    assert outcomes == {"first": False, "second": True}


def test_waiting_for_another_build_ends_when_asked(cache: StageCache) -> None:
    def stop() -> None:
        raise InterruptedError

    def inside(out: Path) -> Json:
        with pytest.raises(InterruptedError):
            cache.make("convert", KEY, fill, stop)
        return fill(out)

    with cache.in_use():
        assert cache.make("convert", KEY, inside, never)[1] is False


def test_pruning_keeps_what_was_used_last(cache: StageCache) -> None:
    keys = [character * 64 for character in "1234"]

    def thousand(out: Path) -> Json:
        (out / "x").write_bytes(bytes(100_000))
        return {}

    with cache.in_use():
        for age, key in enumerate(keys):
            cache.make("s", key, thousand, never)
            stamp = 1_000_000_000 + age
            os.utime(cache.root / key / "digest.json", (stamp, stamp))
        assert cache.find("s", keys[0]) is not None  # its time of last use is now
    assert cache.prune(10_000_000).entries == 0
    pruned = cache.prune(250_000)
    assert pruned.entries == 2
    assert 200_000 < pruned.bytes < 204_000
    assert {p.name for p in cache.root.iterdir()} == {".locks", keys[0], keys[3]}
    assert {p.name for p in (cache.root / ".locks").iterdir()} == {"session", keys[0], keys[3]}


def test_pruning_leaves_everything_while_a_build_uses_the_cache(cache: StageCache) -> None:
    with cache.in_use():
        made, _ = cache.make("s", KEY, fill, never)
        (cache.root / ".tmp-1-0123456789abcdef").mkdir()
        assert cache.prune(0).entries == 0
        assert (cache.root / ".tmp-1-0123456789abcdef").exists()
        assert cache.find("s", KEY) == made
    assert cache.prune(0).entries == 1
    assert [p.name for p in cache.root.iterdir()] == [".locks"]


def test_pruning_a_cache_that_does_not_exist_does_nothing(tmp_path: Path) -> None:
    assert StageCache(tmp_path / "none").prune(0).entries == 0
    assert not (tmp_path / "none").exists()


def test_a_cache_that_cannot_be_made_is_an_error_that_names_the_variable(own_cache: Path, cache: StageCache) -> None:
    own_cache.write_bytes(b"")
    with pytest.raises(KitError, match="cannot open the cache") as caught, cache.in_use():
        pytest.fail("a cache inside a file cannot be used")
    assert "EDGE_KIT_CACHE" in str(caught.value.hint)


def test_the_default_cache_lies_in_the_cache_folder(own_cache: Path) -> None:
    assert default_cache().root == own_cache / "stages"


def test_every_part_of_a_key_counts() -> None:
    base = content_key("a", {"p": "1"}, {"n": "x"})
    assert base == content_key("a", {"p": "1"}, {"n": "x"})
    others = [
        content_key("b", {"p": "1"}, {"n": "x"}),
        content_key("a", {"p": "2"}, {"n": "x"}),
        content_key("a", {"q": "1"}, {"n": "x"}),
        content_key("a", {"p": "1"}, {"n": "y"}),
        content_key("a", {"p": "1"}, {"m": "x"}),
        content_key("a", {"p": "1", "n": "x"}, {}),
    ]
    assert len({base, *others}) == 7

"""Downloads over a loopback server that breaks in every way a real one does."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from model_opt.download import DownloadRefused, Policy, download
from model_opt.errors import ChecksumError, KitError, SourceUnavailable
from model_opt.fs import sha256_bytes
from tests.model_opt.zoo_samples import Server, serving

BODY = os.urandom(200_000)
QUICK = Policy(attempts=3, pause=0.01, connect_timeout=2, read_timeout=2)


@pytest.fixture
def server():
    with serving() as running:
        yield running


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_download_is_whole_and_leaves_only_itself(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY)
    seen = []
    found = download(url, tmp_path / "m.tar", label="m", progress=lambda *step: seen.append(step), policy=QUICK)
    assert found == sha256_bytes(BODY)
    assert (tmp_path / "m.tar").read_bytes() == BODY
    assert left_in(tmp_path) == ["m.tar"]
    assert seen[-1] == ("m", len(BODY), len(BODY))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_a_broken_download_is_resumed_where_it_broke(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, cuts=[70_000, 50_000])
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(BODY)
    assert server.requests == [("/m.tar", None), ("/m.tar", "bytes=70000-"), ("/m.tar", "bytes=120000-")]


def test_a_later_call_resumes_what_an_earlier_one_left(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, cuts=[70_000])
    with pytest.raises(SourceUnavailable) as caught:
        download(url, tmp_path / "m.tar", policy=Policy(attempts=1))
    assert "1 attempts" in str(caught.value)
    assert not (tmp_path / "m.tar").exists()
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(BODY)
    assert server.requests[-1] == ("/m.tar", "bytes=70000-")


def test_a_server_without_ranges_is_asked_for_the_whole_file_again(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, ranges=False, cuts=[70_000])
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(BODY)
    assert (tmp_path / "m.tar").read_bytes() == BODY


@pytest.mark.parametrize("size", [150_000, len(BODY)])
def test_a_file_that_changed_between_two_attempts_is_not_mixed(server: Server, tmp_path: Path, size: int):
    url = server.add("/m.tar", BODY, cuts=[70_000])
    with pytest.raises(SourceUnavailable):
        download(url, tmp_path / "m.tar", policy=Policy(attempts=1))
    other = os.urandom(size)
    server.add("/m.tar", other, etag='"two"')
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(other)


def test_without_a_validator_an_unpinned_download_starts_again(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, etag=None, cuts=[70_000])
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(BODY)
    assert server.requests == [("/m.tar", None), ("/m.tar", None)]


@pytest.mark.parametrize("answer", ["bytes 0-199999/200000", "bytes 70000-199999/999999", "nonsense"])
def test_another_part_than_asked_for_is_thrown_away(server: Server, tmp_path: Path, answer: str):
    url = server.add("/m.tar", BODY, cuts=[70_000], content_range=answer)
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(BODY)
    assert [asked for _, asked in server.requests] == [None, "bytes=70000-", None]


def test_a_server_that_sends_less_than_asked_for_is_asked_for_the_rest(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, cuts=[70_000], range_cap=80_000)
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(BODY)
    assert [asked for _, asked in server.requests] == [None, "bytes=70000-", "bytes=150000-"]


def test_a_damaged_part_is_fetched_again_when_the_sum_is_known(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, cuts=[70_000])
    with pytest.raises(SourceUnavailable):
        download(url, tmp_path / "m.tar", policy=Policy(attempts=1))
    part = tmp_path / "m.tar.part"
    part.write_bytes(b"\0" * part.stat().st_size)
    download(url, tmp_path / "m.tar", expected=sha256_bytes(BODY), policy=QUICK)
    assert (tmp_path / "m.tar").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, cuts=[70_000])
    with pytest.raises(SourceUnavailable):
        download(url, tmp_path / "m.tar", policy=Policy(attempts=1))
    (tmp_path / "m.tar.part").write_bytes(BODY + b"more")
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(BODY)


def test_a_download_that_stays_truncated_is_no_file(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, ranges=False, cuts=[9_000, 9_000, 9_000])
    with pytest.raises(SourceUnavailable) as caught:
        download(url, tmp_path / "m.tar", policy=QUICK)
    assert "3 attempts" in str(caught.value)
    assert url in str(caught.value)
    assert len(server.requests) == 3
    assert not (tmp_path / "m.tar").exists()


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refusal_is_not_retried(server: Server, tmp_path: Path, status: int):
    url = server.add("/m.tar", BODY, statuses=[status])
    with pytest.raises(SourceUnavailable, match=f"HTTP {status}"):
        download(url, tmp_path / "m.tar", policy=QUICK)
    assert len(server.requests) == 1
    assert left_in(tmp_path) == []


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, statuses=[503, 429])
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(BODY)
    assert len(server.requests) == 3


def test_a_wrong_sum_names_both_sums_and_leaves_nothing(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY)
    expected = "0" * 64
    with pytest.raises(ChecksumError) as caught:
        download(url, tmp_path / "m.tar", expected=expected, policy=QUICK)
    assert (caught.value.expected, caught.value.found) == (expected, sha256_bytes(BODY))
    assert expected in str(caught.value)
    assert sha256_bytes(BODY) in str(caught.value)
    assert left_in(tmp_path) == []


def test_redirects_are_followed_but_not_without_end(server: Server, tmp_path: Path):
    server.add("/real.tar", BODY)
    url = server.add("/m.tar", b"", location=server.url("/real.tar"))
    assert download(url, tmp_path / "m.tar", policy=QUICK) == sha256_bytes(BODY)
    loop = server.add("/loop", b"", location=server.url("/loop"))
    with pytest.raises(SourceUnavailable, match="redirects without end"):
        download(loop, tmp_path / "loop", policy=QUICK)


@pytest.mark.parametrize("told", [True, False])
def test_a_file_beyond_the_limit_is_refused(server: Server, tmp_path: Path, told: bool):
    url = server.add("/m.tar", BODY, length=told)
    with pytest.raises(DownloadRefused, match="larger than"):
        download(url, tmp_path / "m.tar", policy=Policy(attempts=2, pause=0.01, max_bytes=100_000))
    assert left_in(tmp_path) == []


def test_a_stalled_server_ends_in_an_error(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY, stall=1.0)
    with pytest.raises(SourceUnavailable, match=r"(?i)timed? ?out"):
        download(url, tmp_path / "m.tar", policy=Policy(attempts=2, pause=0.01, read_timeout=0.1))


def test_nobody_listening_ends_in_an_error(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/m.tar"
        with pytest.raises(SourceUnavailable, match="cannot download"):
            download(url, tmp_path / "m.tar", policy=QUICK)


@pytest.mark.parametrize(
    ("name", "value"), [("ALL_PROXY", "socks5://127.0.0.1:9"), ("ALL_PROXY", "foo://x"), ("HTTP_PROXY", "http://[::1/")]
)
def test_a_faulty_proxy_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(SourceUnavailable, match="cannot download") as caught:
        download(server.add("/m.tar", BODY), tmp_path / "m.tar", policy=QUICK)
    assert "proxy" in str(caught.value.hint)


def test_a_full_disk_is_said_and_its_space_given_back(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY)
    (tmp_path / "m.tar.part").symlink_to("/dev/full")
    with pytest.raises(KitError, match="No space left on device") as caught:
        download(url, tmp_path / "m.tar", policy=QUICK)
    assert "free some space" in str(caught.value)
    assert left_in(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_said(server: Server, tmp_path: Path):
    url = server.add("/m.tar", BODY)
    (tmp_path / "file").write_text("here")
    with pytest.raises(KitError) as caught:
        download(url, tmp_path / "file" / "m.tar", policy=QUICK)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno in (errno.ENOTDIR, errno.EEXIST)

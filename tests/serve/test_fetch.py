"""Addresses are fetched from named hosts only, and nothing else of the network can be reached."""

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edge_kit.serve import fetch as module
from edge_kit.serve.errors import RequestError
from edge_kit.serve.fetch import fetch
from tests.serve.running import STUB, running


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        port = self.server.server_address[1]
        if self.path == "/file":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"content for " + self.headers["Host"].encode())
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{port}/file")
            self.end_headers()
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.end_headers()
        elif self.path == "/round":
            self.send_response(302)
            self.send_header("Location", "/round")
            self.end_headers()
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    with serving() as port:
        yield port


@contextmanager
def serving():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def get(url: str, *allowed: str, size: int = 1000) -> bytes:
    return asyncio.run(fetch(url, allowed, size))


def refused(url: str, *allowed: str, size: int = 1000) -> RequestError:
    with pytest.raises(RequestError) as error:
        get(url, *allowed, size=size)
    return error.value


def test_a_named_host_is_fetched(site):
    assert get(f"http://127.0.0.1:{site}/file", "127.0.0.1") == f"content for 127.0.0.1:{site}".encode()
    assert get(f"http://127.0.0.1:{site}/moved", f"127.0.0.1:{site}")
    assert (
        get(f"http://localhost:{site}/file", "localhost", "127.0.0.1", "::1")
        == f"content for localhost:{site}".encode()
    )


def test_nothing_is_fetched_unless_named(site):
    assert "not fetched" in refused(f"http://127.0.0.1:{site}/file").what
    for url in (
        f"http://127.0.0.1:{site}/file", f"http://localhost:{site}/file", f"http://[::1]:{site}/file",
        f"http://0x7f000001:{site}/file", f"http://2130706433:{site}/file", f"http://user@example.org:{site}/file",
        f"http://example.org@127.0.0.1:{site}/file", "file:///etc/passwd", "http:///file", "http://example.org:x/",
    ):  # fmt: skip
        assert refused(url, "example.org").status == 422, url


def test_a_named_host_with_a_private_address_is_refused_unless_that_is_named_too(site):
    assert "private" in refused(f"http://localhost:{site}/file", "localhost").what


def test_a_redirect_is_held_to_the_same_rules(site):
    assert "not allowed" in refused(f"http://127.0.0.1:{site}/away", "127.0.0.1").what
    assert "too often" in refused(f"http://127.0.0.1:{site}/round", "127.0.0.1").what


def test_a_file_too_large_or_missing_is_refused(site):
    assert refused(f"http://127.0.0.1:{site}/file", "127.0.0.1", size=5).status == 413
    assert "404" in refused(f"http://127.0.0.1:{site}/none", "127.0.0.1").what
    assert refused("http://127.0.0.1:1/file", "127.0.0.1").status == 422


def test_an_address_that_does_not_answer_ends_in_time(monkeypatch):
    import socket

    monkeypatch.setattr(module, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert refused(f"http://127.0.0.1:{silent.getsockname()[1]}/", "127.0.0.1").status == 422


def test_the_worker_gets_the_file_of_an_address(site):
    with running(replace(STUB, url_hosts=("127.0.0.1",))) as client:
        made = client.post("/ocr", json={"fetch": f"http://127.0.0.1:{site}/file"}).json()
        assert made["size"] == len(f"content for 127.0.0.1:{site}")
        assert made["header"]["resume"] == {"asked": 1}
        assert client.post("/ocr", json={"fetch": "http://localhost/file", "logId": "x"}).json()["logId"] == "x"

"""Clients follow the proxy and certificate settings of the environment, and faults name the variable."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model_opt.download import Policy, download
from model_opt.errors import KitError, SourceUnavailable
from model_opt.http import environment_note, hint_for, is_url, path_of, route_of, ssl_context
from tests.model_opt.zoo_samples import Server, serving

PROXIES = [name for key in ("http", "https", "all", "no") for name in (f"{key}_proxy", f"{key}_proxy".upper())]
ONCE = Policy(attempts=1, connect_timeout=2, read_timeout=2)


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch):
    """Sets variables of the environment, which has no other proxy or certificate setting."""
    for name in (*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


@contextmanager
def answering(*parts: bytes, pace: float = 0.0) -> Iterator[str]:
    """A server that answers each connection with ``parts``, with a pause before each; yields its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(65536)
                        for part in parts:
                            time.sleep(pace)
                            connection.sendall(part)
                    except OSError:
                        pass

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks://127.0.0.1:7891"),
        ("ALL_PROXY", "socks5://127.0.0.1:7891"),
        ("all_proxy", "socks4a://127.0.0.1:7891"),
        ("HTTP_PROXY", "socks5h://127.0.0.1:7891"),
        ("http_proxy", "foo://127.0.0.1"),
        ("HTTP_PROXY", "http://[::1"),
        ("HTTP_PROXY", "http://127.0.0.1:port"),
        ("HTTP_PROXY", "127.0.0.1:99999999"),
        ("HTTP_PROXY", "http://"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("http_proxy", "127.0.0.1:9"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(tmp_path: Path, settings, name: str, value: str):
    settings(**{name: value})
    with pytest.raises(SourceUnavailable, match="cannot download") as caught:
        download("http://127.0.0.1:9/m.tar", tmp_path / "m.tar", policy=ONCE)
    assert name in str(caught.value)


def test_a_proxy_that_the_address_does_not_need_cannot_stop_a_download(server: Server, tmp_path: Path, settings):
    url = server.add("/m.tar", b"body")
    server.pages[url] = server.pages["/m.tar"]  # a proxy is asked for the complete address
    settings(HTTPS_PROXY="socks://127.0.0.1:1", ALL_PROXY="foo://x", HTTP_PROXY=server.url(""))
    download(url, tmp_path / "by the proxy of its scheme", policy=ONCE)
    settings(HTTP_PROXY="socks://127.0.0.1:1", NO_PROXY="127.0.0.1")
    download(url, tmp_path / "directly", policy=ONCE)
    assert [path for path, _ in server.requests] == [url, "/m.tar"]


def test_a_password_of_a_proxy_is_not_shown(tmp_path: Path, settings):
    settings(HTTP_PROXY="http://me:secret@127.0.0.1:9")
    with pytest.raises(SourceUnavailable) as caught:
        download("http://127.0.0.1:9/m.tar", tmp_path / "m.tar", policy=ONCE)
    assert "HTTP_PROXY" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_proxy_that_asks_for_a_password_is_named(tmp_path: Path, settings):
    with answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as proxy:
        for url, name in (("http://127.0.0.1:9/m", "HTTP_PROXY"), ("https://127.0.0.1:9/m", "HTTPS_PROXY")):
            settings(**{name: f"http://{proxy}"})
            with pytest.raises(SourceUnavailable, match="407") as caught:
                download(url, tmp_path / "m", policy=ONCE)
            assert f"{name} names, http://{proxy}, which asks for a user and a password" in str(caught.value)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_certificates_that_cannot_be_used_are_named_by_their_variable(tmp_path: Path, settings, name, content):
    place = tmp_path / "certificates"
    if content is not None:
        place.write_bytes(content)
    settings(**{name: str(place)})
    with pytest.raises(SourceUnavailable, match=f"cannot download.*{name}") as caught:
        download("https://127.0.0.1:9/m.tar", tmp_path / "m.tar", policy=ONCE)
    assert str(place) in str(caught.value)


def test_a_folder_of_certificates_is_taken(tmp_path: Path, settings):
    settings(SSL_CERT_DIR=f"{tmp_path / 'absent'}:{tmp_path}")
    assert ssl_context().verify_mode == ssl.CERT_REQUIRED


def test_an_untrusted_certificate_leads_to_the_variable(settings):
    message = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate"
    assert "SSL_CERT_FILE (it is not set)" in str(hint_for("https://host/x", message))
    settings(SSL_CERT_FILE="/etc/own.pem")
    assert "SSL_CERT_FILE (now SSL_CERT_FILE=/etc/own.pem)" in str(hint_for("https://host/x", message))


def test_programs_complaining_of_the_network_get_the_variables_that_are_set(settings):
    settings(ALL_PROXY="socks5://127.0.0.1:1", REQUESTS_CA_BUNDLE="/none")
    said = environment_note("ERROR: Could not install packages: Missing dependencies for SOCKS support.")
    assert "ALL_PROXY" in said
    assert "REQUESTS_CA_BUNDLE" in said
    assert environment_note("ERROR: no space left") == ""


@pytest.mark.parametrize(
    "trickle", [(b"HTTP/1.1 200 OK\r\n", *[b"X"] * 50), (b"HTTP/1.1 200 OK\r\n\r\n", *[b"."] * 50)]
)
def test_an_address_that_sends_a_byte_now_and_then_ends_in_an_error(tmp_path: Path, settings, trickle):
    with answering(*trickle, pace=0.1) as host:
        begin = time.monotonic()
        with pytest.raises(SourceUnavailable, match=r"not complete after 0\.5 seconds"):
            download(f"http://{host}/m", tmp_path / "m", policy=Policy(attempts=3, total_timeout=0.5))
        assert time.monotonic() - begin < 3


def test_a_download_that_nobody_waits_for_ends(tmp_path: Path, settings):
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with answering(b"", b"", pace=20) as host, pytest.raises(SourceUnavailable, match="nobody waits"):
        download(f"http://{host}/m", tmp_path / "m", policy=Policy(), stop=stop)


@pytest.mark.parametrize(
    "address",
    [
        "http://[::1/x.jpg", "http://", "http:///x.jpg", "http://host:port/x", "http://host:99999/x", "http://a b/x",
        "http://\x00/x", "http://127.0.0.1:0/x", "http://" + "a" * 300 + "/x", "http://xn--\udcff/x", "http://.../x",
        "http://%/x", "http://[v1.a]/x", "http://١٢٧.0.0.1:9/x", "http://-/\r\nx", "https://[/", "http://@/x",
    ],
)  # fmt: skip
def test_a_malformed_address_is_an_error_like_any_other(tmp_path: Path, settings, address: str, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (_ for _ in ()).throw(socket.gaierror("no such host")))
    with pytest.raises(KitError):
        download(address, tmp_path / "m", policy=ONCE)
    assert isinstance(path_of(address), str)


def test_the_case_of_a_scheme_does_not_matter(server: Server, tmp_path: Path):
    url = server.add("/m.tar", b"body")
    assert is_url("HTTPS://host/a.png")
    assert not is_url("C:/http://a.png")
    download("HTTP" + url[4:], tmp_path / "m.tar", policy=ONCE)
    assert (tmp_path / "m.tar").read_bytes() == b"body"


def test_no_proxy_is_obeyed(settings):
    settings(ALL_PROXY="http://127.0.0.1:1", NO_PROXY="localhost,::1,.example")
    assert route_of("http://[::1]:80/x").proxy is None
    assert route_of("http://a.example/x").proxy is None
    assert route_of("https://other/x").variable == "ALL_PROXY"

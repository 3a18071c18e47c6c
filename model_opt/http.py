"""The one place that makes HTTP clients: proxy and certificates of the environment, redirects, a total time limit.

A fault of the proxy or certificate settings names the variable that holds them. Only the proxy that an address needs is
looked at: a proxy of another scheme, or one that ``NO_PROXY`` excludes, cannot stop a request.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from model_opt.errors import KitError, SourceUnavailable

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 20

_LOOK = 0.2
"""Seconds between two looks at whether somebody still waits for a request."""

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Where the environment names the authorities to trust, as OpenSSL calls them; else those of ``certifi``."""

_OTHERS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "PIP_PROXY")
"""What programs that the kit starts look at besides."""


class DownloadRefused(KitError):
    """What a server delivers is not taken, from no other source either."""


class ConnectionSettingsError(SourceUnavailable):
    """A proxy or certificate setting of the environment cannot be used."""


class Interrupted(SourceUnavailable):
    """A request took longer than its total limit, or nobody waits for it any more."""


@dataclass(frozen=True)
class Route:
    """How an address is reached: through a proxy, and the variable that says so; both None for a direct way."""

    proxy: str | None = None
    variable: str | None = None


def is_url(text: str) -> bool:
    """Return whether ``text`` is an http or https address; the scheme's case does not matter (RFC 3986)."""
    return text[:8].lower().startswith(("http://", "https://"))


def path_of(url: str) -> str:
    """Return the path of an address, also of one that is malformed."""
    try:
        return urlsplit(url).path
    except ValueError:
        return "/" + url.partition("://")[2].partition("/")[2]


def without_password(url: str) -> str:
    """Return an address without user and password, for messages."""
    return re.sub(r"//[^/@]*@", "//", url)


def route_of(url: str) -> Route:
    """Return how the environment says that an address is reached; see ``urllib.request.getproxies``."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    proxies = getproxies()
    key = next((one for one in (scheme, "all") if proxies.get(one)), None)
    if key is None or any(map(proxy_bypass, (parts.netloc.rpartition("@")[2], parts.hostname or ""))):
        return Route()
    proxy = proxies[key].strip()
    names = [name for name in (f"{key}_proxy", f"{key}_proxy".upper()) if os.environ.get(name, "").strip() == proxy]
    return Route(proxy if "://" in proxy else f"http://{proxy}", names[0] if names else "the system's settings")


def ssl_context() -> ssl.SSLContext:
    """Return the certificates to trust. Raises ``ConnectionSettingsError`` that names the variable at fault."""
    import certifi

    name = next((one for one in CERTIFICATES if os.environ.get(one)), None)
    if name is None:
        return ssl.create_default_context(cafile=certifi.where())
    place = os.environ[name]
    try:
        return _context_of(name, place)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConnectionSettingsError(
            f"the certificates that {name} names cannot be used: {getattr(error, 'strerror', None) or error}",
            path=place,
            hint=f"correct {name}, or unset it: the authorities of the package certifi are trusted then",
        ) from error


def _context_of(name: str, place: str) -> ssl.SSLContext:
    if name == "SSL_CERT_FILE":
        return ssl.create_default_context(cafile=place)
    folders = [folder for folder in place.split(os.pathsep) if Path(folder).is_dir()]
    if not folders:
        raise FileNotFoundError("there is no such folder")
    context = ssl.create_default_context(capath=folders[0])
    for folder in folders[1:]:
        context.load_verify_locations(capath=folder)
    return context


def make_client(url: str, timeout: httpx.Timeout) -> httpx.Client:
    """Return a client for one address. Raises ``ConnectionSettingsError`` for a proxy that cannot be used."""
    import httpx

    route = route_of(url)
    secure = url[:6].lower() == "https:" or (route.proxy or "").startswith("https:")
    verify: ssl.SSLContext | bool = ssl_context() if secure else False
    try:
        proxy = None if route.proxy is None else httpx.Proxy(route.proxy)
        if proxy is not None and proxy.url.scheme == "https" and isinstance(verify, ssl.SSLContext):
            proxy.ssl_context = verify
        return httpx.Client(proxy=proxy, verify=verify, timeout=timeout, trust_env=False)
    except (ImportError, ValueError, TypeError, httpx.InvalidURL) as error:
        raise _proxy_fault(route, error) from error


def make_async_client(timeout: float) -> httpx.AsyncClient:
    """Return a client that uses no proxy, for addresses that somebody else names."""
    import httpx

    return httpx.AsyncClient(verify=ssl_context(), timeout=timeout, trust_env=False, follow_redirects=False)


def _proxy_fault(route: Route, error: Exception) -> ConnectionSettingsError:
    proxy = without_password(route.proxy or "")
    why = "SOCKS needs the package socksio" if isinstance(error, ImportError) else str(error)
    hint = f"set {route.variable} to an http:// or https:// proxy, or unset it"
    if "socks" in proxy:
        hint += "; for SOCKS 5 install the package socksio and write socks5://"
    return ConnectionSettingsError(f"the proxy that {route.variable} names cannot be used: {why}: {proxy}", hint=hint)


@dataclass(frozen=True)
class Limit:
    """When a request is given up, however slowly bytes come: at ``end`` (of ``time.monotonic``), or by ``stop``."""

    seconds: float
    """All that was allowed, for messages."""
    end: float
    stop: threading.Event | None = None

    @classmethod
    def of(cls, seconds: float, stop: threading.Event | None = None) -> Limit:
        """Return a limit of that many seconds from now."""
        return cls(seconds, time.monotonic() + seconds, stop)


@contextmanager
def get(url: str, headers: Mapping[str, str], timeout: httpx.Timeout, limit: Limit) -> Iterator[httpx.Response]:
    """Yield the answer to a GET request, redirects followed, its body not yet read.

    Everything inside the ``with`` block has to end within ``limit``: ``Interrupted`` else. Raises
    ``SourceUnavailable`` for what is no address and for endless redirects, ``DownloadRefused`` for a redirect that
    leaves encryption, ``ConnectionSettingsError``, and ``httpx.RequestError``.
    """
    first = url
    with _deadline(first, limit) as trace:
        for _ in range(MAX_REDIRECTS + 1):
            with _answered(url, headers, timeout, trace) as response:
                if response.next_request is None:
                    yield response
                    return
                following = str(response.next_request.url)
            if url[:6].lower() == "https:" and not following.startswith("https:"):
                raise DownloadRefused(f"{first} redirects to an address without encryption: {following}")
            url = following
    raise SourceUnavailable(f"{first} redirects without end", hint="check the address")


@contextmanager
def _answered(
    url: str, headers: Mapping[str, str], timeout: httpx.Timeout, trace: Callable[..., None]
) -> Iterator[httpx.Response]:
    import httpx

    try:
        client = make_client(url, timeout)
        request = client.build_request("GET", url, headers=dict(headers), extensions={"trace": trace})
    except (httpx.InvalidURL, ValueError) as error:
        raise SourceUnavailable(
            f"{url} is no address that can be asked: {error}", hint="correct the address"
        ) from error
    with client:
        try:
            response = client.send(request, stream=True)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError, OverflowError) as error:
            what = f"{url} is no address that can be asked: {error}"
            raise SourceUnavailable(what, hint="correct the address") from error
        with closing(response):
            yield response


class _Watch:
    """Ends the connections of a request from outside: a read that waits for the next byte cannot look at a clock."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self.ended: str | None = None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a connection that httpcore opened."""
        if event.endswith("connect_tcp.complete"):
            found = info["return_value"].get_extra_info("socket")
            if found is not None:
                with self._lock:
                    self._sockets.append(found.dup())
                    if self.ended is not None:
                        self._cut()

    def end(self, reason: str) -> None:
        """Cut every connection, and those that are opened later."""
        with self._lock:
            self.ended = reason
            self._cut()

    def _cut(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the copies of the sockets."""
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()


@contextmanager
def _deadline(url: str, limit: Limit) -> Iterator[Callable[..., None]]:
    """Yield what follows a request's connections; the block ends with ``Interrupted`` when the limit is reached."""
    import httpx

    watch, done = _Watch(), threading.Event()
    guard = threading.Thread(target=_guard, args=(watch, done, limit), daemon=True, name="edge-kit-deadline")
    guard.start()
    try:
        yield watch.trace
    except (httpx.RequestError, httpx.StreamError) as error:
        if watch.ended is None:
            raise
        raise _interrupted(url, watch.ended) from error
    finally:
        done.set()
        guard.join()
        watch.close()
    if watch.ended is not None:  # a body without a stated length ends with its connection
        raise _interrupted(url, watch.ended)


def _interrupted(url: str, reason: str) -> Interrupted:
    return Interrupted(f"cannot download {url}: {reason}", hint="check the address and the network, then start again")


def _guard(watch: _Watch, done: threading.Event, limit: Limit) -> None:
    """Wait until the request is done, its time is over, or nobody waits for it."""
    while (left := limit.end - time.monotonic()) > 0:
        if done.wait(left if limit.stop is None else min(_LOOK, left)):
            return
        if limit.stop is not None and limit.stop.is_set():
            watch.end("nobody waits for it any more")
            return
    watch.end(f"not complete after {limit.seconds:g} seconds")


def is_certificate_fault(message: str) -> bool:
    """Return whether a request failed because the server's certificate is not trusted."""
    return "CERTIFICATE_VERIFY_FAILED" in message


def hint_for(url: str, message: str) -> str | None:
    """Return what to check when a request failed with ``message``: the variables that were in use, by their names."""
    if is_certificate_fault(message):
        used = [f"{name}={os.environ[name]}" for name in CERTIFICATES if os.environ.get(name)]
        now = f"now {', '.join(used)}" if used else "it is not set"
        return f"name the file of your network's certificate authorities in SSL_CERT_FILE ({now})"
    route = route_of(url)
    if route.proxy is None:
        return None
    more = ", which asks for a user and a password" if "407" in message else ""
    return (
        f"check the proxy that {route.variable} names, {without_password(route.proxy)}{more} (NO_PROXY excludes hosts)"
    )


def environment_note(output: str) -> str:
    """Return which proxy and certificate variables are set, where a program's output complains of either; else ""."""
    if not re.search(r"(?i)prox|socks|ssl|tls|certificate|connect|timed? ?out", output):
        return ""
    proxies = [name for key in ("https", "http", "all", "no") for name in (f"{key}_proxy", f"{key}_proxy".upper())]
    found = [name for name in (*proxies, *CERTIFICATES, *_OTHERS) if os.environ.get(name)]
    return f"; set in this environment: {', '.join(found)}" if found else ""

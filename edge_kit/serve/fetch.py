"""Fetch a file from an address that a client names, from hosts that the service allows and no others."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from urllib.parse import urljoin, urlsplit

import httpx

from edge_kit.serve.errors import RequestError
from model_opt.http import ConnectionSettingsError, make_async_client

MAX_REDIRECTS = 3
SECONDS = 15.0


async def fetch(url: str, allowed: tuple[str, ...], max_bytes: int) -> bytes:
    """Return what is at an http(s) address, at most ``max_bytes``.

    Each step of a redirect is held to the same rules: the host, or host and port, is in ``allowed``; the name's
    addresses are public, or are in ``allowed`` themselves; the connection goes to the address that was checked. No
    proxy of the environment is used. Raises ``RequestError``: 422 for an address that is not allowed or gives no
    file, 413 for a file too large.
    """
    if not allowed:
        raise RequestError(422, "addresses are not fetched by this service: send the file itself")
    try:
        return await asyncio.wait_for(_follow(url, allowed, max_bytes), SECONDS)
    except asyncio.TimeoutError as error:
        raise RequestError(422, f"the address did not answer within {SECONDS:g} seconds") from error
    except ConnectionSettingsError as error:
        sys.stderr.write(f"edge-kit serve: {error}\n")
        raise RequestError(422, "the address cannot be fetched") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise RequestError(422, "the address cannot be fetched") from error


async def _follow(url: str, allowed: tuple[str, ...], max_bytes: int) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        answer = await _get(url, allowed, max_bytes)
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer)
    raise RequestError(422, "the address redirects too often")


async def _get(url: str, allowed: tuple[str, ...], max_bytes: int) -> bytes | str:
    """Return the file at an address, or where it redirects to."""
    host, port, secure = _checked(url, allowed)
    address = await _resolve(host, port, allowed)
    parts = urlsplit(url)
    numeric = f"[{address}]" if ":" in address else address
    target = parts._replace(netloc=f"{numeric}:{port}", fragment="").geturl()
    default = port == (443 if secure else 80)
    named = f"[{host}]" if ":" in host else host
    headers = {"Host": named if default else f"{named}:{port}", "Accept-Encoding": "identity"}
    async with (
        make_async_client(SECONDS) as client,
        client.stream("GET", target, headers=headers, extensions={"sni_hostname": host}) as response,
    ):
        if response.is_redirect:
            return response.headers["location"]
        if response.status_code != 200:
            raise RequestError(422, f"the address answered with status {response.status_code}")
        parts_read: list[bytes] = []
        total = 0
        async for chunk in response.aiter_raw():
            total += len(chunk)
            if total > max_bytes:
                raise RequestError(413, f"the file at the address is larger than {max_bytes} bytes")
            parts_read.append(chunk)
        return b"".join(parts_read)


def _checked(url: str, allowed: tuple[str, ...]) -> tuple[str, int, bool]:
    """Return host, port and whether it is https; raise for another scheme, a host not allowed, or a password."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = (parts.hostname or "").lower().rstrip(".")
    port = parts.port or (443 if secure else 80)
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise RequestError(422, "not an address that is fetched")
    if host not in allowed and f"{host}:{port}" not in allowed:
        raise RequestError(422, f"the host {host!r} is not allowed")
    return host, port, secure


async def _resolve(host: str, port: int, allowed: tuple[str, ...]) -> str:
    """Return an IP address of a host that may be connected to."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        named = address in allowed or f"{address}:{port}" in allowed
        if not named and not ipaddress.ip_address(address.partition("%")[0]).is_global:
            raise RequestError(422, f"the host {host!r} has a private address")
    return addresses[0]

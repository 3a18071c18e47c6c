"""What uvicorn leaves open: time limits of a connection, and limits of a body while it is read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge_kit.serve.errors import RequestError
from edge_kit.serve.settings import Limits

DISCARD_SECONDS = 2.0
"""How long the rest of a body that is too large is read and thrown away, so that the client sees the answer."""


def protocol(limits: Limits) -> type[H11Protocol]:
    """Return uvicorn's HTTP/1.1 protocol with a time limit for all that is not a request in work.

    A connection that does not send a complete head in ``header_seconds``, stays idle or does not read its answer that
    long is dropped. uvicorn itself counts only from an answer to the next byte.
    """

    class TimedProtocol(H11Protocol):
        _edge_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._edge_arm()

        def connection_lost(self, exc: Exception | None) -> None:
            self._edge_disarm()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            super().handle_events()
            if self.cycle is not None and not self.cycle.response_complete:
                self._edge_disarm()

        def on_response_complete(self) -> None:
            self._edge_arm()
            super().on_response_complete()

        def _edge_arm(self) -> None:
            self._edge_disarm()
            self._edge_timer = self.loop.call_later(limits.header_seconds, self._edge_drop)

        def _edge_disarm(self) -> None:
            if self._edge_timer is not None:
                self._edge_timer.cancel()
                self._edge_timer = None

        def _edge_drop(self) -> None:
            self.transport.abort()

    return TimedProtocol


class Buffered:
    """Bytes of bodies that the service holds, and their bound."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self.held = 0

    @contextlib.contextmanager
    def account(self) -> Iterator[Account]:
        """Give one request an account; its bytes are free again at the end of the block."""
        account = Account(self)
        try:
            yield account
        finally:
            self.held -= account.held

    def fits(self, more: int) -> bool:
        """Return whether ``more`` bytes may be added."""
        return self.held + more <= self._bound


class Account:
    """Bytes that one request holds."""

    def __init__(self, buffered: Buffered) -> None:
        self._buffered = buffered
        self.held = 0

    def add(self, count: int) -> None:
        """Add bytes; raise a 503 when all bodies together have too many."""
        if not self._buffered.fits(count):
            raise RequestError(503, "too many bodies are in memory", retry_after=1)
        self.held += count
        self._buffered.held += count


async def read_body(request: Request, limits: Limits, account: Account) -> bytes:
    """Return a request's body.

    Raises ``RequestError``: 413 at the first byte too many (chunked or not, and at once when ``Content-Length`` says
    so), 408 when it takes too long, 503 when all bodies together are too large, 400 when the client leaves.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > limits.body_bytes:
        await _discard(request)
        raise _too_large(limits)
    chunks: list[bytes] = []
    try:
        await asyncio.wait_for(_collect(request, limits, account, chunks), limits.body_seconds)
    except asyncio.TimeoutError as error:
        raise RequestError(408, f"the body did not come within {limits.body_seconds:g} seconds") from error
    except ClientDisconnect as error:
        raise RequestError(400, "the client left") from error
    except RequestError:
        chunks.clear()
        await _discard(request)
        raise
    return b"".join(chunks)


async def _collect(request: Request, limits: Limits, account: Account, chunks: list[bytes]) -> None:
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > limits.body_bytes:
            raise _too_large(limits)
        account.add(len(chunk))
        chunks.append(chunk)


async def _discard(request: Request) -> None:
    """Read on for a moment and keep nothing: a connection closed with unread bytes loses the answer."""

    async def rest() -> None:
        while True:
            message = await request.receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                return

    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(rest(), DISCARD_SECONDS)


def _too_large(limits: Limits) -> RequestError:
    return RequestError(413, f"the body is larger than {limits.body_bytes} bytes")

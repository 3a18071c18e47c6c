"""Starts a service of this package in a thread, for tests."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx

from edge_kit.serve.server import Server, listen
from edge_kit.serve.settings import Limits, ServeSettings

STUB = ServeSettings(port=0, workers=1, threads=1, worker="tests.serve.stub_worker", drain_seconds=5)


def stub(**limits: object) -> ServeSettings:
    """Settings of a service whose workers hold no models."""
    return replace(STUB, limits=replace(Limits(), **limits))


@contextmanager
def running(settings: ServeSettings, seconds: float = 60.0) -> Iterator[httpx.Client]:
    """Yield a client of a service that is ready."""
    server, listener = Server(settings), listen("127.0.0.1", 0)
    thread = threading.Thread(target=lambda: asyncio.run(server.run_until_signal(listener)))
    thread.start()
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=base, timeout=30, trust_env=False) as client:
            wait_until(lambda: _ready(client), seconds)
            yield client
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive()


def wait_until(condition, seconds: float = 20.0) -> None:
    """Return when ``condition()`` holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


def metric(client: httpx.Client, name: str) -> float:
    """Return one value of ``/metrics``, 0 where it is not there yet."""
    for line in client.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    return 0.0

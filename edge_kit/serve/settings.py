"""What a service is made of: where it listens, its workers and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model_opt.errors import KitError
from model_opt.machine import available_cores, default_workers

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one client, and all of them together, may cost. Sizes in bytes, times in seconds."""

    body_bytes: int = 32 * MIB
    body_seconds: float = 30.0
    """Time to send a body."""
    header_seconds: float = 10.0
    """Time to send a request's head, and for which a connection may stay idle or not read its answer."""
    buffered_bytes: int = 512 * MIB
    """Bodies of all requests together."""
    connections: int = 512
    pixels: int = 178_956_970
    """Pixels of a picture or page, PaddleX's bound."""
    pages: int | None = 10
    """Pages read of a PDF or TIFF, as PaddleX; None reads all."""
    queue: int = 64
    """Requests that may wait for a worker."""
    seconds: float = 60.0
    """From the last byte of a body to the answer."""
    worker_memory: int = 4096 * MIB
    """Resident memory of a worker."""


@dataclass(frozen=True)
class ServeSettings:
    """Everything ``edge-kit serve`` is given.

    ``pipeline`` and ``options`` are the arguments of ``create_pipeline``. ``threads`` is shared by the workers.
    ``url_hosts`` are the hosts (``host`` or ``host:port``) whose addresses a request may name; empty: none.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 0
    """0: one for every two threads, at least two where there are two threads."""
    threads: int = 0
    """0: all cores of this process."""
    pipeline: str = "ocr"
    options: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    visualize: bool = True
    """Whether an answer holds pictures where the request does not say."""
    url_hosts: tuple[str, ...] = ()
    api_key: str | None = None
    drain_seconds: float = 30.0
    """How long requests may go on after SIGTERM."""
    access_log: bool = False
    worker: str = "edge_kit.serve.worker"
    """The module whose ``main`` is a worker process."""

    @property
    def all_threads(self) -> int:
        """Threads of all workers together."""
        return self.threads or available_cores()

    @property
    def worker_count(self) -> int:
        """Worker processes."""
        return self.workers or default_workers(self.all_threads)

    @property
    def worker_threads(self) -> int:
        """Threads of each worker."""
        return max(1, self.all_threads // self.worker_count)

    def for_worker(self) -> dict[str, Any]:
        """Return what a worker must know, as JSON types."""
        return {
            "pipeline": self.pipeline,
            "options": {**self.options, "threads": self.worker_threads},
            "threads": self.worker_threads,
            "pixels": self.limits.pixels,
            "pages": self.limits.pages,
            "visualize": self.visualize,
        }


def check_settings(settings: ServeSettings) -> None:
    """Raise ``KitError`` for a key that is too short to protect anything, or a port or worker count out of bounds."""
    if settings.api_key is not None and len(settings.api_key) < 16:
        raise KitError("the API key has fewer than 16 characters", hint="make one with: openssl rand -hex 24")
    if not 0 <= settings.port <= 65535:
        raise KitError(f"port {settings.port} does not exist", hint="give --port a number from 1 to 65535")
    if not 1 <= settings.worker_count <= 256:
        raise KitError(f"{settings.worker_count} workers", hint="give --workers a number from 1 to 256")

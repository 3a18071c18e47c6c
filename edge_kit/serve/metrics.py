"""What ``GET /metrics`` reports, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counters of one service."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("edge_kit_requests", "Answers of POST /ocr", ["status"], registry=registry)
        self.seconds = Histogram(
            "edge_kit_request_seconds", "From a request's head to its answer", buckets=SECONDS, registry=registry
        )
        self.pages = Counter("edge_kit_pages", "Pages read", registry=registry)
        self.steps = Counter("edge_kit_step_seconds", "Time of each step in the workers", ["step"], registry=registry)
        self.waiting = Gauge("edge_kit_waiting_requests", "Requests that wait for a worker", registry=registry)
        self.buffered = Gauge("edge_kit_buffered_bytes", "Bodies held in memory", registry=registry)
        self.workers = Gauge("edge_kit_workers", "Workers with their models loaded", registry=registry)
        self.worker_memory = Gauge(
            "edge_kit_worker_resident_bytes", "Resident memory of a worker", ["worker"], registry=registry
        )
        self.worker_ends = Counter(
            "edge_kit_worker_ends", "Workers that ended: died, memory, deadline, start", ["reason"], registry=registry
        )

    def add_work(self, pages: int, seconds: Mapping[str, float]) -> None:
        """Add what a worker did for one answer."""
        self.pages.inc(pages)
        for step, spent in seconds.items():
            self.steps.labels(step).inc(spent)

    def text(self) -> bytes:
        """Return all values in Prometheus' text format."""
        return generate_latest(self._registry)

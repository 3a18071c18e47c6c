"""What several stages of the app need: pinned artifacts, and what a running program calls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_kit.android.artifacts import fetch_artifacts
from edge_kit.android.config import AndroidConfig, Pin
from edge_kit.android.tools import OnPoll
from edge_kit.build.stage import StageContext

_INTERVAL = 1.0
"""Seconds between two reports of a stage that waits for a program."""


@dataclass(frozen=True)
class Artifacts:
    """Pinned artifacts by the names of ``configs/android.yaml``, fetched when a stage asks for them."""

    pins: Mapping[str, Pin] = field(hash=False)
    offline: bool

    @classmethod
    def of(cls, config: AndroidConfig, *names: str, offline: bool) -> Artifacts:
        """Return the artifacts ``names``."""
        return cls({name: config.artifacts[name] for name in names}, offline)

    @classmethod
    def shrinker(cls, config: AndroidConfig, *, offline: bool) -> Artifacts:
        """Return the jars that the shrinker runs on."""
        return cls({pin.coordinates: pin for pin in config.shrinker}, offline)

    @property
    def cache_key(self) -> str:
        """The sums that the artifacts must have."""
        return " ".join(f"{name} {pin.sha256}" for name, pin in self.pins.items())

    def fetch(self, context: StageContext) -> dict[str, Path]:
        """Return the path of each artifact by its name, fetched now where the cache lacks it."""
        found = fetch_artifacts(list(self.pins.values()), offline=self.offline, on_poll=on_poll_of(context, "fetching"))
        return {name: found[pin] for name, pin in self.pins.items()}


def on_poll_of(context: StageContext, doing: str) -> OnPoll:
    """Return what a running program calls: it reports ``doing`` now and then, and ends it when the build stops."""
    last = time.monotonic()

    def on_poll() -> None:
        nonlocal last
        if time.monotonic() - last > _INTERVAL:
            last = time.monotonic()
            context.progress(None, doing)

    context.progress(None, doing)
    return on_poll

"""``configs/android.yaml``: SDK levels, ABIs and pinned artifacts of the app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_kit.android.errors import AndroidError
from model_opt.config import read_config
from model_opt.resources import config_dir


@dataclass(frozen=True)
class Pin:
    """One artifact of a Maven repository and the SHA-256 that it must have."""

    group: str
    artifact: str
    version: str
    kind: str
    classifier: str | None
    sha256: str

    @property
    def coordinates(self) -> str:
        """The artifact in Maven's spelling, ``group:artifact:version`` and what is not a plain jar behind it."""
        tail = [self.kind] if self.kind != "jar" or self.classifier else []
        return ":".join([self.group, self.artifact, self.version, *tail, *filter(None, [self.classifier])])

    @property
    def filename(self) -> str:
        """The name that the artifact has in a repository."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.kind}"


@dataclass(frozen=True)
class AndroidConfig:
    """The complete file; ``lite_url`` and ``lite_arch``: where Paddle Lite's release archive for an ABI is, and for
    which targets it holds the kernels;
    ``newer``: what the app may use of Android versions above ``min_sdk``."""

    application: str
    min_sdk: int
    target_sdk: int
    abis: tuple[str, ...]
    extract_native: bool
    artifacts: Mapping[str, Pin] = field(hash=False)
    shrinker: tuple[Pin, ...]
    newer: tuple[str, ...]
    lite_url: str
    lite_targets: tuple[str, ...]
    lite_arch: Mapping[str, str] = field(hash=False)


def load_android(path: Path | None = None) -> AndroidConfig:
    """Read ``path`` (default: ``configs/android.yaml``); ``AndroidError`` names the key that is wrong."""
    path = path or config_dir() / "android.yaml"
    document = read_config(path, config_dir() / "android.schema.json", AndroidError)
    return AndroidConfig(
        application=document["application"],
        min_sdk=document["min_sdk"],
        target_sdk=document["target_sdk"],
        abis=tuple(document["abis"]),
        extract_native=document["extract_native"],
        artifacts={name: _pin(row) for name, row in document["artifacts"].items()},
        shrinker=tuple(_pin(row) for row in document["shrinker"]),
        newer=tuple(document["newer"]),
        lite_url=document["paddle_lite"]["url"],
        lite_targets=tuple(document["paddle_lite"]["targets"]),
        lite_arch=dict(document["paddle_lite"]["arch"]),
    )


def _pin(row: Mapping[str, Any]) -> Pin:
    group, artifact, version, *rest = row["coordinates"].split(":")
    kind = rest[0] if rest else "jar"
    return Pin(group, artifact, version, kind, rest[1] if len(rest) > 1 else None, row["sha256"])

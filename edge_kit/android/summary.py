"""What an APK says and holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Parts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class ApkSummary:
    """What an APK says and holds. ``files`` are the uncompressed lengths; ``parts`` the bytes in the APK by part."""

    package: str
    version_code: int
    version_name: str
    min_sdk: int
    target_sdk: int
    permissions: tuple[str, ...]
    exported: tuple[str, ...]
    openings: tuple[str, ...]
    """Ways by which the app's files may leave it that are not the user's: exported providers, backups."""
    debuggable: bool
    extract_native: bool
    abis: tuple[str, ...]
    schemes: tuple[str, ...]
    parts: Parts = field(hash=False)

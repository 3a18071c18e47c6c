"""Where the configuration files and the cache of this machine are."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def config_dir() -> Path:
    """Return the folder of ``configs/``: beside the packages in a checkout, inside the wheel when installed."""
    in_wheel = _PACKAGE / "_configs"
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / "configs"


def cache_dir() -> Path:
    """Return the cache folder: ``EDGE_KIT_CACHE``, else ``$XDG_CACHE_HOME/edge-kit``, else ``~/.cache/edge-kit``.

    The folder need not exist yet.
    """
    own = os.environ.get("EDGE_KIT_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edge-kit"

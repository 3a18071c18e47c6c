"""Where the configuration files and the cache of this machine are."""

from __future__ import annotations

import os
from pathlib import Path

from model_opt.errors import KitError

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
        return expanded(own).resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else home_dir() / ".cache") / "edge-kit"


def home_dir() -> Path:
    """Return the user's home folder: ``HOME``, else what the system knows. Raises ``KitError`` where neither does."""
    if os.environ.get("HOME"):
        return expanded("~")
    try:
        import pwd

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):
        return expanded("~")  # Windows has a variable of another name


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` resolved. Raises ``KitError`` where nobody knows the home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        what = "the home folder is not known: HOME is not set"
        raise KitError(what, path=path, hint="set HOME, or EDGE_KIT_CACHE for the kit's files") from error

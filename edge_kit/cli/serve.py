"""``edge-kit serve``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from model_opt.errors import KitError

if TYPE_CHECKING:
    from edge_kit.serve.settings import ServeSettings

KEY_VARIABLE = "EDGE_KIT_API_KEY"


def run_serve(settings: ServeSettings) -> int:
    """Serve until a signal; return the exit code."""
    try:
        from edge_kit.serve.server import run
    except ModuleNotFoundError as error:
        raise KitError(
            f"the service needs the package {error.name}",
            hint="install edge-kit with the extra: pip install edge-kit[serve]",
        ) from error
    count, threads = settings.worker_count, settings.worker_threads

    def started(address: str) -> None:
        sys.stderr.write(
            f"edge-kit: listening on {address} and loading the models"
            f" ({count} workers of {threads} threads); Ctrl-C ends it\n"
        )
        sys.stderr.flush()

    def ready() -> None:
        sys.stderr.write("edge-kit: ready: the first worker has its models loaded\n")
        sys.stderr.flush()

    run(settings, started, ready)
    return 0


def read_key(file: Path | None) -> str | None:
    """Return the API key of a file, else of the environment, else None. Raises ``KitError`` for an empty file."""
    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(
            "the file of the API key cannot be read", path=file, hint="check the path and its rights"
        ) from error
    if not key:
        raise KitError("the file of the API key is empty", path=file, hint="put one key in it")
    return key

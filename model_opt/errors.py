"""The error that a user reads; every other error type of the kit derives from it."""

from __future__ import annotations

from pathlib import Path


class KitError(Exception):
    """A fault the user can act on: what happened, which file, what to do next.

    The command line prints the three parts and exits with ``exit_code``; nothing else catches it.
    """

    exit_code = 2
    """What the command line ends with."""

    def __init__(self, what: str, *, path: str | Path | None = None, hint: str | None = None) -> None:
        self.what = what
        self.path = None if path is None else str(path)
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what]
        if self.path is not None:
            parts.append(f"file: {self.path}")
        if self.hint is not None:
            parts.append(f"next: {self.hint}")
        return "\n  ".join(parts)

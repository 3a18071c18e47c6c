"""The errors that users read; every other error type of the kit derives from ``KitError``."""

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


class FormatError(KitError):
    """A file that cannot be read or written, is damaged, or does not fit its use.

    ``section`` names the part of the file, ``offset`` is the byte position in the file (None when the fault has no
    single place), ``expected`` and ``found`` are the two sides of the check that failed.
    """

    def __init__(
        self,
        what: str,
        *,
        path: str | Path | None = None,
        hint: str | None = None,
        section: str | None = None,
        offset: int | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        self.section = section
        self.offset = offset
        self.expected = expected
        self.found = found
        super().__init__(what, path=path, hint=hint)


class DiskError(KitError):
    """The operating system refused to read or write something."""


class SourceUnavailable(KitError):
    """A file that is not in the cache cannot be fetched now; another source may do."""


class ChecksumError(KitError):
    """A file is not the one that was pinned; ``expected`` and ``found`` are SHA-256 sums of 64 digits."""

    def __init__(self, label: str, expected: str, found: str, *, hint: str, path: str | Path | None = None) -> None:
        self.label = label
        self.expected = expected
        self.found = found
        super().__init__(
            f"{label} has the wrong checksum\n  expected sha256 {expected}\n  found    sha256 {found}",
            path=path,
            hint=hint,
        )

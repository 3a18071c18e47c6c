"""The error of this package: part of the file, byte offset, expected and found."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from model_opt.errors import KitError

DAMAGED = "the file is damaged, truncated or not a Paddle Lite model: convert the model again or fetch it anew"


class NbError(KitError):
    """A ``.nb`` file that cannot be read, is damaged, or does not fit its use.

    ``section`` names the part of the file, ``offset`` is the byte position in the file (None when the
    fault has no single place), ``expected`` and ``found`` are the two sides of the check that failed.
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


def fault(section: str, at: int | None, expected: str, found: str, hint: str = DAMAGED) -> NoReturn:
    """Raise the ``NbError`` for the byte ``at`` of a section (None: the fault has no single place)."""
    where = section if at is None else f"{section} at byte {at}"
    raise NbError(
        f"{where}: expected {expected}, found {found}",
        hint=hint,
        section=section,
        offset=at,
        expected=expected,
        found=found,
    )

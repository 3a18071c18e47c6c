"""The error of this package: part of the file, byte offset, expected and found."""

from __future__ import annotations

from typing import NoReturn

from model_opt.errors import FormatError

DAMAGED = "the file is damaged, truncated or not a Paddle Lite model: convert the model again or fetch it anew"


class NbError(FormatError):
    """A ``.nb`` file that cannot be read, is damaged, or does not fit its use."""


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

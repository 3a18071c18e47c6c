"""The error of this package."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from model_opt.errors import KitError

DAMAGED = "the file is damaged, truncated or not a Paddle inference model: fetch or export it again"


class PaddleModelError(KitError):
    """A ``.pdmodel`` or ``.pdiparams`` that cannot be read or written.

    ``offset`` is the byte position in the file (None when the fault has no single place), ``expected`` and
    ``found`` are the two sides of the check that failed.
    """

    def __init__(
        self,
        what: str,
        *,
        path: str | Path | None = None,
        hint: str | None = None,
        offset: int | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        self.offset = offset
        self.expected = expected
        self.found = found
        super().__init__(what, path=path, hint=hint)


def fault(
    what: str, expected: str, found: str, *, path: str | Path | None, offset: int | None = None, hint: str = DAMAGED
) -> NoReturn:
    """Raise ``PaddleModelError`` for ``what`` (a message, a parameter, …) at byte ``offset``."""
    where = what if offset is None else f"{what} at byte {offset}"
    raise PaddleModelError(
        f"{where}: expected {expected}, found {found}",
        path=path,
        hint=hint,
        offset=offset,
        expected=expected,
        found=found,
    )

"""The error of this package."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from model_opt.errors import FormatError

DAMAGED = "the file is damaged, truncated or not a Paddle inference model: fetch or export it again"


class PaddleModelError(FormatError):
    """A ``.pdmodel`` or ``.pdiparams`` that cannot be read or written."""


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

"""The error of this package."""

from __future__ import annotations

from model_opt.errors import KitError


class FormatError(KitError):
    """A file that holds no program the kit can read; the message says what was found in it."""

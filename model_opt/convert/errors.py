"""The error for a model that a converter does not accept."""

from __future__ import annotations

from model_opt.errors import KitError


class ConvertError(KitError):
    """The model was not converted: an operator, a form or a precision that Paddle Lite cannot have there."""

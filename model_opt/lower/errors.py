"""The error for a program that cannot be written for a place of Paddle Lite."""

from __future__ import annotations

from typing import NoReturn

from model_opt.errors import KitError

SIMPLIFY = "simplify the model before it is exported, or try --converter opt"


class LowerError(KitError):
    """A program that the lowering does not take.

    ``index`` is the operator's place in the program's main block, ``op_type`` its type; both None where the fault is
    the program's own.
    """

    def __init__(
        self, what: str, *, index: int | None = None, op_type: str | None = None, hint: str | None = None
    ) -> None:
        self.index = index
        self.op_type = op_type
        where = "" if index is None else f"operator {index} ({op_type}): "
        super().__init__(where + what, hint=hint)


def refuse(op_type: str, index: int, what: str, hint: str = SIMPLIFY) -> NoReturn:
    """Raise the ``LowerError`` for one operator."""
    raise LowerError(what, index=index, op_type=op_type, hint=hint)

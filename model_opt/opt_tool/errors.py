"""The two ways in which opt can fail its user: it cannot be started here, or it gave up on a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model_opt.errors import KitError

if TYPE_CHECKING:
    from model_opt.opt_tool.interpreters import Verdict


class ToolError(KitError):
    """No interpreter on this machine can run Paddle Lite's opt; ``tried`` lists the candidates and why each failed."""

    def __init__(self, what: str, *, hint: str, tried: Sequence[Verdict] = ()) -> None:
        self.tried = tuple(tried)
        super().__init__(what, hint=hint)


class OptError(KitError):
    """opt did not convert a model.

    ``returncode`` is the child's (negative: the signal that ended it; None: it was not started or ran out of time),
    ``log`` its last lines.
    """

    def __init__(
        self,
        what: str,
        *,
        path: str | Path | None = None,
        hint: str | None = None,
        returncode: int | None = None,
        log: Sequence[str] = (),
    ) -> None:
        self.returncode = returncode
        self.log = tuple(log)
        super().__init__(what, path=path, hint=hint)

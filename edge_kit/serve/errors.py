"""What the service answers a client whose request it cannot serve."""

from __future__ import annotations

from model_opt.errors import KitError


class RequestError(KitError):
    """A request that gets no result: the HTTP status, what to tell the client, and when to come again."""

    def __init__(self, status: int, what: str, *, retry_after: int | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        """Seconds for the header ``Retry-After``; None leaves it out."""
        super().__init__(what)

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


INVALID, UNKNOWN = "Invalid input file", "File type cannot be determined"
"""PaddleX's texts for a file that cannot be read; here a colon follows, then why and what to do."""


def unreadable(what: str, hint: str | None, text: str = INVALID) -> RequestError:
    """Return the 422 for a file that cannot be read: PaddleX's text, why, and what to do."""
    return RequestError(422, f"{text}: {what}" if hint is None else f"{text}: {what}; {hint}")

"""Time plans on a check set, in turns, and admit those that read what the default reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from edge_kit.hpi.plan import Plan
from model_opt.errors import KitError

MARGIN = 0.05
"""By how much of the default's time a plan must be quicker to be chosen."""

BUDGET_S = 60.0
"""Seconds after which no further round begins."""

ROUNDS = 5

CHECK_SET = (
    "dense_small.png",
    "english.png",
    "photo.jpg",
    "receipt.png",
    "street_sign.png",
    "tiny.png",
    "vertical.png",
)
"""Images of configs/regression that are read: long and short lines, turned ones, small and large pages."""


class Reader(Protocol):
    """A pipeline as it is measured."""

    def predict(self, input: Any) -> Any:
        """Yield results of the images in ``x``, in order."""

    def close(self) -> None:
        """Free the models."""


@dataclass(frozen=True)
class Row:
    """What was found of one plan: whether its results are the reference's, and the least seconds over the check set."""

    plan: Plan
    admitted: bool
    reason: str = ""
    seconds: float | None = None
    """Image after image."""
    folder_seconds: float | None = None
    """All at once."""

    @property
    def cost(self) -> float:
        """Return what is compared: both ways of reading, added."""
        return (self.seconds or 0.0) + (self.folder_seconds or 0.0)


def measure(
    plans: Sequence[Plan],
    make: Callable[[Plan], Reader],
    images: Sequence[Path],
    *,
    progress: Callable[[str], None],
    budget_s: float = BUDGET_S,
) -> tuple[Row, ...]:
    """Return a row for each plan; the first plan is the reference.

    ``make`` loads a plan's pipeline. A plan that cannot be loaded, fails, or reads a box or text otherwise is timed no
    further. Rounds go in turns, so that a busy moment meets all; the least time of each counts. Raises ``KitError``
    when the reference itself fails.
    """
    end = time.monotonic() + budget_s
    rows: dict[Plan, Row] = {}
    running: dict[Plan, Reader] = {}
    try:
        expected: list[Any] = []
        for plan in plans:
            progress(f"checking {plan.label}")
            try:
                running[plan] = make(plan)
                found = [answers_of(running[plan].predict(str(image))) for image in images]
            except KitError as error:
                if plan == plans[0]:
                    raise
                rows[plan] = Row(plan, False, f"failed: {error.what}")
                continue
            expected = expected or found
            different = difference(expected, found)
            rows[plan] = Row(plan, not different, different)
        for number in range(ROUNDS):
            if number and time.monotonic() > end:
                break
            for plan, row in rows.items():
                if row.admitted:
                    progress(f"round {number + 1} of {ROUNDS}: {plan.label}")
                    rows[plan] = _timed(row, running[plan], images)
    finally:
        for reader in running.values():
            reader.close()
    return tuple(rows[plan] for plan in plans)


def answers_of(results: Any) -> list[Any]:
    """Return boxes and texts of results, as values that can be compared."""
    return [(one.dt_polys.tolist(), list(one.rec_texts)) for one in results]


def difference(expected: Sequence[Any], found: Sequence[Any]) -> str:
    """Return what differs from the reference, an empty text if nothing does."""
    boxes = sum(a[0][0] != b[0][0] for a, b in zip(expected, found, strict=True))
    texts = sum(a[0][1] != b[0][1] for a, b in zip(expected, found, strict=True))
    if not boxes and not texts:
        return ""
    return f"other boxes on {boxes}, other texts on {texts} of {len(expected)} images"


def _timed(row: Row, reader: Reader, images: Sequence[Path]) -> Row:
    begin = time.perf_counter()
    for image in images:
        list(reader.predict(str(image)))
    middle = time.perf_counter()
    list(reader.predict([str(image) for image in images]))
    each, folder = middle - begin, time.perf_counter() - middle
    return replace(
        row,
        seconds=min(each, row.seconds if row.seconds is not None else each),
        folder_seconds=min(folder, row.folder_seconds if row.folder_seconds is not None else folder),
    )


def winner(rows: Sequence[Row], margin: float = MARGIN) -> Row | None:
    """Return the admitted row that is quicker than the first by the margin, None where none is."""
    admitted = [row for row in rows[1:] if row.admitted and row.seconds is not None]
    best = min(admitted, key=lambda row: row.cost, default=None)
    return best if best is not None and best.cost < rows[0].cost * (1 - margin) else None

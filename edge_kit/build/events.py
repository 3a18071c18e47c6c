"""What a build reports while it works: one frozen value per event, and its form on a ``--json`` line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeAlias

from edge_kit.build.files import Json


@dataclass(frozen=True)
class StageStarted:
    """A stage is not in the cache and starts to run."""

    stage: str


@dataclass(frozen=True)
class StageProgress:
    """The progress of a running stage: ``fraction`` in 0..1, or None when it cannot know."""

    stage: str
    fraction: float | None
    message: str


@dataclass(frozen=True)
class StageCached:
    """The result of a stage was in the cache, or another build had made it meanwhile."""

    stage: str


@dataclass(frozen=True)
class StageFinished:
    """A stage ran to its end; ``seconds`` of wall-clock time."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class StageFailed:
    """A stage failed; the build stops."""

    stage: str
    message: str
    path: str | None
    hint: str | None


@dataclass(frozen=True)
class BuildFinished:
    """The last event of a build, good or bad.

    ``output`` is the bundle's folder, None when the build failed; ``changed`` says whether the build had to
    write it (False: the bundle there was already the right one). ``ran`` and ``cached`` count stages.
    """

    ok: bool
    seconds: float
    ran: int
    cached: int
    output: str | None
    changed: bool


Event: TypeAlias = StageStarted | StageProgress | StageCached | StageFinished | StageFailed | BuildFinished
OnEvent: TypeAlias = Callable[[Event], None]


def event_to_json(event: Event) -> dict[str, Json]:
    """Return the event as a JSON object: ``"event"`` holds the kind (``stage_started`` ...), then its fields.

    Seconds and fractions are rounded to three decimals.
    """
    kind = re.sub(r"(?<!^)([A-Z])", r"_\1", type(event).__name__).lower()
    fields = {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(event).items()}
    return {"event": kind, **fields}

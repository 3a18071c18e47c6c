from __future__ import annotations

import json

import pytest

from edge_kit.build.events import (
    BuildFinished,
    Event,
    StageCached,
    StageFailed,
    StageFinished,
    StageProgress,
    StageStarted,
    event_to_json,
)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StageStarted("fetch"), {"event": "stage_started", "stage": "fetch"}),
        (
            StageProgress("fetch", 1 / 3, "det.tar"),
            {"event": "stage_progress", "stage": "fetch", "fraction": 0.333, "message": "det.tar"},
        ),
        (
            StageProgress("fetch", None, ""),
            {"event": "stage_progress", "stage": "fetch", "fraction": None, "message": ""},
        ),
        (StageCached("fetch"), {"event": "stage_cached", "stage": "fetch"}),
        (
            StageFinished("fetch", 1.23456),
            {"event": "stage_finished", "stage": "fetch", "seconds": 1.235},
        ),
        (
            StageFailed("fetch", "no network", None, "use --offline"),
            {
                "event": "stage_failed",
                "stage": "fetch",
                "message": "no network",
                "path": None,
                "hint": "use --offline",
            },
        ),
        (
            BuildFinished(True, 2.0, 1, 4, "build/arm64", True),
            {
                "event": "build_finished",
                "ok": True,
                "seconds": 2.0,
                "ran": 1,
                "cached": 4,
                "output": "build/arm64",
                "changed": True,
            },
        ),
    ],
)
def test_an_event_is_a_json_object_with_its_kind(event: Event, line: dict[str, object]) -> None:
    assert json.loads(json.dumps(event_to_json(event))) == line

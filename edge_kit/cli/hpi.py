"""``edge-kit hpi``: what high-performance inference measured, and what it chose."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from edge_kit.cli.render import console, table, write_json


def run_report(settings: Mapping[str, Any], *, again: bool, as_json: bool) -> None:
    """Print the table of a set of models; measure it where the cache has none."""
    from edge_kit.api import choose_plan, choose_settings

    chosen = choose_settings("ocr", settings).settings

    def progress(text: str) -> None:
        sys.stderr.write(f"edge-kit: {text}\n")

    choice = choose_plan(chosen, progress=progress, again=again)
    if as_json:
        rows = [{**dataclasses.asdict(row), "chosen": row.plan == choice.plan} for row in choice.rows]
        write_json({"choice": dataclasses.asdict(choice.plan), "rows": rows, "kept": str(choice.path)})
        return
    first = choice.rows[0]
    shown = [
        (
            "runs" if row.plan == choice.plan else "",
            row.plan.label + (" (default)" if row is first else ""),
            _seconds(row.seconds),
            _seconds(row.folder_seconds),
            f"{row.cost / first.cost:.2f}" if row.admitted and first.cost else "-",
            "the same" if row.admitted else row.reason,
        )
        for row in choice.rows
    ]
    out = console()
    out.print(table(("", "plan", "image after image (s)", "at once (s)", "ratio", "boxes and texts"), shown))
    out.print(choice.sentence)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

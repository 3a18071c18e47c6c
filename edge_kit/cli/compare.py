"""``edge-kit compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_kit.cli.render import show, table
from edge_kit.ocr.result import write_output
from edge_kit.verify.bundles import COLUMNS, compare_bundles, comparison_svg


def run_compare(bundles: Sequence[Path], plot: Path | None, *, as_json: bool) -> None:
    """Print the bundles side by side and, if asked for, write the picture."""
    rows = compare_bundles(bundles)
    if plot is not None:
        write_output(plot, comparison_svg(rows))
    headings = ("bundle", "recipe", "target", "gates", *(f"{t}, {u}" if u else t for t, u in COLUMNS.values()))
    cells = [
        (row.name, row.recipe, row.target, "passed" if row.passed else "FAILED", *(row.text(c) for c in COLUMNS))
        for row in rows
    ]
    drawn = table(headings, cells, f"on {rows[0].images} images, against the server engine")
    show([vars(row) for row in rows], drawn, as_json=as_json)

"""``edge-kit compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_kit.cli.outputs import refuse_input
from edge_kit.cli.render import show, table
from edge_kit.ocr.result import write_output
from edge_kit.verify.bundles import COLUMNS, compare_bundles, comparison_svg
from model_opt.errors import KitError


def run_compare(bundles: Sequence[Path], plot: Path | None, *, as_json: bool) -> None:
    """Print the bundles side by side and, if asked for, write the picture: SVG, whose file ends with ``.svg``."""
    if plot is not None:
        _check_plot(plot, bundles)
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


def _check_plot(plot: Path, bundles: Sequence[Path]) -> None:
    """Raise ``KitError`` for a name of another format, and for a file of a bundle."""
    if plot.suffix.lower() != ".svg" and not _is_stream(plot):
        raise KitError("--plot draws SVG", path=plot, hint=f"name a file such as {plot.with_suffix('.svg')}")
    refuse_input("--plot", plot, bundles)


def _is_stream(place: Path) -> bool:
    """Return whether a place is a device or a pipe, such as ``/dev/stdout``, which has no suffix."""
    return place.exists() and not (place.is_file() or place.is_dir())

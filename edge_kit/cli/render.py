"""Output shared by the commands: JSON for scripts, tables for readers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

PLAIN_WIDTH = 200
"""Columns of a table written into a pipe, where no terminal says how wide it is."""


def console() -> Console:
    """Return a console on standard output: as wide as the terminal, or wide and plain in a pipe."""
    return _Console() if sys.stdout.isatty() else _Console(width=PLAIN_WIDTH, no_color=True, highlight=False)


class _Console(Console):
    """A console that leaves the exit code to the command line when the reader of a pipe goes away."""

    def on_broken_pipe(self) -> None:
        """Raise the ``BrokenPipeError`` again, for which Rich would end the process with 1."""
        raise


def write_json(value: Any) -> None:
    """Write ``value`` as indented JSON to standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def show(document: Any, *drawn: RenderableType, as_json: bool) -> None:
    """Write ``document`` as JSON, or print what was ``drawn`` of it."""
    if as_json:
        write_json(document)
        return
    for one in drawn:
        console().print(one)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> Table:
    """Return a table of plain text; nothing in a cell is taken for markup."""
    drawn = Table(*headings, title=title, title_justify="left")
    for row in rows:
        drawn.add_row(*(escape(str(cell)) for cell in row))
    return drawn


def size(nbytes: int) -> str:
    """Return a number of bytes as readable text: ``4.9 MB``."""
    for unit, factor in (("MB", 1_000_000), ("kB", 1_000)):
        if nbytes >= factor:
            return f"{nbytes / factor:.1f} {unit}"
    return f"{nbytes} B"

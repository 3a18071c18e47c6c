"""``edge-kit inspect FILE.nb``, and ``edge-kit inspect --compare BEFORE.nb FILE.nb``."""

from __future__ import annotations

from pathlib import Path

from edge_kit.cli.outputs import refuse_input
from edge_kit.cli.render import console, size, table, write_json
from model_opt.lower import NEWEST
from model_opt.nb import CountChange, NbComparison, NbSummary, compare_summaries, inspect_nb, read_nb


def run_inspect(file: Path, *, as_json: bool, onnx: Path | None) -> None:
    """Print the summary of a ``.nb`` file, as tables or as JSON; write its translation to ``onnx`` if that is given.

    Raises ``KitError`` for a file that is no model, and for an ``onnx`` that is the model or cannot be written.
    """
    if onnx is not None:
        refuse_input("--onnx", onnx, (file,))
    model = read_nb(file)
    summary = inspect_nb(model, pinned_opt=NEWEST)
    if onnx is not None:
        from edge_kit.ocr.result import write_output
        from model_opt.nb.to_onnx import to_onnx

        write_output(onnx, to_onnx(model))
    if as_json:
        write_json(summary.to_json())
    else:
        _print(summary)


def run_compare(before: Path, after: Path, *, as_json: bool) -> None:
    """Print what has changed from one ``.nb`` file to another, as tables or as JSON."""
    pinned = NEWEST
    first, second = (inspect_nb(read_nb(path), pinned_opt=pinned) for path in (before, after))
    comparison = compare_summaries(first, second)
    if as_json:
        write_json(comparison.to_json())
    else:
        _print_comparison(comparison)


def _print_comparison(comparison: NbComparison) -> None:
    out = console()
    facts = [("file", comparison.before, comparison.after, "")]
    facts += [(fact.name, fact.before, fact.after, "changed" if fact.changed else "") for fact in comparison.facts]
    out.print(table(("what", "before", "after", "change"), [*facts, *map(_row, comparison.totals)]))
    out.print(table(("type", "before", "after", "change"), list(map(_row, comparison.param_bytes)), "parameter bytes"))
    out.print(table(("op", "before", "after", "change"), list(map(_row, comparison.op_types)), "ops"))
    changed = [row for row in comparison.kernels if row.change]
    if changed:
        out.print(table(("kernel", "before", "after", "change"), list(map(_row, changed)), "kernels that changed"))
    for title, warnings in (("gone", comparison.warnings_gone), ("new", comparison.warnings_new)):
        for warning in warnings:
            out.print(f"warning {title}: {warning.text}", style="yellow" if title == "new" else None, markup=False)


def _row(row: CountChange) -> tuple[str, str, str, str]:
    share = f" ({row.change / row.before:+.1%})" if row.before and row.change else ""
    return row.name, str(row.before), str(row.after), f"{row.change:+d}{share}" if row.change else ""


def _print(summary: NbSummary) -> None:
    out = console()
    facts = [
        ("file", summary.path),
        ("size", f"{summary.bytes} bytes ({size(summary.bytes)})"),
        ("opt version", summary.opt_version),
        ("canonical", "yes" if summary.canonical else "no: bytes behind the version are not zero"),
        ("place, precision", f"{summary.place}, {summary.precision}"),
        ("ops", f"{summary.ops}, of them io_copy {summary.io_copy}, calib {summary.calib}, layout {summary.layout}"),
        *[("input", f"{i.name} {list(i.shape or ())} {i.type or ''}") for i in summary.inputs],
        *[("output", f"{o.name} {list(o.shape or ())} {o.type or ''}") for o in summary.outputs],
        *[("parameters", f"{p.count} of {p.type}, {size(p.bytes)}") for p in summary.params],
    ]
    out.print(table(("what", "value"), facts))
    out.print(table(("op", "count"), list(summary.op_histogram.items()), "ops"))
    out.print(table(("kernel", "count"), list(summary.kernels.items()), "kernels"))
    for warning in summary.warnings:
        out.print(f"warning: {warning.text}", style="yellow", markup=False)

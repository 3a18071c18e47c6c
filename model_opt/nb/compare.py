"""Compare two ``.nb`` files, such as before and after a pass or a recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from model_opt.nb.inspect import NbSummary, NbWarning

_FACTS = ("place", "precision", "opt_version", "canonical")
_TOTALS = ("bytes", "param_bytes", "ops", "io_copy", "calib", "layout")


@dataclass(frozen=True, slots=True)
class CountChange:
    """A number of both files: operators of a type, bytes of an element type."""

    name: str
    before: int
    after: int

    @property
    def change(self) -> int:
        """``after - before``."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact of both files that is no number: place, precision, version."""

    name: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Whether the files differ in it."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class NbComparison:
    """What ``compare_summaries`` found. Types and kernels: what changed most first, then by name."""

    before: str | None
    """The path of the first file, None when it was read from memory."""
    after: str | None
    facts: tuple[FactChange, ...]
    """Place, precision, opt's version, and whether the bytes are canonical."""
    totals: tuple[CountChange, ...]
    """File and parameters in bytes; operators, and of them what only moves or converts data on every run."""
    op_types: tuple[CountChange, ...]
    """Operators by type."""
    kernels: tuple[CountChange, ...]
    """Operators by the kernel that opt chose."""
    param_bytes: tuple[CountChange, ...]
    """Bytes of the parameters by element type."""
    warnings_gone: tuple[NbWarning, ...]
    warnings_new: tuple[NbWarning, ...]

    def to_json(self) -> dict[str, object]:
        """Return the comparison as plain dicts, lists, strings and numbers."""
        return {
            "before": self.before,
            "after": self.after,
            "facts": {fact.name: {"before": fact.before, "after": fact.after} for fact in self.facts},
            **{name: _counts_json(getattr(self, name)) for name in ("totals", "op_types", "kernels", "param_bytes")},
            "warnings_gone": list(map(dataclasses.asdict, self.warnings_gone)),
            "warnings_new": list(map(dataclasses.asdict, self.warnings_new)),
        }


def _counts_json(rows: tuple[CountChange, ...]) -> dict[str, dict[str, int]]:
    return {row.name: {"before": row.before, "after": row.after, "change": row.change} for row in rows}


def compare_summaries(before: NbSummary, after: NbSummary) -> NbComparison:
    """Return what has changed from one file to another; both may be of any place, precision and version.

    A warning is gone or new by its code: one that merely names another number is neither.
    """
    codes_before = {warning.code for warning in before.warnings}
    codes_after = {warning.code for warning in after.warnings}
    return NbComparison(
        before=before.path,
        after=after.path,
        facts=tuple(FactChange(name, _text(before, name), _text(after, name)) for name in _FACTS),
        totals=tuple(CountChange(name, getattr(before, name), getattr(after, name)) for name in _TOTALS),
        op_types=_changes(before.op_histogram, after.op_histogram),
        kernels=_changes(before.kernels, after.kernels),
        param_bytes=_changes(_bytes_by_type(before), _bytes_by_type(after)),
        warnings_gone=tuple(warning for warning in before.warnings if warning.code not in codes_after),
        warnings_new=tuple(warning for warning in after.warnings if warning.code not in codes_before),
    )


def _text(summary: NbSummary, fact: str) -> str:
    value = getattr(summary, fact)
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _bytes_by_type(summary: NbSummary) -> Mapping[str, int]:
    return {info.type: info.bytes for info in summary.params}


def _changes(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[CountChange, ...]:
    rows = [CountChange(name, before.get(name, 0), after.get(name, 0)) for name in {**before, **after}]
    return tuple(sorted(rows, key=lambda row: (-abs(row.change), row.name)))

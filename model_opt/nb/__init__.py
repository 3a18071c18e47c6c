"""Paddle Lite ``.nb`` files.

In: a path or bytes. Out: a checked model, canonical bytes or a summary; ``NbError`` for what cannot be trusted. And
back: a model becomes a file (``write_nb``).
"""

from __future__ import annotations

from model_opt.nb.canonical import canonicalise, is_canonical
from model_opt.nb.compare import CountChange, NbComparison, compare_summaries
from model_opt.nb.deduplicate import deduplicate_parts
from model_opt.nb.errors import NbError
from model_opt.nb.inspect import (
    NbSummary,
    guard_place,
    guard_version,
    inspect_nb,
    needs_emulation,
    normalise_version,
    place_of,
    precision_of,
)
from model_opt.nb.reader import read_nb
from model_opt.nb.types import NbModel
from model_opt.nb.write import write_nb

__all__ = [
    "CountChange",
    "NbComparison",
    "NbError",
    "NbModel",
    "NbSummary",
    "canonicalise",
    "compare_summaries",
    "deduplicate_parts",
    "guard_place",
    "guard_version",
    "inspect_nb",
    "is_canonical",
    "needs_emulation",
    "normalise_version",
    "place_of",
    "precision_of",
    "read_nb",
    "write_nb",
]

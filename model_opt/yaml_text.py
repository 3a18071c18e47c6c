"""YAML from outside: the safe loader, with everything it may raise as one error and a bound on nesting."""

from __future__ import annotations

from typing import Any

import yaml

MOST_NESTING = 64
"""Levels of lists and mappings; the kit's own files have five. The C loader crashes far beyond, Python's recurses."""

MOST_VALUES = 1_000_000
"""Values of a document with every alias written out: a few lines of aliases of aliases would fill the memory."""


def load_yaml(text: str | bytes) -> Any:
    """Return the value of a YAML document, plain types only.

    Raises ``yaml.YAMLError`` for whatever is no such document; what PyYAML raises for a date of month 13, an unknown
    truth value and the like is turned into it too.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    _check_extent(text, loader)
    try:
        return yaml.load(text, Loader=loader)  # both loaders are the safe ones
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        raise yaml.YAMLError(f"a value that cannot be read: {error}") from error


def _check_extent(text: str | bytes, loader: Any) -> None:
    """Walk over the document's events, which takes no stack, and raise when it goes too deep or becomes too large."""
    sizes: dict[str, int] = {}  # of what an anchor names, aliases written out
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]  # anchor, size so far; the first stands for the document
    for event in yaml.parse(text, Loader=loader):
        where = "" if event.start_mark is None else f" at line {event.start_mark.line + 1}"
        grown = 0
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, grown = open_nodes.pop()
            sizes |= {anchor: grown} if anchor else {}
        elif isinstance(event, yaml.ScalarEvent):
            grown = 1
            sizes |= {event.anchor: 1} if event.anchor else {}
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise yaml.YAMLError(f"an alias of what is not known before it{where}")
            grown = sizes[event.anchor]
        anchor, size = open_nodes[-1]
        open_nodes[-1] = (anchor, size + grown)
        if len(open_nodes) - 1 > MOST_NESTING:
            raise yaml.YAMLError(f"nested deeper than {MOST_NESTING} levels{where}")
        if size + grown > MOST_VALUES:
            raise yaml.YAMLError(f"more than {MOST_VALUES} values, aliases written out{where}")

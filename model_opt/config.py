"""Files that people write: YAML with bounds, checked against a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_opt.errors import KitError

MOST_NESTING = 64
"""Levels of lists and mappings; the kit's own files have five. The C loader crashes far beyond, Python's recurses."""

MOST_VALUES = 1_000_000
"""Values of a document with every alias written out: a few lines of aliases of aliases would fill the memory."""


def read_config(path: Path, schema: Path, fault: type[KitError] = KitError) -> Any:
    """Return the parsed YAML file, checked against a JSON Schema; what is wrong with it is raised as ``fault``."""
    document = read_yaml(path, fault)
    check_schema(document, schema, path, fault)
    return document


def read_yaml(path: Path, fault: type[KitError] = KitError) -> Any:
    """Return the parsed YAML file; raise ``fault`` with the line when it cannot be read."""
    import yaml

    try:
        return load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise fault(f"cannot read the file: {error.strerror}", path=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        what, hint = yaml_fault(error)
        raise fault(what, path=path, hint=hint) from error


def yaml_fault(error: Exception) -> tuple[str, str]:
    """Return what is wrong with a YAML file, with the line, and what to do, for what reading it raised."""
    import yaml

    if isinstance(error, UnicodeDecodeError) or (isinstance(error, yaml.reader.ReaderError) and error.character == 0):
        return "not a YAML file: the text is not UTF-8", "save the file with the encoding UTF-8"
    hint = "correct the syntax there"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return "not a YAML file: " + str(error).replace('\n  in "<unicode string>",', " at"), hint
    mark, context = error.problem_mark, "" if error.context is None else f"{error.context}: "
    if error.problem == "found character that cannot start any token":
        hint = "indent with blanks, not with tabs, and put a text that begins with a sign such as @ or % in quotes"
    return f"not a YAML file: line {mark.line + 1}, column {mark.column + 1}: {context}{error.problem}", hint


def check_schema(document: Any, schema: Path, path: Path, fault: type[KitError] = KitError) -> None:
    """Raise ``fault`` with the first key of ``document`` that breaks the JSON Schema, and why."""
    broken = schema_fault(document, schema)
    if broken is not None:
        raise fault(": ".join(broken), path=path, hint=f"allowed values: {schema.name}")


def schema_fault(document: Any, schema: Path) -> tuple[str, str] | None:
    """Return the first key of ``document``, by name, that breaks the JSON Schema, and why; None when none does.

    A ``description`` in the schema of that key stands behind the reason.
    """
    import jsonschema

    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    errors = sorted(validator.iter_errors(document), key=lambda e: list(map(str, e.absolute_path)))
    if not errors:
        return None
    place, reason = ".".join(map(str, errors[0].absolute_path)), errors[0].message
    if place and isinstance(errors[0].schema, dict) and "description" in errors[0].schema:
        reason += f" ({errors[0].schema['description']})"
    return place or "(top level)", reason


def load_yaml(text: str | bytes, adjust: Callable[[Any], None] | None = None) -> Any:
    """Return the value of a YAML document, plain types only.

    ``adjust`` may change the document's nodes (None for an empty document) before values are made of them. Raises
    ``yaml.YAMLError`` for whatever is no such document; what PyYAML raises for a date of month 13, an unknown
    truth value and the like is turned into it too.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    _check_extent(text, loader)
    try:
        made = loader(text)  # both loaders are the safe ones
        try:
            node = made.get_single_node()
            if adjust is not None:
                adjust(node)
            return None if node is None else made.construct_document(node)
        finally:
            made.dispose()
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        raise yaml.YAMLError(f"a value that cannot be read: {error}") from error


def _check_extent(text: str | bytes, loader: Any) -> None:
    """Walk over the document's events, which takes no stack, and raise when it goes too deep or becomes too large."""
    import yaml

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

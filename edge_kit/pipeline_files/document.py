"""A YAML mapping that is read key by key: typed values, the line of every key, and what nobody asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_kit.pipeline_files.model import Ignored, Place
from edge_kit.pipeline_files.names import KEYS, nearest
from model_opt.config import load_yaml, yaml_fault
from model_opt.errors import KitError

_LARGEST_FILE = 1 << 20
_KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "whole number": (int,),
    "number": (int, float),
    "True or False": (bool,),
    "mapping": (Mapping,),
}


class PipelineFileError(KitError):
    """A pipeline file that is broken, or that asks for what the kit does not do."""


class MissingKey(PipelineFileError):
    """A key that must be there and is not."""


@dataclass(frozen=True)
class Document:
    """A parsed pipeline file: its mapping, and the line of each key by its dotted path."""

    values: Mapping[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)
    path: Path | None = None


def read_document(path: Path) -> Document:
    """Read a YAML file whose top level is a mapping; raise ``PipelineFileError`` for anything else.

    A key that stands twice is an error too: YAML would keep the second without a word.
    """
    import yaml

    lines: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            raise PipelineFileError(f"a pipeline file has at most {_LARGEST_FILE} bytes", path=path, hint=_NO_MAPPING)
        values = load_yaml(data.decode("utf-8-sig"), lambda root: _note_lines(root, "", lines, path))
    except OSError as error:
        what = f"cannot read the file: {error.strerror}"
        raise PipelineFileError(what, path=path, hint="check the path and its rights") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        what, hint = yaml_fault(error)
        raise PipelineFileError(what, path=path, hint=hint) from error
    if not isinstance(values, Mapping) or not values:
        raise PipelineFileError("a pipeline file holds 'key: value' lines", path=path, hint=_NO_MAPPING)
    return Document(values, lines, path)


_NO_MAPPING = "see 'edge-kit config export'"


def _note_lines(node: Any, above: str, lines: dict[str, int], path: Path) -> None:
    """Note the line of every key below ``node``, and refuse a key that stands twice in its mapping."""
    pairs = getattr(node, "value", None)
    if node is None or node.id != "mapping" or not isinstance(pairs, list):
        return
    seen: set[str] = set()
    for key, value in pairs:
        name = f"{above}{key.value}"
        line = key.start_mark.line + 1
        if name in seen:
            raise PipelineFileError(
                f"{name} stands in line {lines[name]} and again in line {line}", path=path, hint="remove one of them"
            )
        seen.add(name)
        lines[name] = line
        _note_lines(value, f"{name}.", lines, path)


class Section:
    """One mapping of a document. ``take`` marks a key as understood; ``leave`` and ``left`` report the others."""

    def __init__(self, document: Document, values: Mapping[str, Any] | None = None, above: str = "") -> None:
        self.document = document
        self._values = document.values if values is None else values
        self._above = above
        self._taken: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def place(self, key: str) -> Place:
        """Return where a key stands; without a line when the file has it not."""
        name = f"{self._above}{key}"
        return Place(name, self.document.lines.get(name))

    def take(self, key: str, kind: str, default: Any = None) -> Any:
        """Return the value of ``key``, ``default`` where it is absent or null.

        ``kind`` is a key of ``_KINDS``; a value of another type, or an empty text, raises ``PipelineFileError``.
        """
        self._taken.add(key)
        value = self._values.get(key)
        if value is None:
            return default
        right = isinstance(value, _KINDS[kind]) and (kind == "True or False" or not isinstance(value, bool))
        if not right:
            raise self.fault(key, f"must be {_article(kind)}, not {value!r}", _other_spelling(value, kind))
        if isinstance(value, str) and not value.strip():
            raise self.fault(key, "is empty", "write null, or remove the key")
        return value

    def section(self, key: str) -> Section:
        """Return the mapping under ``key``, an empty one where it is absent or null."""
        return Section(self.document, self.take(key, "mapping", {}), f"{self._above}{key}.")

    def ignore(self, key: str, why: str) -> Iterator[Ignored]:
        """Yield ``key`` as ignored if the file has it, and mark it as understood."""
        self._taken.add(key)
        if self._values.get(key) is not None:
            place = self.place(key)
            yield Ignored(place.key, why, place.line)

    def left(self, why: str | None = None) -> Iterator[Ignored]:
        """Yield every key that nobody took and that is not null; without a ``why``, with the key that was meant."""
        for key, value in self._values.items():
            if key not in self._taken and value is not None:
                place = self.place(str(key))
                yield Ignored(place.key, why or _unknown(str(key)), place.line)

    def fault(self, key: str, what: str, hint: str | None = None) -> PipelineFileError:
        """Return the error that says what is wrong with a key, where it stands, and what to write instead."""
        place = self.place(key)
        where = "" if place.line is None else f"line {place.line}: "
        return PipelineFileError(f"{where}{place.key} {what}", path=self.document.path, hint=hint)

    def missing(self, key: str, what: str, hint: str) -> MissingKey:
        """Return the error for a key that must be there; ``what`` begins with "is missing"."""
        fault = self.fault(key, what)
        return MissingKey(fault.what, path=fault.path, hint=hint)


_FREE = frozenset({"engine_config", "hpi_config", "hpi_params", "pp_option", "Serving"})
"""Keys below which PaddleX's own parts read what they like."""


def misspelt(document: Document) -> tuple[Place, str] | None:
    """Return the first key of a file of PaddleX that is nearly a known one, and the one that was meant."""
    return _misspelt(document, document.values, "")


def _misspelt(document: Document, values: Mapping[str, Any], above: str) -> tuple[Place, str] | None:
    for key, value in values.items():
        meant = None if key in KEYS else nearest(str(key), KEYS)
        if meant is not None:
            name = f"{above}{key}"
            return Place(name, document.lines.get(name)), meant
        if isinstance(value, Mapping) and key not in _FREE:
            below = _misspelt(document, value, f"{above}{key}.")
            if below is not None:
                return below
    return None


def _unknown(key: str) -> str:
    """Return why a key that nobody took has no effect."""
    meant = None if key in KEYS else nearest(key, KEYS)
    return _UNKNOWN if meant is None else f"{_UNKNOWN}; did you mean {meant}?"


_UNKNOWN = "not a key that the kit knows"


def _article(kind: str) -> str:
    return kind if kind in ("True or False", "text") else f"a {kind}"


def _other_spelling(value: Any, kind: str) -> str | None:
    """Return how to write what was probably meant: a number or a truth value that is in quotes, or of another type."""
    unquoted = ", without quotes" if isinstance(value, str) else ""
    if kind == "True or False" and str(value).lower() in ("true", "false", "1", "0"):
        return f"write {str(value).lower() in ('true', '1')}{unquoted}"
    if "number" not in kind or isinstance(value, bool) or not isinstance(value, str | float):
        return None
    try:
        meant = float(value)
    except ValueError:
        return None
    if meant.is_integer():
        return f"write {int(meant)}{unquoted}"
    return f"write {meant}{unquoted}" if kind == "number" and math.isfinite(meant) else None

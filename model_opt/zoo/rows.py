"""``configs/models.yaml``: read, checked key by key, and turned into frozen rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_opt.resources import config_dir
from model_opt.wheels import WheelPin
from model_opt.zoo.files import KINDS, PDIPARAMS, PDMODEL, Kind, ZooError

SCHEMA_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SUM = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class WheelSource:
    """Files inside a pinned wheel: ``folder`` is where the two model files are in it."""

    pin: WheelPin
    folder: str
    sha256: Mapping[str, str] = field(hash=False)

    @property
    def label(self) -> str:
        """The words an error uses for this source."""
        return self.pin.label


@dataclass(frozen=True)
class UrlSource:
    """A tar behind an http(s) address. Without sums the first download is recorded and later ones must match."""

    url: str
    sha256: Mapping[str, str] = field(hash=False)
    archive_sha256: str | None = None

    @property
    def label(self) -> str:
        """The words an error uses for this source."""
        return self.url


@dataclass(frozen=True)
class FolderSource:
    """A folder of this machine, used where it is. Without sums its files are taken as they are."""

    folder: Path
    sha256: Mapping[str, str] = field(hash=False)

    @property
    def label(self) -> str:
        """The words an error uses for this source."""
        return f"folder {self.folder}"


Source = WheelSource | UrlSource | FolderSource


@dataclass(frozen=True)
class DictionaryRow:
    """A dictionary of ``characters`` lines: ``member`` of a pinned wheel, or a ``file`` of this machine."""

    name: str
    characters: int
    sha256: str
    pin: WheelPin | None = None
    member: str = ""
    file: Path | None = None


@dataclass(frozen=True)
class Row:
    """One model: what it is, where it comes from (first source first), and what its program must show."""

    name: str
    about: str
    kind: Kind
    input_name: str
    input_shape: tuple[int, ...]
    classes: int | None
    dictionary: DictionaryRow | None
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Zoo:
    """The rows of one file, in its order."""

    rows: Mapping[str, Row] = field(hash=False)
    path: Path

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all models."""
        return tuple(self.rows)

    def row(self, name: str) -> Row:
        """Return the row of a model; raise ``ZooError`` with the known names for another."""
        if name not in self.rows:
            raise ZooError(
                f"unknown model {name!r}",
                path=self.path,
                hint=f"use one of: {', '.join(self.names)}; or give the path of a folder or tar of your own",
            )
        return self.rows[name]


def load_zoo(path: Path | None = None) -> Zoo:
    """Read the zoo from ``path`` (default: ``configs/models.yaml``).

    Raises ``ZooError`` for a file that cannot be read and for the first entry that is missing, unknown or of the
    wrong form, naming it by its path of keys.
    """
    path = config_dir() / "models.yaml" if path is None else path
    top = _Table(_read_yaml(path), "", path)
    version = top.take("schema_version", int)
    if version != SCHEMA_VERSION:
        raise ZooError(f"schema_version is {version}, this kit reads {SCHEMA_VERSION}", path=path)
    pins = {name: _pin(name, table) for name, table in top.tables("wheels")}
    dictionaries = {name: _dictionary(name, table, pins) for name, table in top.tables("dictionaries")}
    rows = {name: _row(name, table, pins, dictionaries) for name, table in top.tables("models")}
    top.end()
    return Zoo(rows, path)


def _read_yaml(path: Path) -> Any:
    import yaml

    from model_opt.yaml_text import load_yaml

    try:
        return load_yaml(path.read_bytes())
    except OSError as error:
        raise ZooError(f"cannot read the list of models: {error.strerror}", path=path, hint="check the path") from error
    except yaml.YAMLError as error:
        raise ZooError(f"the list of models is no YAML: {error}", path=path, hint="mend the file") from error


class _Table:
    """A mapping of the file that knows where it stands, so that an error can say so."""

    def __init__(self, value: Any, where: str, path: Path) -> None:
        self.where = where
        self.path = path
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise self.fault("must hold 'key: value' lines")
        self._left: dict[str, Any] = dict(value)

    def fault(self, what: str) -> ZooError:
        return ZooError(f"{self.where or 'the list of models'}: {what}", path=self.path, hint="mend the file")

    def has(self, key: str) -> bool:
        return key in self._left

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """Take a value of type ``kind`` out; ``default`` (if not None) stands in for a missing one."""
        if key not in self._left:
            if default is not None:
                return default
            raise self.fault(f"lacks {key!r}")
        value = self._left.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.fault(f"{key!r} must be of type {kind.__name__}, not {value!r}")
        return value

    def table(self, key: str) -> _Table:
        return _Table(self.take(key, dict), f"{self.where}.{key}".lstrip("."), self.path)

    def tables(self, key: str) -> list[tuple[str, _Table]]:
        """Take a mapping of named tables."""
        named = self.take(key, dict)
        where = f"{self.where}.{key}".lstrip(".")
        for name in named:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise self.fault(f"{name!r} under {key!r} is no name (letters, digits, '.', '_', '-')")
        return [(name, _Table(value, f"{where}.{name}", self.path)) for name, value in named.items()]

    def sum(self, key: str, *, optional: bool = False) -> str:
        """Take a SHA-256; an optional one that is missing is the empty string."""
        value = str(self.take(key, str, "" if optional else None))
        if not _SUM.fullmatch(value) and not (optional and value == ""):
            raise self.fault(f"{key!r} must be 64 hexadecimal digits, not {value!r}")
        return value

    def choice(self, key: str, known: Mapping[str, Any]) -> Any:
        """Take the name of an entry elsewhere in the file and return that entry."""
        name = self.take(key, str)
        if name not in known:
            raise self.fault(f"{key!r} names {name!r}, and there are only: {', '.join(known)}")
        return known[name]

    def end(self) -> None:
        """Raise for keys that nobody took: most often a slip of the pen."""
        if self._left:
            raise self.fault(f"unknown key {next(iter(self._left))!r}")


def _pin(name: str, table: _Table) -> WheelPin:
    pin = WheelPin(table.take("name", str, name), table.take("version", str), table.sum("sha256"))
    table.end()
    return pin


def _dictionary(name: str, table: _Table, pins: Mapping[str, WheelPin]) -> DictionaryRow:
    characters, digest = table.take("characters", int), table.sum("sha256")
    if table.has("file"):
        file = table.path.parent / Path(table.take("file", str)).expanduser()
        row = DictionaryRow(name, characters, digest, file=file)
    else:
        row = DictionaryRow(name, characters, digest, table.choice("wheel", pins), table.take("member", str))
    table.end()
    return row


def _row(name: str, table: _Table, pins: Mapping[str, WheelPin], dictionaries: Mapping[str, DictionaryRow]) -> Row:
    kind: Kind = table.choice("kind", {known: known for known in KINDS})
    shape = table.take("input_shape", list)
    if len(shape) != 4 or not all(type(size) is int and (size == -1 or size > 0) for size in shape):
        raise table.fault(f"'input_shape' must be four sizes, -1 for a free one, not {shape!r}")
    sources = table.take("sources", list)
    if not sources:
        raise table.fault("'sources' is empty")
    row = Row(
        name=name,
        about=table.take("about", str, " ").strip(),
        kind=kind,
        input_name=table.take("input_name", str),
        input_shape=tuple(shape),
        classes=table.take("classes", int) if table.has("classes") else None,
        dictionary=table.choice("dictionary", dictionaries) if table.has("dictionary") else None,
        sources=tuple(
            _source(_Table(source, f"{table.where}.sources[{i}]", table.path), pins) for i, source in enumerate(sources)
        ),
    )
    if (kind == "rec") != (row.dictionary is not None):
        raise table.fault("a rec model needs a 'dictionary', and no other kind has one")
    table.end()
    return row


def _source(table: _Table, pins: Mapping[str, WheelPin]) -> Source:
    kinds = [
        key for key in ("wheel", "url", "folder") if table.has(key) and not (key == "folder" and table.has("wheel"))
    ]
    if len(kinds) != 1:
        raise table.fault("needs one of 'wheel' (with 'folder'), 'url' or 'folder'")
    source: Source
    if kinds == ["wheel"]:
        source = WheelSource(table.choice("wheel", pins), table.take("folder", str), _sums(table, required=True))
    elif kinds == ["url"]:
        source = UrlSource(_url(table), _sums(table), table.sum("archive_sha256", optional=True) or None)
    else:
        folder = Path(table.take("folder", str)).expanduser()
        source = FolderSource(table.path.parent / folder, _sums(table))
    table.end()
    return source


def _url(table: _Table) -> str:
    url = str(table.take("url", str))
    if not re.match(r"https?://[^/\s]+/\S+$", url):
        raise table.fault(f"'url' must be an http or https address, not {url!r}")
    return url


def _sums(table: _Table, *, required: bool = False) -> dict[str, str]:
    if not required and not table.has("sha256"):
        return {}
    sums = table.table("sha256")
    both = {name: sums.sum(name) for name in (PDMODEL, PDIPARAMS)}
    sums.end()
    return both

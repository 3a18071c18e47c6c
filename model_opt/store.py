"""The one store of fetched files, ``files/<sha256>/<file name>`` in the cache, and the sums of first downloads.

Wheels, Maven artifacts, archives and dictionaries lie here, each checked against its pin at every use: by size and
time of change once it was hashed. ``downloads.lock.json`` records the sums that nobody publishes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_opt.config import schema_fault
from model_opt.errors import ChecksumError, KitError, SourceUnavailable
from model_opt.fs import disk_faults, known_sum, locked, sha256_bytes, staged_folder, write_atomic
from model_opt.resources import cache_dir, config_dir

NOT_OFFLINE = "run once without --offline, or copy the cache of a machine that has it (EDGE_KIT_CACHE)"


def folder_of(sha256: str) -> Path:
    """Return the folder in the store of the file with that sum; ``locked`` guards it against a second writer."""
    return cache_dir() / "files" / sha256


def find(sha256: str, label: str, *, offline: bool = False) -> Path | None:
    """Return the stored file with that sum; None when it is absent or damaged, and so has to be fetched.

    With ``offline`` it cannot be: raises ``SourceUnavailable`` for an absent file and ``ChecksumError`` for a damaged
    one, with ``label`` as its name.
    """
    folder = folder_of(sha256)
    with disk_faults(f"read {label} from the cache", folder):
        for path in sorted(folder.glob("[!.]*")):
            found = known_sum(path)
            if found == sha256:
                return path
            if offline:
                raise ChecksumError(
                    f"{label} in the cache", sha256, found, path=path, hint="run once without --offline"
                )
    if offline:
        raise SourceUnavailable(f"{label} is not in the cache and downloads are off", path=folder, hint=NOT_OFFLINE)
    return None


def fetch(sha256: str, label: str, bring: Callable[[Path], object], *, hint: str, offline: bool = False) -> Path:
    """Return the stored file with that sum; have ``bring`` put it into an empty folder when it is not there.

    Two processes on one cache wait for each other. Raises what ``find``, ``add`` and ``bring`` raise.
    """
    found = find(sha256, label, offline=offline)
    if found is not None:
        return found
    with locked(folder_of(sha256)):
        return find(sha256, label) or add(sha256, label, bring, hint=hint)


def add(sha256: str, label: str, bring: Callable[[Path], object], *, hint: str) -> Path:
    """Have ``bring`` put one file into an empty folder, check its sum, and return its path in the store.

    The caller holds a lock. Raises ``ChecksumError`` with ``hint`` for a file with another sum, ``KitError`` when
    ``bring`` leaves no file or several.
    """
    folder = folder_of(sha256)
    with disk_faults(f"store {label}", folder), staged_folder(folder) as staging:
        bring(staging)
        files = sorted(staging.iterdir())
        if len(files) != 1:
            raise KitError(f"{len(files)} files came instead of one for {label}", hint=hint)
        found = known_sum(files[0])
        if found != sha256:
            raise ChecksumError(label, sha256, found, hint=hint)
    return folder / files[0].name


def incoming(url: str) -> Path:
    """Return where the download of ``url`` lies until it was taken into the store or unpacked."""
    return cache_dir() / "downloads" / sha256_bytes(url.encode())[:32]


@dataclass(frozen=True)
class Recorded:
    """The sum of a downloaded file and, by name, of the files that were taken out of it."""

    sha256: str
    files: Mapping[str, str] = field(default_factory=dict, hash=False)


def first_downloads() -> Path:
    """Return the path of the list of first downloads."""
    return cache_dir() / "downloads.lock.json"


def recorded(url: str) -> Recorded | None:
    """Return what was recorded at the first download of ``url``, None before it.

    Raises ``KitError`` for a list that cannot be understood: to go on without it would trust anything.
    """
    entry = _read().get(url)
    return None if entry is None else Recorded(entry["sha256"], entry["files"])


def record(url: str, entry: Recorded) -> None:
    """Add an entry; another process may add one at the same time. Raises ``DiskError`` when it cannot be written."""
    path = first_downloads()
    with locked(path), disk_faults("record the download", path):
        downloads = {**_read(), url: {"sha256": entry.sha256, "files": dict(entry.files)}}
        document = {"schema_version": 1, "downloads": downloads}
        write_atomic(path, (json.dumps(document, indent=2, sort_keys=True) + "\n").encode())


def _read() -> dict[str, dict[str, Any]]:
    path = first_downloads()
    with disk_faults("read the recorded sums", path):
        if not path.exists():
            return {}
        data = path.read_bytes()
    try:
        document = json.loads(data)
        broken = schema_fault(document, config_dir() / "downloads.schema.json")
    except ValueError as error:
        broken = ("the file", str(error))
    if broken is not None:
        raise KitError(
            f"the recorded sums cannot be read: {': '.join(broken)}",
            path=path,
            hint="restore the file; if you remove it, the next download of each address is trusted anew",
        )
    return dict(document["downloads"])

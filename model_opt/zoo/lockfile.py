"""``models.lock.json``: the sums of downloads that nobody publishes, recorded at first use and binding afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model_opt.files import write_atomic
from model_opt.resources import cache_dir
from model_opt.store import disk_faults, locked
from model_opt.zoo.files import PDIPARAMS, PDMODEL, ZooError

SCHEMA_VERSION = 1
_SUM = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Recorded:
    """The sum of an archive and of the two model files in it."""

    archive: str
    files: Mapping[str, str] = field(hash=False)


def lock_path() -> Path:
    """Return the path of the lock file: in the cache folder, beside the models."""
    return cache_dir() / "models.lock.json"


def recorded(url: str) -> Recorded | None:
    """Return what was recorded at the first download of ``url``, None before it.

    Raises ``ZooError`` for a lock file that cannot be understood: to go on without it would trust anything.
    """
    return _read().get(url)


def record(url: str, entry: Recorded) -> None:
    """Add an entry; another process may add one at the same time. Raises ``KitError`` when it cannot be written."""
    path = lock_path()
    with locked(path), disk_faults("record the download", path):
        entries = {**_read(), url: entry}
        archives = {
            key: {"sha256": value.archive, "files": dict(sorted(value.files.items()))}
            for key, value in sorted(entries.items())
        }
        document = {"schema_version": SCHEMA_VERSION, "archives": archives}
        write_atomic(path, (json.dumps(document, indent=2) + "\n").encode())


def _read() -> dict[str, Recorded]:
    path = lock_path()
    with disk_faults("read the recorded sums", path):
        if not path.exists():
            return {}
        data = path.read_bytes()
    try:
        document = json.loads(data)
        if document["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {document['schema_version']}")
        return {str(url): _entry(value) for url, value in document["archives"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ZooError(
            f"the recorded sums cannot be read: {error!r}",
            path=path,
            hint="restore the file; if you remove it, the next download of each address is trusted anew",
        ) from error


def _entry(value: Mapping[str, object]) -> Recorded:
    files = value["files"]
    if not isinstance(files, dict) or set(files) != {PDMODEL, PDIPARAMS}:
        raise ValueError("an entry without the sums of both files")
    sums = {str(name): str(digest) for name, digest in files.items()}
    archive = str(value["sha256"])
    if not all(_SUM.fullmatch(digest) for digest in (archive, *sums.values())):
        raise ValueError("a sum that is not 64 hexadecimal digits")
    return Recorded(archive, sums)

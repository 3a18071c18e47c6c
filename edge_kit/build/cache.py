"""Results of stages, kept by content: the same inputs and parameters never run twice, damage never gets out.

Layout below the cache folder (``resources.cache_dir() / "stages"``)::

    <key>/out/...        what the stage wrote
    <key>/result.json    what it returned, as JSON
    <key>/digest.json    length and SHA-256 of every file above; its time of change is the time of last use
    .<key>.edge-kit-...  a result being made; renamed to <key> when complete
    .locks/<key>         one builder per key
    .locks/session       held shared by running builds, alone by ``prune``

Every use of an entry reads and sums every byte of it (about 1 GB/s), instead of trusting times and lengths:
for the tens of megabytes of a build that costs less than starting Python, and no kind of damage gets past it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from edge_kit.build.files import (
    FileSum,
    Json,
    folder_sums,
    json_bytes,
    name_fault,
    parse_json,
    walk_files,
)
from model_opt.errors import KitError
from model_opt.fs import (
    disk_faults,
    file_lock,
    sha256_bytes,
    shared_lock,
    sibling,
    sole_lock_if_free,
    staged_folder,
)
from model_opt.resources import cache_dir

FORMAT = 2
"""Version of the layout above; part of every key, so a new layout never meets old entries."""

CACHE_BYTES = 4 << 30
"""How much ``prune`` keeps after a build. A build with its package makes about 100 MB of results, so this holds the
last forty or so different builds, and is small beside the disk of a machine that builds Android apps."""

_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StageResult:
    """A finished stage: the folder with its files, what it returned as JSON, and one digest over all of it."""

    name: str
    key: str
    folder: Path
    value: Json
    digest: str


@dataclass(frozen=True)
class Pruned:
    """What a clean-up removed: the number of results and their bytes."""

    entries: int
    bytes: int


def content_key(name: str, key: Mapping[str, Json], needs: Mapping[str, str]) -> str:
    """Return the key of a stage's result: SHA-256 over its name, its code and arguments, and its inputs' digests.

    Using the digests of what the needed stages made, not their keys, lets the build stop early: when a stage
    runs again and makes the same bytes, everything behind it is still cached.
    """
    value: Json = {"format": FORMAT, "stage": name, "key": dict(key), "needs": dict(needs)}
    return sha256_bytes(json_bytes(value, what=f"the key of stage {name!r}"))


@dataclass(frozen=True)
class StageCache:
    """The cache in the folder ``root``, which need not exist yet."""

    root: Path

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep ``prune`` of every process away while results of this cache are read; nests and shares.

        Raises ``DiskError`` when the cache cannot be written.
        """
        with ExitStack() as held:
            with disk_faults("open the cache", self.root):
                (self.root / ".locks").mkdir(parents=True, exist_ok=True)
                held.enter_context(shared_lock(self.root / ".locks" / "session"))
            yield

    def find(self, name: str, key: str) -> StageResult | None:
        """Return the result of stage ``name`` under ``key``, every byte checked, or None when absent or damaged."""
        try:
            found = _read_entry(self.root / key, name, key)
        except (OSError, ValueError):
            return None
        with suppress(OSError):  # another user's cache: the entry only looks older than it is
            os.utime(self.root / key / "digest.json")
        return found

    def make(
        self, name: str, key: str, fill: Callable[[Path], Json], waiting: Callable[[], None]
    ) -> tuple[StageResult, bool]:
        """Return the result under ``key`` and whether another build had made it meanwhile.

        Otherwise ``fill`` writes the files into a fresh folder and returns the result's value; the result appears under
        its key in one step, in place of a damaged one. ``waiting`` is called while another build works
        on the same key and ends the wait by raising. When anything raises, nothing new is left.
        """
        with file_lock(self.root / ".locks" / key, waiting):
            found = self.find(name, key)
            if found is not None:
                return found, True
            with staged_folder(self.root / key) as fresh:
                _fill(fresh, name, key, fill)
            made = self.find(name, key)
        if made is None:
            raise KitError(
                f"the result of stage {name!r} changed right after it was written",
                path=self.root / key,
                hint="check that nothing else writes into the cache, and the health of its disk",
            )
        return made, False

    def prune(self, max_bytes: int) -> Pruned:
        """Remove the results used longest ago until at most ``max_bytes`` are left; also what killed builds left.

        Does nothing while another build uses the cache: the next one will do it.
        """
        if not self.root.is_dir():
            return Pruned(0, 0)
        with disk_faults("clean the cache", self.root):
            (self.root / ".locks").mkdir(exist_ok=True)
            with sole_lock_if_free(self.root / ".locks" / "session") as free:
                return self._prune(max_bytes) if free else Pruned(0, 0)

    def _prune(self, max_bytes: int) -> Pruned:
        entries = []
        for folder in self.root.iterdir():
            if folder.name.startswith(".") and folder.name != ".locks":
                _remove(folder)  # what a killed build left
            elif _KEY.fullmatch(folder.name):
                entries.append((_last_use(folder), folder.name, _size(folder)))
        total = sum(size for _, _, size in entries)
        removed, freed = 0, 0
        for _, key, size in sorted(entries):
            if total - freed <= max_bytes:
                break
            try:
                self._drop(key)
            except PermissionError:
                continue  # another user's result in a shared cache
            removed, freed = removed + 1, freed + size
        for lock in (self.root / ".locks").iterdir():
            if _KEY.fullmatch(lock.name) and not (self.root / lock.name).exists():
                lock.unlink()
        return Pruned(removed, freed)

    def _drop(self, key: str) -> None:
        """Remove an entry, out of sight first so that a kill half way leaves no half entry."""
        grave = sibling(self.root / key, "tmp")
        (self.root / key).rename(grave)
        _remove(grave)


def default_cache() -> StageCache:
    """Return the cache of this user: ``stages`` below ``resources.cache_dir()``."""
    return StageCache(cache_dir() / "stages")


def _fill(folder: Path, name: str, key: str, fill: Callable[[Path], Json]) -> None:
    out = folder / "out"
    out.mkdir()
    value = json_bytes(fill(out), what=f"the result of stage {name!r}")
    files: dict[str, Json] = {}
    for file, found in folder_sums(out).items():
        fault = "is a link or no regular file" if found is None else name_fault(file)
        if found is None or fault is not None:
            raise KitError(
                f"stage {name!r} left {file!r}, which {fault}",
                hint="this is a fault of the stage: it may leave only regular files with plain names",
            )
        files[file] = vars(found)
        (out / file).chmod((out / file).stat().st_mode & 0o555)  # a later stage must not write into its inputs
    (folder / "result.json").write_bytes(value)
    digest: Json = {"stage": name, "key": key, "files": files, "result": sha256_bytes(value)}
    (folder / "digest.json").write_bytes(json_bytes(digest, what=f"the digest of stage {name!r}"))


def _read_entry(folder: Path, name: str, key: str) -> StageResult:
    """Read and check an entry; ``OSError`` or ``ValueError`` when it is absent or damaged in any way."""
    digest = parse_json((folder / "digest.json").read_bytes())
    if not isinstance(digest, dict) or (digest.get("stage"), digest.get("key")) != (name, key):
        raise ValueError("the digest is that of another result")
    found = folder_sums(folder / "out")
    files = {file: held for file, held in found.items() if held is not None}
    if len(files) < len(found) or digest.get("files") != {file: vars(held) for file, held in files.items()}:
        raise ValueError("the files are not those of the digest")
    text = (folder / "result.json").read_bytes()
    if sha256_bytes(text) != digest.get("result"):
        raise ValueError("the result is not that of the digest")
    return StageResult(name, key, folder / "out", cast("Json", parse_json(text)), _digest(files, text))


def _digest(files: Mapping[str, FileSum], value: bytes) -> str:
    """Sum up what a stage made, whatever its key was."""
    lines = [f"{s.sha256} {s.bytes} {file}\n" for file, s in sorted(files.items())]
    return sha256_bytes("".join([sha256_bytes(value), "\n", *lines]).encode("utf-8"))


def _last_use(folder: Path) -> int:
    try:
        return (folder / "digest.json").stat().st_mtime_ns
    except OSError:
        return 0


def _size(folder: Path) -> int:
    return sum(status.st_size for _, status in walk_files(folder))


def _remove(folder: Path) -> None:
    """Remove a folder of the cache; what cannot be removed now is left for the next ``prune``."""
    shutil.rmtree(folder, ignore_errors=True)

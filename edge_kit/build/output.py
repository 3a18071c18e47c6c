"""The bundle on disk: written beside its place, checked, then put there in one step.

Whatever ends a build (``kill -9``, a full disk, a read-only folder, a power cut), the bundle's folder holds
the complete old bundle or the complete new one. How: everything is written to a sibling
``.<name>.edge-kit-tmp-<pid>-<random>``, flushed to the disk and checked; then ``fs.staged_folder`` exchanges sibling
and bundle in one system call, and deletes the sibling, now the old bundle. Where the system cannot exchange
folders, the old one is renamed to ``.<name>.edge-kit-old-...`` and the new one put in its place; a build killed
between these two steps leaves no bundle under its name for that moment, and the next build begins with
renaming the old one back. The parent folder is locked meanwhile, so siblings found under the lock are leftovers.

The user's files are never deleted: a folder that is no bundle, and a bundle with files its manifest does not
list, are refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from edge_kit.build.files import FileSum, SealedFile, name_fault, walk_files
from edge_kit.build.manifest import MANIFEST_NAME, Manifest, check_bundle, listed_names, manifest_bytes
from model_opt.errors import KitError
from model_opt.fs import (
    clear_siblings,
    deadline,
    disk_faults,
    folder_lock,
    sha256_bytes,
    sha256_file,
    staged_folder,
    sync_folder,
)
from model_opt.resources import cache_dir, config_dir

Source: TypeAlias = Path | bytes | SealedFile
"""Where a file of the bundle comes from: a file, its contents, or a file that must have a certain sum."""

LOCK_SECONDS = 60.0
"""How long to wait for another build that writes beside ours; writing a bundle takes a second or two."""

_MAX_NAME = 190
"""Bytes in the name of an output folder: its siblings' names are longer and must fit into 255."""


class OutputError(KitError):
    """The output folder cannot take a bundle, or a file for it is not what it should be."""


@dataclass(frozen=True)
class WrittenBundle:
    """A complete bundle: its folder (absolute, links resolved) and its manifest.

    ``changed`` is False when the very same bundle was there already and nothing was written.
    """

    folder: Path
    manifest: Manifest
    changed: bool


def check_target(folder: Path) -> Path:
    """Return the absolute folder a bundle given as ``folder`` goes to; ``OutputError`` when it must not.

    A link to a folder is followed (the folder behind it is replaced, the link stays), missing parents are
    fine. Refused: a file, a dangling link, the current folder and those above it, folders that hold the kit,
    the cache or the home folder, folders inside the cache, a folder that holds something else than a bundle, and
    places that cannot be written. Nothing is changed on disk, so a build can ask before it starts.
    """
    target = _resolve(folder)
    _refuse_place(target, folder)
    _refuse_contents(target)
    above = next(parent for parent in target.parents if os.path.lexists(parent))
    if not above.is_dir():
        raise OutputError("a parent of the output is not a folder", path=above, hint="choose another --out")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(
            "the output folder cannot be written: permissions or a read-only disk",
            path=above,
            hint="choose a folder that you may write to with --out",
        )
    return target


def write_bundle(folder: Path, files: Mapping[str, Source], manifest: Manifest) -> WrittenBundle:
    """Put a bundle with ``files`` (by relative POSIX path) and its ``manifest.json`` at ``folder``, atomically.

    The manifest's ``files`` are replaced by the sums of the files. Missing parents are made. When
    the same bundle is there already, byte for byte, nothing is touched.

    Raises ``OutputError`` for a folder that ``check_target`` refuses, names that cannot stand in a bundle and
    sources that are absent or have another sum than they should, ``DiskError`` when the disk refuses, ``ManifestError``
    for a manifest that cannot be written. An old bundle stays complete in every case.
    """
    target = check_target(folder)
    _refuse_names(files)
    sums = {name: _sum(name, source) for name, source in sorted(files.items())}
    full = replace(manifest, files=sums)
    text = manifest_bytes(full)
    late = OutputError(
        f"another build has been writing here for {LOCK_SECONDS:.0f} seconds",
        path=target.parent,
        hint="wait for it to end or stop it, then build again",
    )
    with disk_faults("write the bundle", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with folder_lock(target.parent, deadline(LOCK_SECONDS, late)) as held:
            clear_siblings(target, alone=held)
            if _holds(target, text):
                return WrittenBundle(target, full, changed=False)
            with staged_folder(target, alone=held) as fresh:
                _fill(fresh, files, sums, text)
                _refuse_contents(target)  # again: the user may have put something there meanwhile
    return WrittenBundle(target, full, changed=True)


def _resolve(folder: Path) -> Path:
    hint = "choose another folder with --out"
    if "\0" in str(folder):
        raise OutputError("the output path holds a zero byte", path=str(folder).replace("\0", "\\0"), hint=hint)
    try:
        target = folder.resolve()
        status = None if not os.path.lexists(folder) else folder.is_dir()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise OutputError(f"the output path cannot be followed: {error}", path=folder, hint=hint) from error
    if status is False:
        what = "a link that leads to no folder" if folder.is_symlink() else "a file, not a folder"
        raise OutputError(f"the output is {what}", path=folder, hint="delete it or " + hint)
    if len(os.fsencode(target.name)) > _MAX_NAME:
        raise OutputError(f"the output's name is longer than {_MAX_NAME} bytes", path=folder, hint=hint)
    return target


def _refuse_place(target: Path, folder: Path) -> None:
    try:
        here = Path.cwd().resolve()
    except OSError:  # the current folder was deleted
        here = Path("/")
    cache = cache_dir().resolve()
    kept = {
        "the current folder": here,
        "the kit itself": Path(__file__).resolve(),
        "the kit's configuration": config_dir().resolve(),
        "the cache": cache,
        "your home folder": Path(os.path.expanduser("~")).resolve(),  # noqa: PTH111  never raises
    }
    for what, place in kept.items():
        if place == target or target in place.parents:
            raise OutputError(
                f"the output folder is or holds {what}, and a build replaces the folder",
                path=folder,
                hint="name a separate folder for the bundle, such as build/arm64",
            )
    outer = next((parent for parent in target.parents if listed_names(parent) is not None), None)
    if outer is not None or cache in target.parents:
        where = "the cache" if outer is None else f"another bundle, {outer}"
        raise OutputError(f"the output folder lies in {where}", path=folder, hint="choose another --out")


def _refuse_contents(target: Path) -> None:
    """Refuse a folder whose replacement would delete files that no build made."""
    if not os.path.lexists(target):
        return
    listed = listed_names(target)
    with disk_faults("read the output folder", target):
        if listed is None and any(target.iterdir()):
            raise OutputError(
                "the output folder is not empty and holds no bundle of this kit; it stays as it is",
                path=target,
                hint="choose another --out, or delete the folder yourself if you don't need it",
            )
        present = {name for name, _ in walk_files(target)}
    extra = sorted(present - (listed or frozenset()) - {MANIFEST_NAME})
    if extra:
        more = f" and {len(extra) - 3} more" if len(extra) > 3 else ""
        raise OutputError(
            f"the old bundle holds files that no build put there: {', '.join(map(repr, extra[:3]))}{more}",
            path=target,
            hint="move them elsewhere (or delete them), or choose another --out",
        )


def _refuse_names(files: Mapping[str, Source]) -> None:
    for name in files:
        fault = "is the manifest's own name" if name == MANIFEST_NAME else name_fault(name)
        above = [str(parent) for parent in PurePosixPath(name).parents if str(parent) in files]
        if fault is None and above:
            fault = f"needs {above[0]!r} to be a folder, which is a file of the bundle too"
        if fault is not None:
            raise OutputError(
                f"a bundle cannot hold a file {name!r}: it {fault}", hint="this is a fault of the build: report it"
            )


def _sum(name: str, source: Source) -> FileSum:
    if isinstance(source, SealedFile):
        return source.sum
    if isinstance(source, bytes):
        return FileSum(sha256_bytes(source), len(source))
    try:
        return FileSum(sha256_file(source), source.stat().st_size)
    except OSError as error:
        raise _unreadable(name, source, error) from error


def _unreadable(name: str, path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the file for {name!r} cannot be read: {error.strerror}",
        path=path,
        hint="build again: what is missing in the cache is made anew",
    )


def _holds(target: Path, text: bytes) -> bool:
    """Tell whether ``target`` is, byte for byte, the bundle whose manifest is ``text``."""
    try:
        if (target / MANIFEST_NAME).read_bytes() != text:
            return False
        return all(verdict.status == "ok" for verdict in check_bundle(target))
    except (OSError, KitError):
        return False  # an old bundle that cannot be read is simply replaced


def _fill(fresh: Path, files: Mapping[str, Source], sums: Mapping[str, FileSum], text: bytes) -> None:
    """Write the complete bundle into ``fresh``, down to the disk, and check it there."""
    folders = {fresh}
    for name, source in sorted(files.items()):
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folders.update(parent for parent in path.parents if fresh in parent.parents)
        _write(path, _data(name, source))
    _write(fresh / MANIFEST_NAME, text)
    for folder in folders:
        sync_folder(folder)
    for verdict in check_bundle(fresh):
        if verdict.status != "ok":
            source = files[verdict.path]
            raise OutputError(
                f"the file for {verdict.path!r} is not the one that was built"
                f" (sha256 {verdict.found.sha256 if verdict.found else 'none'},"
                f" expected {sums[verdict.path].sha256})",
                path=source.path if isinstance(source, SealedFile) else None,
                hint="build again: a damaged file in the cache is made anew; check the disk if it comes back",
            )


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _data(name: str, source: Source) -> bytes:
    """Return the contents of a source; a fault of reading is the source's, not the disk's we write to."""
    if isinstance(source, bytes):
        return source
    path = source.path if isinstance(source, SealedFile) else source
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(name, path, error) from error

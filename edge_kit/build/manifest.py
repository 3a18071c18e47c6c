"""``manifest.json``: what a bundle holds and what it was made from; written the same from build to build.

In: the facts of a build. Out: bytes without times, machine paths or noise digits; and, for an existing bundle,
a verdict on every file. The shape is stated by ``configs/manifest.schema.json``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from edge_kit import __version__
from edge_kit.build.files import FileSum, Json, folder_sums, is_plain, json_bytes, name_fault, parse_json
from model_opt.config import schema_fault
from model_opt.errors import KitError
from model_opt.fs import disk_faults
from model_opt.resources import config_dir

MANIFEST_NAME = "manifest.json"

SCHEMA_VERSION = 1
"""Version of the manifest's shape. Readers refuse a higher one."""

SIGNIFICANT_DIGITS = 6
"""Floats are rounded to this many significant digits: the digits behind differ between processors."""

_MAX_BYTES = 16 << 20
_MACHINE_PATH = re.compile(r"""(?:^|[\s"'=:(,])(?:/[\w.@+~-]+){2,}|\bfile:/|(?:^|[\s"'=(,])[A-Za-z]:[\\/](?!/)""")

Status: TypeAlias = Literal["ok", "missing", "changed", "extra"]


class ManifestError(KitError):
    """A manifest that is damaged, foreign, or would hold what a manifest must not."""


@dataclass(frozen=True)
class Manifest:
    """The contents of ``manifest.json``.

    ``created_from``: each input's ``sha256`` and whatever else names it. ``models``: per role (det, rec, ...) the
    facts of the shipped file. ``verification``: metrics and verdicts. ``tools``: name -> version.
    ``files``: every other file of the bundle; ``write_bundle`` fills it in. ``app``: facts of the Android app, where
    the bundle has one.
    """

    target: str
    recipe: str
    device_profile: str
    created_from: Mapping[str, Mapping[str, Json]]
    models: Mapping[str, Json] = field(default_factory=dict)
    verification: Mapping[str, Json] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileSum] = field(default_factory=dict)
    app: Mapping[str, Json] | None = None
    kit_version: str = __version__
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class CheckedFile:
    """One file of a bundle against its manifest; ``expected`` / ``found`` are None where there is none.

    ``changed`` covers other bytes and things that are not regular files (then ``found`` is None).
    """

    path: str
    status: Status
    expected: FileSum | None
    found: FileSum | None


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the manifest as JSON: sorted keys, two blanks of indent, a final newline, rounded floats.

    Raises ``ManifestError`` naming the place of a value that is not finite, not JSON, or holds a path of this
    machine; and when the manifest does not fit the schema.
    """
    files = {name: {"sha256": s.sha256, "bytes": s.bytes} for name, s in manifest.files.items()}
    fields = {**vars(manifest), "files": files}
    if manifest.app is None:
        del fields["app"]
    value = {name: _clean(item, name) for name, item in fields.items()}
    text = json_bytes(value, what="the manifest")
    _validate(parse_json(text), None)
    return text


def read_manifest(path: Path) -> Manifest:
    """Read ``manifest.json`` at ``path``; ``ManifestError`` when it is absent, damaged, foreign or too new."""
    value = _validate(_load(path), path)
    files = {name: FileSum(s["sha256"], s["bytes"]) for name, s in value["files"].items()}
    return Manifest(**{**value, "files": files})


def listed_names(folder: Path) -> frozenset[str] | None:
    """Return the file names that the manifest in ``folder`` lists, or None when it is not one of this kit.

    Every schema version is accepted, and the files are not read: this only distinguishes our bundles from the user's
    own folders (many programs call a file manifest.json).
    """
    try:
        value = _load(folder / MANIFEST_NAME)
    except ManifestError:
        return None
    files = value.get("files")
    if not {"schema_version", "kit_version", "target", "recipe"} <= value.keys() or not isinstance(files, dict):
        return None
    return frozenset(files)


def check_bundle(folder: Path) -> list[CheckedFile]:
    """Compare every file below ``folder`` with the manifest there and return a verdict on each, by name.

    All bytes are read; links are never followed. ``ManifestError`` when the manifest cannot be used,
    ``DiskError`` when a file cannot be read.
    """
    expected = read_manifest(folder / MANIFEST_NAME).files
    with disk_faults("read the bundle", folder):
        found = folder_sums(folder)
    del found[MANIFEST_NAME]
    return [_verdict(name, expected, found) for name in sorted(expected.keys() | found.keys())]


def _verdict(name: str, expected: Mapping[str, FileSum], found: Mapping[str, FileSum | None]) -> CheckedFile:
    want, have = expected.get(name), found.get(name)
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")  # a stray name may be undecodable
    if want is None:
        return CheckedFile(shown, "extra", None, have)
    if name not in found:
        return CheckedFile(shown, "missing", want, None)
    return CheckedFile(shown, "ok" if have == want else "changed", want, have)


def _load(path: Path) -> dict[str, Any]:
    """Read the JSON object at ``path``."""
    redo = "build the bundle again, or give the folder of another one"
    if not _is_plain_file(path):
        if not path.parent.is_dir():
            raise ManifestError("there is no such folder", path=path.parent, hint="give the folder of a bundle")
        raise ManifestError("there is no manifest", path=path, hint=redo)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ManifestError(f"the manifest is larger than {_MAX_BYTES >> 20} MB", path=path, hint=redo)
        value = parse_json(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"the manifest cannot be read: {error.strerror}", path=path, hint=redo) from error
    except ValueError as error:
        raise ManifestError(f"the manifest is damaged: {error}", path=path, hint=redo) from error
    if not isinstance(value, dict):
        raise ManifestError("the manifest is not a JSON object", path=path, hint=redo)
    return cast("dict[str, Any]", value)


def _is_plain_file(path: Path) -> bool:
    try:
        return is_plain(path.lstat())
    except (OSError, UnicodeEncodeError):
        return False


def _validate(value: object, path: Path | None) -> dict[str, Any]:
    """Check a manifest against the schema and its names; ``path`` is that of a manifest on disk."""
    redo = "build the bundle again" if path else "this is a bug in the build: please report it"
    manifest = cast("dict[str, Any]", value)
    version = manifest.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ManifestError(
            f"the manifest has schema version {version}, this kit reads up to {SCHEMA_VERSION}",
            path=path,
            hint="use the kit that made the bundle, or a newer one",
        )
    broken = schema_fault(manifest, config_dir() / "manifest.schema.json")
    if broken is not None:
        raise ManifestError(f"the manifest is wrong at {broken[0]}: {broken[1][:200]}", path=path, hint=redo)
    for name in manifest["files"]:
        wrong = "is the manifest itself" if name == MANIFEST_NAME else name_fault(name)
        if wrong is not None:
            raise ManifestError(f"the manifest lists a file {name!r}, which {wrong}", path=path, hint=redo)
    return manifest


def _clean(value: Json | object, where: str) -> Json:
    """Return ``value`` fit for a manifest; ``where`` is its place, for the error."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ManifestError(
                f"{where} is {value}, and a manifest holds only finite numbers",
                hint="count values that are not finite, or leave the figure out",
            )
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0  # + 0.0 makes -0.0 a plain zero
    if isinstance(value, str):
        if _MACHINE_PATH.search(value):
            raise ManifestError(
                f"{where} holds a path of this machine: {value!r}",
                hint="name the file relative to its source: bundles are the same whoever builds them",
            )
        return value
    if isinstance(value, Mapping):
        return {_text_key(key, where): _clean(item, f"{where}/{key}") for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_clean(item, f"{where}/{index}") for index, item in enumerate(value)]
    raise ManifestError(
        f"{where} is a {type(value).__name__}, which JSON cannot hold",
        hint="turn it into text, a number, a list or a mapping first",
    )


def _text_key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise ManifestError(f"{where} has the key {key!r}, which is not text", hint="use text keys")
    return str(_clean(key, where))

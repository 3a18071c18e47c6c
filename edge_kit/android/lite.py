"""Paddle Lite's runtime for Android: its jar and libraries, from the official release or from the user's own files.

What is in a release archive: ``java/jar/PaddlePredictor.jar``, ``java/so/libpaddle_lite_jni.so`` and a C++ API that
the app does not use. Only the two are taken.
"""

from __future__ import annotations

import io
import re
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_kit.android.config import AndroidConfig
from edge_kit.android.elf import MACHINES, check_library, read_library
from edge_kit.android.errors import RuntimeUnfit
from model_opt import store
from model_opt.download import Policy, Progress, download
from model_opt.errors import ChecksumError, KitError, SourceUnavailable
from model_opt.fs import disk_faults, locked, sha256_bytes, write_atomic
from model_opt.http import ConnectionSettingsError
from model_opt.nb import normalise_version
from model_opt.tars import StrictHeader

JAR, JNI = "PaddlePredictor.jar", "libpaddle_lite_jni.so"
_HINT = "give a release archive of Paddle Lite for Android, unpacked or not (it holds java/jar and java/so)"
_MAX_MEMBER = 256 << 20
_RETRY = 3600.0
"""Seconds for which an address that failed is not tried again: builds must stay quick without it."""
_IMPATIENT = Policy(attempts=1, connect_timeout=5.0, read_timeout=10.0, total_timeout=900.0)
_LABEL, _ARCHIVE = "Paddle Lite's runtime", "paddle-lite.tar.gz"
_GRACE, _SLOWEST = 15.0, 20e3
"""Seconds after which a download nobody asked for must have reached this mean rate, in bytes a second."""

# Paddle Lite compiles the name of its release tag into the library (lite/core/version.h.in).
_VERSION = re.compile(rb"(?<![\w.-])v\d{1,2}\.\d{1,2}(?:\.\d{1,2})?(?:-rc\d?)?(?=\0)")


@dataclass(frozen=True)
class LiteRuntime:
    """The runtime as it goes into an app: the jar's bytes and a library for each ABI. ``version`` is the release the
    libraries name, None where they name none."""

    jar: bytes
    libraries: Mapping[str, bytes] = field(hash=False)
    version: str | None

    @property
    def cache_key(self) -> str:
        """One sum over jar and libraries."""
        sums = [sha256_bytes(self.jar), *(f"{abi} {sha256_bytes(so)}" for abi, so in sorted(self.libraries.items()))]
        return sha256_bytes("\n".join(sums).encode())


@dataclass(frozen=True)
class NoRuntime:
    """Why an app has no Paddle Lite, and what would help."""

    reason: str
    hint: str | None = None


def read_runtime(given: Path, abis: Sequence[str], opt_version: str) -> LiteRuntime:
    """Return the runtime in ``given`` (a release archive, or a folder of such or of their files), checked.

    ``opt_version`` is that of the models' converter. Raises ``RuntimeUnfit`` when jar or library of an ABI is not
    there, for a library that a device cannot load, and for one of another version.
    """
    files = list(_files(given))
    jars = {data for name, data in files if name == JAR}
    if len(jars) != 1:
        what = f"there is no {JAR}" if not jars else f"there are {len(jars)} different files {JAR}"
        raise RuntimeUnfit(f"{what} in Paddle Lite's runtime", path=given, hint=_HINT)
    libraries: dict[str, bytes] = {}
    known = {number: abi for abi, number in MACHINES.items()}
    for data in (data for name, data in files if name == JNI):
        abi = known.get(read_library(data, str(given)).machine)
        if abi is not None and abi in abis and libraries.setdefault(abi, data) != data:
            raise RuntimeUnfit(f"there are two different libraries for {abi}", path=given, hint="leave one of them")
    lacking = [abi for abi in abis if abi not in libraries]
    if lacking:
        raise RuntimeUnfit(f"there is no {JNI} for {', '.join(lacking)}", path=given, hint=_HINT)
    _check_jar(next(iter(jars)), given)
    for abi, data in libraries.items():
        check_library(data, f"{given}: {JNI}", abi)
    return LiteRuntime(next(iter(jars)), libraries, _version(libraries, opt_version, given))


def release_runtime(
    config: AndroidConfig, abis: Sequence[str], opt_version: str, *, offline: bool, insist: bool = False
) -> LiteRuntime | NoRuntime:
    """Return the runtime of the official release, or why the app cannot have it; the archive stays in the cache.

    Nothing that is wrong with the release, the way to it or the cache raises: who did not ask for Paddle Lite gets a
    build without it. The sum of the first readable download of an address is recorded and binding. A failed attempt is
    remembered for an hour (``next_attempt``); ``insist`` tries again at once, and patiently.
    """
    without = [abi for abi in abis if abi not in config.lite_arch]
    if without:
        return NoRuntime(f"there is no release of Paddle Lite for {', '.join(without)}")
    try:
        tag = release_tag(opt_version)
        parts = []
        for abi in abis:
            archive = _fetch(config.lite_url.format(version=tag, arch=config.lite_arch[abi]), offline, insist)
            parts.append(read_runtime(archive, (abi,), opt_version))
    except SourceUnavailable as error:
        return NoRuntime(error.what, error.hint)
    except KitError as error:
        return NoRuntime(f"its release cannot be used: {_one_line(error.what)}", error.hint)
    return LiteRuntime(parts[0].jar, {abi: part.libraries[abi] for abi, part in zip(abis, parts, strict=True)},
                       parts[0].version)  # fmt: skip


def next_attempt(reason: str) -> float | None:
    """Return when a download that failed for ``reason`` is tried again, in seconds since 1970; None for no such."""
    remembered = [path for path in _failed("").parent.glob("*.failed") if _remembered(path) == reason]
    return max((path.stat().st_mtime + _RETRY for path in remembered), default=None)


def release_tag(opt_version: str) -> str:
    """Return the tag of the release that goes with a converter: ``2.14rc0`` and ``v2.14-rc`` are both ``v2.14-rc``.

    Raises ``RuntimeUnfit`` for a converter that is no release.
    """
    match = re.fullmatch(r"([\d.]+)(rc)?(\d*)", normalise_version(opt_version))
    if match is None:
        raise RuntimeUnfit(f"opt calls itself {opt_version!r}, which is no release of Paddle Lite", hint=_HINT)
    number, candidate, which = match.groups()
    return f"v{number}" + (f"-rc{which if which != '0' else ''}" if candidate else "")


def _failed(url: str) -> Path:
    """Return the note of why an address failed the last time."""
    return store.incoming(url).with_suffix(".failed")


def _fetch(url: str, offline: bool, insist: bool) -> Path:
    """Return the release archive at ``url`` in the store, pinned by the sum of its first download.

    Raises ``SourceUnavailable`` with a reason that is the same at each try, since it stands in the manifest.
    """
    incoming, failed = store.incoming(url), _failed(url)
    with locked(incoming), disk_faults(f"store {_LABEL}", incoming):
        entry = store.recorded(url)
        found = store.find(entry.sha256, _LABEL, offline=offline) if entry is not None else None
        if found is not None:
            return found
        if offline:
            raise SourceUnavailable(f"{_LABEL} is not in the cache and downloads are off", hint=store.NOT_OFFLINE)
        known = None if insist else _remembered(failed)
        if known is not None:
            raise SourceUnavailable(known)
        try:
            digest = _download(url, incoming, entry.sha256 if entry is not None else None, insist)
        except KitError as error:
            reason = _one_line(error.what)
            if not isinstance(error, ConnectionSettingsError):  # who corrects a setting has not to wait
                write_atomic(failed, reason.encode())
            hint = f"remove the entry of this address from {store.first_downloads()}, if you trust the new file"
            raise SourceUnavailable(reason, hint=hint if isinstance(error, ChecksumError) else error.hint) from error
        failed.unlink(missing_ok=True)
        path = store.add(digest, _LABEL, lambda folder: incoming.replace(folder / _ARCHIVE), hint="start again")
        store.record(url, store.Recorded(digest))
        return path


def _download(url: str, target: Path, expected: str | None, insist: bool) -> str:
    """Download an archive and return its sum; one that cannot be read to its end is not kept and its sum not pinned."""
    policy, progress = (None, None) if insist else (_IMPATIENT, _not_too_slow(url))
    found = download(url, target, expected=expected, policy=policy, progress=progress)
    try:
        for _ in _members(target):
            pass
    except RuntimeUnfit as error:
        target.unlink(missing_ok=True)
        raise SourceUnavailable(f"what came from {url} is no release: {error.what}", hint=error.hint) from error
    return found


def _not_too_slow(url: str) -> Progress:
    """Return what ends a download whose mean rate is hopeless; what came is resumed by the next try."""
    began = time.monotonic()

    def look(_: str, done: int, total: int | None) -> None:
        seconds = time.monotonic() - began
        if done != total and seconds > _GRACE and done < seconds * _SLOWEST:
            raise SourceUnavailable(f"cannot download {url}: less than {_SLOWEST / 1000:.0f} kB a second came")

    return look


def _remembered(failed: Path) -> str | None:
    """Return why an address failed within the last hour."""
    try:
        recent = 0 <= time.time() - failed.stat().st_mtime < _RETRY
        return failed.read_text(encoding="utf-8") if recent else None
    except (OSError, ValueError):
        return None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _files(given: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every jar and library of the runtime in a folder or archive."""
    if not given.exists():
        raise RuntimeUnfit("there is no such file or folder", path=given, hint=_HINT)
    paths = sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]
    for path in paths:
        if path.name in (JAR, JNI):
            yield path.name, path.read_bytes()
        elif path.name.endswith((".tar.gz", ".tgz", ".tar")):
            yield from _members(path)


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the wanted members of a tar; nothing of it is ever written under its own name."""
    try:
        with tarfile.open(archive, tarinfo=StrictHeader) as tar:
            for member in tar:
                name = member.name.rsplit("/", 1)[-1]
                if name in (JAR, JNI) and member.isfile() and member.size <= _MAX_MEMBER:
                    source = tar.extractfile(member)
                    yield name, source.read() if source else b""
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise RuntimeUnfit(f"the archive cannot be read: {error}", path=archive, hint="fetch it again") from error


def _check_jar(jar: bytes, given: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(jar)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise RuntimeUnfit(f"{JAR} is damaged: {error}", path=given, hint="fetch it again") from error
    if "com/baidu/paddle/lite/PaddlePredictor.class" not in names:
        raise RuntimeUnfit(f"{JAR} holds no class com.baidu.paddle.lite.PaddlePredictor", path=given, hint=_HINT)


def _version(libraries: Mapping[str, bytes], opt_version: str, given: Path) -> str | None:
    """Return the release that the libraries name; ``RuntimeUnfit`` when it is not the converter's."""
    named: set[str] = set()
    for data in libraries.values():
        found = {match.decode("ascii") for match in _VERSION.findall(data)}
        fitting = {text for text in found if normalise_version(text) == normalise_version(opt_version)}
        if found and not fitting:
            raise RuntimeUnfit(
                f"the runtime is Paddle Lite {', '.join(sorted(found))}, the models are made by opt {opt_version}",
                path=given,
                hint="give the runtime of the same release: another one crashes on these models",
            )
        named |= fitting
    return min(named) if named else None

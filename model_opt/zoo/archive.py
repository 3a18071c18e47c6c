"""Take a model out of a tar that may be broken or hostile: only the wanted files, only plain ones, within limits."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, Any

from model_opt.tars import StrictHeader
from model_opt.zoo.files import ZooError


@dataclass(frozen=True)
class Limits:
    """What an archive may hold before it is taken for an attack."""

    members: int = 1000
    unpacked: int = 2 << 30
    header: int = 1 << 20


LIMITS = Limits()


def extract_model(
    archive: Path, folder: Path, *, required: Sequence[str] = (), optional: Sequence[str] = (), limits: Limits = LIMITS
) -> tuple[str, ...]:
    """Write the wanted members of the tar (plain, gz, bz2 or xz) into ``folder``; return the names written.

    Members are found by their last name, at the top or below folders; all of them must come from one folder.
    ``optional`` may hold patterns (``*.onnx``). Raises ``ZooError`` when the file is no tar or ends early, lacks a
    required member or has none at all, has one twice, or when **any** member is unsafe: an absolute path, ``..``, a
    link, a device, a sparse file, or more than ``limits`` allow.
    """
    wanted = (*required, *optional)
    written: dict[str, PurePosixPath] = {}
    seen: list[str] = []
    unpacked = 0
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(_opened(archive))
            budget = _Budget(stream, limits.header)
            tar = stack.enter_context(_tar(budget))
            for member in tar:
                path = _checked(member, archive)
                seen.append(str(path))
                unpacked += member.size
                if len(seen) > limits.members or unpacked > limits.unpacked:
                    raise _bomb(archive)
                budget.grant(member.size + limits.header)
                if member.isfile() and any(fnmatchcase(path.name, pattern) for pattern in wanted):
                    _write(tar, member, folder / path.name, archive)
                    if path.name in written:
                        raise ZooError(f"the archive holds {path.name} twice", path=archive, hint="pack one model")
                    written[path.name] = path
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ZooError(
            f"cannot read the archive: {error}", path=archive, hint="it is damaged or no tar: fetch or pack it again"
        ) from error
    _complete(archive, written, required, seen)
    return tuple(written)


def _opened(archive: Path) -> IO[bytes]:
    """Open the file through the decompressor that its first bytes ask for."""
    with archive.open("rb") as file:
        magic = file.read(6)
    if not magic:
        raise ZooError("the archive is empty (0 bytes)", path=archive, hint="fetch or pack it again")
    openers: dict[bytes, Callable[[Path], Any]] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ\x00": lzma.open,
    }
    opener = next((opener for start, opener in openers.items() if magic.startswith(start)), None)
    stream: IO[bytes] = archive.open("rb") if opener is None else opener(archive)
    return stream


class _Budget:
    """A reader that gives out only as many bytes as were granted.

    tarfile reads a header of any length into memory, and a few compressed bytes can pretend to be gigabytes of it;
    here the bytes of a member are granted only after its plain header was checked.
    """

    def __init__(self, stream: IO[bytes], granted: int) -> None:
        self._stream = stream
        self._read = 0
        self._granted = granted

    def grant(self, size: int) -> None:
        self._granted += size

    def read(self, size: int) -> bytes:
        block = self._stream.read(size)
        self._read += len(block)
        # tarfile reads ahead by one record of 10 KiB, which the header's allowance covers many times.
        if self._read > self._granted:
            raise tarfile.ReadError("a header that is far too long")
        return block


def _tar(stream: _Budget) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r|", tarinfo=StrictHeader)  # type: ignore[call-overload,no-any-return]


def _checked(member: tarfile.TarInfo, archive: Path) -> PurePosixPath:
    """Return the member's path; raise for everything but plain files and folders below the top."""
    path = PurePosixPath(member.name)
    bad = path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) and not member.sparse
    if bad or not plain or member.size < 0:
        what = "an unsafe path" if bad else "not a plain file"
        raise ZooError(
            f"the archive has a member that is {what}: {member.name!r}", path=archive, hint="don't use this archive"
        )
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, archive: Path) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise ZooError(f"the archive has no content for {member.name!r}", path=archive, hint="pack it again")
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    if target.stat().st_size != member.size:
        raise ZooError(f"the archive ends inside {member.name!r}", path=archive, hint="fetch or pack it again")


def _bomb(archive: Path) -> ZooError:
    return ZooError(
        "the archive would unpack to far more than a model; refused", path=archive, hint="don't use this archive"
    )


def _complete(archive: Path, written: dict[str, PurePosixPath], required: Sequence[str], seen: Sequence[str]) -> None:
    missing = [name for name in required if name not in written]
    if missing or not written:
        listed = ", ".join(seen[:8]) or "nothing"
        raise ZooError(
            f"the archive holds no {' and no '.join(missing or ['model'])}; it holds {listed}",
            path=archive,
            hint="give an exported inference model, not a training checkpoint",
        )
    folders = {path.parent for path in written.values()}
    if len(folders) > 1:
        raise ZooError(
            f"the archive holds files of more than one model: {', '.join(sorted(map(str, written.values())))}",
            path=archive,
            hint="pack one model",
        )

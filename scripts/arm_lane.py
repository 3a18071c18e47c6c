"""ARM on this machine: a Java machine for arm64 or armhf under QEMU's user-mode emulation, with OpenCV's library.

Three things are made once and kept in the kit's cache under ``arm``: a root file system with a JRE and what OpenCV's
library links (Debian's packages, by mmdebstrap from the host's own apt sources), the pinned artifacts of Maven, and
the compiled classes and tests of ``ocr-core`` and ``engine-opencv``. test_on_arm.py and scripts/bench_arm.py use them.

EDGE_KIT_ARM_SOURCES names another mirror, or a file of apt sources, for the root file systems.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.android.artifacts import fetch_artifacts, maven_options
from edge_kit.android.config import Pin
from edge_kit.android.errors import AndroidError, ToolFailed, ToolMissing
from edge_kit.android.sources import maven_env, sources_dir
from edge_kit.android.tools import require_tools, run_tool
from edge_kit.build.files import walk_files
from model_opt.fs import ensure_folder, sha256_bytes, sha256_file
from model_opt.resources import cache_dir


@dataclass(frozen=True)
class Machine:
    """An ARM processor, as Debian, QEMU and bytedeco's classifiers name it; None where bytedeco has no such build."""

    debian: str
    qemu: str
    classifier: str | None


ARM64 = Machine("arm64", "aarch64", "linux-arm64")
ARMV7 = Machine("armel", "arm", None)
"""32-bit ARM as Android calls functions there: floats in integer registers, as Debian's armel and not armhf."""

CPUS = ("cortex-a53", "cortex-a76")
"""Cores of arm64 with other kernels in OpenCV: without and with dot products and half precision."""

PACKAGES = ("mmdebstrap", "qemu-user-static")
"""The Debian packages of the lane's programs."""

DIRECTIVES = Path(__file__).with_name("jvm_directives.txt")
"""What a Java machine compiles well: the digests alone, of which golden vectors take gigabytes. A method of the second
compiler has the processor's own instructions for them; all else runs too briefly for it."""

_CONSOLE = "org.junit.platform.console.ConsoleLauncher"
_LANE = "org.edgekit.ocr.opencv.LaneKt"

MODULES = ("ocr-core", "engine-opencv")
"""The Maven modules whose classes and tests run on the emulated processor."""

_IN_ROOT = (
    "default-jre-headless",  # Java 17, 21 or 25, as the release has it
    '?name("^libgtk2.0-0(t64)?$")',  # what highgui links; its name ends in t64 from Debian 13 on
    "libgomp1",
    "libgfortran5",
    "libstdc++6",
)
_LEFT_OUT = ("dev", "proc", "sys", "usr/share/doc", "usr/share/icons", "usr/share/locale", "usr/share/man")
"""What a Java machine without a screen does not read, and what only root may unpack."""

_KOTLIN, _BYTEDECO = "org.jetbrains.kotlin", "org.bytedeco"
_COMMON = (
    Pin(_BYTEDECO, "opencv", "4.11.0-1.5.12", "jar", None,
        "c50b3ee9780c4a0fbb1335317e7bb99ca32c40162a55680828e01bc98e1e2382"),
    Pin(_BYTEDECO, "openblas", "0.3.30-1.5.12", "jar", None,
        "802ca4bb29b76b11dff644174352a34efc8eb76bca3325cbd38b3a1f2ef69ea6"),
    Pin(_BYTEDECO, "javacpp", "1.5.12", "jar", None,
        "898f636c1fcb092c3810587ed847b033946799bb56eefec9d4c088a780bf36fe"),
    Pin(_KOTLIN, "kotlin-stdlib", "2.2.20", "jar", None,
        "8836ccffd3585fadda9901244b20d42901d2f3cd581058d8434e2ffabcf3a3e7"),
    Pin(_KOTLIN, "kotlin-test", "2.2.20", "jar", None,
        "0054c51c672512a918440703e35ea946a8e7a210872f2196dbd6b9f2959198b0"),
    Pin(_KOTLIN, "kotlin-test-junit5", "2.2.20", "jar", None,
        "677dcbb681b33eb5df548f16171fcedf37214302a8b2d7731a37d30cdc6a20af"),
    Pin("org.json", "json", "20240303", "jar", None,
        "3cf6cd6892e32e2b4c1c39e0f52f5248a2f5b37646fdfbb79a66b46b618414ed"),
    Pin("org.junit.platform", "junit-platform-console-standalone", "1.11.4", "jar", None,
        "b016ef6b1c3454d6d7c2c88ce081dabf289699686af6622d6e4e2e1b54b4a2fc"),
)  # fmt: skip
_NATIVE = {
    "linux-arm64": (
        Pin(_BYTEDECO, "opencv", "4.11.0-1.5.12", "jar", "linux-arm64",
            "50400d0519023fc7e490688c9ca671180558a98e7c91665bd6bf71167aa92736"),
        Pin(_BYTEDECO, "openblas", "0.3.30-1.5.12", "jar", "linux-arm64",
            "537b560c758c0d09ff433a1175ed82f425e2336bc6e3da3c2b305e7bcd87e502"),
        Pin(_BYTEDECO, "javacpp", "1.5.12", "jar", "linux-arm64",
            "da709b0817b799980ae974132a5a16ec451f458e9bafdc450693afd790062b66"),
    ),
    "linux-x86_64": (
        Pin(_BYTEDECO, "opencv", "4.11.0-1.5.12", "jar", "linux-x86_64",
            "5df8365f011df63204bd6c121063edfee2dba445fdc80a26fc0d965c231d9c0f"),
        Pin(_BYTEDECO, "openblas", "0.3.30-1.5.12", "jar", "linux-x86_64",
            "d7a602fc3d3254fb51b7f75595f4cce0c0ef0799d8874c6efd3d8b45e4c4083a"),
        Pin(_BYTEDECO, "javacpp", "1.5.12", "jar", "linux-x86_64",
            "b20c8f1b5da22b0015faad73500130c53544757eab0c5945c8bcdc1fac050714"),
    ),
}  # fmt: skip
PINS = (*_COMMON, *(pin for pins in _NATIVE.values() for pin in pins))
"""Every artifact of Maven that the lane runs; the versions are those of android_app/pom.xml."""


@dataclass(frozen=True)
class Jvm:
    """A Java machine on an emulated core: the words before its options, and the class path of the core's tests."""

    command: tuple[str, ...]
    class_path: tuple[Path, ...]

    def run(
        self,
        what: str,
        main: str,
        arguments: Sequence[str | Path],
        *,
        options: Sequence[str] = (),
        more: Sequence[Path] = (),
    ) -> str:
        """Run class ``main`` in the core's folder and return what it wrote; ``more`` joins the class path.

        Raises ``ToolFailed``, which says ``what`` was attempted, when it does not end well.
        """
        return run_tool(what, self.words(main, arguments, options=options, more=more), cwd=sources_dir() / MODULES[0])

    def answers(self, what: str, arguments: Sequence[str | Path]) -> Iterator[dict[str, Any]]:
        """Run the main of ``Lane.kt`` and yield its answers as they come; who stops early ends the process.

        Raises ``ToolFailed`` with its last lines when it does not end well.
        """
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                self.words(_LANE, arguments), cwd=sources_dir() / MODULES[0], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8",
            )  # fmt: skip
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if line.startswith("{"):
                        yield json.loads(line)
                code = process.wait()
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
            if code:
                errors.seek(0)
                said = errors.read().decode("utf-8", "replace").splitlines()[-12:]
                raise ToolFailed("\n  ".join([f"cannot {what}: java ended with code {code}", *said]))

    def words(
        self, main: str, arguments: Sequence[str | Path], *, options: Sequence[str] = (), more: Sequence[Path] = ()
    ) -> list[str]:
        """Return the command line of ``run``."""
        path = os.pathsep.join(map(str, (*self.class_path, *more)))
        return [*self.command, *options, "-cp", path, main, *map(str, arguments)]


def open_jvm(machine: Machine, cpu: str) -> Jvm:
    """Return a Java machine on an emulated core ``cpu`` (a name of QEMU), with OpenCV and the tests' classes.

    Makes what lacks; raises ``ToolMissing`` that names the packages to install, ``AndroidError`` and ``ToolFailed``.
    """
    program, root = emulator(machine), root_files(machine)
    java = next(iter(sorted(root.glob("usr/lib/jvm/*/bin/java"))), None)
    if java is None:
        raise AndroidError("the root file system holds no Java", path=root, hint="remove it, and start again")
    return _jvm((program, "-L", root, "-cpu", cpu, java), machine.classifier)


def host_jvm() -> Jvm:
    """Return the host's own Java machine with the same classes and OpenCV's library for x86-64; raises the same."""
    return _jvm((require_tools(("java",))["java"],), "linux-x86_64")


def _jvm(start: Sequence[str | Path], classifier: str | None) -> Jvm:
    # A heap of constant size, as in android_app/pom.xml. The serial collector and the first compiler alone cost an
    # emulated core the least: half of the processor time of short runs.
    options = ("-Xms768m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    kept = cache_dir() / "arm"
    natives = f"-Dorg.bytedeco.javacpp.cachedir={kept / 'natives'}"
    crash = f"-XX:ErrorFile={kept / 'hs_err_%p.log'}"
    fetched = fetch_artifacts((*_COMMON, *(_NATIVE[classifier] if classifier else ())))
    return Jvm((*map(str, start), *options, natives, crash), (*fetched.values(), *class_folders()))


def emulator(machine: Machine) -> Path:
    """Return QEMU's program for ``machine``; Debian 13 drops the ``-static`` of its name."""
    for name in (f"qemu-{machine.qemu}-static", f"qemu-{machine.qemu}"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise ToolMissing(
        f"the ARM lane needs QEMU's user-mode emulation, and qemu-{machine.qemu}-static is not installed",
        hint=f"on Debian: apt-get install {' '.join(PACKAGES)}",
    )


def root_files(machine: Machine, packages: Sequence[str] = _IN_ROOT) -> Path:
    """Return the root file system for ``machine`` in the cache; made by mmdebstrap when it is not there.

    Its key is the release and the list of packages. Raises ``ToolMissing`` and ``ToolFailed``.
    """
    suite = host_suite()
    key = sha256_bytes("\n".join((*packages, *_LEFT_OUT)).encode())[:12]
    root = cache_dir() / "arm" / f"{suite}-{machine.debian}-{key}"
    return ensure_folder(root, "make the root file system", lambda folder: _make_root(machine, suite, folder, packages))


def host_suite() -> str:
    """Return the code name of the host's release, that of Ubuntu or Debian for a derivative."""
    facts = _os_release()
    for key in ("UBUNTU_CODENAME", "DEBIAN_CODENAME", "VERSION_CODENAME"):
        if facts.get(key):
            return facts[key]
    raise AndroidError(
        "this system has no release name that mmdebstrap could make a root file system of",
        path=Path("/etc/os-release"),
        hint="run the ARM lane on Debian or Ubuntu",
    )


def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}


def _make_root(machine: Machine, suite: str, folder: Path, packages: Sequence[str]) -> None:
    """Fill ``folder`` with the packages: with the host's sources, or as far as these lack them, mmdebstrap's own."""
    if shutil.which("mmdebstrap") is None:
        raise ToolMissing(
            "the ARM lane needs mmdebstrap, which is not installed",
            hint=f"on Debian: apt-get install {' '.join(PACKAGES)}",
        )
    attempts = source_choices(suite)
    with tempfile.TemporaryDirectory(prefix="edge-kit-root-") as scratch:
        archive = Path(scratch) / "root.tar"
        for number, sources in enumerate(attempts, 1):
            try:
                _bootstrap(machine, suite, archive, sources, packages)
                break
            except ToolFailed:
                archive.unlink(missing_ok=True)
                if number == len(attempts):
                    raise
        left_out = [f"--exclude=./{name}" for name in _LEFT_OUT]
        run_tool("unpack the root file system", ["tar", "-xf", archive, "-C", folder, "--no-same-owner", *left_out])
    _relative_links(folder)


def _bootstrap(machine: Machine, suite: str, archive: Path, sources: Sequence[str], packages: Sequence[str]) -> None:
    run_tool(
        f"make a root file system of {suite} for {machine.debian}",
        [
            "mmdebstrap", "--variant=extract", "--format=tar", f"--architectures={machine.debian}",
            *(f"--include={name}" for name in packages), *_components(), suite, archive, *sources,
        ],
        hint="check the network and the apt sources, or name others in EDGE_KIT_ARM_SOURCES, then start again",
    )  # fmt: skip


def _components() -> list[str]:
    return ["--components=main,universe"] if "UBUNTU_CODENAME" in _os_release() else []


def source_choices(suite: str) -> list[list[str]]:
    """Return the apt sources to try in turn, as arguments of mmdebstrap.

    First the host's for this release with its updates; then without these, since a mirror may be between two states
    of them; then none, which is mmdebstrap's own choice: a host of another processor may use a mirror that has no ARM
    packages.
    """
    own = os.environ.get("EDGE_KIT_ARM_SOURCES")
    if own:
        return [[own]]
    lines: dict[tuple[str, str], list[str]] = {}
    for uri, release, component in _host_targets():
        if release == suite or release.startswith(f"{suite}-"):
            lines.setdefault((uri, release), []).append(component)
    every = [f"deb {uri} {release} {' '.join(parts)}" for (uri, release), parts in lines.items()]
    base = [line for line, (_, release) in zip(every, lines, strict=True) if release == suite]
    return [choice for choice in (every, base) if choice and base] + [[]]


def _host_targets() -> list[tuple[str, str, str]]:
    """Return address, release and component of each package list that the host's apt is set up for."""
    if shutil.which("apt-get") is None:
        return []
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    said = run_tool(
        "read the apt sources",
        ["apt-get", "indextargets", "--no-release-info", "--format", form, "Created-By: Packages"],
    )
    rows = [tuple(line.split()) for line in dict.fromkeys(said.splitlines())]
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3]


def _relative_links(root: Path) -> None:
    """Turn links to absolute paths into ones that stay inside ``root``: the kernel follows them, not QEMU."""
    for name, _ in walk_files(root):
        path = root / name
        if path.is_symlink() and (target := path.readlink()).is_absolute():
            path.unlink()
            path.symlink_to(os.path.relpath(root / target.relative_to("/"), path.parent))


def class_folders() -> tuple[Path, ...]:
    """Return the folders of compiled classes and tests of ``MODULES``.

    Those that Maven left beside the sources when they are newer than every source; else a copy is compiled, kept in
    the cache under the sum of the sources. Raises ``ToolMissing`` and ``ToolFailed``.
    """
    sources = sources_dir()
    if _up_to_date(sources):
        return _folders(sources)
    key = _fingerprint(sources)
    kept = cache_dir() / "arm" / "classes" / key[:16]
    return _folders(ensure_folder(kept, "compile the core", lambda folder: _compile(sources, folder)))


def _folders(root: Path) -> tuple[Path, ...]:
    return tuple(root / module / "target" / kind for module in MODULES for kind in ("classes", "test-classes"))


def _source_files(sources: Path) -> list[Path]:
    parts = [sources / module / part for module in MODULES for part in ("src", "pom.xml")]
    listed = [part / name for part in parts if part.is_dir() for name, _ in walk_files(part)]
    return [sources / "pom.xml", *(part for part in parts if part.is_file()), *listed]


def _up_to_date(sources: Path) -> bool:
    """Whether every class beside the sources was written after the last change of any source."""
    classes = [path for folder in _folders(sources) for path in folder.rglob("*.class")]
    if not all(any(path.is_relative_to(folder) for path in classes) for folder in _folders(sources)):
        return False
    newest = max(path.stat().st_mtime_ns for path in _source_files(sources))
    return min(path.stat().st_mtime_ns for path in classes) > newest


def _fingerprint(sources: Path) -> str:
    files = _source_files(sources)
    return sha256_bytes("".join(f"{sha256_file(path)} {path.relative_to(sources)}\n" for path in files).encode())


def _compile(sources: Path, folder: Path) -> None:
    """Compile ``MODULES`` and their tests in a copy, and leave their ``target`` folders in ``folder``."""
    mvn = require_tools(("mvn",))["mvn"]
    with tempfile.TemporaryDirectory(prefix="edge-kit-arm-") as scratch:
        copy = Path(scratch) / "android_app"
        shutil.copytree(sources, copy, ignore=shutil.ignore_patterns("target", "golden", "build", ".gradle"))
        run_tool(
            "compile the core and its tests",
            [mvn, *maven_options(offline=False), "-f", copy / "pom.xml", "-pl", ",".join(MODULES), "test-compile"],
            env=maven_env(),
        )
        for ours, theirs in zip(_folders(folder), _folders(copy), strict=True):
            shutil.copytree(theirs, ours)


@dataclass(frozen=True)
class TestRun:
    """How many tests of JUnit ran and passed, how many gave up for want of something, and what they printed."""

    __test__ = False  # no test of pytest's

    passed: int
    gave_up: int
    output: str


def run_tests(jvm: Jvm, left_out: Sequence[str], properties: Mapping[str, str | Path]) -> TestRun:
    """Run the tests of ``MODULES`` with JUnit's console in one process, without the classes ``left_out``.

    Raises ``ToolFailed`` with the failures when one fails, or none is found.
    """
    compiler = ("-XX:TieredStopAtLevel=4", "-XX:+UnlockDiagnosticVMOptions", f"-XX:CompilerDirectivesFile={DIRECTIVES}")
    options = [*compiler, *(f"-D{name}={value}" for name, value in properties.items())]
    tests = os.pathsep.join(map(str, class_folders()[1::2]))
    words = [
        "execute", "--disable-banner", "--disable-ansi-colors", "--details=summary", "--fail-if-no-tests",
        f"--scan-classpath={tests}", *(f"--exclude-classname=.*\\.{name}" for name in left_out),
    ]  # fmt: skip
    said = jvm.run(f"pass the tests of {' and '.join(MODULES)} on ARM", _CONSOLE, words, options=options)
    count = {kind: int(number) for number, kind in re.findall(r"\[ +(\d+) tests (\w+) +\]", said)}
    return TestRun(count["successful"], count["aborted"] + count["skipped"], said)


@dataclass(frozen=True)
class Agreement:
    """How two readings of the same pictures agree: lines expected, boxes and lines equal, lines that only one has.

    A line is equal when its box and its text are; ``score_difference`` is the largest one of boxes and of texts, over
    the lines whose boxes are equal.
    """

    lines: int = 0
    boxes_equal: int = 0
    lines_equal: int = 0
    surplus: int = 0
    score_difference: float = 0.0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.lines + other.lines,
            self.boxes_equal + other.boxes_equal,
            self.lines_equal + other.lines_equal,
            self.surplus + other.surplus,
            max(self.score_difference, other.score_difference),
        )

    @property
    def identical(self) -> bool:
        """Whether every line was read as expected, and none beside them."""
        return self.lines == self.boxes_equal == self.lines_equal and self.surplus == 0


def agreement(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Agreement:
    """Compare two readings of one picture: ``dt_polys``, ``rec_texts``, ``dt_scores`` and ``rec_scores``, by line."""
    lines = {json.dumps(polygon): number for number, polygon in enumerate(found["dt_polys"])}
    pairs = [(i, lines[key]) for i, key in enumerate(map(json.dumps, expected["dt_polys"])) if key in lines]
    scores = [abs(expected[key][i] - found[key][j]) for i, j in pairs for key in ("dt_scores", "rec_scores")]
    return Agreement(
        lines=len(expected["dt_polys"]),
        boxes_equal=len(pairs),
        lines_equal=sum(expected["rec_texts"][i] == found["rec_texts"][j] for i, j in pairs),
        surplus=len(found["dt_polys"]) - len(pairs),
        score_difference=max(scores, default=0.0),
    )

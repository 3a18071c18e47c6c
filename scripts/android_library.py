"""The Android archive's own libopencv_java4.so, byte for byte, loaded into an emulated Java machine of Linux.

Android's C library is no Debian package. What OpenCV's library takes from it is what glibc has under the same names;
scripts/bionic/bionic.c holds the rest, and here a jump to glibc is written for each further name. The result shows what
the library computes. It does not show how Android's own loader, C library and scheduler treat it.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

from arm_lane import ARM64, Jvm, Machine, open_jvm, root_files

from edge_kit.android.artifacts import fetch_artifacts
from edge_kit.android.config import load_android
from edge_kit.android.errors import ToolMissing
from edge_kit.android.tools import run_tool
from model_opt.fs import locked, sha256_bytes, staged_folder
from model_opt.resources import cache_dir

SOURCES = Path(__file__).resolve().parent / "bionic"
COMPILERS = {"arm64": "aarch64-linux-gnu", "armel": "arm-linux-gnueabi"}
PACKAGES = {
    "arm64": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "armel": "gcc-arm-linux-gnueabi libc6-dev-armel-cross",
}
ABIS = {"arm64": "arm64-v8a", "armel": "armeabi-v7a"}
_STANDS_FOR = ("libc.so", "libm.so", "libdl.so", "liblog.so", "libjnigraphics.so", "libmediandk.so")
"""Android's libraries that the shim takes the place of."""
_GUARD = "libguard.so"
_LIBRARIES = ("libopencv_java4.so", "libc++_shared.so")
_FLAGS = {"arm64": [], "armel": ["-march=armv7-a", "-mfpu=neon", "-mfloat-abi=softfp"]}
_JUMP = {
    "arm64": "shim_{0}: adrp x16, :got:{0}\nldr x16, [x16, :got_lo12:{0}]\nbr x16\n",
    "armel": "shim_{0}: b {0}(PLT)\n",
}


def open_android(cpu: str, machine: Machine = ARM64) -> Jvm:
    """Return the lane's Java machine with the Android archive's library in place of bytedeco's.

    Raises what ``open_jvm`` raises, and ``ToolMissing`` without the cross compiler.
    """
    folder = library_folder(machine)
    jvm = open_jvm(machine, cpu)
    emulator, *rest = jvm.command
    # libc++ comes first, so that no part of the exceptions is taken from the libstdc++ that the Java machine loads.
    preloaded = f"{folder / _GUARD} {folder / _LIBRARIES[1]}"
    guest = ("-E", f"LD_LIBRARY_PATH={folder}", "-E", f"LD_PRELOAD={preloaded}")
    library = f"-Dedgekit.opencv.library={folder / _LIBRARIES[0]}"
    return replace(jvm, command=(emulator, *guest, *rest, library))


def library_folder(machine: Machine) -> Path:
    """Return the folder in the cache with the archive's libraries and the shim; made when it is not there."""
    config = load_android()
    pins = [config.artifacts[name] for name in ("opencv-android", "opencv-android-stl")]
    key = sha256_bytes(b"".join(path.read_bytes() for path in (*sorted(SOURCES.iterdir()), Path(__file__))))[:12]
    folder = cache_dir() / "arm" / f"android-{machine.debian}-{key}"
    if not folder.is_dir():
        with locked(folder), staged_folder(folder) as staging:
            for archive, name in zip(fetch_artifacts(pins).values(), _LIBRARIES, strict=True):
                with zipfile.ZipFile(archive) as opened:
                    (staging / name).write_bytes(opened.read(f"jni/{ABIS[machine.debian]}/{name}"))
            _build(machine, staging)
    return folder


def _build(machine: Machine, folder: Path) -> None:
    prefix = COMPILERS[machine.debian]
    if shutil.which(f"{prefix}-gcc") is None:
        raise ToolMissing(
            "the Android library needs a cross compiler for its shim, which is not installed",
            hint=f"on Debian: apt-get install {PACKAGES[machine.debian]}",
        )
    compile_ = [f"{prefix}-gcc", *_FLAGS[machine.debian], "-fPIC", "-O2", "-fno-builtin", "-fno-stack-protector"]
    run_tool("compile the shim", [*compile_, "-c", "-o", folder / "bionic.o", SOURCES / "bionic.c"])
    own = {name.removeprefix("shim_") for name in _symbols(f"{prefix}-nm", "--defined-only", folder / "bionic.o")}
    _write_jumps(needed_names(f"{prefix}-nm", folder), own, _JUMP[machine.debian], folder / "jumps.S")
    (folder / "versions").write_text("LIBC { };\n")
    shim = folder / _STANDS_FOR[0]
    run_tool(
        "link the shim of Android's C library",
        [
            *compile_, "-shared", "-o", shim, folder / "bionic.o", folder / "jumps.S",
            f"-Wl,--version-script={folder / 'versions'}", "-Wl,-soname,libc.so", "-lm", "-ldl", "-lpthread",
        ],
    )  # fmt: skip
    run_tool("compile the guard", [*compile_, "-shared", "-o", folder / _GUARD, SOURCES / "guard.c"])
    for name in _STANDS_FOR[1:]:
        (folder / name).symlink_to(shim.name)
    (folder / "libz.so").symlink_to(next(root_files(machine).glob("**/libz.so.1")))


def _write_jumps(names: dict[str, bool], own: set[str], jump: str, path: Path) -> None:
    """Write a jump to glibc for each versioned name that is not the shim's ``own``, and a stop for Android's media."""
    lines = [".text"]
    for name in sorted(name for name, versioned in names.items() if versioned and name not in own):
        lines += [f".globl shim_{name}", f".type shim_{name}, %function", jump.format(name)]
        lines.append(f".symver shim_{name}, {name}@LIBC")
    for name in sorted(name for name, versioned in names.items() if not versioned):
        if name.startswith(("AMedia", "AndroidBitmap")):
            lines += [f".globl {name}", f".type {name}, %function", f"{name}: b abort"]
        elif name.startswith("AMEDIAFORMAT_KEY"):
            lines += [
                ".data",
                f".globl {name}",
                f".type {name}, %object",
                f".size {name}, 8",
                f"{name}: .quad 0",
                ".text",
            ]
    path.write_text("\n".join([*lines, '.section .note.GNU-stack,"",%progbits']) + "\n")


def needed_names(nm: str, folder: Path) -> dict[str, bool]:
    """Return every name that the libraries take from elsewhere, and whether it is asked for with Android's version."""
    names: dict[str, bool] = {}
    made: set[str] = set()
    for library in _LIBRARIES:
        made |= set(_symbols(nm, "--dynamic", "--defined-only", folder / library))
        for name in _symbols(nm, "--dynamic", "--undefined-only", "--with-symbol-versions", folder / library):
            bare, _, version = name.partition("@")
            names[bare] = names.get(bare, False) or version == "LIBC"
    return {name: versioned for name, versioned in names.items() if name not in made}


def _symbols(nm: str, *words: str | Path) -> list[str]:
    return [line.split()[-1] for line in run_tool("list symbols", [nm, *words]).splitlines()]

"""The native libraries of an app: OpenCV's, the C++ runtime they share, and Paddle Lite's where it was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge_kit.android.elf import check_library
from edge_kit.android.errors import RuntimeUnfit
from edge_kit.android.sdk import opened

OPENCV, STL = "libopencv_java4.so", "libc++_shared.so"

_OF_ANDROID = frozenset(
    f"lib{name}.so"
    for name in ("c", "m", "dl", "z", "log", "android", "jnigraphics", "mediandk", "EGL", "GLESv2", "GLESv3", "stdc++")
)
"""Libraries that every device of API 26 offers to apps."""


def opencv_libraries(opencv: Path, stl: Path, abis: Sequence[str]) -> dict[str, bytes]:
    """Return OpenCV's library and the C++ runtime for each ABI, by their names in an APK (``lib/<abi>/<name>``).

    ``opencv`` and ``stl`` are AARs; the runtime comes from the second, whose copy fits pages of 16 KB. Raises
    ``RuntimeUnfit`` for a library that cannot be loaded on its ABI.
    """
    found = {}
    for archive, name in ((opencv, OPENCV), (stl, STL)):
        with opened(archive) as aar:
            for abi in abis:
                member = f"jni/{abi}/{name}"
                if member not in aar.namelist():
                    raise RuntimeUnfit(f"the archive has no {member}", path=archive, hint="leave this ABI out")
                found[f"lib/{abi}/{name}"] = aar.read(member)
    check_libraries(found)
    return found


def check_libraries(libraries: Mapping[str, bytes]) -> None:
    """Raise ``RuntimeUnfit`` for a library of another processor, a bad alignment, or one that lacks what it needs."""
    for path, data in libraries.items():
        _, abi, _ = path.split("/")
        needed = check_library(data, path, abi).needed
        lacking = sorted(set(needed) - _OF_ANDROID - set(_names(libraries, abi)))
        if lacking:
            raise RuntimeUnfit(
                f"the library needs {', '.join(lacking)}, which is neither in the app nor on every device",
                path=path,
                hint="put it beside the others",
            )


def _names(libraries: Mapping[str, bytes], abi: str) -> Iterator[str]:
    for path in libraries:
        _, its_abi, name = path.split("/")
        if its_abi == abi:
            yield name

"""The stage ``apk-native``: native libraries, checked and compressed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge_kit.android.archive import pack
from edge_kit.android.lite import JNI, LiteRuntime
from edge_kit.android.native import check_libraries, opencv_libraries
from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.stages.apk.artifacts import Artifacts
from edge_kit.stages.apk.results import Libraries


def collect_libraries(
    context: StageContext, artifacts: Artifacts, abis: tuple[str, ...], lite: LiteRuntime | None, compressed: bool
) -> Libraries:
    """Take OpenCV's libraries from the artifacts ``opencv-android`` and ``opencv-android-stl``, and Paddle Lite's."""
    found = artifacts.fetch(context)
    context.progress(None, "reading libraries")
    libraries = opencv_libraries(found["opencv-android"], found["opencv-android-stl"], abis)
    jar = None
    if lite is not None:
        libraries |= {f"lib/{abi}/{JNI}": data for abi, data in lite.libraries.items()}
        jar = _written(context.out, {"lite.jar": lite.jar})["lite.jar"]
    check_libraries(libraries)
    context.progress(None, "packing libraries")
    packed = {name: pack(data) for name, data in libraries.items()} if compressed else {}
    return Libraries(_written(context.out, libraries), _written(context.out / "packed", packed), jar)


def _written(folder: Path, files: Mapping[str, bytes]) -> dict[str, SealedFile]:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {name: SealedFile.of(folder / name) for name in files}

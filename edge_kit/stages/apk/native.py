"""The stage ``apk-native``: native libraries, checked and compressed."""

from __future__ import annotations

from edge_kit.android.archive import pack
from edge_kit.android.lite import JNI, LiteRuntime
from edge_kit.android.native import check_libraries, opencv_libraries
from edge_kit.build.files import write_files
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
        jar = write_files(context.out, {"lite.jar": lite.jar})["lite.jar"]
    check_libraries(libraries)
    context.progress(None, "packing libraries")
    packed = {name: pack(data) for name, data in libraries.items()} if compressed else {}
    return Libraries(write_files(context.out, libraries), write_files(context.out / "packed", packed), jar)

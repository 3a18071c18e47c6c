"""The stage ``apk-dex``: the classes in Android's bytecode."""

from __future__ import annotations

from edge_kit.android.api import read_api, unknown_references
from edge_kit.android.dex import make_dex
from edge_kit.android.errors import AndroidError
from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.stages.apk.artifacts import Artifacts, on_poll_of
from edge_kit.stages.apk.results import Dex, Libraries

_LITE_PACKAGE = "com/baidu/paddle/lite/"


def translate_classes(
    context: StageContext,
    artifacts: Artifacts,
    shrunk: SealedFile,
    libraries: Libraries,
    newer: tuple[str, ...],
    min_sdk: int,
) -> Dex:
    """Translate by the artifact ``dx``; ``AndroidError`` for what the ``api`` of ``min_sdk`` lacks and ``newer`` does
    not name.
    """
    found, out = artifacts.fetch(context), context.out / "classes.dex"
    dex = make_dex(shrunk.path, found["dx"], min_sdk, out, on_poll_of(context, "translating"))
    unknown = unknown_references(dex, read_api(found["api"]), newer)
    lost = [name for name in unknown if libraries.lite_jar or not name.startswith(_LITE_PACKAGE)]
    if lost:
        raise AndroidError(
            f"the app uses what Android {min_sdk} lacks: {', '.join(lost[:8])}",
            hint="check SDK_INT before the call and list it under newer in configs/android.yaml, or do without",
        )
    return Dex(SealedFile.of(out), len(dex.classes), len(dex.methods), dex.version)

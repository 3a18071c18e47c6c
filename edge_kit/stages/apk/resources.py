"""The stage ``apk-resources``: manifest and resources, linked."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge_kit.android.resources import AppIdentity, link_resources
from edge_kit.android.sdk import framework_apk
from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.stages.apk.artifacts import Artifacts, on_poll_of
from edge_kit.stages.apk.results import Resources


def link_app(
    context: StageContext,
    artifacts: Artifacts,
    manifest: Path,
    res: Path,
    identity: AppIdentity,
    extract_native: bool,
) -> Resources:
    """Link the folder ``res`` and the manifest against the artifact ``android-all``; see ``link_resources``."""
    with tempfile.TemporaryDirectory(prefix="edge-kit-framework-") as scratch:
        framework = Path(scratch) / "framework.apk"
        framework.write_bytes(framework_apk(artifacts.fetch(context)["android-all"]))
        linked = link_resources(
            manifest, res, framework, context.out, identity, extract_native=extract_native,
            on_poll=on_poll_of(context, "linking"),
        )  # fmt: skip
    r_java = next(iter(linked.java.rglob("R.java")))
    return Resources(SealedFile.of(linked.base), SealedFile.of(r_java), SealedFile.of(linked.rules))

"""Read text with the specification and the models of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_kit.build.manifest import MANIFEST_NAME, read_manifest
from edge_kit.stages.recheck import source_model


def bundle_settings(bundle: Path) -> dict[str, Any]:
    """Return the pipeline settings that a bundle stands for: its source models and its specification profile.

    Raises ``KitError`` for a folder without a manifest and for a bundle of a user's own model.
    """
    manifest = read_manifest(bundle / MANIFEST_NAME)
    chosen = manifest.created_from.get("ocr_spec", {}).get("profile")
    return {
        "det_model": source_model(manifest, "det", bundle),
        "rec_model": source_model(manifest, "rec", bundle),
        "spec": str(chosen) if chosen else None,
    }

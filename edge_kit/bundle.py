"""Read text with the specification and the models of a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.build.manifest import MANIFEST_NAME, Manifest, check_bundle, read_manifest
from model_opt.errors import KitError
from model_opt.zoo import load_zoo


def bundle_settings(bundle: Path, engine: str) -> dict[str, Any]:
    """Return the pipeline settings of a bundle: its files for engine ``nb``, for others its sources.

    Raises ``KitError`` for a folder without a manifest and, with another engine than ``nb``, for a bundle of a
    user's own model.
    """
    manifest = read_manifest(bundle / MANIFEST_NAME)
    chosen = manifest.created_from.get("ocr_spec", {}).get("profile")
    found: dict[str, Any] = {"spec": str(chosen) if chosen else None}
    if engine == "nb":
        return found
    return {
        **found,
        "det_model": source_model(manifest, "det", bundle),
        "rec_model": source_model(manifest, "rec", bundle),
    }


@dataclass(frozen=True)
class BundleFiles:
    """The files of a bundle that a pipeline reads."""

    det: Path
    rec: Path
    labels: Path
    spec: Path


def bundle_files(bundle: Path) -> BundleFiles:
    """Return the files of a bundle; ``KitError`` when one is not what the manifest says."""
    check_files(bundle)
    models = bundle / "models"
    return BundleFiles(models / "det.nb", models / "rec.nb", bundle / "labels.txt", bundle / "ocr_spec.json")


def check_files(bundle: Path) -> None:
    """Raise ``KitError``, naming the first one, when a file of a bundle is not what the manifest says."""
    bad = [verdict for verdict in check_bundle(bundle) if verdict.status != "ok"]
    if bad:
        raise KitError(
            f"{len(bad)} files of the bundle are not what its manifest says; the first is {bad[0].status}",
            path=bundle / bad[0].path,
            hint="build the bundle again",
        )


def source_model(manifest: Manifest, role: str, bundle: Path) -> str:
    """Return the zoo's name of the model that ``role`` was made from; ``KitError`` for a user's own model."""
    made_from = (entry for file, entry in manifest.created_from.items() if file.startswith(f"{role}/"))
    name = str(next(made_from, {}).get("model", ""))
    if name in load_zoo().names:
        return name
    raise KitError(
        f"the bundle's {role} model {name!r} is not one of the pinned models, so its source cannot be fetched again",
        path=bundle / MANIFEST_NAME,
        hint=f"give the model's folder or tar with --{role}-model",
    )

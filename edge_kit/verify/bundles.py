"""Bundles side by side: what each costs and what it reads, from their manifests, as rows and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.build.manifest import MANIFEST_NAME, Manifest, read_manifest
from edge_kit.bundle import check_files
from edge_kit.templates import fill_template
from model_opt.errors import KitError
from model_opt.resources import config_dir

COLUMNS: Mapping[str, tuple[str, str]] = {
    "model_bytes": ("Size of both models", "MB"),
    "ops": ("Operators of both models", ""),
    "texts_equal": ("Lines with the server's text", "%"),
    "character_accuracy": ("Characters read as the server reads them", "%"),
    "det_mask_flip_share": ("Mask pixels on the other side", "%"),
}
"""What is compared: title and unit of each figure."""

_SHARES = frozenset({"texts_equal", "character_accuracy", "det_mask_flip_share"})


@dataclass(frozen=True)
class BundleRow:
    """One bundle: ``figures`` by the names of ``COLUMNS``, shares from 0 to 1, None where nothing was measured."""

    name: str
    recipe: str
    target: str
    images: int
    passed: bool
    figures: Mapping[str, float | None]

    def text(self, column: str) -> str:
        """Return a figure as readable text, without its unit."""
        value = self.figures[column]
        if value is None:
            return "not measured"
        if column == "model_bytes":
            return f"{value / 1e6:.2f}"
        return f"{value * 100:.2f}" if column in _SHARES else f"{value:.0f}"


def compare_bundles(folders: Sequence[Path]) -> tuple[BundleRow, ...]:
    """Return one row for each bundle, in the order given.

    Raises ``ManifestError`` for a folder that is no bundle, ``KitError`` when a file is not what its manifest says or
    the bundles were judged on different numbers of images, which makes their shares incomparable.
    """
    for folder in folders:
        check_files(folder)
    rows = tuple(_row(folder, read_manifest(folder / MANIFEST_NAME)) for folder in folders)
    sizes = {row.images for row in rows}
    if len(sizes) > 1:
        named = ", ".join(f"{row.name} on {row.images}" for row in rows)
        raise KitError(
            f"the bundles were verified on different images: {named}", hint="build them with the same --images"
        )
    return rows


def _row(folder: Path, manifest: Manifest) -> BundleRow:
    metrics: Any = manifest.verification["metrics"]
    models: Any = manifest.models
    figures = {name: metrics.get(name) for name in COLUMNS if name in _SHARES}
    figures["model_bytes"] = float(sum(model["bytes"] for model in models.values()))
    figures["ops"] = float(sum(model["ops"] for model in models.values()))
    return BundleRow(
        name=folder.resolve().name,
        recipe=manifest.recipe,
        target=manifest.target,
        images=int(str(manifest.verification["images"])),
        passed=bool(manifest.verification["passed"]),
        figures=figures,
    )


def comparison_svg(rows: Sequence[BundleRow]) -> bytes:
    """Return a picture (SVG): for each figure a panel of bars, one for each bundle, all from zero."""
    panels = []
    for column, (title, unit) in COLUMNS.items():
        largest = max((value for row in rows if (value := row.figures[column]) is not None), default=0.0) or 1.0
        bars = [
            {
                "label": f"{row.name}: {row.recipe}",
                "text": row.text(column),
                "share": (row.figures[column] or 0) / largest,
            }
            for row in rows
        ]
        panels.append({"title": f"{title}{f', {unit}' if unit else ''}", "bars": bars})
    template = config_dir() / "templates" / "comparison.svg.j2"
    return fill_template(template, KitError, panels=panels, count=len(rows)).encode()

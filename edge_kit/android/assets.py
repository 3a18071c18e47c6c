"""The assets of the app: the bundle that it reads, golden vectors, and images with the answers it must give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.android.app_onnx import check_declared
from edge_kit.android.errors import AndroidError
from edge_kit.build.files import Json, json_bytes, walk_files
from model_opt.fs import sha256_bytes


@dataclass(frozen=True)
class Expected:
    """What Python's engine reads in one image: polygons as (x, y) pixels, scores in 0..1, in reading order."""

    name: str
    polygons: Sequence[Sequence[Sequence[int]]]
    box_scores: Sequence[float]
    texts: Sequence[str]
    scores: Sequence[float]


@dataclass(frozen=True)
class BundleFacts:
    """What ``bundle/assets.json`` says beside the sums of the files."""

    target: str
    recipe: str
    opt_version: str
    lite_version: str | None
    has_paddle_lite: bool
    stand_ins: tuple[str, ...] = ()
    """Models whose ONNX file is the unquantised one, since ONNX cannot say what the shipped file computes."""


def bundle_assets(files: Mapping[str, bytes], facts: BundleFacts) -> dict[str, bytes]:
    """Return ``files`` below ``bundle/`` and the list of them with their sums, ``bundle/assets.json``.

    Raises ``AndroidError`` for an ONNX file with an input whose size is not declared.
    """
    for name, data in files.items():
        if name.endswith(".onnx"):
            check_declared(data, name)
    listed: dict[str, Json] = {
        name: {"sha256": sha256_bytes(data), "bytes": len(data)} for name, data in sorted(files.items())
    }
    document: dict[str, Json] = {
        "files": listed,
        "target": facts.target,
        "recipe": facts.recipe,
        "opt_version": facts.opt_version,
        "has_paddle_lite": facts.has_paddle_lite,
        "lite_version": facts.lite_version,
        "onnx_stand_ins": list(facts.stand_ins),
    }
    listing = json_bytes(document, what="the list of assets")
    return {**{f"bundle/{name}": data for name, data in files.items()}, "bundle/assets.json": listing}


def golden_assets(folder: Path) -> dict[str, bytes]:
    """Return the golden vectors in ``folder`` below ``golden/``; ``AndroidError`` when there are none."""
    if not (folder / "manifest.json").is_file():
        raise AndroidError("the golden vectors are missing", path=folder, hint="restore the folder from the repository")
    return {f"golden/{name}": (folder / name).read_bytes() for name, _ in walk_files(folder)}


def selftest_assets(images: Mapping[str, Path], expected: Iterable[Expected], engine: str) -> dict[str, bytes]:
    """Return the images that have an expected answer below ``selftest/``, and the answers as ``expected.json``."""
    rows = [row for row in expected if row.name in images]
    document: dict[str, Json] = {"engine": engine, "images": [_row(row) for row in rows]}
    found = {f"selftest/{row.name}": images[row.name].read_bytes() for row in rows}
    return {**found, "selftest/expected.json": json_bytes(document, what="the self-test's answers")}


def _row(row: Expected) -> dict[str, Any]:
    lines = [
        {"polygon": [int(v) for point in polygon for v in point], "box_score": box, "text": text, "score": score}
        for polygon, box, text, score in zip(row.polygons, row.box_scores, row.texts, row.scores, strict=True)
    ]
    return {"file": row.name, "lines": lines}

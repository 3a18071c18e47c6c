"""Keep a verification between stages: ``Verified`` as JSON bytes and back, without loss."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_kit.verify.compare import Comparison, ImageComparison, ImageRun, Measures
from edge_kit.verify.metrics import (
    BoxAgreement,
    BoxMatching,
    BoxPair,
    MaskFlips,
    StepFlips,
    TensorDifference,
    TextAgreement,
)
from edge_kit.verify.runs import Verified

_PARTS: Mapping[str, type[Any]] = {
    "det": TensorDifference,
    "mask": MaskFlips,
    "boxes": BoxAgreement,
    "rec": TensorDifference,
    "steps": StepFlips,
    "texts": TextAgreement,
    "det_scores": TensorDifference,
    "rec_scores": TensorDifference,
}


def dump_verified(verified: Verified) -> bytes:
    """Return the verification as JSON; image paths are left out, so equal runs give equal bytes on any machine."""
    rows = [
        {
            "name": row.name,
            "matching": dataclasses.asdict(row.matching),
            "measures": {part: dataclasses.asdict(getattr(row.measures, part)) for part in _PARTS},
        }
        for row in verified.comparison.images
    ]
    document = {
        "images": rows,
        "reference": [_run(run) for run in verified.reference],
        "candidate": [_run(run) for run in verified.candidate],
    }
    return json.dumps(document, sort_keys=True, ensure_ascii=False).encode()


def load_verified(data: bytes) -> Verified:
    """Return the verification that ``dump_verified`` wrote."""
    document = json.loads(data)
    rows = tuple(_row(row) for row in document["images"])
    total = sum((row.measures for row in rows), start=Measures())
    return Verified(
        Comparison(rows, total),
        tuple(_image_run(run) for run in document["reference"]),
        tuple(_image_run(run) for run in document["candidate"]),
    )


def _run(run: ImageRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "dt_polys": np.asarray(run.dt_polys).tolist(),
        "dt_scores": list(run.dt_scores),
        "rec_texts": list(run.rec_texts),
        "rec_scores": list(run.rec_scores),
    }


def _image_run(raw: Mapping[str, Any]) -> ImageRun:
    return ImageRun(
        name=raw["name"],
        image_path=None,
        prob_map=None,
        dt_polys=np.array(raw["dt_polys"], np.int32).reshape(-1, 4, 2),
        dt_scores=raw["dt_scores"],
        rec_texts=raw["rec_texts"],
        rec_scores=raw["rec_scores"],
    )


def _row(raw: Mapping[str, Any]) -> ImageComparison:
    matching = raw["matching"]
    return ImageComparison(
        raw["name"],
        None,
        BoxMatching(
            tuple(BoxPair(**pair) for pair in matching["pairs"]),
            tuple(matching["missed"]),
            tuple(matching["extra"]),
        ),
        Measures(**{part: kind(**raw["measures"][part]) for part, kind in _PARTS.items()}),
    )

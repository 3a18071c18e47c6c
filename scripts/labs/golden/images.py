"""Image sets for the app's core: the models as ONNX, decoded images, and what the Python pipeline reads on them.

A set is a folder: ``expected.json`` (see ``expected_results``), ``det.onnx``, ``rec.onnx``, ``labels.txt``,
``ocr_spec.json`` and one file of raw BGR bytes for each image, named by its position.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.android.app_onnx import app_onnx
from edge_kit.engines.base import EngineOptions
from edge_kit.engines.nb import NbEngine
from edge_kit.ocr.image import Image
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import load_characters
from edge_kit.ocr.tensor import Run
from edge_kit.spec.load import export_json, load_spec, profile
from model_opt.fs import write_atomic
from model_opt.nb import read_nb


@dataclass(frozen=True)
class NbModels:
    """The shipped files: detector and recogniser as ``.nb``, and the dictionary."""

    det: Path
    rec: Path
    labels: Path


@dataclass(frozen=True)
class NbRuns:
    """The engine ``nb`` on both models, one thread for each."""

    detect: Run
    recognise: Run


def open_models(models: NbModels) -> NbRuns:
    """Return the models as the engine ``nb`` runs them; raises ``NbError`` for files that it cannot translate."""
    return NbRuns(NbEngine(models.det, EngineOptions()).run, NbEngine(models.rec, EngineOptions()).run)


def nb_pipeline(models: NbModels, profile_name: str | None = None) -> OcrPipeline:
    """Return the Python pipeline on the engine ``nb``."""
    rules = profile(profile_name)
    runs = open_models(models)
    return OcrPipeline(rules, Runs(runs.detect, (runs.recognise,)), load_characters(models.labels, rules.ctc))


def expected_results(pipeline: OcrPipeline, images: Iterable[tuple[str, Image]]) -> dict[str, Any]:
    """Return what the pipeline reads on named images, as JSON types.

    ``{"profile": name, "images": [{"name", "width", "height", "dt_polys", "dt_scores", "rec_texts", "rec_scores"}]}``
    """
    rows = []
    for name, image in images:
        result = pipeline.read(image).to_dict()
        size = {"name": name, "width": image.shape[1], "height": image.shape[0]}
        rows.append({**size, **{key: result[key] for key in ("dt_polys", "dt_scores", "rec_texts", "rec_scores")}})
    return {"profile": pipeline.rules.name, "images": rows}


def write_images(
    folder: Path, models: NbModels, images: Iterable[tuple[str, Image]], profile_name: str | None = None
) -> int:
    """Write a set of complete images to ``folder`` and return their number; ``expected.json`` comes last."""
    rules = profile(profile_name)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "det.onnx", app_onnx(read_nb(models.det), "det", rules))
    write_atomic(folder / "rec.onnx", app_onnx(read_nb(models.rec), "rec", rules))
    write_atomic(folder / "labels.txt", models.labels.read_bytes())
    write_atomic(folder / "ocr_spec.json", export_json(load_spec()))
    pipeline = nb_pipeline(models, rules.name)

    def kept() -> Iterable[tuple[str, Image]]:
        for number, (name, image) in enumerate(images):
            write_atomic(folder / f"{number}.bin", image.tobytes())
            yield name, image

    try:
        document = expected_results(pipeline, kept())
    finally:
        pipeline.close()
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomic(folder / "expected.json", text.encode())
    return len(document["images"])

"""Run two pipelines over the same images and compare them image by image, so that memory stays small."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.image import Image, read_image
from edge_kit.ocr.pipeline import OcrPipeline
from edge_kit.ocr.steps import Detection, keeps
from edge_kit.ocr.tensor import Float32Array
from edge_kit.verify.compare import Comparison, ImageComparison, ImageRun, Measures, compare_runs


@dataclass(frozen=True)
class Named:
    """An image to verify on: its name in the report, and its file."""

    name: str
    path: Path


@dataclass(frozen=True)
class Verified:
    """The comparison and, for pictures and tables, both runs; without tensors and paths, the same on any machine."""

    comparison: Comparison
    reference: tuple[ImageRun, ...]
    candidate: tuple[ImageRun, ...]


@dataclass(frozen=True)
class ReferenceRead:
    """What the reference made of an image, with the tensors that candidates are given."""

    image: Image
    detection: Detection
    tensors: tuple[Float32Array, ...]
    run: ImageRun


@dataclass(frozen=True)
class Compared:
    """One image, compared; both runs without tensors and path."""

    comparison: ImageComparison
    reference: ImageRun
    candidate: ImageRun


def verify_pipelines(
    reference: OcrPipeline,
    candidates: Mapping[str, OcrPipeline],
    images: Sequence[Named],
    progress: Callable[[float, str], None],
    max_pixels: Mapping[str, int] | None = None,
) -> dict[str, Verified]:
    """Compare each of ``candidates`` with ``reference`` on ``images``; ``progress(fraction, message)`` before each.

    Detectors see the same input tensor, recognisers the same lines (those of the reference's boxes); texts and boxes
    are compared end to end. A candidate named in ``max_pixels`` is left out on images whose detector input has more
    pixels than that. Raises ``KitError`` when an image cannot be read or an engine fails.
    """
    rows: dict[str, list[ImageComparison]] = {name: [] for name in candidates}
    runs: dict[str, list[tuple[ImageRun, ImageRun]]] = {name: [] for name in candidates}
    for position, image in enumerate(images):
        # One engine after the other: two at once on a large page would take twice the memory.
        picture = read_image(image.path, reference.rules.image.alpha)
        made = read_reference(reference, image.name, picture, image.path)
        for name, pipeline in candidates.items():
            pixels = made.detection.prob_map.size
            if pixels > (max_pixels or {}).get(name, pixels):
                continue
            progress(position / len(images), f"{made.run.name} ({name})")
            compared = compare_with(made, pipeline, reference.rules.db.thresh)
            rows[name].append(compared.comparison)
            runs[name].append((compared.reference, compared.candidate))
    return {name: _verified(rows[name], runs[name]) for name in candidates}


def _verified(rows: Sequence[ImageComparison], runs: Sequence[tuple[ImageRun, ImageRun]]) -> Verified:
    comparison = Comparison(tuple(rows), sum((row.measures for row in rows), start=Measures()))
    return Verified(comparison, tuple(a for a, _ in runs), tuple(b for _, b in runs))


def read_reference(pipeline: OcrPipeline, name: str, image: Image, path: Path | None = None) -> ReferenceRead:
    """Return what the reference makes of a BGR image; ``path`` names its file in errors."""
    detection = pipeline.detect(image)
    tensors = tuple(pipeline.line_input(image, box) for box in detection.dt_polys)
    outputs = [pipeline.probabilities(tensor) for tensor in tensors]
    run = _image_run(pipeline, name, None if path is None else str(path), detection, outputs, outputs)
    return ReferenceRead(image, detection, tensors, run)


def compare_with(made: ReferenceRead, candidate: OcrPipeline, mask_threshold: float) -> Compared:
    """Run a candidate on what the reference has read and compare; ``mask_threshold`` is the reference's."""
    other = _candidate_run(candidate, made)
    (row,) = compare_runs([made.run], [other], mask_threshold=mask_threshold).images
    return Compared(replace(row, image_path=None), _slim(made.run), _slim(other))


def _candidate_run(pipeline: OcrPipeline, made: ReferenceRead) -> ImageRun:
    detection = pipeline.detect(made.image)
    on_same_lines = _outputs(pipeline, made.tensors)
    # A box that both found cuts out the same line, and its output is known already.
    known = {box.tobytes(): output for box, output in zip(made.detection.dt_polys, on_same_lines, strict=True)}
    moved = [box for box in detection.dt_polys if box.tobytes() not in known]
    outputs = _outputs(pipeline, [pipeline.line_input(made.image, box) for box in moved])
    known |= {box.tobytes(): output for box, output in zip(moved, outputs, strict=True)}
    own = [known[box.tobytes()] for box in detection.dt_polys]
    return _image_run(pipeline, made.run.name, made.run.image_path, detection, own, on_same_lines)


def _outputs(pipeline: OcrPipeline, tensors: Sequence[Float32Array]) -> list[Float32Array]:
    """Return the recogniser's output for each line, as many lines at once as the pipeline has runs for."""
    with ThreadPoolExecutor(len(pipeline.runs.recognise)) as pool:
        return list(pool.map(pipeline.probabilities, tensors))


def _image_run(
    pipeline: OcrPipeline,
    name: str,
    path: str | None,
    detection: Detection,
    own: Sequence[Float32Array],
    on_same_lines: Sequence[Float32Array],
) -> ImageRun:
    lines = [pipeline.decode(output) for output in own]
    kept = [i for i, (_, score) in enumerate(lines) if keeps(score, pipeline.rules)]
    polygons: NDArray[np.int32] = detection.dt_polys[kept].astype(np.int32)
    return ImageRun(
        name=name,
        image_path=path,
        prob_map=detection.prob_map,
        dt_polys=polygons,
        dt_scores=[float(detection.dt_scores[i]) for i in kept],
        rec_texts=[lines[i][0] for i in kept],
        rec_scores=[lines[i][1] for i in kept],
        rec_logits=on_same_lines,
    )


def _slim(run: ImageRun) -> ImageRun:
    return replace(run, image_path=None, prob_map=None, rec_logits=None)

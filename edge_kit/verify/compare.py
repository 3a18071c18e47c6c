"""Compare what two engines made of the same images: one row for each image, totals, and the images worst first.

What makes the comparison fair:

- the detectors are compared on the same input tensor, so probability maps of different shapes are an error;
- the recognisers are compared on the same tensors, the lines cut by the boxes of the *reference*, so that a shifted
  box of the candidate does not count against its recogniser;
- boxes and texts are compared end to end, as a user sees them, each text with the box that it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_kit.verify.metrics import (
    BoxAgreement,
    BoxMatching,
    FloatTensor,
    MaskFlips,
    StepFlips,
    Sums,
    TensorDifference,
    TextAgreement,
    box_agreement,
    mask_flips,
    match_boxes,
    step_flips,
    tensor_difference,
    text_agreement,
)
from model_opt.errors import KitError


class CompareError(KitError):
    """Two runs that do not belong together, or a run that contradicts itself."""


@dataclass(frozen=True)
class ImageRun:
    """What one engine made of one image."""

    name: str
    """Names the image in both runs."""
    image_path: str | None
    prob_map: FloatTensor | None
    """The detector's output, any shape; ``None`` when it was not kept."""
    dt_polys: NDArray[np.generic]
    """[n, 4, 2] points (x, y), pixels of the image, in reading order."""
    dt_scores: Sequence[float]
    rec_texts: Sequence[str]
    rec_scores: Sequence[float]
    rec_logits: Sequence[FloatTensor] | None = None
    """The recogniser's outputs [..., steps, classes] on the lines of the reference's boxes, in their order."""


@dataclass(frozen=True)
class Measures(Sums):
    """All measures of one image, or of many added up."""

    det: TensorDifference = field(default_factory=TensorDifference)
    mask: MaskFlips = field(default_factory=MaskFlips)
    boxes: BoxAgreement = field(default_factory=BoxAgreement)
    rec: TensorDifference = field(default_factory=TensorDifference)
    steps: StepFlips = field(default_factory=StepFlips)
    texts: TextAgreement = field(default_factory=TextAgreement)
    det_scores: TensorDifference = field(default_factory=TensorDifference)
    rec_scores: TensorDifference = field(default_factory=TensorDifference)

    def metrics(self) -> dict[str, float]:
        """Return the numbers that gates judge, by the names of ``configs/gates.yaml``; NaN: nothing was measured."""
        return {
            "det_max_abs": self.det.max_abs,
            "det_mean_abs": self.det.mean_abs,
            "det_non_finite": self.det.non_finite,
            "det_mask_flips": self.mask.count,
            "det_mask_flip_share": self.mask.share,
            "det_score_max_abs": self.det_scores.max_abs,
            "boxes_identical": self.boxes.identical_share,
            "boxes_matched": self.boxes.matched_share,
            "box_mean_iou": self.boxes.mean_iou,
            "rec_max_abs": self.rec.max_abs,
            "rec_mean_abs": self.rec.mean_abs,
            "rec_non_finite": self.rec.non_finite,
            "rec_step_flip_share": self.steps.share,
            "rec_score_max_abs": self.rec_scores.max_abs,
            "texts_equal": self.texts.equal_share,
            "character_accuracy": self.texts.character_accuracy,
        }


@dataclass(frozen=True)
class ImageComparison:
    """One image: which box is which, and the measures."""

    name: str
    image_path: str | None
    matching: BoxMatching
    measures: Measures


@dataclass(frozen=True)
class Comparison:
    """All images in the order given, and their total."""

    images: tuple[ImageComparison, ...]
    total: Measures

    @property
    def worst_first(self) -> tuple[ImageComparison, ...]:
        """The images by falling harm: non-finite values, edits, unequal lines, boxes, mask, tensors; then by name."""
        return tuple(sorted(self.images, key=lambda image: (*_harm(image.measures), image.name)))

    def to_dict(self) -> dict[str, Any]:
        """Return counts, metrics and rows as JSON types; ``None`` stands for what was not measured.

        Numbers keep six significant digits. No image path is in it, so the same runs give the same text anywhere.
        """
        return {
            "metrics": json_metrics(self.total.metrics()),
            "counts": _counts(self.total),
            "worst_first": [image.name for image in self.worst_first],
            "images": [
                {"name": i.name, "metrics": json_metrics(i.measures.metrics()), "counts": _counts(i.measures)}
                for i in self.images
            ],
        }


def compare_runs(
    reference: Sequence[ImageRun],
    candidate: Sequence[ImageRun],
    *,
    mask_threshold: float,
) -> Comparison:
    """Compare two runs over the same images, in the same order.

    ``mask_threshold`` is the specification's (``db.thresh`` of the profile); boxes pair as ``match_boxes`` says. Raises
    ``CompareError`` or ``MetricError`` naming the image when the runs do not fit each other.
    """
    names, others = [run.name for run in reference], [run.name for run in candidate]
    if names != others:
        odd = sorted(set(names) ^ set(others))
        raise CompareError(
            f"the two runs hold different images: {', '.join(odd)}" if odd else "the two runs differ in their order",
            hint="run both engines on the same list of images",
        )
    if len(set(names)) != len(names):
        raise CompareError(f"an image name occurs twice: {', '.join(names)}", hint="give each image its own name")
    images = tuple(_compare_image(a, b, mask_threshold) for a, b in zip(reference, candidate, strict=True))
    return Comparison(images, sum((image.measures for image in images), start=Measures()))


def json_metrics(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics as JSON numbers of six significant digits; ``None`` for NaN and infinity, which JSON lacks."""
    return {name: json_number(value) for name, value in metrics.items()}


def json_number(value: float) -> float | None:
    """Return ``value`` with six significant digits, or ``None`` when it is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _compare_image(reference: ImageRun, candidate: ImageRun, mask_threshold: float) -> ImageComparison:
    for run in (reference, candidate):
        _check(run)
    try:
        matching = match_boxes(reference.dt_polys, candidate.dt_polys)
        det, mask = _compare_maps(reference, candidate, mask_threshold)
        rec, steps = _compare_lines(reference, candidate)
    except KitError as error:
        raise CompareError(f"{reference.name}: {error.what}", path=reference.image_path, hint=error.hint) from error
    return ImageComparison(
        reference.name,
        reference.image_path,
        matching,
        Measures(
            det=det,
            mask=mask,
            boxes=box_agreement(matching),
            rec=rec,
            steps=steps,
            texts=text_agreement(reference.rec_texts, candidate.rec_texts, matching),
            det_scores=_compare_scores(reference.dt_scores, candidate.dt_scores, matching),
            rec_scores=_compare_scores(reference.rec_scores, candidate.rec_scores, matching),
        ),
    )


def _check(run: ImageRun) -> None:
    lengths = {
        "dt_polys": len(run.dt_polys),
        "dt_scores": len(run.dt_scores),
        "rec_texts": len(run.rec_texts),
        "rec_scores": len(run.rec_scores),
    }
    if len(set(lengths.values())) != 1:
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise CompareError(f"{run.name}: every box needs one text and two scores; got {counts}", path=run.image_path)


def _compare_maps(reference: ImageRun, candidate: ImageRun, threshold: float) -> tuple[TensorDifference, MaskFlips]:
    a, b = reference.prob_map, candidate.prob_map
    if a is None and b is None:
        return TensorDifference(), MaskFlips()
    if a is None or b is None:
        raise CompareError("only one run kept the detector's output", hint="keep it in both runs or in none")
    return tensor_difference(a, b), mask_flips(a, b, threshold)


def _compare_lines(reference: ImageRun, candidate: ImageRun) -> tuple[TensorDifference, StepFlips]:
    a, b = reference.rec_logits, candidate.rec_logits
    if a is None and b is None:
        return TensorDifference(), StepFlips()
    if a is None or b is None or len(a) != len(b):
        kept = ["none" if side is None else str(len(side)) for side in (a, b)]
        raise CompareError(
            f"the recognisers were not run on the same lines: {kept[0]} outputs against {kept[1]}",
            hint="run both on the lines that the reference's boxes cut out",
        )
    pairs = list(zip(a, b, strict=True))
    difference = sum((tensor_difference(x, y) for x, y in pairs), start=TensorDifference())
    return difference, sum((step_flips(x, y) for x, y in pairs), start=StepFlips())


def _compare_scores(a: Sequence[float], b: Sequence[float], matching: BoxMatching) -> TensorDifference:
    left = np.array([a[pair.reference] for pair in matching.pairs], dtype=np.float64)
    right = np.array([b[pair.candidate] for pair in matching.pairs], dtype=np.float64)
    return tensor_difference(left, right)


def _harm(m: Measures) -> tuple[float, ...]:
    """Sort key: what hurts most first, each negated so that more harm sorts earlier."""
    non_finite = (m.det.values - m.det.finite) + (m.rec.values - m.rec.finite)
    unequal = m.texts.lines - m.texts.equal
    moved = m.boxes.slots - m.boxes.identical
    ranks = (non_finite, m.texts.edits, unequal, moved, m.mask.flips, m.steps.flips, m.det.largest, m.rec.largest)
    return tuple(-float(rank) for rank in ranks)


def _counts(m: Measures) -> dict[str, int]:
    """Return what the shares were taken from."""
    return {
        "det_values": m.det.values,
        "det_reference_non_finite": m.det.reference_non_finite,
        "det_candidate_non_finite": m.det.candidate_non_finite,
        "mask_pixels_reference": m.mask.reference_mask,
        "mask_pixels_candidate": m.mask.candidate_mask,
        "mask_flips": m.mask.flips,
        "boxes_matched": m.boxes.matched,
        "boxes_missed": m.boxes.missed,
        "boxes_extra": m.boxes.extra,
        "boxes_identical": m.boxes.identical,
        "rec_values": m.rec.values,
        "rec_reference_non_finite": m.rec.reference_non_finite,
        "rec_candidate_non_finite": m.rec.candidate_non_finite,
        "rec_steps": m.steps.steps,
        "rec_step_flips": m.steps.flips,
        "lines": m.texts.lines,
        "lines_equal": m.texts.equal,
        "characters": m.texts.characters,
        "edits": m.texts.edits,
    }

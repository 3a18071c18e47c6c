"""What each mistake of device demos costs: replayed over images and compared with the server's rules and the truth."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from edge_kit.ocr.image import Image, read_image
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.result import OcrResult
from edge_kit.ocr.tensor import Float32Array, Run
from edge_kit.verify.compare import json_number
from edge_kit.verify.metrics import (
    BoxAgreement,
    BoxMatching,
    TextAgreement,
    box_agreement,
    match_boxes,
    text_agreement,
)
from edge_kit.verify.regression import RegressionImage
from labs.legacy.pipeline import LegacyPipeline
from labs.legacy.rules import LegacyProfile, LegacySpec
from labs.truth import comparable, truth_agreement
from model_opt.errors import KitError


@dataclass(frozen=True)
class Cost:
    """What a set of mistakes changed on one image, or on many added up, against the base profile."""

    images: int = 0
    changed: tuple[str, ...] = ()
    """Images with other boxes, texts or order."""
    refused: tuple[str, ...] = ()
    """Images that could not be read at all with the mistakes; all their boxes count as missed."""
    reordered: tuple[str, ...] = ()
    """Images whose lines, those that both sides have, come in another order."""
    boxes: BoxAgreement = field(default_factory=BoxAgreement)
    moved: int = 0
    """Pairs of boxes with a corner elsewhere."""
    moved_iou_total: float = 0.0
    other_texts: int = 0
    """Pairs of lines with another text."""
    texts: TextAgreement = field(default_factory=TextAgreement)
    letters: TextAgreement = field(default_factory=TextAgreement)
    """As ``texts``, in half-width forms and without blanks: a wider crop often changes no more than blanks."""
    score_loss: float = 0.0
    """Largest fall of the score of a line that both sides have: how near its text came to changing."""
    nan_scores: int = 0
    """Lines shown with a score that is no number."""
    truth: TextAgreement = field(default_factory=TextAgreement)
    """Against the truth where it is known, likewise without blanks."""

    @property
    def moved_iou(self) -> float:
        """Mean IoU of the moved pairs; NaN when none moved."""
        return self.moved_iou_total / self.moved if self.moved else math.nan

    def __add__(self, other: Cost) -> Cost:
        summed = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return Cost(**{**summed, "score_loss": max(self.score_loss, other.score_loss)})

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON types; ``None`` for what was not measured."""
        return {
            "images": self.images,
            "images_changed": list(self.changed),
            "images_refused": list(self.refused),
            "images_reordered": list(self.reordered),
            "boxes": self.boxes.matched + self.boxes.missed,
            "boxes_missed": self.boxes.missed,
            "boxes_extra": self.boxes.extra,
            "boxes_moved": self.moved,
            "moved_mean_iou": json_number(self.moved_iou),
            "lines_with_other_text": self.other_texts,
            "largest_score_loss": json_number(self.score_loss),
            "nan_scores": self.nan_scores,
            "characters": self.texts.characters,
            "character_accuracy": json_number(self.texts.character_accuracy),
            "letters": self.letters.characters,
            "letter_accuracy": json_number(self.letters.character_accuracy),
            "truth_characters": self.truth.characters,
            "truth_character_accuracy": json_number(self.truth.character_accuracy),
        }


@dataclass(frozen=True)
class LegacyReport:
    """The cost of each profile, in the order of the specification, and the base profile's own figures."""

    base: Cost
    """The base profile against itself: no change; its ``truth`` is what the mistakes are to be compared with."""
    rows: tuple[tuple[LegacyProfile, Cost], ...]
    reasons: tuple[str, ...]
    """Why images were refused, each reason once."""


def legacy_report(
    spec: LegacySpec,
    runs: Runs,
    characters: Sequence[str],
    images: Sequence[RegressionImage],
    progress: Callable[[float, str], None],
) -> LegacyReport:
    """Read each image with the base profile and with each set of mistakes, in the order given.

    The order counts: one mistake keeps state between images. ``progress(fraction, message)`` before each image. An
    input that several pipelines share is run once. Raises ``KitError`` when an image cannot be read or the base
    profile fails on it.
    """
    memory = RunMemory()
    shared = memory.over(runs)
    base = OcrPipeline(spec.base, shared, characters)
    demos = [LegacyPipeline(spec.base, p.rules, shared, characters) for p in spec.profiles]
    own, costs, reasons = Cost(), [Cost()] * len(demos), dict[str, None]()
    try:
        for position, image in enumerate(images):
            progress(position / len(images), image.name)
            pixels = read_image(image.path)
            reference = base.read(pixels)
            own += cost_of(image, reference, reference, spec)
            for i, demo in enumerate(demos):
                answer, reason = _attempt(demo, pixels)
                cost = cost_of(image, reference, answer, spec)
                if reason is not None:
                    reasons[reason] = None
                    cost = replace(cost, refused=(image.name,))
                costs[i] += cost
            memory.forget()
    finally:
        for pipeline in (base, *demos):
            pipeline.close()
    return LegacyReport(own, tuple(zip(spec.profiles, costs, strict=True)), tuple(reasons))


def cost_of(image: RegressionImage, reference: OcrResult, answer: OcrResult, spec: LegacySpec) -> Cost:
    """Compare a demo's answer for one image with the base profile's, and with the truth where it is known."""
    boxes = match_boxes(reference.dt_polys, answer.dt_polys, spec.same_box)
    moved = [pair for pair in boxes.pairs if pair.shift > 0.0]
    lines = match_boxes(reference.dt_polys, answer.dt_polys, spec.same_line)
    differs = [reference.rec_texts[p.reference] != answer.rec_texts[p.candidate] for p in lines.pairs]
    losses = [reference.rec_scores[p.reference] - answer.rec_scores[p.candidate] for p in lines.pairs]
    equal = reference.rec_texts == answer.rec_texts and np.array_equal(reference.dt_polys, answer.dt_polys)
    return Cost(
        images=1,
        changed=() if equal else (image.name,),
        reordered=(image.name,) if _out_of_order(lines) else (),
        boxes=box_agreement(boxes),
        moved=len(moved),
        moved_iou_total=math.fsum(pair.iou for pair in moved),
        other_texts=sum(differs),
        texts=text_agreement(reference.rec_texts, answer.rec_texts, lines),
        letters=text_agreement([*map(comparable, reference.rec_texts)], [*map(comparable, answer.rec_texts)], lines),
        score_loss=max([0.0, *(loss for loss in losses if not math.isnan(loss))]),
        nan_scores=sum(math.isnan(score) for score in answer.rec_scores),
        truth=TextAgreement() if image.truth is None else truth_agreement(image.truth, answer, spec.same_line),
    )


def by_height(run: Run, height: int, other: Run) -> Run:
    """Return a run that gives inputs of ``height`` to ``run`` and all others to ``other``."""
    return lambda x: run(x) if x.shape[2] == height else other(x)


class RunMemory:
    """Remembers what runs answered, so that pipelines that feed the same tensor share one run of the model."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, bytes], Float32Array] = {}

    def over(self, runs: Runs) -> Runs:
        """Return runs that look into the memory first."""
        return replace(
            runs,
            detect=self._remembering("det", runs.detect),
            recognise=tuple(self._remembering("rec", run) for run in runs.recognise),
        )

    def forget(self) -> None:
        """Forget all answers: those for one image are of no use to the next, and large."""
        self._answers.clear()

    def _remembering(self, model: str, run: Run) -> Run:
        def look_up(x: Float32Array) -> Float32Array:
            key = model, hashlib.sha256(repr(x.shape).encode() + np.ascontiguousarray(x).tobytes()).digest()
            if key not in self._answers:
                self._answers[key] = run(x)
            return self._answers[key]

        return look_up


def _attempt(demo: LegacyPipeline, image: Image) -> tuple[OcrResult, str | None]:
    """Return the demo's answer, or an empty one and the reason why it has none."""
    try:
        return demo.read(image), None
    except KitError as error:
        nothing = OcrResult(None, np.zeros((0, 4, 2), np.int32), (), (), (), {}, image)
        return nothing, error.what


def _out_of_order(matching: BoxMatching) -> bool:
    order = [pair.candidate for pair in sorted(matching.pairs, key=lambda pair: pair.reference)]
    return order != sorted(order)

"""The values of one specification profile; units are pixels of the image the rule acts on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Interpolation = Literal["linear", "cubic"]
ChannelOrder = Literal["bgr", "rgb"]


@dataclass(frozen=True)
class DetectionInput:
    """How an image becomes the detector's input tensor."""

    limit_side_len: int
    limit_type: Literal["max", "min"]
    side_multiple: int
    min_side: int
    side_rounding: Literal["half_even"]
    pad_below_sum: int
    pad_to: int
    pad_value: int
    interpolation: Interpolation
    channel_order: ChannelOrder
    divisor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class DbPost:
    """How a probability map becomes boxes (differentiable binarisation)."""

    thresh: float
    use_dilation: bool
    max_candidates: int
    min_short_side: float
    score_mode: Literal["fast", "slow"]
    box_thresh: float
    unclip_ratio: float
    offset_join: Literal["round"]
    offset_arc_tolerance: float
    min_unclipped_short_side: float
    box_rounding: Literal["half_even"]


@dataclass(frozen=True)
class BoxRules:
    """How boxes are ordered, clipped, filtered and sorted into reading order."""

    order: Literal["clockwise", "mini_box"]
    clip: Literal["last_pixel", "image_size"]
    min_side_exclusive: int | None
    row_tolerance: int
    row_sort: Literal["full", "keep_first"]


@dataclass(frozen=True)
class CropRules:
    """How a text line is cut out of the image."""

    shape: Literal["quad", "min_area_rect"]
    interpolation: Interpolation
    border: Literal["replicate"]
    rotate_ratio: float


@dataclass(frozen=True)
class ClassifierInput:
    """The optional angle classifier."""

    enabled: bool
    height: int
    width: int
    divisor: float
    mean: float
    std: float
    pad_value: float
    thresh: float
    labels: tuple[int, ...]


@dataclass(frozen=True)
class RecognitionInput:
    """How a line becomes the recogniser's input tensor."""

    height: int
    min_width: int
    max_width: int
    interpolation: Interpolation
    channel_order: ChannelOrder
    divisor: float
    mean: float
    std: float
    pad_value: float


@dataclass(frozen=True)
class CtcRules:
    """How the recogniser's output becomes text."""

    blank: int
    append_space: bool
    empty_score: float


@dataclass(frozen=True)
class ResultRules:
    """Which lines are kept."""

    drop_score: float


@dataclass(frozen=True)
class RecogniserFacts:
    """What a recogniser's own file says; None where it leaves it open.

    ``append_space``: a space follows the dictionary's last character as one more class. ``height`` and ``width`` are
    the fixed sizes of its input, in pixels.
    """

    append_space: bool | None = None
    height: int | None = None
    width: int | None = None


@dataclass(frozen=True)
class SpecProfile:
    """One named set of rules, complete."""

    name: str
    description: str
    detection: DetectionInput
    db: DbPost
    boxes: BoxRules
    crop: CropRules
    classifier: ClassifierInput
    recognition: RecognitionInput
    ctc: CtcRules
    result: ResultRules

    def for_recogniser(self, facts: RecogniserFacts) -> SpecProfile:
        """Return the profile with what the recogniser's own file says in place of what the specification assumes.

        A fixed width is the width of every line: shorter ones are padded to it and longer ones squeezed, as PaddleOCR
        does with an ONNX file (``tools/infer/predict_rec.py``).
        """
        lines, ctc = self.recognition, self.ctc
        if facts.height is not None:
            lines = replace(lines, height=facts.height)
        if facts.width is not None:
            lines = replace(lines, min_width=facts.width, max_width=facts.width)
        if facts.append_space is not None:
            ctc = replace(ctc, append_space=facts.append_space)
        return replace(self, recognition=lines, ctc=ctc)


@dataclass(frozen=True)
class Spec:
    """The complete specification: its version and its profiles."""

    spec_version: int
    default_profile: str
    profiles: tuple[SpecProfile, ...]

    def for_recogniser(self, facts: RecogniserFacts) -> Spec:
        """Return the specification with every profile made for a recogniser; see ``SpecProfile.for_recogniser``."""
        return replace(self, profiles=tuple(one.for_recogniser(facts) for one in self.profiles))

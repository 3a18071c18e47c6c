"""The values of one specification profile; units are pixels of the image the rule acts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from model_opt.errors import KitError

Interpolation = Literal["linear", "cubic"]
ChannelOrder = Literal["bgr", "rgb"]
LimitType = Literal["max", "min"]
Alpha = Literal["drop", "on_white"]


@dataclass(frozen=True)
class DetectionInput:
    """How an image becomes the detector's input tensor."""

    limit_side_len: int
    limit_type: LimitType
    max_side_limit: int | None
    side_multiple: int
    min_side: int
    side_rounding: Literal["half_even"]
    pad_below_sum: int
    pad_to: int
    pad_value: int
    interpolation: Interpolation
    channel_order: ChannelOrder
    normalise: Literal["subtract_divide", "multiply_add"]
    divisor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def longest_side(self) -> int | None:
        """The longest side that an input may have before it is rounded to a multiple; None without a bound."""
        bounds = (self.limit_side_len if self.limit_type == "max" else None, self.max_side_limit)
        return min((bound for bound in bounds if bound is not None), default=None)

    def limited_to(self, side: int) -> DetectionInput:
        """Return the rules with ``side`` pixels as the bound of the longer side: what a device can afford.

        ``limit_type`` "max": the limit itself, up or down. "min", whose limit is about the shorter side:
        ``max_side_limit``, down only.
        """
        if self.limit_type == "max":
            return replace(self, limit_side_len=side)
        return replace(self, max_side_limit=min(side, self.max_side_limit or side))


@dataclass(frozen=True)
class ImageRules:
    """How a file or an array becomes pixels; ``alpha`` is what becomes of transparency (``edge_kit.ocr.image``)."""

    alpha: Alpha = "drop"


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
    unclip_distance: Literal["shoelace", "contour"]
    offset_join: Literal["round"]
    offset_arc_tolerance: float
    min_unclipped_short_side: float
    box_rounding: Literal["half_even"]
    box_scaling: Literal["float32_steps", "float64_ratio"]


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
    collapsed_line: Literal["one_pixel", "first_pixel"]
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
class BatchRules:
    """Which lines of an image share a run of the recogniser; for hosts only, a device reads line by line."""

    size: int
    order: Literal["argsort", "stable"]
    line_width: Literal["batch", "own"]


@dataclass(frozen=True)
class TextlineRules:
    """PaddleX 3's classifier of a line's orientation; for hosts only."""

    enabled: bool
    height: int
    width: int
    interpolation: Interpolation
    channel_order: ChannelOrder
    divisor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    labels: tuple[int, ...]
    turn_interpolation: Interpolation


@dataclass(frozen=True)
class PageRules:
    """PaddleX 3's classifier of a page's orientation; for hosts only."""

    enabled: bool
    short_side: int
    crop: int
    interpolation: Interpolation
    channel_order: ChannelOrder
    divisor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    labels: tuple[int, ...]
    turn_interpolation: Interpolation


@dataclass(frozen=True)
class WordRules:
    """How the boxes of words are made; for hosts only."""

    tall_ratio: float
    row_tolerance: int


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
class DetectorFacts:
    """What a detector's own file says; None where it leaves it open.

    ``max_candidates``: contours looked at, from ``PostProcess`` of the model's ``inference.yml``.
    """

    max_candidates: int | None = None


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
    image: ImageRules = ImageRules()
    """Transparency is dropped where a specification of before says nothing."""
    host_only: bool = False
    """The app has no such profile: it is not exported, and no bundle is built with it."""
    batch: BatchRules | None = None
    words: WordRules | None = None
    textline: TextlineRules | None = None
    page: PageRules | None = None
    """The rules of hosts: None in a specification that was made for a device."""

    def with_host_rules(self, own: SpecProfile) -> SpecProfile:
        """Return the profile with the rules of hosts that ``own`` has, the same profile in the kit's specification."""
        return replace(self, batch=own.batch, words=own.words, textline=own.textline, page=own.page)

    @property
    def turns_lines(self) -> bool:
        """Whether a classifier decides which way up a line stands."""
        return self.classifier.enabled or (self.textline is not None and self.textline.enabled)

    @property
    def turns_pages(self) -> bool:
        """Whether a classifier decides which way up a page stands."""
        return self.page is not None and self.page.enabled

    def with_lines_turned(self, wanted: bool) -> SpecProfile:
        """Return the profile with its classifier of lines on or off: PaddleX 3's where it has the rules, else 2.x's."""
        if self.textline is not None:
            return replace(self, textline=replace(self.textline, enabled=wanted))
        return replace(self, classifier=replace(self.classifier, enabled=wanted))

    def with_pages_turned(self, wanted: bool) -> SpecProfile:
        """Return the profile with its classifier of pages on or off; ``KitError`` where it has no rules for one."""
        if self.page is not None:
            return replace(self, page=replace(self.page, enabled=wanted))
        if wanted:
            raise KitError(
                f"profile {self.name!r} has no rules for turning pages", hint="choose the profile paddlex-3 (--spec)"
            )
        return self

    def in_batches_of(self, size: int) -> SpecProfile:
        """Return the profile with batches of up to ``size`` lines.

        Raises ``KitError`` for more than one line where the profile was made for a device.
        """
        if self.batch is None:
            if size == 1:
                return self
            raise KitError(
                f"profile {self.name!r} has no rules for {size} lines a run: it comes from a device's specification",
                hint="leave rec_batch_size out, or read with the models of a set instead of a bundle",
            )
        return replace(self, batch=replace(self.batch, size=size))

    def for_detector(self, facts: DetectorFacts) -> SpecProfile:
        """Return the profile with what the detector's own file says in place of what the specification assumes."""
        if facts.max_candidates is None:
            return self
        return replace(self, db=replace(self.db, max_candidates=facts.max_candidates))

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
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Other names of profiles."""

    @property
    def for_app(self) -> Spec:
        """The specification with the profiles that the app has."""
        return replace(self, profiles=tuple(one for one in self.profiles if not one.host_only))

    def for_detector(self, facts: DetectorFacts) -> Spec:
        """Return the specification with every profile made for a detector; see ``SpecProfile.for_detector``."""
        return replace(self, profiles=tuple(one.for_detector(facts) for one in self.profiles))

    def for_recogniser(self, facts: RecogniserFacts) -> Spec:
        """Return the specification with every profile made for a recogniser; see ``SpecProfile.for_recogniser``."""
        return replace(self, profiles=tuple(one.for_recogniser(facts) for one in self.profiles))

"""Numbers that say how far two engines are apart: tensors, masks, boxes, texts.

Every value adds up over images with ``+``. A share or a mean of nothing is NaN, so that a gate on it fails: what was
not measured is not proven. Boxes are clipped here in float64 and not by OpenCV: its float32 is off by up to 3e-4 of
IoU on small boxes of large pages, and its answer for a degenerate or twisted box is not defined.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from model_opt.errors import KitError

FloatTensor = NDArray[np.floating[Any]]
Point = tuple[float, float]
_Sums = TypeVar("_Sums", bound="Sums")


class MetricError(KitError):
    """Two things that cannot be compared: different shapes, or corners that are no numbers."""


@dataclass(frozen=True)
class Sums:
    """Figures of one image that add up over images field by field; of a field of ``largest`` the larger one stays."""

    def __add__(self: _Sums, other: _Sums) -> _Sums:
        added = {}
        for one in fields(self):
            joined: Callable[[Any, Any], Any] = max if "largest" in one.metadata else operator.add
            added[one.name] = joined(getattr(self, one.name), getattr(other, one.name))
        return type(self)(**added)


def _largest() -> float:
    """Return the default of a field that keeps the larger of two when values are added."""
    return field(default=0.0, metadata={"largest": True})


@dataclass(frozen=True)
class TensorDifference(Sums):
    """Difference of two tensors; ``largest`` and ``total`` run over the pairs that are finite in both."""

    values: int = 0
    finite: int = 0
    """Pairs with a finite number on both sides."""
    largest: float = _largest()
    """max |reference - candidate|."""
    total: float = 0.0
    """sum |reference - candidate|."""
    reference_non_finite: int = 0
    candidate_non_finite: int = 0

    @property
    def max_abs(self) -> float:
        """Largest absolute difference; NaN when no pair is finite."""
        return self.largest if self.finite else math.nan

    @property
    def mean_abs(self) -> float:
        """Mean absolute difference; NaN when no pair is finite."""
        return self.total / self.finite if self.finite else math.nan

    @property
    def non_finite(self) -> float:
        """Pairs that are NaN or infinite on either side; NaN when nothing was compared."""
        return float(self.values - self.finite) if self.values else math.nan


@dataclass(frozen=True)
class MaskFlips(Sums):
    """Pixels that a threshold puts on different sides in two maps."""

    pixels: int = 0
    reference_mask: int = 0
    candidate_mask: int = 0
    flips: int = 0

    @property
    def count(self) -> float:
        """Flipped pixels; NaN when nothing was compared."""
        return float(self.flips) if self.pixels else math.nan

    @property
    def share(self) -> float:
        """Flips over the pixels that either mask holds (0 to 1); 0 when both masks are empty, NaN without pixels."""
        if not self.pixels:
            return math.nan
        either = (self.reference_mask + self.candidate_mask + self.flips) // 2
        return self.flips / either if either else 0.0


@dataclass(frozen=True)
class StepFlips(Sums):
    """Steps of the recogniser whose best class differs."""

    steps: int = 0
    flips: int = 0

    @property
    def share(self) -> float:
        """Flips over steps; NaN when nothing was compared."""
        return self.flips / self.steps if self.steps else math.nan


@dataclass(frozen=True)
class BoxPair:
    """A box of the reference and the matching box of the candidate."""

    reference: int
    candidate: int
    iou: float
    shift: float
    """Largest distance between corners of the same place in the list, pixels."""


@dataclass(frozen=True)
class BoxMatching:
    """Which box is which: pairs by rising reference index, and the boxes that only one side has."""

    pairs: tuple[BoxPair, ...]
    missed: tuple[int, ...]
    extra: tuple[int, ...]


@dataclass(frozen=True)
class BoxAgreement(Sums):
    """How well two lists of boxes agree. A slot is a pair, a missed box or an extra box."""

    matched: int = 0
    missed: int = 0
    extra: int = 0
    identical: int = 0
    """Pairs with all four corners equal."""
    iou_total: float = 0.0
    max_shift: float = _largest()
    """Largest corner distance over all pairs, pixels."""

    @property
    def slots(self) -> int:
        """Pairs, missed and extra boxes together."""
        return self.matched + self.missed + self.extra

    @property
    def identical_share(self) -> float:
        """Identical pairs over slots; NaN when neither side has a box."""
        return self.identical / self.slots if self.slots else math.nan

    @property
    def matched_share(self) -> float:
        """Pairs over slots; NaN when neither side has a box."""
        return self.matched / self.slots if self.slots else math.nan

    @property
    def mean_iou(self) -> float:
        """Mean IoU over slots, a missed or extra box counting 0; NaN when neither side has a box."""
        return self.iou_total / self.slots if self.slots else math.nan


@dataclass(frozen=True)
class TextAgreement(Sums):
    """How well the texts of matched lines agree; a missed or extra line is unequal, all its characters edits."""

    lines: int = 0
    equal: int = 0
    characters: int = 0
    """Characters of the reference."""
    edits: int = 0
    """Levenshtein distance, summed over lines."""

    @property
    def equal_share(self) -> float:
        """Equal lines over lines; NaN when neither side has a line."""
        return self.equal / self.lines if self.lines else math.nan

    @property
    def character_accuracy(self) -> float:
        """1 - edits / characters over all lines together, not below 0; NaN without any character."""
        if self.characters:
            return max(0.0, 1.0 - self.edits / self.characters)
        return 0.0 if self.edits else math.nan


@dataclass(frozen=True)
class Span:
    """A stretch of two aligned texts: equal on both sides, or different (one side may be empty)."""

    kind: Literal["equal", "different"]
    reference: str
    candidate: str


def tensor_difference(reference: FloatTensor, candidate: FloatTensor) -> TensorDifference:
    """Compare two tensors of one shape, in float64.

    Non-finite values are counted on each side and kept out of the largest and the mean difference: ``max(0, nan)``
    is 0 and would hide them. Raises ``MetricError`` when the shapes differ.
    """
    _same_shape(reference, candidate)
    good_reference, good_candidate = np.isfinite(reference), np.isfinite(candidate)
    both = good_reference & good_candidate
    distance = np.abs(reference[both].astype(np.float64) - candidate[both].astype(np.float64))
    return TensorDifference(
        values=int(reference.size),
        finite=int(np.count_nonzero(both)),
        largest=float(distance.max()) if distance.size else 0.0,
        total=float(distance.sum()),
        reference_non_finite=int(reference.size - np.count_nonzero(good_reference)),
        candidate_non_finite=int(candidate.size - np.count_nonzero(good_candidate)),
    )


def mask_flips(reference: FloatTensor, candidate: FloatTensor, threshold: float) -> MaskFlips:
    """Count the pixels that are above ``threshold`` (compared as float32) in exactly one of two maps.

    NaN is above nothing. Raises ``MetricError`` when the shapes differ.
    """
    _same_shape(reference, candidate)
    limit = np.float32(threshold)
    mask, other = reference > limit, candidate > limit
    return MaskFlips(
        pixels=int(reference.size),
        reference_mask=int(np.count_nonzero(mask)),
        candidate_mask=int(np.count_nonzero(other)),
        flips=int(np.count_nonzero(mask ^ other)),
    )


def step_flips(reference: FloatTensor, candidate: FloatTensor) -> StepFlips:
    """Count the steps whose best class (argmax over the last axis) differs.

    Raises ``MetricError`` when the shapes differ or a step has no class.
    """
    _same_shape(reference, candidate)
    if reference.ndim == 0 or reference.shape[-1] == 0:
        raise MetricError(f"a recogniser's output needs classes on its last axis; got {list(reference.shape)}")
    best, other = reference.argmax(axis=-1), candidate.argmax(axis=-1)
    return StepFlips(steps=int(best.size), flips=int(np.count_nonzero(best != other)))


def quad_iou(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """Return intersection over union, 0 to 1, of the convex hulls of two lists of points (x, y), [n, 2].

    The hull makes the answer independent of the order of corners and defined for every quad: twisted ones, ones that
    name a corner twice (the server's ordering of a square on its corner does), and ones without area, which have IoU
    1 with the same points and 0 with anything else. Raises ``MetricError`` for corners that are not finite.
    Clipping: Sutherland and Hodgman, "Reentrant polygon clipping" (1974).
    """
    return _hull_iou(_hull(_points(a)), _hull(_points(b)))


def match_boxes(reference: NDArray[np.generic], candidate: NDArray[np.generic], min_iou: float = 0.5) -> BoxMatching:
    """Pair boxes [n, 4, 2] with boxes [m, 4, 2], best IoU first, ties by rising indices; no box is used twice.

    Pairs need an IoU of ``min_iou``. Above one half this greedy choice is the only one unless boxes of one list
    overlap each other, so nothing is gained by an optimal assignment. Raises ``MetricError`` for other shapes.
    """
    hulls = [_hull(_points(box)) for box in _boxes(reference)]
    others = [_hull(_points(box)) for box in _boxes(candidate)]
    scored = [(_hull_iou(hulls[i], others[j]), i, j) for i, j in _meeting(_boxes(reference), _boxes(candidate))]
    chosen: dict[int, tuple[int, float]] = {}
    used: set[int] = set()
    for iou, i, j in sorted((s for s in scored if s[0] >= min_iou), key=lambda s: (-s[0], s[1], s[2])):
        if i not in chosen and j not in used:
            chosen[i] = (j, iou)
            used.add(j)
    pairs = tuple(BoxPair(i, j, iou, _shift(reference[i], candidate[j])) for i, (j, iou) in sorted(chosen.items()))
    missed = tuple(i for i in range(len(hulls)) if i not in chosen)
    return BoxMatching(pairs, missed, tuple(j for j in range(len(others)) if j not in used))


def box_agreement(matching: BoxMatching) -> BoxAgreement:
    """Sum up a matching. Two boxes are identical when every corner is equal and in the same place of the list."""
    return BoxAgreement(
        matched=len(matching.pairs),
        missed=len(matching.missed),
        extra=len(matching.extra),
        identical=sum(pair.shift == 0.0 for pair in matching.pairs),
        iou_total=math.fsum(pair.iou for pair in matching.pairs),
        max_shift=max((pair.shift for pair in matching.pairs), default=0.0),
    )


def text_agreement(reference: Sequence[str], candidate: Sequence[str], matching: BoxMatching) -> TextAgreement:
    """Compare the texts of matched boxes, code point by code point; see ``TextAgreement`` for unmatched ones."""
    pairs = [(reference[pair.reference], candidate[pair.candidate]) for pair in matching.pairs]
    pairs += [(reference[i], "") for i in matching.missed]
    pairs += [("", candidate[j]) for j in matching.extra]
    return TextAgreement(
        lines=len(pairs),
        equal=sum(a == b for a, b in pairs[: len(matching.pairs)]),
        characters=sum(len(a) for a, _ in pairs),
        edits=sum(edit_distance(a, b) for a, b in pairs),
    )


def edit_distance(a: str, b: str) -> int:
    """Return the Levenshtein distance in code points (Wagner and Fischer, 1974)."""
    a, b, _, _ = _trim(a, b)
    return _edit_table(a, b)[-1][-1]


def align_texts(reference: str, candidate: str) -> tuple[Span, ...]:
    """Cut two texts into equal and different spans along one shortest edit script.

    Of several shortest scripts the one that prefers substitution, then deletion, seen from the end, is taken.
    """
    a, b, head, tail = _trim(reference, candidate)
    steps = [("equal", c, c) for c in tail[::-1]]
    table = _edit_table(a, b)
    i, j = len(a), len(b)
    while i or j:
        if i and j and table[i][j] == table[i - 1][j - 1] + (a[i - 1] != b[j - 1]):
            i, j = i - 1, j - 1
            steps.append(("equal" if a[i] == b[j] else "different", a[i], b[j]))
        elif i and table[i][j] == table[i - 1][j] + 1:
            i -= 1
            steps.append(("different", a[i], ""))
        else:
            j -= 1
            steps.append(("different", "", b[j]))
    steps += [("equal", c, c) for c in head[::-1]]
    return _join(steps[::-1])


def _join(steps: Sequence[tuple[str, str, str]]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for kind, left, right in steps:
        if spans and spans[-1].kind == kind:
            last = spans.pop()
            spans.append(Span(last.kind, last.reference + left, last.candidate + right))
        else:
            spans.append(Span("equal" if kind == "equal" else "different", left, right))
    return tuple(spans)


def _edit_table(a: str, b: str) -> list[list[int]]:
    table = [list(range(len(b) + 1))]
    for i, left in enumerate(a, start=1):
        row = [i]
        for j, right in enumerate(b, start=1):
            row.append(min(table[-1][j] + 1, row[j - 1] + 1, table[-1][j - 1] + (left != right)))
        table.append(row)
    return table


def _trim(a: str, b: str) -> tuple[str, str, str, str]:
    """Return both texts without their common head and tail, then the head and the tail."""
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    return a[head : len(a) - tail], b[head : len(b) - tail], a[:head], a[len(a) - tail :]


def _same_shape(reference: FloatTensor, candidate: FloatTensor) -> None:
    if reference.shape != candidate.shape:
        raise MetricError(
            f"tensors of shapes {list(reference.shape)} and {list(candidate.shape)} cannot be compared",
            hint="give both engines the same input tensor",
        )


def _boxes(boxes: NDArray[np.generic]) -> NDArray[np.generic]:
    if boxes.size and (boxes.ndim != 3 or boxes.shape[1:] != (4, 2)):
        raise MetricError(f"boxes must have the shape [n, 4, 2]; got {list(boxes.shape)}")
    return boxes.reshape(-1, 4, 2)


def _points(polygon: NDArray[np.generic]) -> list[Point]:
    points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise MetricError(f"a box has corners that are not finite: {points.tolist()}")
    return [(float(x), float(y)) for x, y in points]


def _cross(o: Point, a: Point, b: Point) -> float:
    """Twice the area of the triangle; positive when ``b`` lies to the left of ``o`` -> ``a``."""
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])


def _hull(points: list[Point]) -> list[Point]:
    """Convex hull, counter-clockwise in a y-up frame, least point first (Andrew's monotone chain, 1979)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    halves: list[list[Point]] = []
    for sequence in (ordered, ordered[::-1]):
        half: list[Point] = []
        for point in sequence:
            while len(half) > 1 and _cross(half[-2], half[-1], point) <= 0:
                half.pop()
            half.append(point)
        halves.append(half[:-1])
    return halves[0] + halves[1]


def _area(polygon: list[Point]) -> float:
    if len(polygon) < 3:
        return 0.0
    fan = pairwise(polygon[1:])
    return math.fsum(_cross(polygon[0], a, b) for a, b in fan) / 2


def _hull_iou(a: list[Point], b: list[Point]) -> float:
    if a == b:
        return 1.0
    area_a, area_b = _area(a), _area(b)
    if area_a <= 0.0 or area_b <= 0.0:
        return 0.0
    common = _area(_clip(a, b))
    return min(max(common / (area_a + area_b - common), 0.0), 1.0)


def _clip(subject: list[Point], window: list[Point]) -> list[Point]:
    """Return the part of convex ``subject`` inside convex ``window``, both counter-clockwise."""
    for start, end in zip(window, window[1:] + window[:1], strict=True):
        inside: list[Point] = []
        for current, following in zip(subject, subject[1:] + subject[:1], strict=True):
            here, there = _cross(start, end, current), _cross(start, end, following)
            if here >= 0:
                inside.append(current)
            if (here > 0 > there) or (here < 0 < there):
                t = here / (here - there)
                inside.append(
                    (current[0] + t * (following[0] - current[0]), current[1] + t * (following[1] - current[1]))
                )
        subject = inside
    return subject


def _meeting(a: NDArray[np.generic], b: NDArray[np.generic]) -> list[tuple[int, int]]:
    """Return the indices of boxes whose upright rectangles meet: spares the clipping of most pairs of a page."""
    low, high = a.min(axis=1)[:, np.newaxis], a.max(axis=1)[:, np.newaxis]
    meet = (low <= b.max(axis=1)) & (b.min(axis=1) <= high)
    return [(int(i), int(j)) for i, j in np.argwhere(meet.all(axis=2))]


def _shift(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    distance = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    return float(np.sqrt((distance**2).sum(axis=-1)).max())

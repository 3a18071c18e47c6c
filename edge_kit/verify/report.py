"""Write the HTML report of a build: one file without network or script, the same bytes for the same data.

Everything that comes from outside (texts, names, tool output) is escaped, and the page forbids itself any script or
request by a content security policy. A picture is stored once and shown twice, with each side's boxes drawn over it.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_kit.templates import fill_template
from edge_kit.verify.compare import ImageComparison, ImageRun
from edge_kit.verify.gates import GateResult, all_passed
from edge_kit.verify.metrics import Span, align_texts
from model_opt.errors import KitError
from model_opt.resources import config_dir

THUMBNAIL_WIDTH = 900
THUMBNAIL_HEIGHT = 1600
THUMBNAIL_BYTES = 150_000
"""Sixteen pictures of this size, in base64, leave a page below 4 MB."""
JPEG_QUALITY = 80
TALL = 0.9
"""Height over width from which a picture is placed beside its table of lines on a wide screen."""

Polygon = tuple[tuple[float, float], ...]
LineStatus = Literal["same", "moved", "text", "missed", "extra"]
STATUS_WORDS: dict[LineStatus, str] = {
    "same": "identical",
    "moved": "box differs",
    "text": "text differs",
    "missed": "missing on the device",
    "extra": "only on the device",
}


class ReportError(KitError):
    """The report's template is missing or broken, or an image cannot be encoded."""


@dataclass(frozen=True)
class Thumbnail:
    """An encoded picture and the size in pixels of the image that it was made from."""

    data: bytes
    mime: str
    width: int
    height: int


@dataclass(frozen=True)
class SideLine:
    """A line as one side saw it."""

    polygon: Polygon
    """Corners (x, y) in pixels of the image."""
    text: str
    score: float


@dataclass(frozen=True)
class ReportLine:
    """A line of a picture; a side that lacks it is ``None``."""

    number: int
    reference: SideLine | None
    candidate: SideLine | None
    iou: float

    @property
    def status(self) -> LineStatus:
        """What differs; a differing text outweighs a moved box."""
        if self.candidate is None:
            return "missed"
        if self.reference is None:
            return "extra"
        if self.reference.text != self.candidate.text:
            return "text"
        return "same" if self.reference.polygon == self.candidate.polygon else "moved"

    @property
    def status_words(self) -> str:
        """The status as readable text."""
        moved = self.reference and self.candidate and self.reference.polygon != self.candidate.polygon
        return STATUS_WORDS[self.status] + (f", IoU {self.iou:.3f}" if moved else "")

    @property
    def spans(self) -> tuple[Span, ...]:
        """The two texts, aligned; a missing side counts as an empty text."""
        return align_texts(self.reference.text if self.reference else "", self.candidate.text if self.candidate else "")


@dataclass(frozen=True)
class ReportPicture:
    """One image with the lines of both sides."""

    name: str
    thumbnail: Thumbnail
    lines: tuple[ReportLine, ...]

    @property
    def tall(self) -> bool:
        """Whether the picture is better shown beside its lines than above them."""
        return self.thumbnail.height > self.thumbnail.width * TALL


@dataclass(frozen=True)
class ModelRow:
    """What the report says of one model file."""

    name: str
    file: str
    bytes: int
    sha256: str
    ops: int
    io_copy: int
    calib: int
    parameter_types: tuple[tuple[str, int], ...]
    """Data type and bytes of parameters held in it."""
    op_histogram: tuple[tuple[str, int], ...]
    """Op type and how often it occurs."""


@dataclass(frozen=True)
class ConfigRow:
    """A value of the runtime configuration and why it was chosen."""

    key: str
    value: str
    reason: str


@dataclass(frozen=True)
class ReportData:
    """All that the report shows."""

    target: str
    recipe: str
    device_profile: str
    opt_version: str
    reference_engine: str
    candidate_engine: str
    gates: tuple[GateResult, ...]
    images: tuple[ImageComparison, ...]
    """Every image compared, in the order of the table (worst first)."""
    pictures: tuple[ReportPicture, ...]
    """The images to show; about sixteen keep the page below 4 MB."""
    models: tuple[ModelRow, ...]
    tools: tuple[tuple[str, str], ...]
    """Name and version."""
    runtime_config: tuple[ConfigRow, ...]
    notes: tuple[str, ...] = ()
    """What a reader must know: warnings, what was not run."""

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all_passed(self.gates)

    @property
    def failed(self) -> int:
        """How many gates failed."""
        return sum(not gate.passed for gate in self.gates)


def render_report(data: ReportData, template: Path | None = None) -> str:
    """Return the report as one HTML page (default template: ``configs/templates/report.html.j2``).

    Raises ``ReportError`` when the template cannot be read or does not fit the data.
    """
    filters: Mapping[str, Callable[..., object]] = {
        "visible": visible_text,
        "size": _size,
        "number": _number,
        "share": _share,
        "points": _points,
        "uri": _data_uri,
        "label_size": _label_size,
        "left_middle": _left_middle,
    }
    template = template or config_dir() / "templates" / "report.html.j2"
    return fill_template(template, ReportError, filters, data=data, ops=_op_rows(data.models))


def report_picture(
    image: NDArray[np.uint8], reference: ImageRun, candidate: ImageRun, row: ImageComparison
) -> ReportPicture:
    """Return a picture for the report: BGR ``image`` made small, lines paired as ``row`` paired their boxes.

    Lines are numbered in the reference's order; those that only the candidate has follow.
    """
    partners = {pair.reference: pair for pair in row.matching.pairs}
    lines: list[ReportLine] = []
    for index in range(len(reference.rec_texts)):
        pair = partners.get(index)
        other = _side(candidate, pair.candidate) if pair else None
        lines.append(ReportLine(index + 1, _side(reference, index), other, pair.iou if pair else 0.0))
    for number, index in enumerate(row.matching.extra, start=len(lines) + 1):
        lines.append(ReportLine(number, None, _side(candidate, index), 0.0))
    return ReportPicture(row.name, make_thumbnail(image), tuple(lines))


def make_thumbnail(image: NDArray[np.uint8], max_bytes: int = THUMBNAIL_BYTES) -> Thumbnail:
    """Return a BGR image [h, w, 3] as JPEG or PNG, whichever is smaller, at most 900 x 1600 pixels and ``max_bytes``.

    An image that stays too large is made smaller by steps. Raises ``ReportError`` when it cannot be encoded.
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ReportError(f"a picture must be uint8 [h, w, 3]; got {image.dtype} {list(image.shape)}")
    height, width = image.shape[:2]
    scale = min(1.0, THUMBNAIL_WIDTH / width, THUMBNAIL_HEIGHT / height)
    while True:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = image if scale == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        data, mime = min((_encode(small, *way) for way in _ENCODINGS), key=lambda made: len(made[0]))
        if len(data) <= max_bytes or size == (1, 1):
            return Thumbnail(data, mime, width, height)
        scale *= 0.8


def visible_text(text: str) -> str:
    """Return ``text`` with every character that a page would hide, reorder or refuse as its code point."""
    return "".join(c if c.isprintable() else f"⟨U+{ord(c):04X}⟩" for c in text)


_ENCODINGS = ((".jpg", "image/jpeg"), (".png", "image/png"))


def _encode(image: NDArray[np.uint8], suffix: str, mime: str) -> tuple[bytes, str]:
    import cv2

    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    done, data = cv2.imencode(suffix, image, settings)
    if not done:
        raise ReportError(f"OpenCV cannot encode a picture of {image.shape[1]} x {image.shape[0]} pixels")
    return data.tobytes(), mime


def _side(run: ImageRun, index: int) -> SideLine:
    corners = np.asarray(run.dt_polys[index], dtype=np.float64)
    return SideLine(tuple((float(x), float(y)) for x, y in corners), run.rec_texts[index], run.rec_scores[index])


def _op_rows(models: Sequence[ModelRow]) -> list[tuple[str, list[int]]]:
    """Return op types with their count in each model, most frequent first, then by name."""
    tables = [dict(model.op_histogram) for model in models]
    counts = {op: [table.get(op, 0) for table in tables] for table in tables for op in table}
    return sorted(counts.items(), key=lambda row: (-sum(row[1]), row[0]))


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if value == int(value) else f"{value:.2g}"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else "–"


def _points(polygon: Polygon) -> str:
    """Return corners as an SVG ``points`` attribute, in tenths of a pixel."""
    return " ".join(f"{x:.1f},{y:.1f}".replace(".0", "") for x, y in polygon)


def _data_uri(picture: Thumbnail) -> str:
    return f"data:{picture.mime};base64,{base64.b64encode(picture.data).decode('ascii')}"


def _label_size(picture: ReportPicture) -> float:
    """Return the height of box numbers in pixels of the image, about 12 on the screen.

    Beside the table of lines (tall images) a picture is shown about 360 pixels wide, above it about 440, and never
    higher than about 720.
    """
    columns = 30 if picture.tall else 36
    return round(max(picture.thumbnail.width / columns, picture.thumbnail.height / 60), 1)


def _left_middle(polygon: Polygon) -> tuple[float, float]:
    """Return the middle of a polygon's left edge: its least x, and the mean y of its two leftmost corners."""
    first, second = sorted(polygon)[:2]
    return first[0], (first[1] + second[1]) / 2

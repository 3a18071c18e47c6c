"""Draw the pictures of the documentation: the way of the data, and size against accuracy.

usage: .venv/bin/python scripts/draw_docs.py

Writes docs/images/data_flow.svg and docs/images/size_accuracy.svg. The figures of the second are those of the tables in
docs/quantisation.md; a test compares both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
FIGURES = ROOT / "docs" / "quantisation.md"
COLOURS = {
    "pp-ocrv4-mobile": "#3f51b5",
    "pp-ocrv5-mobile": "#c2410c",
    "pp-ocrv6-tiny": "#0f766e",
    "pp-ocrv6-small": "#9d174d",
}
SERVER, BUNDLE, JUDGE, PLAIN = "#fff3e0", "#e8eaf6", "#e0f2f1", "#f5f5f5"
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{label}" '
    'font-family="system-ui, sans-serif" font-size="13" fill="#1f2430">\n'
    '<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>\n'
)
ARROW = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z" fill="#5c6370"/></marker></defs>\n'
)


@dataclass(frozen=True)
class Point:
    """A set of models by one recipe: bytes of both files, and the share of lines read as in fp32, in per cent."""

    models: str
    recipe: str
    size: int
    lines: float


@dataclass(frozen=True)
class Box:
    """A box with its upper left corner and its lines of text; the first line is bold."""

    x: int
    y: int
    text: tuple[str, ...]
    fill: str = PLAIN
    width: int = 150
    height: int = 52

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the box."""
        return self.x + self.width / 2, self.y + self.height / 2


def points(text: str) -> list[Point]:
    """Return the figures in the tables of ``docs/quantisation.md``: rows with both models' bytes and lines equal.

    The fp32 files of a set are what its recipes are compared with: all their lines are equal.
    """
    found, models = [], "pp-ocrv4-mobile"
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 6 and (match := re.fullmatch(r"(\d+) of (\d+)", cells[4])):
            found.append(Point(models, cells[0].strip("`"), _bytes(cells[3]), 100 * int(match[1]) / int(match[2])))
        elif len(cells) == 7 and re.fullmatch(r"[\d,]+", cells[2]) and cells[5].endswith("%"):
            models = cells[0].strip("`") or models
            found.append(Point(models, cells[1].strip("`"), _bytes(cells[2]), float(cells[5].rstrip(" %"))))
        elif len(cells) == 2 and re.fullmatch(r"[\d,]+", cells[1]):  # the files that the others are compared with
            found.append(Point(cells[0].strip("`"), "fp32", _bytes(cells[1]), 100.0))
    return found


def _bytes(cell: str) -> int:
    return int(cell.replace(",", ""))


def size_plot(rows: Sequence[Point]) -> str:
    """Return the plot (SVG): megabytes on a logarithmic axis, lines equal in per cent."""
    width, height, left, right, top, bottom = 760, 400, 60, 20, 54, 46
    lowest = math.floor(min(row.lines for row in rows)) - 1
    edges = math.log(1.5), math.log(40)

    def place(row: Point) -> tuple[float, float]:
        x = left + (math.log(row.size / 1e6) - edges[0]) / (edges[1] - edges[0]) * (width - left - right)
        return x, top + (100 - row.lines) / (100 - lowest) * (height - top - bottom)

    out = [
        HEAD.format(width=width, height=height, label="Size of the models against the share of lines read as in fp32")
    ]
    out += _axes(width, height, left, right, top, bottom, lowest, edges)
    for index, (name, colour) in enumerate(COLOURS.items()):
        out.append(f'<circle cx="{left + 10 + index * 165}" cy="26" r="6" fill="{colour}"/>')
        out.append(f'<text x="{left + 22 + index * 165}" y="30.5">{name}</text>')
    for row, (x, y), level in zip(rows, map(place, rows), _levels([place(row) for row in rows]), strict=True):
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{COLOURS[row.models]}"/>')
        out.append(
            f'<text x="{x:.1f}" y="{y + 19 + level * 14:.1f}" text-anchor="middle" font-size="11" '
            f'fill="{COLOURS[row.models]}">{row.recipe}</text>'
        )
    return "\n".join(out) + "\n</svg>\n"


def _levels(places: Sequence[tuple[float, float]]) -> list[int]:
    """Return for each label how many lines it is moved down, so that it covers no other label and no point."""
    taken: list[tuple[float, float]] = []
    levels = []
    for x, y in places:
        level = 0
        while any(abs(x - a) < 70 and abs(y + 14 * level - b) < 13 for a, b in taken):
            level += 1
        taken.append((x, y + 14 * level))
        levels.append(level)
    return levels


def _axes(
    width: int, height: int, left: int, right: int, top: int, bottom: int, lowest: int, edges: tuple[float, float]
) -> list[str]:
    out = []
    for share in range(lowest, 101):
        y = top + (100 - share) / (100 - lowest) * (height - top - bottom)
        out.append(f'<line x1="{left}" y1="{y:.1f}" x2="{width - right}" y2="{y:.1f}" stroke="#e3e5ea"/>')
        out.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{share} %</text>')
    for size in (2, 3, 5, 8, 12, 20, 30):
        x = left + (math.log(size) - edges[0]) / (edges[1] - edges[0]) * (width - left - right)
        out.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{height - bottom}" stroke="#e3e5ea"/>')
        out.append(f'<text x="{x:.1f}" y="{height - bottom + 18}" text-anchor="middle">{size} MB</text>')
    middle = left + (width - left - right) / 2
    out.append(f'<text x="{middle}" y="{height - 8}" text-anchor="middle">detector + recogniser, .nb files</text>')
    return out


def data_flow() -> str:
    """Return the way of a build's data (SVG): models to a bundle, and what judges the bundle."""
    boxes = {
        "model": Box(20, 60, ("your model", "Paddle, Paddle 3, ONNX")),
        "passes": Box(210, 60, ("passes", "half the operators"), BUNDLE),
        "quantise": Box(400, 60, ("quantise", "by a recipe"), BUNDLE),
        "write": Box(590, 60, ("writer", "byte for byte as opt"), BUNDLE),
        "nb": Box(780, 60, (".nb files", "what ships"), BUNDLE),
        "server": Box(210, 180, ("engine server", "Paddle Inference"), SERVER),
        "images": Box(400, 180, ("images", "the kit's and yours")),
        "engine": Box(590, 180, ("engine nb", "the shipped files, emulated"), BUNDLE, 180),
        "gates": Box(400, 290, ("gates", "boxes, texts, masks"), JUDGE),
        "report": Box(590, 290, ("report", "each limit with its reason"), JUDGE, 180),
        "bundle": Box(810, 290, ("bundle, signed app", "only if all gates pass"), JUDGE, 160),
    }
    arrows = [
        ("model", "passes"), ("passes", "quantise"), ("quantise", "write"), ("write", "nb"), ("model", "server"),
        ("images", "server"), ("images", "engine"), ("nb", "engine"), ("server", "gates"), ("engine", "gates"),
        ("gates", "report"), ("report", "bundle"), ("nb", "bundle"),
    ]  # fmt: skip
    out = [HEAD.format(width=990, height=370, label="The way of the data in a build"), ARROW]
    out.append('<text x="20" y="34" font-size="15" font-weight="600">edge-kit build</text>')
    out += [_arrow(boxes[start], boxes[end]) for start, end in arrows]
    for box in boxes.values():
        out.append(
            f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="7" fill="{box.fill}" '
            'stroke="#9aa0ac"/>'
        )
        for index, text in enumerate(box.text):
            weight = ' font-weight="600"' if index == 0 else ' font-size="12" fill="#5c6370"'
            y = box.y + 22 + index * 18
            out.append(f'<text x="{box.middle[0]}" y="{y}" text-anchor="middle"{weight}>{escape(text)}</text>')
    return "\n".join(out) + "\n</svg>\n"


def _arrow(start: Box, end: Box) -> str:
    """Return an arrow from the edge of one box to that of another: across where they share a row, else down."""
    (ax, ay), (bx, by) = start.middle, end.middle
    if start.y == end.y:
        forth = 1 if bx > ax else -1
        x1, y1, x2, y2 = ax + forth * start.width / 2, ay, bx - forth * end.width / 2, by
    else:
        x1, y1, x2, y2 = ax, start.y + start.height, bx, end.y
        if abs(bx - ax) > 60:  # to the nearer half of the box
            x2 = bx + (end.width / 4 if ax > bx else -end.width / 4)
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#5c6370" stroke-width="1.4" '
        'marker-end="url(#tip)"/>'
    )


def drawn() -> dict[str, str]:
    """Return the pictures by their file names."""
    return {
        "data_flow.svg": data_flow(),
        "size_accuracy.svg": size_plot(points(FIGURES.read_text(encoding="utf-8"))),
    }


if __name__ == "__main__":
    for name, picture in drawn().items():
        (IMAGES / name).write_text(picture, encoding="utf-8")

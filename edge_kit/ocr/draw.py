"""The picture of a result: the image with numbered boxes on the left, the texts on the right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from edge_kit.fonts import chinese_font, missing_glyphs
from edge_kit.ocr.image import Image
from model_opt.errors import KitError

_COLOURS = ("#d7263d", "#1b7f5c", "#1f5fbf", "#b35c00", "#7a3fb0", "#007d8a")
_MAX_SIDE = 4000


def draw_lines(image: Image, dt_polys: NDArray[np.int32], texts: Sequence[str]) -> Pillow.Image:
    """Return boxes on a BGR image at the left and each text in its place at the right, as one RGB picture.

    Pictures longer than 4,000 pixels are reduced, since they are for viewing. A character that the font lacks is
    spelled as its code point, never drawn as an empty box.
    """
    scale = min(1.0, _MAX_SIDE / max(image.shape[:2]))
    left = _as_pillow(image, scale)
    right = Pillow.new("RGB", left.size, "white")
    pen_left, pen_right = ImageDraw.Draw(left), ImageDraw.Draw(right)
    font_file = str(chinese_font())
    unknown = missing_glyphs("".join(texts), chinese_font())
    spelled = str.maketrans({character: f"<U+{ord(character):04X}>" for character in unknown})
    stroke = max(1, round(max(left.size) / 600))
    for number, (quad, text) in enumerate(zip(dt_polys, texts, strict=True)):
        colour = _COLOURS[number % len(_COLOURS)]
        outline = [(float(x) * scale, float(y) * scale) for x, y in quad]
        pen_left.line([*outline, outline[0]], fill=colour, width=stroke)
        pen_right.line([*outline, outline[0]], fill=colour, width=1)
        _draw_text(pen_right, outline, text.translate(spelled), font_file)
    both = Pillow.new("RGB", (left.width * 2, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def encode_picture(picture: Pillow.Image, target: Path) -> bytes:
    """Return the picture in the format that the suffix of ``target`` names; raise ``KitError`` for an unknown one."""
    formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}
    kind = formats.get(target.suffix.lower())
    if kind is None:
        raise KitError(
            f"no picture format for the suffix {target.suffix!r}",
            path=target,
            hint=f"use one of: {', '.join(sorted(formats))}",
        )
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=90)
    return buffer.getvalue()


def _as_pillow(image: Image, scale: float) -> Pillow.Image:
    if scale < 1.0:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return Pillow.fromarray(np.ascontiguousarray(image[:, :, ::-1]))


def _draw_text(pen: ImageDraw.ImageDraw, outline: list[tuple[float, float]], text: str, font_file: str) -> None:
    """Write ``text`` into the upright rectangle around ``outline``; a tall box gets its characters in a column."""
    x_min, x_max = min(x for x, _ in outline), max(x for x, _ in outline)
    y_min, y_max = min(y for _, y in outline), max(y for _, y in outline)
    width, height = x_max - x_min, y_max - y_min
    if not text or width < 1 or height < 1:
        return
    column = height > 2 * width and len(text) > 1
    lines = list(text) if column else [text]
    size = max(6, int(min(width, height / len(lines)) * 0.8 if column else height * 0.75))
    font = ImageFont.truetype(font_file, size)
    longest = max(font.getlength(line) for line in lines)
    if longest > width:
        size = max(6, int(size * width / longest))
        font = ImageFont.truetype(font_file, size)
    step = height / len(lines)
    for row, line in enumerate(lines):
        pen.text((x_min, y_min + step * (row + 0.5)), line, fill="black", font=font, anchor="lm")

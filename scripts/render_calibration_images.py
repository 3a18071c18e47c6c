"""Render the calibration images of configs/calibration: the same script gives the same bytes.

usage: .venv/bin/python scripts/render_calibration_images.py [FOLDER]

Pages of scripts that not every dictionary has stand in folders of their own; edge_kit/calibration.py says who sees
them.

Quantisation looks at these pages and at no other; nothing is ever judged on them. They are put together by chance from
a fixed seed: words, prices and codes in three fonts on paper, from strong to faint contrast, straight, turned and seen
at an angle, sharp, blurred, noisy and compressed; and signs in busy scenes, with shapes and textures that are no text.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw
from render_regression_images import LATIN, ROOT, SANS, SERIF, Line, Page, draw, font_of, seen_from, turn

SEED = 71_933
PAGES = 28
SCENES = 12
LETTERS = 12
SCRIPT_PAGES = {"accents": 5, "kana": 8}


def read_words() -> dict[str, list[str]]:
    """Return the words to draw, by kind."""
    kinds: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / "calibration_words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            kinds[line.strip("[]")] = found = []
        elif not line.startswith("#"):
            found += line.split()
    return kinds


WORDS = read_words()


@dataclass(frozen=True)
class Look:
    """What a page looks like: paper and ink (RGB), and what a camera makes of it."""

    paper: tuple[int, int, int]
    ink: tuple[int, int, int]
    blur: float
    noise: float
    shade: float
    quality: int


def phrase(random: np.random.Generator) -> tuple[str, str]:
    """Return a line of text and its font."""

    def pick(kind: str) -> str:
        return WORDS[kind][random.integers(len(WORDS[kind]))]

    kind = random.integers(8)
    font = SERIF if random.random() < 0.4 else SANS
    if kind == 0:
        return f"{pick('english')} {pick('english')} {pick('english').lower()}", LATIN
    if kind == 1:
        return f"{pick('english').upper()} {random.integers(10, 9999)}", LATIN if random.random() < 0.5 else font
    if kind == 2:
        return f"{pick('nouns')}{pick('nouns')} ¥{random.integers(1, 900)}.{random.integers(10, 99)}", font
    if kind == 3:
        return (
            f"{random.integers(2001, 2031)}-{random.integers(10, 13)}-{random.integers(10, 29)} {pick('nouns')}",
            font,
        )
    if kind == 4:
        return f"{pick('nouns')}：{pick('nouns')}、{pick('nouns')}（{random.integers(1, 99)}）", font
    if kind == 5:
        return f"No.{random.integers(100, 99999)} {pick('english')} {random.integers(1, 100)}%", LATIN
    if kind == 6:
        return "".join(chr(c) for c in rare(random, random.integers(4, 12))), font
    return f"{pick('verbs')}{pick('nouns')}{pick('tails')}，{pick('verbs')}{pick('nouns')}", font


def rare(random: np.random.Generator, count: int) -> list[int]:
    """Return code points of GB 2312's first level, each as likely as the other: the words above use few characters."""
    found = []
    while len(found) < count:
        pair = bytes([random.integers(0xB0, 0xD7), random.integers(0xA1, 0xFE)])
        try:
            found.append(ord(pair.decode("gb2312")))
        except UnicodeDecodeError:  # the last row of the level is not full
            continue
    return found


def script_phrase(random: np.random.Generator, script: str) -> tuple[str, str]:
    """Return a line of text in a script, and its font."""

    def some(kind: str, count: int, between: str) -> str:
        return between.join(WORDS[kind][random.integers(len(WORDS[kind]))] for _ in range(count))

    font, kind = (SERIF if random.random() < 0.3 else SANS), random.integers(4)
    if script == "accents":
        if kind == 0:
            return f"{some('signs', 4, ' ')} {some('greek', 1, '')} {some('signs', 4, '')}", font
        return f"{some('accented', 3, ' ')} {some('signs', 1, '')}{random.integers(10, 9999)}", font
    if kind == 0:
        return f"{some('traditional', 2, '')} {random.integers(10, 9999)}", font
    if kind == 1:
        return rare_traditional(random, int(random.integers(6, 14))), font
    return f"{some('japanese', 3, '')}{random.integers(1, 999)}{some('japanese', 2, '')}", font


def rare_traditional(random: np.random.Generator, count: int) -> str:
    """Return characters of Big5's first level, each as likely as the other."""
    lead = random.integers(0xA4, 0xC6, count)
    trail = np.where(random.random(count) < 0.4, random.integers(0x40, 0x7F, count), random.integers(0xA1, 0xFF, count))
    return bytes(np.stack([lead, trail], axis=1).astype(np.uint8).reshape(-1)).decode("big5")


def script_page(script: str, number: int) -> tuple[Page, Look]:
    """Return one page in a script and its look: faint, dark or turned as other pages are."""
    random = np.random.default_rng([SEED, 300, list(SCRIPT_PAGES).index(script), number])
    width, height = int(random.integers(13, 19)) * 32, int(random.integers(9, 13)) * 32
    given = look(random, number + 2)
    lines, y = [], 14
    while y < height - 44:
        size, (text, font) = int(random.choice([16, 18, 20, 24, 28, 32])), script_phrase(random, script)
        while 20 + font_of(font, size).getlength(text) > width - 16:
            text = text[:-1]
        lines.append(Line(text.strip(), 20, y, size, font, given.ink))
        y += int(size * random.uniform(1.3, 1.8))
    matrix = turn(float(random.uniform(-6, 6)), width, height) if number % 2 else None

    def finish(image: np.ndarray) -> np.ndarray:
        return develop(image, given, SEED + 4000 + number)

    return Page(f"{script}_{number:02d}.jpg", width, height, tuple(lines), given.paper, matrix, finish), given


def look(random: np.random.Generator, page: int) -> Look:
    """Return paper and ink: every third page is faint, every fifth is light on dark."""
    dark = page % 5 == 4
    contrast = random.integers(22, 60) if page % 3 == 2 else random.integers(90, 200)
    base = random.integers(15, 70, 3) if dark else random.integers(185, 256, 3)
    tint = random.integers(-14, 15, 3)
    ink = base + (contrast if dark else -contrast) + tint
    rgb = [tuple(int(v) for v in np.clip(side, 0, 255)) for side in (base, ink)]
    soft, noisy = random.random() < 0.45, random.random() < 0.5
    return Look(
        rgb[0], rgb[1],
        blur=float(random.uniform(0.5, 1.3)) if soft else 0.0,
        noise=float(random.uniform(1.5, 7.0)) if noisy else 0.0,
        shade=float(random.uniform(0.6, 1.0)),
        quality=int(random.integers(60, 96)),
    )  # fmt: skip


def fill(random: np.random.Generator, width: int, height: int, ink: tuple[int, int, int]) -> tuple[Line, ...]:
    """Return lines from the top to the bottom of a page, in one or two columns."""
    lines: list[Line] = []
    y, columns = int(random.integers(14, 50)), int(random.integers(1, 3))
    step = width // columns
    while True:
        size = int(random.choice([14, 16, 18, 20, 24, 28, 32, 40, 52]))
        if y + size > height - 12:
            return tuple(lines)
        for column in range(columns):
            text, font = phrase(random)
            x = column * step + int(random.integers(12, 40))
            while len(text) > 2 and x + font_of(font, size).getlength(text) > (column + 1) * step - 8:
                text = text[:-1]
            lines.append(Line(text.strip(), x, y, size, font, ink))
        y += int(size * random.uniform(1.25, 2.4))


def clutter(seed: int, height: int, width: int) -> np.ndarray:
    """Return soft coloured patches, as the surroundings of a photograph."""
    random = np.random.default_rng(seed)
    coarse = random.integers(20, 235, (max(height // 60, 2), max(width // 60, 2), 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def develop(image: np.ndarray, given: Look, seed: int) -> np.ndarray:
    """Return the page as a camera or a scanner sees it."""
    random = np.random.default_rng(seed)
    seen = image.astype(np.float64) * np.linspace(given.shade, 1.0, image.shape[1])[None, :, None]
    if given.blur:
        seen = cv2.GaussianBlur(seen, (0, 0), given.blur)
    seen = seen + random.normal(0, given.noise, image.shape) if given.noise else seen
    return np.clip(np.round(seen), 0, 255).astype(np.uint8)


def page(number: int) -> tuple[Page, Look]:
    """Return one page of the set and its look."""
    random = np.random.default_rng([SEED, number])
    width, height = int(random.integers(10, 27)) * 32, int(random.integers(7, 22)) * 32
    given = look(random, number)
    lines = fill(random, width, height, given.ink)
    kind, matrix = number % 4, None
    if kind == 1:
        matrix = turn(float(random.uniform(-12, 12)), width, height)
    if kind == 3:
        shift = random.uniform(0.0, 0.1, (4, 2)) * [[1, 1], [-1, 1], [-1, -1], [1, -1]]
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + shift
        matrix = seen_from((corners * [width, height]).tolist(), width, height)

    def ground(height: int, width: int) -> np.ndarray:
        return clutter(SEED + number, height, width)

    def finish(image: np.ndarray) -> np.ndarray:
        return develop(image, given, SEED + 1000 + number)

    name = f"page_{number:02d}.jpg"
    return Page(name, width, height, lines, given.paper, matrix, finish, ground=ground if matrix else None), given


def letter(number: int) -> tuple[Page, Look]:
    """Return one page of close English prose, long lines with narrow spaces, and its look.

    Letters are drawn wider or narrower than the font has them, and some bolder, as other fonts would be.
    """
    random = np.random.default_rng([SEED, 200, number])
    width, height = int(random.integers(20, 29)) * 32, int(random.integers(4, 7)) * 32
    given, stretch = look(random, number + 1), float(random.uniform(0.7, 1.15))
    bolder = random.random() < 0.4
    lines, y = [], 14
    while y < height - 40:
        size, font = int(random.integers(16, 29)), str(random.choice([LATIN, SANS, SERIF]))
        text = ""
        while font_of(font, size).getlength(text) < width - 30 - 5 * size:
            kind = WORDS["short" if random.random() < 0.4 else "english"]
            word = kind[random.integers(len(kind))]
            word = word if random.random() < 0.2 else word.lower()
            text += word + ("," if random.random() < 0.1 else ". A" if random.random() < 0.06 else "") + " "
        lines.append(Line(text.strip(), 15, y, size, font, given.ink))
        y += int(size * 1.6)

    def finish(image: np.ndarray) -> np.ndarray:
        grown = (cv2.erode if sum(given.ink) < sum(given.paper) else cv2.dilate) if bolder else None
        bold = grown(image, np.ones((1, 2), np.uint8)) if grown else image
        side = (round(width * stretch), height)
        sized = cv2.resize(bold, side, interpolation=cv2.INTER_AREA if stretch < 1 else cv2.INTER_CUBIC)
        return develop(sized, given, SEED + 3000 + number)

    return Page(f"letter_{number:02d}.jpg", width, height, tuple(lines), given.paper, None, finish), given


def texture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a picture without text: noise from coarse to fine, shapes with hard edges, thin lines in rows."""
    total = np.zeros((height, width, 3))
    for cell, share in ((160, 1.0), (60, 0.6), (18, 0.35), (5, 0.2)):
        size = (max(height // cell, 2), max(width // cell, 2), 3)
        grain = random.normal(0, 1, size) * random.uniform(10, 45) * share
        total += cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(np.round(total + random.integers(60, 200, 3)), 0, 255).astype(np.uint8)
    for _ in range(int(random.integers(4, 18))):
        colour = [int(v) for v in random.integers(0, 256, 3)]
        at = [int(v) for v in random.integers(0, [width, height])]
        side = [int(v) for v in random.integers(8, 160, 2)]
        kind = random.integers(3)
        if kind == 0:
            cv2.ellipse(image, at, side, float(random.uniform(0, 180)), 0, 360, colour, int(random.choice([-1, 2, 5])))
        elif kind == 1:
            corners = np.array(at) + random.integers(-120, 120, (int(random.integers(3, 6)), 2))
            cv2.fillPoly(image, [corners.astype(np.int32)], colour)
        else:
            for i in range(int(random.integers(3, 16))):
                start, step = (at[0], at[1] + 9 * i), (at[0] + side[0], at[1] + 9 * i + side[1] // 4)
                cv2.line(image, start, step, colour, int(random.integers(1, 4)), cv2.LINE_AA)
    return image


def sign(random: np.random.Generator, image: Image.Image) -> Image.Image:
    """Return the picture with one line of text on it: across or downwards, with a plate or an outline or neither."""
    text, font = phrase(random)
    size = int(random.choice([18, 24, 32, 44, 64, 96]))
    ink, plate = (tuple(int(v) for v in random.integers(low, low + 90, 3)) for low in random.permutation([10, 160]))
    down = font != LATIN and random.random() < 0.3
    text = "\n".join(text[:8]) if down else text
    letters = font_of(font, size)
    layer = Image.new("RGBA", image.size, (*plate, 0))
    pen = ImageDraw.Draw(layer)
    place = tuple(int(random.integers(4, max(side * 0.7, 5))) for side in image.size)
    box = pen.multiline_textbbox(place, text, letters, spacing=2)
    kind = random.integers(3)
    if kind == 0:
        pen.rectangle((box[0] - 6, box[1] - 6, box[2] + 6, box[3] + 6), fill=(*plate, 255))
    edge = 2 if kind == 1 else 0
    pen.multiline_text(place, text, (*ink, 255), letters, spacing=2, stroke_width=edge, stroke_fill=(*plate, 255))
    if random.random() < 0.5:
        layer = layer.rotate(float(random.uniform(-15, 15)), Image.Resampling.BICUBIC, center=place)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def scene(number: int) -> tuple[Image.Image, Look]:
    """Return one scene of the set and its look; every fourth is a strip as wide as a single line."""
    random = np.random.default_rng([SEED, 100, number])
    width, height = int(random.integers(10, 23)) * 32, int(random.integers(8, 20)) * 32
    if number % 4 == 3:
        height = int(random.integers(2, 5)) * 32
    given = look(random, 0)
    image = Image.fromarray(texture(random, height, width))
    for _ in range(2 if number % 4 == 3 else int(random.integers(4, 11))):
        image = sign(random, image)
    return Image.fromarray(develop(np.asarray(image), given, SEED + 2000 + number)), given


def write(folder: Path, name: str, picture: Image.Image, quality: int) -> None:
    """Write one picture."""
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    (folder / name).write_bytes(data.getvalue())


def main() -> None:
    """Write all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "configs" / "calibration"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(PAGES):
        made, given = page(number)
        write(folder, made.name, draw(made), given.quality)
    for number in range(LETTERS):
        made, given = letter(number)
        write(folder, made.name, draw(made), given.quality)
    for script, count in SCRIPT_PAGES.items():
        (folder / script).mkdir(exist_ok=True)
        for number in range(count):
            made, given = script_page(script, number)
            write(folder / script, made.name, draw(made), given.quality)
    for number in range(SCENES):
        picture, given = scene(number)
        write(folder, f"scene_{number:02d}.jpg", picture, given.quality)


if __name__ == "__main__":
    main()

"""Render the regression images of configs/regression: the same script gives the same bytes.

usage: .venv/bin/python scripts/render_regression_images.py [FOLDER]

Every page is a list of lines drawn with Pillow and, where the page is turned or seen at an angle, warped by OpenCV;
truth.json then holds each line's text and its four corners (x, y) after the warp, in the picture as it is shown.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageFont

from edge_kit.fonts import chinese_font

ROOT = Path(__file__).resolve().parent.parent
SEED = 20240
ORIENTATION_TAG = 0x0112

SANS, SERIF, LATIN = "Noto Sans SC", "Noto Serif SC", "Aileron (Pillow's own)"


@dataclass(frozen=True)
class Line:
    """A line of text: its top left corner, size in pixels, font and colour."""

    text: str
    x: int
    y: int
    size: int
    font: str = SANS
    colour: tuple[int, int, int] = (20, 20, 20)


@dataclass(frozen=True)
class Page:
    """A picture to be: file name, size, background, lines, and what happens to it after drawing."""

    name: str
    width: int
    height: int
    lines: tuple[Line, ...]
    background: tuple[int, int, int] = (255, 255, 255)
    matrix: tuple[tuple[float, float, float], ...] | None = None
    finish: Callable[[np.ndarray], np.ndarray] | None = None
    mode: str = "RGB"
    sheet: tuple[int, int] | None = None
    """Width and height of what is drawn before the warp; the picture's own where None."""
    ground: Callable[[int, int], np.ndarray] | None = None
    """Returns what shows around a warped sheet, from height and width; the background colour where None."""
    exif_orientation: int = 1


def font_of(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a font by the names above."""
    if name == LATIN:
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(chinese_font(serif=name == SERIF)), size)


def turn(degrees: float, width: int, height: int) -> tuple[tuple[float, float, float], ...]:
    """Return the matrix that turns a page around its centre, counter-clockwise."""
    rows = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return (*(tuple(map(float, row)) for row in rows), (0.0, 0.0, 1.0))


def seen_from(corners: list[list[float]], width: int, height: int) -> tuple[tuple[float, float, float], ...]:
    """Return the matrix that brings the page's corners to the ones given."""
    page = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return tuple(tuple(map(float, row)) for row in cv2.getPerspectiveTransform(page, np.array(corners, np.float32)))


def camera(image: np.ndarray) -> np.ndarray:
    """Uneven light, blur and noise, as from a phone's camera."""
    random = np.random.default_rng(SEED)
    height, width = image.shape[:2]
    light = np.linspace(0.72, 1.0, width)[None, :, None] * np.linspace(1.0, 0.86, height)[:, None, None]
    blurred = cv2.GaussianBlur(image, (0, 0), 0.9).astype(np.float64)
    noisy = blurred * light + random.normal(0, 4.0, image.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def planks(height: int, width: int) -> np.ndarray:
    """Return a wooden table: boards with long grain and dark gaps."""
    random = np.random.default_rng(SEED + 2)
    grain = random.integers(0, 60, (height // 3, width // 40), dtype=np.uint8)
    grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    boards = np.array([88, 110, 96, 120], np.int64)[np.arange(height) // 90 % 4][:, None] + grain
    boards[np.arange(height) % 90 < 3] = 40
    return np.clip(boards[:, :, None] * np.array([1.0, 0.78, 0.55]), 0, 255).astype(np.uint8)


def speckle(image: np.ndarray) -> np.ndarray:
    """Fine noise, as from a scanner."""
    noise = np.random.default_rng(SEED + 1).normal(0, 3.0, image.shape[:2])[:, :, None]
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


def column(x: int, y: int, text: str, size: int, font: str = SANS) -> tuple[Line, ...]:
    """Return the characters of a vertical line, one below the other."""
    return tuple(Line(character, x, y + i * int(size * 1.15), size, font) for i, character in enumerate(text))


RECEIPT = [
    ("利民便利店", ""),
    ("单号 20240618-0042", ""),
    ("矿泉水 550ml", "6.00"),
    ("全麦面包", "8.50"),
    ("鲜牛奶 2 盒", "15.80"),
    ("合计 3 件", "30.30"),
    ("微信支付", "30.30"),
    ("谢谢惠顾 欢迎再来", ""),
]
TIMETABLE = [
    ("列车时刻表", "Timetable"),
    ("G7023 次", "上海 开往 南京南"),
    ("08:05 发车", "09:47 到达"),
    ("二等座 139.5 元", "一等座 219.5 元"),
    ("D3074 次", "杭州东 开往 合肥"),
    ("13:26 发车", "16:02 到达"),
    ("检票口 A12", "Platform 8"),
]
ARTICLE = [
    "清晨的雾气还没有散去，河边",
    "已经有人在慢跑。远处的桥上，",
    "第一班电车正缓缓驶过，车窗",
    "里透出温暖的灯光。卖早点的",
    "老人支起炉子，豆浆的香味飘",
    "满了整条街道。",
]
ENGLISH = [
    "The quick brown fox jumps",
    "over the lazy dog.",
    "Order No. 7731 shipped on",
    "12 March 2024, total $ 58.20",
    "support@example.com",
]
DENSE = [
    "型号 EK-4 额定电压 220V 频率 50Hz 功率 1800W",
    "生产日期 2023-11-07 保质期 36 个月 批号 C2207",
    "使用前请仔细阅读说明书，并妥善保管以备查阅",
    "Do not immerse in water. Keep away from children.",
    "服务热线 400-820-1234 周一至周五 9:00-18:00",
    "执行标准 GB 4706.1-2005 产地 浙江省宁波市",
]


def rows(texts: list[str], x: int, y: int, size: int, step: int, font: str = SANS, **more: object) -> tuple[Line, ...]:
    """Return lines below each other."""
    return tuple(Line(text, x, y + i * step, size, font, **more) for i, text in enumerate(texts))


def receipt() -> tuple[Line, ...]:
    """Return items at the left and prices at the right, which stand a little higher than their items."""
    lines = []
    for i, (item, price) in enumerate(RECEIPT):
        lines.append(Line(item, 40, 30 + i * 58, 28))
        if price:
            lines.append(Line(price, 280, 30 + i * 58, 28))
    return tuple(lines)


def timetable() -> tuple[Line, ...]:
    """Return two columns over a picture that is larger than the detector's limit."""
    return tuple(
        Line(text, 90 + 580 * column, 80 + i * 120, 60 if i == 0 else 46, SERIF if i == 0 else SANS)
        for i, row in enumerate(TIMETABLE)
        for column, text in enumerate(row)
    )


def pages() -> list[Page]:
    """Return every page of the set."""
    white, night = (245, 245, 240), (16, 16, 20)
    sign = (Line("人民北路", 70, 48, 64, SANS, white), Line("RENMIN North Rd.", 72, 140, 36, LATIN, white))
    poster = ["春季图书展", "地点：市图书馆二楼", "时间：4月6日 至 4月20日", "Admission free"]
    proverbs = (*column(60, 30, "桃李不言下自成蹊", 40), *column(220, 30, "开卷有益", 56, SERIF))
    scan = ["灰度扫描件", "Page 17 of 32"]
    label = (
        Line("静安寺站", 60, 60, 52, SERIF),
        Line("Jing'an Temple", 62, 140, 30, LATIN),
        Line("2号线 往浦东机场", 60, 200, 34),
    )
    return [
        Page("receipt.png", 400, 520, receipt(), (250, 247, 240)),
        Page("article_serif.png", 480, 360, rows(ARTICLE, 36, 34, 30, 50, SERIF), (250, 247, 240)),
        Page("english.png", 480, 320, rows(ENGLISH, 36, 30, 30, 54, LATIN)),
        Page("street_sign.png", 448, 224, sign, (20, 70, 150)),
        Page("turned_6.png", 480, 384, rows(poster, 70, 90, 30, 62), matrix=turn(6, 480, 384)),
        Page("turned_28.png", 512, 512, rows(poster, 110, 140, 30, 66, SERIF), matrix=turn(-28, 512, 512)),
        Page("low_contrast.png", 512, 256, rows(ARTICLE[:4], 36, 24, 32, 56, colour=(176, 176, 172)), (214, 214, 210)),
        Page("vertical.png", 352, 448, proverbs),
        Page("empty.png", 320, 256, (), (240, 238, 232), finish=speckle),
        Page(
            "photo.jpg", 480, 352, label, (226, 220, 205),
            seen_from([[40, 60], [452, 22], [470, 330], [14, 300]], 420, 280), camera,
            sheet=(420, 280), ground=planks, exif_orientation=6,
        ),
        Page("large.png", 1280, 960, timetable()),
        Page("dense_small.png", 560, 256, rows(DENSE, 24, 20, 20, 38)),
        Page("white_on_black.png", 448, 256, rows(poster, 36, 26, 32, 54, colour=white), night),
        Page("alpha.png", 384, 160, rows(["透明背景的图片", "Transparent PNG 8"], 30, 28, 34, 60), mode="RGBA"),
        Page("tiny.png", 38, 24, (Line("出口", 4, 4, 15),)),
        Page("grey.png", 384, 160, rows(scan, 30, 28, 34, 60, SERIF), finish=speckle, mode="L"),
    ]  # fmt: skip


def corners_of(line: Line) -> np.ndarray:
    """Return the corners of the ink of a line, [4, 2], before any warp."""
    x0, y0, x1, y1 = font_of(line.font, line.size).getbbox(line.text, anchor="lt")
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64) + np.array([line.x, line.y])


def warp(pixels: np.ndarray, page: Page) -> np.ndarray:
    """Return the sheet as it lies in the picture, with the ground around it."""
    matrix, size = np.array(page.matrix), (page.width, page.height)
    seen = cv2.warpPerspective(
        pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=page.background
    )
    if page.ground is None:
        return seen
    paper = cv2.warpPerspective(np.full(pixels.shape[:2], 255, np.uint8), matrix, size)[:, :, None].astype(np.int64)
    return ((seen * paper + page.ground(page.height, page.width) * (255 - paper)) // 255).astype(np.uint8)


def draw(page: Page) -> Image.Image:
    """Return the finished picture of a page."""
    picture = Image.new("RGB", page.sheet or (page.width, page.height), page.background)
    pen = ImageDraw.Draw(picture)
    for line in page.lines:
        pen.text((line.x, line.y), line.text, fill=line.colour, font=font_of(line.font, line.size), anchor="lt")
    pixels = np.asarray(picture)
    if page.matrix is not None:
        pixels = warp(pixels, page)
    if page.finish is not None:
        pixels = page.finish(pixels)
    finished = Image.fromarray(pixels).convert(page.mode)
    if page.mode == "RGBA":
        ink = np.asarray(finished.convert("L"))
        finished.putalpha(Image.fromarray(np.where(ink > 250, 0, 255).astype(np.uint8)))
    return finished


def truth_of(page: Page) -> list[dict[str, object]]:
    """Return text and corners of each line after the warp; a vertical column is one line."""
    matrix = np.eye(3) if page.matrix is None else np.array(page.matrix)
    found = []
    for group in columns(page.lines):
        corners = np.concatenate([corners_of(line) for line in group])
        low, high = corners.min(axis=0), corners.max(axis=0)
        box = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
        warped = cv2.perspectiveTransform(box[None], matrix)[0]
        found.append({"text": "".join(line.text for line in group), "quad": warped.round(1).tolist()})
    return found


def columns(lines: tuple[Line, ...]) -> list[list[Line]]:
    """Join single characters that stand below each other."""
    groups: list[list[Line]] = []
    for line in lines:
        joins = groups and len(line.text) == 1 and len(groups[-1][0].text) == 1 and groups[-1][0].x == line.x
        groups[-1].append(line) if joins else groups.append([line])
    return groups


def save(page: Page, path: Path) -> None:
    """Write a page; with an EXIF orientation of 6 the pixels lie on their side, as a phone held upright stores them."""
    picture = draw(page)
    if page.name.endswith(".png"):
        picture.save(path, optimize=True)
        return
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = page.exif_orientation
    if page.exif_orientation == 6:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    picture.save(path, quality=88, exif=exif)


def main() -> None:
    """Write all pictures and truth.json."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "configs" / "regression"
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for page in pages():
        save(page, folder / page.name)
        truth[page.name] = truth_of(page)
    made_with = {"pillow": PIL.__version__, "opencv": cv2.__version__, "numpy": np.__version__}
    document = {"made_with": made_with, "images": truth}
    (folder / "truth.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

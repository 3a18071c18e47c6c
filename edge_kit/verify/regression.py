"""The images that a build is verified on: the project's own set, and a user's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_kit.inputs import user_files, warn_of_pages
from edge_kit.ocr.image import ImageError, read_image
from model_opt.errors import KitError
from model_opt.resources import config_dir


@dataclass(frozen=True)
class TruthLine:
    """A line as it was drawn: its text and four corners (x, y) in pixels."""

    text: str
    quad: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class RegressionImage:
    """An image to verify on; ``truth`` is None where its text is not known."""

    name: str
    path: Path
    truth: tuple[TruthLine, ...] | None


def regression_set() -> tuple[RegressionImage, ...]:
    """Return the project's rendered images with the lines drawn on them, by name.

    Raises ``KitError`` when truth.json is damaged or names an image that is not there.
    """
    folder = config_dir() / "regression"
    path = folder / "truth.json"
    hint = "restore configs/regression, or render it with scripts/render_regression_images.py"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        images = tuple(
            RegressionImage(name, folder / name, tuple(map(_truth_line, lines)))
            for name, lines in sorted(document["images"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(f"the regression set cannot be read: {error!r}", path=path, hint=hint) from error
    absent = [image.name for image in images if not image.path.is_file()]
    if absent:
        raise KitError(f"the regression set lacks the image {absent[0]} named in it", path=path, hint=hint)
    return images


def user_set(folder: Path) -> tuple[RegressionImage, ...]:
    """Return the images of a user's folder by name, as ``own/NAME``; no truth is known.

    Each is decoded once here: what cannot be read is better known before an expensive build than at its end. Raises
    ``KitError`` when the folder is missing, cannot be listed, holds no image, or holds one that cannot be read.
    """
    files = user_files(folder)
    for path in files:
        _check_readable(path)
    warn_of_pages(files, "verifying takes")
    return tuple(RegressionImage(f"own/{path.name}", path, None) for path in files)


def _check_readable(path: Path) -> None:
    try:
        read_image(path)
    except ImageError as error:
        hint = f"repair it or take it out of the folder; {error.hint}" if error.hint else "take it out of the folder"
        raise KitError(f"the image {path.name!r} to verify on: {error.what}", path=path, hint=hint) from error


def _truth_line(line: dict[str, Any]) -> TruthLine:
    corners = tuple((float(x), float(y)) for x, y in line["quad"])
    if len(corners) != 4:
        raise ValueError(f"a quad of {len(corners)} corners")
    return TruthLine(str(line["text"]), corners)

"""The images that a build is verified on: the project's own set, and a user's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edge_kit.ocr.image import SUFFIXES
from model_opt.errors import KitError
from model_opt.resources import config_dir


@dataclass(frozen=True)
class TruthLine:
    """A line as it was drawn: its text and four corners (x, y) in pixels."""

    text: str
    quad: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class RegressionImage:
    """An image to verify on; ``truth`` is None where nobody wrote down what it says."""

    name: str
    path: Path
    truth: tuple[TruthLine, ...] | None


def regression_set() -> tuple[RegressionImage, ...]:
    """Return the project's rendered images with the lines drawn on them, by name."""
    folder = config_dir() / "regression"
    path = folder / "truth.json"
    try:
        images = json.loads(path.read_text(encoding="utf-8"))["images"]
    except (OSError, ValueError, KeyError) as error:
        raise KitError(f"the regression set cannot be read: {error}", path=path, hint="restore configs/") from error
    return tuple(
        RegressionImage(
            name,
            folder / name,
            tuple(TruthLine(line["text"], tuple((x, y) for x, y in line["quad"])) for line in lines),
        )
        for name, lines in sorted(images.items())
    )


def user_set(folder: Path) -> tuple[RegressionImage, ...]:
    """Return the images of a user's folder by name, as ``own/NAME``; no truth is known.

    Raises ``KitError`` when the folder is missing, cannot be listed or holds no image.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise KitError(f"cannot list the folder of images: {error.strerror}", path=folder) from error
    if not files:
        raise KitError("the folder holds no image files", path=folder, hint=f"known: {' '.join(sorted(SUFFIXES))}")
    return tuple(RegressionImage(f"own/{path.name}", path, None) for path in files)

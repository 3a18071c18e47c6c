"""Calibration data: images that no evaluation uses, and the tensors that a model gets from them."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_kit.inputs import image_files, user_files, warn_of_pages
from edge_kit.ocr.boxes import Boxes
from edge_kit.ocr.detection import detection_input
from edge_kit.ocr.image import read_image
from edge_kit.ocr.steps import detect, line_input
from edge_kit.ocr.tensor import Float32Array, Run
from edge_kit.spec import SpecProfile
from model_opt.errors import KitError
from model_opt.resources import config_dir

Progress = Callable[[float | None, str], None]

SCRIPTS: Mapping[str, str] = {"accents": "ö", "kana": "が"}
"""Folders with pages of scripts that not every recogniser reads, and a character that those have who do."""

_HINT = "give a folder of twenty or more pictures with text, like those that the device will see"


@dataclass(frozen=True)
class Calibration:
    """The boxes of the lines on each calibration image, in the order of the images."""

    boxes: tuple[Boxes, ...]


def calibration_images(folder: Path | None, characters: Container[str] = ()) -> tuple[Path, ...]:
    """Return the images of ``folder`` by name, or the kit's own set when None.

    The kit's set has pages of its ``SCRIPTS`` behind the others for a recogniser whose ``characters`` hold the script.
    Raises ``KitError`` for a folder that is missing, cannot be listed or holds no image.
    """
    if folder is not None:
        files = user_files(folder, "calibration folder", _HINT)
        warn_of_pages(files, "calibration takes")
        return tuple(files)
    own = config_dir() / "calibration"
    folders = [own, *(own / script for script, sign in SCRIPTS.items() if sign in characters)]
    return tuple(path for one in folders for path in image_files(one, "calibration folder", _HINT))


def find_lines(images: Sequence[Path], detector: Run, rules: SpecProfile, progress: Progress) -> Calibration:
    """Return where the detector finds lines by ``rules``.

    Raises ``KitError`` for an image that cannot be read, and when no line is found on any image.
    """
    boxes: list[Boxes] = []
    for position, path in enumerate(images):
        progress(position / len(images), path.name)
        boxes.append(detect(read_image(path, rules.image.alpha), detector, rules).dt_polys)
    if not any(map(len, boxes)):
        raise KitError(
            f"the detector finds no text on any of the {len(images)} calibration images",
            path=images[0].parent,
            hint=_HINT,
        )
    return Calibration(tuple(boxes))


def det_inputs(images: Sequence[Path], rules: SpecProfile) -> tuple[Float32Array, ...]:
    """Return the detector's inputs, one an image: float32 NCHW, batch 1."""
    return tuple(detection_input(read_image(path, rules.image.alpha), rules.detection) for path in images)


def rec_inputs(
    images: Sequence[Path], calibration: Calibration, rules: SpecProfile, max_lines: int
) -> tuple[Float32Array, ...]:
    """Return the recogniser's inputs, one a line: float32 NCHW, batch 1.

    Of more than ``max_lines`` lines, as many are taken at equal steps through all.
    """
    lines = [(page, box) for page, boxes in enumerate(calibration.boxes) for box in boxes]
    if len(lines) > max_lines:
        lines = [lines[i * len(lines) // max_lines] for i in range(max_lines)]
    found: list[Float32Array] = []
    for page, path in enumerate(images):
        image = read_image(path, rules.image.alpha)
        found += [line_input(image, box, rules) for at, box in lines if at == page]
    return tuple(found)

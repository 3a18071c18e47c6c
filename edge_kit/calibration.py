"""What quantisation looks at: images that no evaluation uses, and the tensors a model sees of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_kit.ocr.image import SUFFIXES, read_image
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.tensor import Float32Array, Run
from edge_kit.spec import Profile
from model_opt.errors import KitError
from model_opt.resources import config_dir

Progress = Callable[[float | None, str], None]

_HINT = "give a folder of twenty or more pictures with text, like those that the device will see"


@dataclass(frozen=True)
class CalibrationInputs:
    """The detector's inputs, one an image, and the recogniser's, one a line; float32 NCHW, batch 1."""

    det: tuple[Float32Array, ...]
    rec: tuple[Float32Array, ...]


def calibration_images(folder: Path | None) -> tuple[Path, ...]:
    """Return the images of ``folder`` by name, or the kit's own set when None.

    Raises ``KitError`` for a folder that is missing, cannot be listed or holds no image.
    """
    given = folder or config_dir() / "calibration"
    try:
        found = sorted(path for path in given.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise KitError(f"cannot list the calibration folder: {error.strerror}", path=given, hint=_HINT) from error
    if not found:
        raise KitError("the calibration folder holds no image", path=given, hint=_HINT)
    return tuple(found)


def calibration_inputs(
    images: Sequence[Path], detect: Run, rules: Profile, most_lines: int, progress: Progress
) -> CalibrationInputs:
    """Return what det and rec see of the images by ``rules``, lines cut by the boxes of the detector ``detect``.

    Of more than ``most_lines`` lines, as many are taken at equal steps through all. Raises ``KitError`` for an image
    that cannot be read, and when no line is found on any image.
    """
    # The pipeline cuts lines; its recogniser is never asked.
    pipeline = OcrPipeline(rules, Runs(detect, (detect,)), ())
    det: list[Float32Array] = []
    rec: list[Float32Array] = []
    for position, path in enumerate(images):
        progress(position / len(images), path.name)
        image = read_image(path)
        det.append(pipeline.det_input(image))
        rec += [pipeline.line_input(image, box) for box in pipeline.detect(image).dt_polys]
    pipeline.close()
    if not rec:
        raise KitError(
            f"the detector finds no text on any of the {len(images)} calibration images",
            path=images[0].parent,
            hint=_HINT,
        )
    if len(rec) > most_lines:
        rec = [rec[i * len(rec) // most_lines] for i in range(most_lines)]
    return CalibrationInputs(tuple(det), tuple(rec))

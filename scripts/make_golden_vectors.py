"""Make android_app/golden anew: the small set of golden vectors that is committed and shipped in the app.

usage: scripts/make_golden_vectors.py [FOLDER]        (default: android_app/golden)
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_kit.android.conformance import image_cases, random_cases, vector_spec, write_vectors
from edge_kit.android.whole_images import NbModels, open_models
from edge_kit.ocr.detection import detection_input
from edge_kit.ocr.image import Image, read_image
from edge_kit.verify.regression import regression_set
from model_opt.convert import ConvertOptions, OwnWriter, converted
from model_opt.zoo import fetch

ROOT = Path(__file__).resolve().parent.parent
# Name, x, y, width and height in pixels: sides that are no multiples of 32, so that the resize has work to do.
WINDOWS = (("photo.jpg", 60, 80, 250, 130), ("turned_28.png", 150, 80, 180, 120), ("tiny.png", 0, 0, 38, 24))


def windows() -> Iterator[tuple[str, Image]]:
    """Yield the windows with the names of their images."""
    images = {image.name: image.path for image in regression_set()}
    for name, x, y, width, height in WINDOWS:
        yield name, read_image(images[name])[y : y + height, x : x + width].copy()


def main(folder: Path) -> None:
    """Write the set to ``folder``, which is emptied first."""
    spec, options, writer = vector_spec(), ConvertOptions(place="arm"), OwnWriter()
    det, rec = fetch("PP-OCRv4_mobile_det"), fetch("PP-OCRv4_mobile_rec")
    runs = open_models(NbModels(converted(det, options, writer), converted(rec, options, writer), rec.dictionary))
    cases = []
    for name, image in windows():
        prob_map = runs.detect(detection_input(image, spec.profiles[0].detection))[0, 0]
        for rules in spec.profiles:
            cases += image_cases(name, image, prob_map, rules)
    _, image = next(windows())
    cases += random_cases(7, 200, image, spec)
    shutil.rmtree(folder, ignore_errors=True)
    count = write_vectors(folder, cases, spec)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{count} cases, {size / 1e6:.2f} MB in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "android_app" / "golden")

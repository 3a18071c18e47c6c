"""Make android_app/golden anew: the small set of golden vectors that is committed and shipped in the app."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from edge_kit.ocr.detection import detection_input  # noqa: E402
from edge_kit.ocr.image import Image, read_image  # noqa: E402
from edge_kit.verify.regression import regression_set  # noqa: E402
from labs.golden.images import NbModels, open_models  # noqa: E402
from labs.golden.vectors import Case, image_cases, random_cases, vector_spec, write_vectors  # noqa: E402
from model_opt.convert import ConvertOptions, OwnWriter, converted  # noqa: E402
from model_opt.zoo import fetch  # noqa: E402

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
    assert rec.dictionary is not None
    runs = open_models(NbModels(converted(det, options, writer), converted(rec, options, writer), rec.dictionary))
    cases: list[Case] = []
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=ROOT / "android_app" / "golden", help="is emptied first"
    )
    main(parser.parse_args().folder)

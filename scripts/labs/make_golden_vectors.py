"""Make android_app/golden anew: the small set of golden vectors that is committed and shipped in the app."""

import argparse
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from edge_kit.ocr.detection import detection_input  # noqa: E402
from edge_kit.ocr.image import Image, read_image  # noqa: E402
from edge_kit.ocr.tensor import Float32Array  # noqa: E402
from edge_kit.spec.load import profile  # noqa: E402
from edge_kit.verify.regression import regression_set  # noqa: E402
from labs.golden.images import NbModels, open_models  # noqa: E402
from labs.golden.vectors import (  # noqa: E402
    PADDLEX,
    Case,
    profile_cases,
    random_cases,
    rare_cases,
    read_cases,
    vector_spec,
    write_vectors,
)
from model_opt.convert import ConvertOptions, OwnWriter, converted  # noqa: E402
from model_opt.zoo import fetch  # noqa: E402

GOLDEN = ROOT / "android_app" / "golden"

# Name, x, y, width and height in pixels: sides that are no multiples of 32, so that the resize has work to do.
WINDOWS = (("photo.jpg", 60, 80, 250, 130), ("turned_28.png", 150, 80, 180, 120), ("tiny.png", 0, 0, 38, 24))


def windows() -> Iterator[tuple[str, Image]]:
    """Yield the windows with the names of their images."""
    images = {image.name: image.path for image in regression_set()}
    for name, x, y, width, height in WINDOWS:
        yield name, read_image(images[name])[y : y + height, x : x + width].copy()


def kept_maps() -> dict[str, Float32Array]:
    """Return the probability maps of the committed set, by the names of their windows."""
    return {
        case.name.split("/")[0]: case.inputs["prob_map"]
        for case, _ in read_cases(GOLDEN)
        if case.stage == "boxes" and case.name.split("/")[0] in {name for name, *_ in WINDOWS}
    }


def new_maps() -> dict[str, Float32Array]:
    """Return what the detector answers on this machine; its last bits are other ones on another processor."""
    rules, options, writer = vector_spec().profiles[0], ConvertOptions(place="arm"), OwnWriter()
    det, rec = fetch("PP-OCRv4_mobile_det"), fetch("PP-OCRv4_mobile_rec")
    assert rec.dictionary is not None
    runs = open_models(NbModels(converted(det, options, writer), converted(rec, options, writer), rec.dictionary))
    return {name: runs.detect(detection_input(image, rules.detection))[0, 0] for name, image in windows()}


def small_cases(maps: Mapping[str, Float32Array]) -> Iterator[Case]:
    """Yield the cases of the small set; ``maps`` holds the detector's answer to each window."""
    spec, first = vector_spec(), next(windows())[1]
    for name, image in windows():
        yield from profile_cases(name, image, maps[name], spec)
    yield from random_cases(7, 200, first, spec)
    yield from rare_cases(7, first, profile(PADDLEX, spec))


def main(folder: Path, maps: Mapping[str, Float32Array]) -> None:
    """Write the set to ``folder``, which is emptied first."""
    cases = list(small_cases(maps))
    shutil.rmtree(folder, ignore_errors=True)
    count = write_vectors(folder, cases, vector_spec())
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{count} cases, {size / 1e6:.2f} MB in {folder}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=GOLDEN, help="is emptied first")
    parser.add_argument(
        "--new-maps", action="store_true", help="run the detector anew instead of keeping the committed answers"
    )
    given = parser.parse_args()
    main(given.folder, new_maps() if given.new_maps else kept_maps())

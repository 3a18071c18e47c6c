"""How much noise alone moves the answers: the measure for what a recipe may cost.

usage: .venv/bin/python scripts/bench_noise.py IMAGES [--levels 1,2] [--seeds 3]

Every value of a picture moves by a random number of grey levels, at most by so many, and the unquantised models read
both pictures: the regression set and the images of the folder. Lines and boxes are matched and counted as a build
matches and counts them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_kit.api import create_pipeline
from edge_kit.ocr.image import Image, read_image
from edge_kit.ocr.pipeline import OcrPipeline
from edge_kit.verify.metrics import BoxAgreement, TextAgreement, box_agreement, match_boxes, text_agreement
from edge_kit.verify.regression import regression_set, user_set


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--levels", default="1,2")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    images = [read_image(one.path) for one in (*user_set(args.images), *regression_set())]
    print("| grey levels, seed | boxes identical | lines equal | characters |\n|---|---|---|---|")
    with create_pipeline("ocr", engine="onnx", threads=1) as pipeline:
        for level in map(int, args.levels.split(",")):
            for seed in range(args.seeds):
                boxes, texts = agreement(pipeline.ocr, images, level, seed)
                print(
                    f"| {level}, {seed} | {boxes.identical} of {boxes.slots} | {texts.equal} of {texts.lines} "
                    f"| {texts.character_accuracy:.2%} |",
                    flush=True,
                )


def agreement(ocr: OcrPipeline, images: Sequence[Image], level: int, seed: int) -> tuple[BoxAgreement, TextAgreement]:
    """Return how far the answers to pictures with and without noise agree, over all of them."""
    boxes, texts = BoxAgreement(), TextAgreement()
    for index, image in enumerate(images):
        random = np.random.default_rng((seed, index))
        moved = image.astype(np.int16) + random.integers(-level, level, image.shape, endpoint=True)
        plain, noisy = ocr.read(image), ocr.read(np.clip(moved, 0, 255).astype(np.uint8))
        matching = match_boxes(plain.dt_polys, noisy.dt_polys)
        boxes += box_agreement(matching)
        texts += text_agreement(plain.rec_texts, noisy.rec_texts, matching)
    return boxes, texts


if __name__ == "__main__":
    main()

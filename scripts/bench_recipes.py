"""What every recipe costs and what its files read: the table of docs/benchmarks.md.

usage: .venv/bin/python scripts/bench_recipes.py [--images FOLDER] [--recipes weight_int8,fp16] [--plot FILE.svg]

Each recipe is built as `edge-kit build` does it (failed gates allowed, so that the figures show), and judged by the
engine that runs the bundle's own files, on the regression set and the images of FOLDER, against the fp32 bundle's and
the server's answers. "Truth" is the text that was drawn on the regression set. A row "opt alone" shows what opt makes
of the public models without the kit's passes and algorithms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_kit.api import create_pipeline
from edge_kit.recipes import load_recipes, without_algorithms
from edge_kit.stages import job
from edge_kit.stages.request import BuildRequest
from edge_kit.verify.bundles import compare_bundles, comparison_svg
from edge_kit.verify.metrics import TextAgreement
from edge_kit.verify.regression import regression_set
from edge_kit.verify.truth import truth_agreement

HEAD = (
    "recipe",
    "gates",
    "det + rec bytes",
    "ops",
    "mask flips",
    "boxes found",
    "lines equal",
    "characters",
    "truth",
    "s",
)
TARGETS = {"fp16": "arm64-fp16", "static_int8": "armv7"}


def request_for(recipe: str, out: Path, images: Path | None) -> BuildRequest:
    """Return a build of a recipe for the first target that has it."""
    target = TARGETS.get(recipe, "arm64")
    return BuildRequest(target, recipe, out, images=images, jobs=1, allow_failed_gates=True)


def truth_of(bundle: Path) -> TextAgreement:
    """Return how much of the drawn text the bundle's own files read."""
    total = TextAgreement()
    with create_pipeline("ocr", bundle=str(bundle), engine="nb") as pipeline:
        for image in regression_set():
            for result in pipeline.predict(str(image.path)):
                total += truth_agreement(image.truth or (), result)
    return total


def row(name: str, manifest: Any, truth: TextAgreement, seconds: float) -> tuple[str, ...]:
    """Return one line of the table."""
    verification = manifest.verification
    metrics, models = verification["metrics"], manifest.models.values()

    def share(key: str) -> str:
        value = metrics.get(key)
        return "not finite" if value is None else f"{value * 100:.2f} %"

    return (
        name,
        "pass" if verification["passed"] else "fail",
        f"{sum(model['bytes'] for model in models):,}",
        " + ".join(str(model["ops"]) for model in models),
        share("det_mask_flip_share"),
        share("boxes_matched"),
        share("texts_equal"),
        share("character_accuracy"),
        f"{truth.character_accuracy * 100:.2f} %",
        f"{seconds:.0f}",
    )


def measure(name: str, recipe: str, folder: Path, images: Path | None, *, bare: bool) -> tuple[str, ...]:
    """Build one recipe and return its line of the table."""
    request = replace(request_for(recipe, folder, images), optimise=not bare)
    kept = job.load_recipes
    begin = time.perf_counter()
    try:
        if bare:
            job.load_recipes = lambda: without_algorithms(load_recipes())
        manifest = job.build_bundle(request, lambda _: None).manifest
    finally:
        job.load_recipes = kept
    return row(name, manifest, truth_of(folder), time.perf_counter() - begin)


def main() -> None:
    """Build every recipe and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--recipes", default=",".join(load_recipes().rows))
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |\n" + "|---" * len(HEAD) + "|")
    with tempfile.TemporaryDirectory(prefix="edge-kit-recipes-") as name:
        bundles = []
        for recipe in args.recipes.split(","):
            if load_recipes().row(recipe).needs_calibration:
                line = measure(f"{recipe}, opt alone", recipe, Path(name) / f"{recipe}-bare", args.images, bare=True)
                print("| " + " | ".join(line) + " |", flush=True)
            bundles.append(Path(name) / recipe)
            line = measure(recipe, recipe, bundles[-1], args.images, bare=False)
            print("| " + " | ".join(line) + " |", flush=True)
        if args.plot:
            args.plot.write_bytes(comparison_svg(compare_bundles(bundles)))


if __name__ == "__main__":
    main()

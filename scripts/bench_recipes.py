"""What every recipe costs and what its files read: the table of docs/benchmarks.md.

usage: .venv/bin/python scripts/bench_recipes.py [--images FOLDER] [--recipes NAME,NAME] [--no-bare] [--write]

Each recipe is built as `edge-kit build` does it (failed gates allowed, so that the figures show), and judged by the
engine that runs the bundle's own files, on the regression set and the images of FOLDER, against the server's answers,
which the fp32 files give too. "Faint" is the mask of low_contrast.png against that of the fp32 files, "truth" the text
that was drawn on the regression set, "int8" the share of the detector's multiply-accumulates in 8-bit integers. A row
"opt alone" shows what opt makes of the public models without the kit's passes and algorithms; --no-bare leaves those
out. --write puts the rows into docs/benchmarks.md, where those of other recipes stay; --plot FILE draws the table.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_kit.api import create_pipeline
from edge_kit.engines.base import EngineOptions
from edge_kit.engines.nb import ExactNbEngine, open_nb
from edge_kit.jobs import build as job
from edge_kit.jobs.request import BuildRequest
from edge_kit.ocr.image import read_image
from edge_kit.ocr.steps import detect
from edge_kit.ocr.tensor import Float32Array
from edge_kit.recipes import load_recipes, without_algorithms
from edge_kit.spec import profile
from edge_kit.verify.bundles import compare_bundles, comparison_svg
from edge_kit.verify.metrics import TextAgreement, mask_flips
from edge_kit.verify.regression import regression_set
from labs.truth import truth_agreement
from model_opt.fs import write_atomic

HEAD = (
    "recipe",
    "gates",
    "det + rec bytes",
    "ops",
    "int8",
    "NaN",
    "mask flips",
    "faint",
    "boxes found",
    "lines equal",
    "characters",
    "truth",
)
TARGETS = {"fp16": "arm64-fp16", "static_int8": "armv7"}
FAINT = "low_contrast.png"
BEGIN, END = "<!-- bench_recipes: begin -->\n", "<!-- bench_recipes: end -->\n"


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


def faint_map(bundle: Path) -> Float32Array:
    """Return the probability map that a bundle's detector makes of the faint image."""
    engine = open_nb(bundle / "models" / "det.nb", EngineOptions(threads=1))
    run = engine.compute if isinstance(engine, ExactNbEngine) else engine.run
    try:
        image = next(image for image in regression_set() if image.name == FAINT)
        return detect(read_image(image.path), run, profile()).prob_map
    finally:
        engine.close()


def row(name: str, manifest: Any, truth: TextAgreement, faint: float) -> tuple[str, ...]:
    """Return one line of the table."""
    verification = manifest.verification
    metrics, models = verification["metrics"], manifest.models.values()

    def share(key: str) -> str:
        value = metrics.get(key)
        return "not finite" if value is None else f"{value * 100:.2f} %"

    totals = (manifest.models["det"]["quantised"] or {}).get("totals", {})
    int8 = totals.get("int8_macs_share")
    return (
        name,
        "pass" if verification["passed"] else "fail",
        f"{sum(model['bytes'] for model in models):,}",
        " + ".join(str(model["ops"]) for model in models),
        f"{int8 * 100:.1f} %" if int8 is not None else "",
        f"{metrics['det_non_finite'] + metrics['rec_non_finite']:.0f}",
        share("det_mask_flip_share"),
        f"{faint * 100:.2f} %",
        share("boxes_matched"),
        share("texts_equal"),
        share("character_accuracy"),
        f"{truth.character_accuracy * 100:.2f} %",
    )


def build(recipe: str, folder: Path, images: Path | None, *, bare: bool) -> Any:
    """Build one recipe, by opt alone when ``bare``, and return its manifest."""
    made_by = {"optimise": False, "converter": "opt"} if bare else {}
    request = replace(request_for(recipe, folder, images), **made_by)
    kept = job.load_recipes
    try:
        if bare:
            job.load_recipes = lambda: without_algorithms(load_recipes())
        return job.build_bundle(request, lambda _: None).manifest
    finally:
        job.load_recipes = kept


def builds(recipes: Sequence[str], *, bare: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield (title, recipe, bare) of each row; fp32 comes first, the others are compared with it."""
    for recipe in ("fp32", *(name for name in recipes if name != "fp32")):
        if bare and load_recipes().row(recipe).needs_calibration:
            yield f"{recipe}, opt alone", recipe, True
        yield recipe, recipe, False


def table(recipes: Sequence[str], images: Path | None, folder: Path, *, with_bare: bool) -> Iterator[str]:
    """Yield the lines of the table as they are measured; the bundles stay in ``folder``."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|---" * len(HEAD) + "|"
    plain = None
    for title, recipe, bare in builds(recipes, bare=with_bare):
        out = folder / (f"{recipe}-bare" if bare else recipe)
        manifest = build(recipe, out, images, bare=bare)
        found = faint_map(out)
        plain = found if plain is None else plain
        faint = mask_flips(plain, found, profile().db.thresh).share
        yield "| " + " | ".join(row(title, manifest, truth_of(out), faint)) + " |"


def write(lines: Sequence[str]) -> None:
    """Put the table between its marks in docs/benchmarks.md; rows that were not measured anew stay."""
    path = Path(__file__).parents[1] / "docs" / "benchmarks.md"
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    before, _, behind = rest.partition(END)
    rows = {name_of(line): line for line in (*before.splitlines()[2:], *lines[2:])}
    order = [title for title, _, _ in builds(tuple(load_recipes().rows), bare=True)]
    kept = [rows[title] for title in order if title in rows]
    write_atomic(path, (head + BEGIN + "\n".join((*lines[:2], *kept)) + "\n" + END + behind).encode())


def name_of(line: str) -> str:
    """Return the first cell of a line of the table."""
    return line.split("|")[1].strip()


def main() -> None:
    """Build every recipe, print the table, and keep it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--recipes", default=",".join(load_recipes().rows))
    parser.add_argument("--no-bare", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    recipes = args.recipes.split(",")
    lines = []
    with tempfile.TemporaryDirectory(prefix="edge-kit-recipes-") as name:
        for line in table(recipes, args.images, Path(name), with_bare=not args.no_bare):
            print(line, flush=True)
            lines.append(line)
        if args.plot:
            args.plot.write_bytes(comparison_svg(compare_bundles([Path(name) / recipe for recipe in recipes])))
    if args.write:
        write(lines)


if __name__ == "__main__":
    main()

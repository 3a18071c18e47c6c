"""What every recipe costs and what its files read: the table of docs/benchmarks.md.

usage: .venv/bin/python scripts/bench_recipes.py [--models SET,SET] [--images FOLDER] [--recipes NAME,NAME] [--no-bare]
           [--write]

Each recipe is built as `edge-kit build` does it (failed gates and refused models allowed, to show the figures), and
judged by the engine that runs the bundle's own files, on the regression set and the images of FOLDER, against the
server's answers, which the fp32 files give too. "Faint" is the mask of low_contrast.png against that of the fp32 files,
"truth" the text that was drawn on the regression set, "int8" the share of the detector's multiply-accumulates in 8-bit
integers. "Host" is the least time of the engine on this machine with one thread, det on 640x640 pixels and rec on
48x320; files that are emulated value by value have none. A row "opt alone" shows what opt makes of the public models
without the kit's passes and algorithms; --no-bare leaves those out, as do all sets but the default one, whose files opt
itself reads. --write puts the rows into docs/benchmarks.md, where those of other sets and recipes stay; --plot FILE
draws the first set's.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_nb import seconds

from edge_kit.api import create_pipeline
from edge_kit.engines.base import EngineOptions
from edge_kit.engines.nb import ExactNbEngine, open_nb
from edge_kit.jobs import build as job
from edge_kit.jobs.request import BuildRequest
from edge_kit.ocr.image import read_image
from edge_kit.ocr.steps import detect
from edge_kit.ocr.tensor import Float32Array
from edge_kit.recipes import load_recipes, without_algorithms
from edge_kit.spec import SpecProfile, profile
from edge_kit.verify.bundles import compare_bundles, comparison_svg
from edge_kit.verify.metrics import TextAgreement, mask_flips
from edge_kit.verify.regression import regression_set
from labs.truth import truth_agreement
from model_opt.fs import write_atomic
from model_opt.zoo import load_zoo

HEAD = (
    "models",
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
    "host det + rec (ms)",
)
TIMED = {"det": (1, 3, 640, 640), "rec": (1, 3, 48, 320)}
TARGETS = {"fp16": "arm64-fp16", "static_int8": "armv7"}
FAINT = "low_contrast.png"
BEGIN, END = "<!-- bench_recipes: begin -->\n", "<!-- bench_recipes: end -->\n"


@dataclass(frozen=True)
class Row:
    """One line of the table: a set of models and a recipe, by opt alone when ``bare``."""

    models: str
    recipe: str
    bare: bool = False

    @property
    def title(self) -> str:
        """The recipe as the table calls it."""
        return f"{self.recipe}, opt alone" if self.bare else self.recipe

    def request(self, out: Path, images: Path | None) -> BuildRequest:
        """Return the build for the first target that has the recipe."""
        made_by = {"optimise": False, "converter": "opt"} if self.bare else {}
        target = TARGETS.get(self.recipe, "arm64")
        plain = BuildRequest(
            target, self.recipe, out, models=self.models, images=images, jobs=1, allow_failed_gates=True
        )
        return replace(plain, **made_by)


def truth_of(bundle: Path) -> TextAgreement:
    """Return how much of the drawn text the bundle's own files read."""
    total = TextAgreement()
    with create_pipeline("ocr", bundle=str(bundle), engine="nb") as pipeline:
        for image in regression_set():
            for result in pipeline.predict(str(image.path)):
                total += truth_agreement(image.truth or (), result)
    return total


def faint_map(bundle: Path, rules: SpecProfile) -> Float32Array:
    """Return the probability map that a bundle's detector makes of the faint image by the rules of its set."""
    engine = open_nb(bundle / "models" / "det.nb", EngineOptions(threads=1))
    run = engine.compute if isinstance(engine, ExactNbEngine) else engine.run
    try:
        image = next(image for image in regression_set() if image.name == FAINT)
        return detect(read_image(image.path), run, rules).prob_map
    finally:
        engine.close()


def host_times(bundle: Path, rounds: int = 12) -> str:
    """Return the least milliseconds of detector and recogniser; nothing where one of them is emulated."""
    shown = []
    for role, shape in TIMED.items():
        engine = open_nb(bundle / "models" / f"{role}.nb", EngineOptions(threads=1))
        if isinstance(engine, ExactNbEngine):
            return ""
        x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        shown.append(f"{min(seconds(engine, x) for _ in range(rounds)) * 1000:.1f}")
        engine.close()
    return " + ".join(shown)


def cells(row: Row, manifest: Any, truth: TextAgreement, faint: float, times: str) -> tuple[str, ...]:
    """Return one line of the table."""
    verification = manifest.verification
    metrics, models = verification["metrics"], manifest.models.values()

    def share(key: str) -> str:
        value = metrics.get(key)
        return "not finite" if value is None else f"{value * 100:.2f} %"

    totals = (manifest.models["det"]["quantised"] or {}).get("totals", {})
    int8 = totals.get("int8_macs_share")
    return (
        row.models,
        row.title,
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
        times,
    )


def build(row: Row, folder: Path, images: Path | None) -> Any:
    """Build one row's bundle and return its manifest."""
    kept = job.load_recipes
    try:
        if row.bare:
            job.load_recipes = lambda: without_algorithms(load_recipes())
        return job.build_bundle(row.request(folder, images), lambda _: None).manifest
    finally:
        job.load_recipes = kept


def rows_of(models: str, recipes: Sequence[str], *, bare: bool) -> Iterator[Row]:
    """Yield the rows of a set of models; fp32 comes first, the others are compared with it."""
    for recipe in ("fp32", *(name for name in recipes if name != "fp32")):
        if bare and models == load_zoo().default_set and load_recipes().row(recipe).needs_calibration:
            yield Row(models, recipe, bare=True)
        yield Row(models, recipe)


def table(
    models: Sequence[str], recipes: Sequence[str], images: Path | None, folder: Path, *, bare: bool
) -> Iterator[str]:
    """Yield the lines of the table as they are measured; the bundles stay in ``folder``."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|---" * len(HEAD) + "|"
    for name in models:
        rules, plain = profile(load_zoo().model_set(name).profile), None
        for row in rows_of(name, recipes, bare=bare):
            out = bundle_of(folder, row)
            manifest = build(row, out, images)
            found = faint_map(out, rules)
            plain = found if plain is None else plain
            faint = mask_flips(plain, found, rules.db.thresh).share
            yield "| " + " | ".join(cells(row, manifest, truth_of(out), faint, host_times(out))) + " |"


def bundle_of(folder: Path, row: Row) -> Path:
    """Return where the bundle of a row is kept."""
    return folder / f"{row.models}-{row.recipe}{'-bare' if row.bare else ''}"


def write(lines: Sequence[str]) -> None:
    """Put the table between its marks in docs/benchmarks.md; rows that were not measured anew stay."""
    path = Path(__file__).parents[1] / "docs" / "benchmarks.md"
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    before, _, behind = rest.partition(END)
    rows = {name_of(line): line for line in (*before.splitlines()[2:], *lines[2:])}
    every = (row for models in load_zoo().sets for row in rows_of(models, tuple(load_recipes().rows), bare=True))
    kept = [rows[key] for key in ((row.models, row.title) for row in every) if key in rows]
    kept = [line + "  |" * (len(HEAD) + 1 - line.count("|")) for line in kept]
    write_atomic(path, (head + BEGIN + "\n".join((*lines[:2], *kept)) + "\n" + END + behind).encode())


def name_of(line: str) -> tuple[str, str]:
    """Return the first two cells of a line of the table."""
    models, recipe = line.split("|")[1:3]
    return models.strip(), recipe.strip()


def main() -> None:
    """Build every recipe, print the table, and keep it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=load_zoo().default_set)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--recipes", default=",".join(load_recipes().rows))
    parser.add_argument("--no-bare", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    models, recipes = args.models.split(","), args.recipes.split(",")
    lines = []
    with tempfile.TemporaryDirectory(prefix="edge-kit-recipes-") as name:
        for line in table(models, recipes, args.images, Path(name), bare=not args.no_bare):
            print(line, flush=True)
            lines.append(line)
        if args.plot:
            made = [bundle_of(Path(name), Row(models[0], recipe)) for recipe in recipes]
            args.plot.write_bytes(comparison_svg(compare_bundles(made)))
    if args.write:
        write(lines)


if __name__ == "__main__":
    main()

"""The app's core and its OpenCV engine on an emulated ARM core against the same on this machine: docs/benchmarks.md.

usage: .venv/bin/python scripts/bench_arm.py [IMAGES] [--cpu cortex-a76] [--recipes fp32,weight_int8] [--images N]
       [--library bytedeco|android] [--decode] [--vectors] [--minutes M] [--store FOLDER] [--bundle RECIPE=FOLDER]
       [--write]

Reads the regression set and the images of IMAGES with the app's models of each recipe, on the emulated core and on a
Java machine of the host, and compares boxes, texts and scores; also with Python's engine nb. Then times one run of
each model, in processor seconds. Emulation takes about forty times the host's time, so finished pictures are kept in
--store (default: build/bench_arm): a run that ends, or is ended after --minutes, is resumed by the same command.

--library android takes the Android archive's own library in place of bytedeco's (scripts/android_library.py). --images
takes only the first N pictures. --decode compares how every picture is decoded, --vectors runs all golden vectors on
both cores of the ARM lane. --write puts the rows into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import android_library
import arm_lane
from arm_lane import Agreement, Jvm, agreement

from edge_kit.jobs.build import build_bundle
from edge_kit.jobs.request import BuildRequest
from edge_kit.ocr.image import SUFFIXES, Image, read_image
from edge_kit.ocr.recognition import load_characters
from edge_kit.spec.load import profile
from edge_kit.verify.regression import regression_set
from labs.golden.images import NbModels, open_models, write_images
from labs.golden.vectors import Models, write_all_vectors
from model_opt.convert import ConvertOptions, OwnWriter, converted
from model_opt.fs import write_atomic
from model_opt.zoo import fetch

DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench_arm: begin -->\n", "<!-- bench_arm: end -->\n"
HEAD = (
    "recipe", "core", "pictures", "boxes equal", "lines equal", "largest score difference",
    "boxes, lines as by nb", "seconds, ARM / x86", "det 320x320 (s)", "rec 48x320 (s)",
)  # fmt: skip
Open = Callable[[str], Jvm]
LIBRARIES: dict[str, Open] = {
    "bytedeco": lambda cpu: arm_lane.open_jvm(arm_lane.ARM64, cpu),
    "android": lambda cpu: android_library.open_android(cpu),
}
SUFFIX = {"bytedeco": "", "android": ", Android's library"}
SHAPES = {"det": (320, 320), "rec": (48, 320)}


@dataclass(frozen=True)
class Bench:
    """Where a run keeps what it has, and when it should stop (``time.monotonic()``)."""

    store: Path
    deadline: float

    def load(self, name: str) -> dict[str, Any]:
        """Return the finished results called ``name``, empty when there are none."""
        path = self.store / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def keep(self, name: str, results: dict[str, Any]) -> None:
        """Keep results in one step."""
        write_atomic(self.store / f"{name}.json", json.dumps(results, ensure_ascii=False, indent=1).encode())

    @property
    def over(self) -> bool:
        """Whether the time that the caller gave is used up."""
        return time.monotonic() > self.deadline


def main() -> None:
    """Read the pictures, time the models, and print or write the table."""
    options = arguments()
    bench = Bench(options.store, time.monotonic() + 60 * options.minutes)
    options.store.mkdir(parents=True, exist_ok=True)
    paths = pictures(options.folder)[: options.images]
    images = [(path.name, read_image(path)) for path in paths]
    open_arm, core = LIBRARIES[options.library], f"{options.cpu}{SUFFIX[options.library]}"
    if options.vectors:
        golden(bench, open_arm, SUFFIX[options.library], images)
    arm, host = open_arm(options.cpu), arm_lane.host_jvm()
    if options.decode:
        print(decoding(arm, host, paths))
    rows = []
    for recipe in options.recipes.split(","):
        folder = image_set(bench, recipe, options.bundle.get(recipe), images)
        found = {
            name: readings(bench, f"{recipe}-{name}", jvm, folder, len(images))
            for name, jvm in (("x86", host), (core, arm))
        }
        seconds = {role: run_time(bench, f"{recipe}-{core}-{role}", arm, folder, role) for role in SHAPES}
        rows.append(row(recipe, core, folder, found["x86"], found[core], seconds))
    print(table(rows))
    if options.write:
        write(rows)


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, metavar="IMAGES")
    parser.add_argument("--cpu", default=arm_lane.CPUS[-1], help="a core of QEMU: %(default)s")
    parser.add_argument("--recipes", default="fp32,weight_int8")
    parser.add_argument("--images", type=int, metavar="N")
    parser.add_argument("--minutes", type=float, default=1e6, help="end after the picture that is read then")
    parser.add_argument("--store", type=Path, default=Path("build/bench_arm"))
    parser.add_argument("--bundle", type=bundle, action="append", default=[], metavar="RECIPE=FOLDER")
    parser.add_argument("--library", choices=LIBRARIES, default="bytedeco")
    parser.add_argument("--decode", action="store_true")
    parser.add_argument("--vectors", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.bundle = dict(options.bundle)
    return options


def bundle(text: str) -> tuple[str, Path]:
    """Read ``RECIPE=FOLDER``."""
    name, _, folder = text.partition("=")
    return name, Path(folder)


def pictures(folder: Path | None) -> list[Path]:
    """Return the files of the regression set and the images of ``folder``."""
    paths = [image.path for image in regression_set()]
    if folder is not None:
        paths += sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return paths


def image_set(bench: Bench, recipe: str, built: Path | None, images: Sequence[tuple[str, Image]]) -> Path:
    """Return a set of the pictures with the app's models of a recipe; the bundle is built when none is given."""
    folder = bench.store / recipe
    listed = json.loads((folder / "expected.json").read_bytes()) if (folder / "expected.json").is_file() else {}
    if [row["name"] for row in listed.get("images", [])][: len(images)] != [name for name, _ in images]:
        if built is None:
            built = bench.store / f"bundle-{recipe}"
            build_bundle(BuildRequest("arm64", recipe, built, allow_failed_gates=True), lambda _: None)
        models = NbModels(built / "models" / "det.nb", built / "models" / "rec.nb", built / "labels.txt")
        for old in bench.store.glob(f"{recipe}-*.json"):
            old.unlink()
        write_images(folder, models, images)
    return folder


def public_models() -> NbModels:
    """Return the public models, unquantised, which the golden vectors of the tests come from."""
    options, writer = ConvertOptions(place="arm"), OwnWriter()
    det, rec = fetch("PP-OCRv4_mobile_det"), fetch("PP-OCRv4_mobile_rec")
    assert rec.dictionary is not None
    return NbModels(converted(det, options, writer), converted(rec, options, writer), rec.dictionary)


def readings(bench: Bench, name: str, jvm: Jvm, folder: Path, count: int) -> dict[str, Any]:
    """Return what ``jvm`` reads on each picture, by its number as a text; ends the program when time is up."""
    done = bench.load(name)
    missing = [number for number in range(count) if str(number) not in done]
    if missing:
        for answer in jvm.answers(f"read pictures as {name}", ["read", folder, *map(str, missing)]):
            done[str(answer["number"])] = answer
            bench.keep(name, done)
            print(f"{name}: {len(done)} of {count}, {answer['name']}, {answer['seconds']:.1f} s", flush=True)
            if bench.over and len(done) < count:
                raise SystemExit("time is up; the same command goes on from here")
    return done


def run_time(bench: Bench, name: str, jvm: Jvm, folder: Path, role: str) -> float:
    """Return the least processor seconds of five runs of a model, one thread."""
    done = bench.load("times")
    if name not in done:
        height, width = SHAPES[role]
        words = ["time", 5, folder / f"{role}.onnx", height, width]
        (answer,) = jvm.answers(f"time {name}", list(map(str, words)))
        done[name] = answer["seconds"]
        bench.keep("times", done)
    return float(min(done[name]))


def golden(bench: Bench, open_arm: Open, suffix: str, images: Sequence[tuple[str, Image]]) -> dict[str, Any]:
    """Run every golden vector of the pictures on both cores of the lane; return each core's answer."""
    folder = bench.store / "vectors"
    if not (folder / "manifest.json").is_file():
        models = public_models()
        runs, characters = open_models(models), load_characters(models.labels, profile().ctc)
        write_all_vectors(folder, Models(runs.detect, runs.recognise, characters), images)
    done = bench.load("golden")
    for cpu in arm_lane.CPUS:
        found = done.setdefault(cpu + suffix, {"equal": 0, "failures": [], "parts": 0})
        for number, part in enumerate(vector_parts(folder)):
            if number < found["parts"]:
                continue
            (answer,) = open_arm(cpu).answers(f"run golden vectors on {cpu}{suffix}", ["golden", part])
            found["parts"] += 1
            found["equal"] += answer["cases"] - len(answer["failures"])
            found["failures"] += answer["failures"]
            bench.keep("golden", done)
            print(f"golden vectors on {cpu}{suffix}: {found}", flush=True)
            if bench.over:
                raise SystemExit("time is up; the same command goes on from here")
    return done


def vector_parts(folder: Path, size: int = 150) -> list[Path]:
    """Return sets that hold ``size`` cases of the set in ``folder`` each, made beside it at the first call."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    parts = []
    for number, first in enumerate(range(0, len(manifest["cases"]), size)):
        part = folder.with_name(f"{folder.name}-{number}")
        parts.append(part)
        if (part / "manifest.json").is_file():
            continue
        part.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if path.name != "manifest.json" and not (part / path.name).is_symlink():
                (part / path.name).symlink_to(path.resolve())
        cases = manifest["cases"][first : first + size]
        write_atomic(part / "manifest.json", json.dumps(manifest | {"cases": cases}).encode())
    return parts


def decoding(arm: Jvm, host: Jvm, paths: Sequence[Path]) -> str:
    """Return how many pictures have the same pixels on both after OpenCV decoded them, and which have not."""
    sums = [
        {answer["name"]: answer["sha256"] for answer in jvm.answers("decode", ["decode", *paths])}
        for jvm in (arm, host)
    ]
    other = sorted(name for name in sums[1] if sums[0].get(name) != sums[1][name])
    return f"decoded equally: {len(sums[1]) - len(other)} of {len(paths)}" + (
        f"; not {', '.join(other)}" if other else ""
    )


def row(
    recipe: str, cpu: str, folder: Path, host: dict[str, Any], arm: dict[str, Any], times: dict[str, float]
) -> tuple[str, ...]:
    """Return one line of the table from the readings of one recipe."""
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["images"]
    same = sum((agreement(host[key], arm[key]) for key in arm), Agreement())
    by_nb = sum((agreement(expected[int(key)], arm[key]) for key in arm), Agreement())
    seconds = [sum(answers[key]["seconds"] for key in arm) for answers in (arm, host)]
    return (
        recipe,
        cpu,
        str(len(arm)),
        f"{same.boxes_equal} of {same.lines}",
        f"{same.lines_equal} of {same.lines}" + (f", {same.surplus} more" if same.surplus else ""),
        f"{same.score_difference:.1e}",
        f"{by_nb.boxes_equal}, {by_nb.lines_equal} of {by_nb.lines}",
        f"{seconds[0]:,.0f} / {seconds[1]:,.1f}",
        *(f"{times[role]:.2f}" for role in SHAPES),
    )


def write(rows: Sequence[Sequence[str]]) -> None:
    """Put the rows into docs/benchmarks.md; those of other recipes and cores stay."""
    text = DOCS.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    kept = {tuple(cells[:2]): cells for cells in map(cells_of, old.splitlines()[2:])}
    kept |= {(line[0], line[1]): list(line) for line in rows}
    DOCS.write_text(head + BEGIN + table(list(kept.values())) + "\n" + END + tail, encoding="utf-8")


def cells_of(line: str) -> list[str]:
    """Return the cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as a Markdown table."""
    return (
        "\n".join(f"| {' | '.join(line)} |" for line in (HEAD, ["---"] * len(HEAD), *rows))
        .replace("| ---", "|---")
        .replace("--- |", "---|")
    )


if __name__ == "__main__":
    main()

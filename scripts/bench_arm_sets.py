"""Every model set on the app's OpenCV engine, in instructions of an emulated ARM core: a table of docs/benchmarks.md.

usage: .venv/bin/python scripts/bench_arm_sets.py --qemu FOLDER [--cpu cortex-a76] [--sets pp-ocrv6-tiny,…]

The detector on 320x320 pixels and the recogniser on 48x320, one thread, with fp32 and with 8-bit weights, against the
first set. The files are converted without what a recipe's algorithm does, which takes minutes: same operators, same
precisions. Instructions are counted by a plugin (scripts/arm_count.c). FOLDER/build holds qemu-aarch64 and
FOLDER/include/qemu its qemu-plugin.h: Debian's package qemu-user, unlike qemu-user-static, takes plugins, and the
header is in its source package; or build QEMU as scripts/bench_arm_engines.py says.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import arm_lane
import numpy as np
from bench_arm_engines import Guest, millions, open_guest, plan_of

from edge_kit.android.app_onnx import AppRole, app_onnx
from edge_kit.spec import profile
from model_opt.convert import ConvertOptions, OwnWriter
from model_opt.formats import read_model
from model_opt.passes import optimise
from model_opt.zoo import fetch, load_zoo

SETS = ("pp-ocrv4-mobile", "pp-ocrv5-mobile", "pp-ocrv6-tiny", "pp-ocrv6-small")
SHAPES: dict[AppRole, tuple[int, int]] = {"det": (320, 320), "rec": (48, 320)}
RECIPES = {"fp32": ConvertOptions(), "weight_int8": ConvertOptions(weight_bits=8)}


def app_files(names: list[str], folder: Path) -> dict[tuple[str, str, AppRole], Path]:
    """Write the app's ONNX files of sets into ``folder``; return them by set, recipe and role."""
    written: dict[tuple[str, str, AppRole], Path] = {}
    for name in names:
        row = load_zoo().model_set(name)
        for role in SHAPES:
            files = fetch(row.det if role == "det" else row.rec)
            model, _ = optimise(read_model(files.program_file, files.params_file))
            for recipe, options in RECIPES.items():
                path = folder / f"{name}-{recipe}-{role}.onnx"
                path.write_bytes(app_onnx(OwnWriter().in_memory(model, options), role, profile(row.profile)))
                written[name, recipe, role] = path
    return written


def inputs_of(folder: Path) -> dict[AppRole, Path]:
    """Write one random input for each role."""
    written: dict[AppRole, Path] = {}
    for role, (height, width) in SHAPES.items():
        written[role] = folder / f"{role}.npy"
        np.save(written[role], np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32))
    return written


def counts(guest: Guest, cpu: str, names: list[str], folder: Path) -> dict[tuple[str, str, AppRole], tuple[int, int]]:
    """Return the instructions of loading each file and of its second run."""
    files, inputs = app_files(names, folder), inputs_of(folder)
    runs = [("|".join(key), "opencv", path, [inputs[key[2]]]) for key, path in files.items()]
    plan = plan_of(runs, 1, folder)
    for entry in plan["runs"].values():
        del entry["answers"]
    _, frames = guest.run(cpu, plan, folder)
    return {
        key: (sum(frames[place].values()), sum(frames[2 * len(files) + place].values()))
        for place, key in enumerate(files)
    }


def main() -> None:
    """Count and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qemu", type=Path, metavar="FOLDER", required=True)
    parser.add_argument("--cpu", default=arm_lane.CPUS[-1])
    parser.add_argument("--sets", default=",".join(SETS))
    args = parser.parse_args()
    names = args.sets.split(",")
    with tempfile.TemporaryDirectory(prefix="edge-kit-arm-") as scratch:
        folder = Path(scratch)
        guest = open_guest("1.23.2", args.qemu, folder).counter
        assert guest is not None
        found = counts(guest, args.cpu, names, folder)
    print(f"| set, recipe, {args.cpu} | det: run (of the first) | load | rec: run (of the first) | load |")
    print("|---|---|---|---|---|")
    for name in names:
        for recipe in RECIPES:
            cells = []
            for role in SHAPES:
                (load, run), (_, base) = found[name, recipe, role], found[names[0], recipe, role]
                cells += [f"{millions({'': run})} ({run / base:.2f})", millions({"": load})]
            print(f"| {name}, {recipe} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

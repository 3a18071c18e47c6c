"""Engines on an emulated ARM core: the static int8 detector, weights as integers. The tables of docs/benchmarks.md.

usage: .venv/bin/python scripts/bench_arm_engines.py STATIC PLAIN SMALL [--cpu cortex-a76,cortex-a53] [--rounds 2]
       [--onnxruntime 1.23.2] [--qemu FOLDER] [--pictures FOLDER | --lines]

STATIC, PLAIN and SMALL are bundles of the recipes static_int8, fp32 and weight_int8. The left 320x320 pixels of a
regression picture go through the detector in floats and in integers, as QDQ, ConvInteger and QLinearConv
(static_int8_onnx.py), on OpenCV and on ONNX Runtime, all on one thread and in one run; masks are compared with the
exact emulation of STATIC's file. Then both models of SMALL, with their weights as floats and as integers, are loaded
and run by OpenCV. --pictures reads the regression set, and those of FOLDER, with the detector as ConvInteger instead,
and compares masks, boxes and texts with the exact emulation; it takes an hour. --lines instead lets OpenCV read ten
lines with PLAIN's recogniser, by one net on one and on two threads and by two nets of one thread, on this machine's two
cores (as root, before all other work: chrt -f 1 COMMAND) and, four narrow ones, on two emulated.

An emulator's seconds are not a core's: it computes four fused multiply-adds of floats one after the other, but sixteen
of small integers in one go. --qemu therefore counts instructions, by a QEMU built with plugins: FOLDER/build holds its
qemu-aarch64 and FOLDER/include/qemu its qemu-plugin.h. Of Debian 12's source package (apt-get source qemu), in FOLDER:
  sed -i "s/^subdir('pc-bios')/#&/" meson.build    # the package leaves these files out
  mkdir build; cd build; ../configure --target-list=aarch64-linux-user --enable-plugins --without-default-features
  ninja qemu-aarch64

The guest is Debian 12's Python 3.11 (Debian's packages, by mmdebstrap) with pinned wheels, in the kit's cache.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import arm_lane
import numpy as np
from static_int8_onnx import Form, Range, static_int8_onnx, watched_onnx

from edge_kit.android.app_onnx import app_onnx, declared_size
from edge_kit.android.errors import AndroidError, ToolFailed
from edge_kit.calibration import calibration_images
from edge_kit.engines.base import EngineOptions
from edge_kit.engines.nb import ExactNbEngine, open_nb
from edge_kit.engines.session import make_session
from edge_kit.ocr.detection import detection_input
from edge_kit.ocr.image import read_image
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import load_characters
from edge_kit.ocr.result import OcrResult
from edge_kit.ocr.tensor import Float32Array
from edge_kit.spec import profile
from edge_kit.verify.metrics import BoxAgreement, TextAgreement, box_agreement, mask_flips, match_boxes, text_agreement
from edge_kit.verify.regression import regression_set, user_set
from model_opt.fs import ensure_folder
from model_opt.nb import read_nb
from model_opt.nb.compact_onnx import declare
from model_opt.nb.to_onnx import IR_VERSION, OPSET, to_onnx
from model_opt.nb.translate import encode_model, fold, translate
from model_opt.resources import cache_dir
from model_opt.wheels import WheelPin, fetch_wheel, unpack_wheels

HERE = Path(__file__).resolve().parent
PICTURE, SIDE = "english.png", 320
_IN_ROOT = ("python3-minimal", "python3.11", "libstdc++6", "zlib1g")
_PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64")
_SUMS = {
    ("numpy", "1.26.4"): "7ab55401287bfec946ced39700c053796e7cc0e3acbef09993a9ad2adba6ca6e",
    ("opencv-python-headless", "4.11.0.86"): "6efabcaa9df731f29e5ea9051776715b1bdd1845d7c9530065c7951d2a2899eb",
    ("onnxruntime", "1.22.1"): "7ae7526cf10f93454beb0f751e78e5cb7619e3b92f9fc3bd51aa6f3b7a8977e5",
    ("onnxruntime", "1.23.2"): "bbfd2fca76c855317568c1b36a885ddea2272c13cb0e395002c402f2360429a6",
}
ENGINES = {"opencv": "OpenCV", "onnxruntime": "ONNX Runtime"}
WIDTHS = {"320 pixels": (320,) * 10, "64 to 768 pixels": (320, 192, 448, 640, 64, 512, 96, 768, 384, 160)}


@dataclass(frozen=True)
class Guest:
    """An emulated core with Python: its program, root of files, folders of wheels; with a plugin it counts.

    ``counter`` is the guest that counts for this one. Without an emulator it is this very Python.
    """

    emulator: Path | None
    root: Path
    sites: tuple[Path, ...]
    plugin: Path | None = None
    counter: Guest | None = None

    def run(self, cpu: str, plan: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[dict[str, int]]]:
        """Run ``plan`` (see arm_guest.py) and return its report, and the instructions of each frame where counted.

        Raises ``ToolFailed`` with the guest's last lines.
        """
        given, report = folder / "plan.json", folder / "report.json"
        given.write_text(json.dumps(plan), encoding="utf-8")
        counting = ["-plugin", str(self.plugin), "-d", "plugin"] if self.plugin else []
        variables = [f"PYTHONPATH={':'.join(map(str, self.sites))}", "OPENBLAS_NUM_THREADS=1"]
        own = ["-L", str(self.root), "-cpu", cpu, *counting, *(word for one in variables for word in ("-E", one))]
        emulated = [str(self.emulator), *own, str(self.root / "usr" / "bin" / "python3.11")]
        start = emulated if self.emulator else [sys.executable]
        words = [*start, str(HERE / "arm_guest.py"), str(given), str(report)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode or not report.is_file():
            raise ToolFailed(
                "\n  ".join([f"the emulated Python ended with {done.returncode}:", *done.stderr.splitlines()[-8:]])
            )
        rows = [line for line in done.stderr.splitlines() if line.startswith("counts ")]
        counts = [{name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", row)} for row in rows]
        pairs = zip(counts[::2], counts[1::2], strict=True)
        return json.loads(report.read_text()), [{k: after[k] - before[k] for k in after} for before, after in pairs]


def open_guest(runtime: str, qemu: Path | None, folder: Path) -> Guest:
    """Return the guest with ``runtime`` as ONNX Runtime's version; makes what the cache lacks."""
    if arm_lane.host_suite() != "bookworm":
        raise AndroidError("the wheels of this bench are pinned for the Python of Debian 12", hint="run it there")
    root = arm_lane.root_files(arm_lane.ARM64, _IN_ROOT)
    names = ("numpy", "opencv-python-headless", "onnxruntime")
    pins = [row for row in _SUMS if row[0] in names and (row[0] != "onnxruntime" or row[1] == runtime)]
    sites = tuple(_site(name, version) for name, version in pins)
    emulator = arm_lane.emulator(arm_lane.ARM64)
    if qemu is None:
        return Guest(emulator, root, sites)
    plugin = folder / "count.so"
    source = ["-I", str(qemu / "include" / "qemu"), "-o", str(plugin), str(HERE / "arm_count.c")]
    subprocess.run(["cc", "-O2", "-fPIC", "-shared", *source], check=True)
    counter = Guest(qemu / "build" / "qemu-aarch64", root, sites, plugin)
    return Guest(emulator, root, sites, counter=counter)


def _site(name: str, version: str) -> Path:
    site = cache_dir() / "arm" / "sites" / f"{name}-{version}"
    platform = _PLATFORMS[name == "onnxruntime"]
    pin = WheelPin(name, version, _SUMS[name, version], python_version="3.11", platform=platform)
    return ensure_folder(site, "unpack the wheels", lambda folder: unpack_wheels([fetch_wheel(pin)], folder))


def output_ranges(nb: Path) -> Mapping[str, Range]:
    """Return the range in front of the activation of each convolution in int8, over the calibration pages.

    Each page counts as it is and inverted; what the activation takes for zero is left out.
    """
    model = read_nb(nb)
    data, watched = watched_onnx(model)
    session = make_session(data, EngineOptions(threads=2), nb)
    name, rules = session.get_inputs()[0].name, profile().detection
    names = [out for out, _ in watched.values()]
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for page in calibration_images(None)[::2]:
        x = detection_input(read_image(page), rules)
        for given in (x, -x):
            for filter_, y in zip(watched, session.run(names, {name: given}), strict=True):
                low[filter_] = min(low.get(filter_, 0.0), float(y.min()))
                high[filter_] = max(high.get(filter_, 0.0), float(y.max()))
    least = {"HardSwish": -3.0, "Relu": 0.0}
    floors = {filter_: least.get(activation, -np.inf) for filter_, (_, activation) in watched.items()}
    return {filter_: (max(low[filter_], floors[filter_]), high[filter_]) for filter_ in watched}


def detector_files(static: Path, plain: Path, folder: Path) -> dict[str, Path]:
    """Write the detector in floats and in each form of integers; return the files by name."""
    model = read_nb(static)
    files = {"fp32": to_onnx(read_nb(plain))}
    for form in Form:
        files[form.value] = static_int8_onnx(model, form, output_ranges(static) if form is Form.QLINEAR else None)
    return _written(files, folder)


def weight_files(bundle: Path, folder: Path) -> dict[str, Path]:
    """Write both models with weights as floats and as integers; return the files by name."""
    files: dict[str, bytes] = {}
    for role in ("det", "rec"):
        model, rules = read_nb(bundle / "models" / f"{role}.nb"), profile()
        graph = declare(fold(translate(model)), declared_size(role, rules))
        files[f"{role}, floats"] = encode_model(graph, opset=OPSET, ir_version=IR_VERSION, producer=("bench", ""))
        files[f"{role}, integers"] = app_onnx(model, role, rules)
    return _written(files, folder)


def _written(files: Mapping[str, bytes], folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"{name}.onnx" for name in files}
    for name, data in files.items():
        paths[name].write_bytes(data)
    return paths


def lines(guest: Guest, cpu: str, args: argparse.Namespace, folder: Path) -> None:
    """Print the table of nets and threads."""
    file = _written({"rec": app_onnx(read_nb(args.plain / "models" / "rec.nb"), "rec", profile())}, folder)["rec"]
    sets = {f"x86-64, {kind}": widths for kind, widths in WIDTHS.items()} | {cpu: (128, 64, 192, 96)}
    print("| lines | nets, threads | wall clock | of one thread | processor seconds |\n|---|---|---|---|---|")
    for name, widths in sets.items():
        inputs = [folder / f"{place}.npy" for place in range(len(widths))]
        for path, width in zip(inputs, widths, strict=True):
            np.save(path, np.random.default_rng(width).random((1, 3, 48, width), dtype=np.float32))
        entry = {"engine": "opencv", "model": str(file), "inputs": list(map(str, inputs))}
        ways = {f"{nets}, {threads}": (nets, threads) for nets, threads in ((1, 1), (1, 2), (2, 1))}
        runs = {way: {**entry, "copies": nets, "threads": threads} for way, (nets, threads) in ways.items()}
        where = guest if name == cpu else Guest(None, Path(), ())
        report, _ = where.run(cpu, {"rounds": args.rounds, "runs": runs}, folder)
        for way, row in report["runs"].items():
            share = row["wall"] / report["runs"]["1, 1"]["wall"]
            print(f"| {name} | {way} | {row['wall']:.2f} | {share:.2f} | {row['cpu']:.2f} |", flush=True)


def plan_of(runs: Sequence[tuple[str, str, Path, Sequence[Path]]], rounds: int, folder: Path) -> dict[str, Any]:
    """Return the plan of (name, engine, file, inputs), one thread each; answers are kept in ``folder``."""
    entries = {
        name: {
            "engine": engine, "model": str(file), "threads": 1, "inputs": [str(path) for path in inputs],
            "answers": str(folder / f"{name}.npz"),
        }
        for name, engine, file, inputs in runs
    }  # fmt: skip
    return {"rounds": rounds, "runs": entries}


def measured(guest: Guest, cpu: str, plan: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run a plan; yield each run's name with its row of the report, and the counts of its load and a second run."""
    report, _ = guest.run(cpu, plan, folder)
    _, frames = guest.counter.run(cpu, {**plan, "rounds": 1}, folder) if guest.counter else ({}, [])
    names = list(plan["runs"])
    for place, name in enumerate(names):
        row = report["runs"][name]
        if frames:
            row |= {"load_counts": frames[place], "counts": frames[2 * len(names) + place]}
        yield name, row


def millions(counts: Mapping[str, int] | None) -> str:
    """Return the sum of ``counts`` in millions, empty where nothing was counted."""
    return f"{sum(counts.values()) / 1e6:.0f}" if counts else ""


def integers(guest: Guest, cpu: str, args: argparse.Namespace, folder: Path) -> None:
    """Print the table of the detector."""
    static = args.static / "models" / "det.nb"
    picture = next(image.path for image in regression_set() if image.name == PICTURE)
    x = np.ascontiguousarray(detection_input(read_image(picture), profile().detection)[..., :SIDE, :SIDE])
    np.save(folder / "x.npy", x)
    exact = _exact(static).compute(x)
    files = detector_files(static, args.plain / "models" / "det.nb", folder)
    pairs = [(engine, form) for form in files for engine in ENGINES if (engine, form) != ("opencv", "ConvInteger")]
    runs = [(f"{engine} {form}", engine, files[form], [folder / "x.npy"]) for engine, form in pairs]
    print(
        f"| {cpu} | seconds | of its own fp32 | million instructions | of its own fp32 | fma, dot, widening | flips |"
    )
    print("|---|---|---|---|---|---|---|")
    own: dict[str, dict[str, Any]] = {}
    for name, row in measured(guest, cpu, plan_of(runs, args.rounds, folder), folder):
        engine, form = name.split()
        base, counts = own.setdefault(engine, row), row.get("counts")
        with np.load(folder / f"{name}.npz") as answers:
            flips = mask_flips(exact, answers["arr_0"], profile().db.thresh)
        share = f"{sum(counts.values()) / sum(base['counts'].values()):.2f}" if counts else ""
        kinds = ", ".join(f"{counts[kind] / 1e6:.0f}" for kind in ("fma", "dot", "widening")) if counts else ""
        cells = (f"{ENGINES[engine]}, {form}", f"{row['cpu']:.2f}", f"{row['cpu'] / base['cpu']:.2f}", millions(counts))
        print("| " + " | ".join((*cells, share, kinds, f"{flips.share:.2%}")) + " |", flush=True)


def weights(guest: Guest, cpu: str, args: argparse.Namespace, folder: Path) -> None:
    """Print the table of loads."""
    random = np.random.default_rng(0)
    for role, shape in (("det", (1, 3, SIDE, SIDE)), ("rec", (1, 3, 48, 320))):
        np.save(folder / f"{role}.npy", random.random(shape, dtype=np.float32))
    files = weight_files(args.small, folder)
    runs = [(name, "opencv", file, [folder / f"{name[:3]}.npy"]) for name, file in files.items()]
    print(f"| {cpu}, OpenCV | bytes | load, million instructions | load (s) | run, million instructions | run (s) |")
    print("|---|---|---|---|---|---|")
    for name, row in measured(guest, cpu, plan_of(runs, args.rounds, folder), folder):
        counts = [millions(row.get(key)) for key in ("load_counts", "counts")]
        size = f"{files[name].stat().st_size:,}"
        print(f"| {name} | {size} | {counts[0]} | {row['load_cpu']:.2f} | {counts[1]} | {row['cpu']:.2f} |", flush=True)


def pictures(guest: Guest, cpu: str, args: argparse.Namespace, folder: Path) -> None:
    """Print how the detector as ConvInteger on ONNX Runtime agrees with the exact emulation on pictures."""
    rules, static = profile(), args.static / "models" / "det.nb"
    images = [read_image(image.path) for image in (*regression_set(), *user_set(args.pictures))]
    inputs = [folder / f"{index}.npy" for index in range(len(images))]
    for image, path in zip(images, inputs, strict=True):
        np.save(path, detection_input(image, rules.detection))
    file = _written({"int": static_int8_onnx(read_nb(static), Form.INTEGER)}, folder)["int"]
    guest.run(cpu, plan_of([("int", "onnxruntime", file, inputs)], 0, folder), folder)
    exact, recognise = _exact(static), open_nb(args.static / "models" / "rec.nb", EngineOptions(threads=1)).run
    characters = load_characters(args.static / "labels.txt", rules.ctc)
    flips, boxes, texts = mask_flips(np.zeros(0), np.zeros(0), rules.db.thresh), BoxAgreement(), TextAgreement()
    with np.load(folder / "int.npz") as answers:
        for index, (image, path) in enumerate(zip(images, inputs, strict=True)):
            maps = exact.compute(np.load(path)), answers[f"arr_{index}"]
            plain, found = (_read(OcrPipeline(rules, _runs(y, recognise), characters), image) for y in maps)
            matching = match_boxes(plain.dt_polys, found.dt_polys)
            flips += mask_flips(*maps, rules.db.thresh)
            boxes += box_agreement(matching)
            texts += text_agreement(plain.rec_texts, found.rec_texts, matching)
    print(f"{len(images)} pictures, {cpu}: flips {flips.share:.3%}, boxes {boxes.identical} of {boxes.slots}, ", end="")
    print(f"lines {texts.equal} of {texts.lines}")


def _runs(prob_map: Float32Array, recognise: Any) -> Runs:
    return Runs(lambda _: prob_map, (recognise,))


def _read(pipeline: OcrPipeline, image: Any) -> OcrResult:
    try:
        return pipeline.read(image)
    finally:
        pipeline.close()


def _exact(nb: Path) -> ExactNbEngine:
    return ExactNbEngine(nb, EngineOptions(threads=1))


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("static", "plain", "small"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--cpu", default=",".join(reversed(arm_lane.CPUS)))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--onnxruntime", default="1.23.2", choices=[v for name, v in _SUMS if name == "onnxruntime"])
    parser.add_argument("--qemu", type=Path, metavar="FOLDER", help="count instructions with this build of QEMU")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="compare answers on pictures instead")
    parser.add_argument("--lines", action="store_true", help="compare nets and threads instead")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-kit-arm-") as scratch:
        folder = Path(scratch)
        guest = open_guest(args.onnxruntime, args.qemu, folder)
        for cpu in args.cpu.split(","):
            tables = (lines,) if args.lines else (pictures,) if args.pictures else (integers, weights)
            for table in tables:
                table(guest, cpu, args, folder)


if __name__ == "__main__":
    main()

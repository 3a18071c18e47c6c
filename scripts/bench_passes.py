"""What the passes of ``model_opt.passes`` win: operators after each pass, Paddle Lite's file, time and difference.

usage: .venv/bin/python scripts/bench_passes.py [--models SET] [--times] [--rounds 40] [--images FOLDER]

- operators in the Paddle program and, converted by opt, in the ARM file, after each pass;
- operators and copies in the OpenCL file, before and after all passes;
- time with one thread, original and optimised in turns within one process, the least time of each, on Paddle Inference
  with both programs written as .pdmodel; for ONNX files on ONNX Runtime too, the file as published against the
  translation of the optimised program that the engine nb runs;
- the largest difference on the images of ``configs/regression`` (or FOLDER), complete pages and their lines, and pixels
  of the detector's mask that flip.

SET is a set of ``configs/models.yaml``. --times leaves the tables of operators out, which need opt.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2  # before paddle, which crashes on the first PNG otherwise
import numpy as np

from edge_kit.engines.base import EngineOptions
from edge_kit.engines.session import make_session
from edge_kit.ocr.detection import detection_input
from edge_kit.ocr.image import read_image
from edge_kit.ocr.recognition import recognition_input
from edge_kit.spec import SpecProfile, profile
from edge_kit.verify.regression import regression_set, user_set
from model_opt.convert import ConvertOptions, ModelPair, OwnWriter
from model_opt.convert.options import Place
from model_opt.formats import read_model
from model_opt.nb import NbSummary, inspect_nb, read_nb
from model_opt.nb.to_onnx import to_onnx
from model_opt.opt_tool import ToolEnv, find_tool
from model_opt.paddle_model import write_model
from model_opt.passes import PASSES, optimise
from model_opt.program import Model
from model_opt.zoo import ModelFiles, fetch, load_zoo

Run = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
SHAPES = {
    "det": ((1, 3, 640, 640), (1, 3, 320, 320)),
    "rec": ((1, 3, 48, 320), (1, 3, 48, 640)),
    "cls": ((1, 3, 48, 192),),
}
CLASSIFIER = "ch_ppocr_mobile_v2.0_cls"
"""Measured with the default set."""


def predictor(pair: ModelPair) -> Run:
    """Make Paddle Inference with one thread on a model."""
    from paddle import inference

    config = inference.Config(str(pair.program_file), str(pair.params_file))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(1)
    made = inference.create_predictor(config)

    def run(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        made.get_input_handle(made.get_input_names()[0]).copy_from_cpu(x)
        made.run()
        return np.asarray(made.get_output_handle(made.get_output_names()[0]).copy_to_cpu())

    return run


def session(model: Path | bytes, origin: Path) -> Run:
    """Make ONNX Runtime with one thread on a file or its bytes."""
    made = make_session(model, EngineOptions(threads=1), origin)
    name = made.get_inputs()[0].name
    return lambda x: np.asarray(made.run(None, {name: x})[0])


def engines_of(files: ModelFiles, before: Model, after: Model, folder: Path) -> Iterator[tuple[str, tuple[Run, Run]]]:
    """Yield an engine's name and original and optimised model on it; the engine of the original's format is the first.

    An ONNX file runs on ONNX Runtime as published, and on Paddle Inference as it was read.
    """
    if files.format == "onnx":
        translated = to_onnx(OwnWriter().in_memory(after, ConvertOptions()), accurate_means=True)
        origin = files.program_file
        yield "ONNX Runtime", (session(origin, origin), session(translated, origin))
    pairs = save(before, folder, "original"), save(after, folder, "optimised")
    yield "Paddle Inference", (predictor(pairs[0]), predictor(pairs[1]))


def save(model: Model, folder: Path, name: str) -> ModelPair:
    """Write a model and return its files."""
    pair = ModelPair(folder / f"{name}.pdmodel", folder / f"{name}.pdiparams")
    write_model(model, pair.program_file, pair.params_file)
    return pair


def lite(pair: ModelPair, place: Place, env: ToolEnv, folder: Path) -> NbSummary:
    """Convert a model and say what is in the file."""
    out = folder / "converted.nb"
    env.convert(pair, ConvertOptions(place), out)
    return inspect_nb(read_nb(out))


def pass_table(model: Model, env: ToolEnv, folder: Path) -> None:
    """Print a line for each pass that changes something, and what is in the file for OpenCL before and after all."""
    original = save(model, folder, "original")
    print("| pass | program | ARM `.nb` | done | left |\n|---|---|---|---|---|")
    print(f"| (original) | {len(model.program.main.ops)} | {lite(original, 'arm', env, folder).ops} | | |")
    for each in PASSES:
        model, report = each(model)
        if report.changed or report.left:
            arm = lite(save(model, folder, "m"), "arm", env, folder).ops
            done = ", ".join(f"{what}: {count}" for what, count in report.done)
            print(f"| `{report.name}` | {report.ops_after} | {arm} | {done} | {len(report.left)} |")
    gpu = [lite(pair, "opencl,arm", env, folder) for pair in (original, save(model, folder, "m"))]
    print(f"\nOpenCL: operators {gpu[0].ops} -> {gpu[1].ops}, io_copy {gpu[0].io_copy} -> {gpu[1].io_copy}")


def least_times(runs: tuple[Run, Run], shape: tuple[int, ...], rounds: int) -> list[float]:
    """Return the least milliseconds of each run, taken in turns."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    least = [float("inf")] * len(runs)
    for number in range(rounds + 2):
        for at, run in enumerate(runs):
            begin = time.perf_counter()
            run(x)
            if number >= 2:  # the first runs choose kernels and grow memory
                least[at] = min(least[at], (time.perf_counter() - begin) * 1e3)
    return least


def inputs(kind: str, rules: SpecProfile, images: Path | None) -> Iterable[np.ndarray[Any, Any]]:
    """Yield the tensors that the pipeline would make: pages for the detector, lines for the others."""
    for image in regression_set() if images is None else user_set(images):
        page = read_image(image.path)
        if kind == "det":
            yield detection_input(page, rules.detection)
            continue
        for line in image.truth or ():
            corners = np.asarray(line.quad, dtype=np.float32)
            x, y, w, h = cv2.boundingRect(corners)
            cut = np.ascontiguousarray(page[max(y, 0) : y + h, max(x, 0) : x + w])
            if cut.size:
                tensor = recognition_input(cut, rules.recognition)
                yield tensor if kind == "rec" else np.ascontiguousarray(tensor[..., :192])


def differences(kind: str, rules: SpecProfile, runs: tuple[Run, Run], images: Path | None) -> str:
    """Return the largest difference, and the flipped mask pixels of the detector."""
    largest, flips, count, threshold = 0.0, 0, 0, rules.db.thresh
    for x in inputs(kind, rules, images):
        before, after = (run(x) for run in runs)
        largest = max(largest, float(np.abs(before - after).max()))
        flips += int(((before > threshold) != (after > threshold)).sum()) if kind == "det" else 0
        count += 1
    return f"largest difference {largest:.1e} on {count} inputs" + (f", {flips} flips" if kind == "det" else "")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", metavar="SET")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--images", type=Path)
    args = parser.parse_args()
    zoo = load_zoo()
    asked = zoo.model_set(args.models)
    env = None if args.times else find_tool()
    for name in (asked.det, asked.rec, *([CLASSIFIER] if asked.name == zoo.default_set else [])):
        files = fetch(name, zoo=zoo)
        with tempfile.TemporaryDirectory() as folder:
            print(f"\n## {name}\n")
            measure(files, profile(asked.profile), env, Path(folder), args)


def measure(files: ModelFiles, rules: SpecProfile, env: ToolEnv | None, folder: Path, args: argparse.Namespace) -> None:
    """Print what there is about one model; the tables of operators with ``env`` only."""
    before = read_model(files.program_file, files.params_file)
    if env is not None:
        pass_table(before, env, folder)
        print()
    for engine, runs in engines_of(files, before, optimise(before)[0], folder):
        for shape in SHAPES[files.kind]:
            old, new = least_times(runs, shape, args.rounds)
            print(f"{engine} {shape[2]}x{shape[3]}: {old:.1f} -> {new:.1f} ms, ratio {new / old:.2f}")
        print(f"{engine}: {differences(files.kind, rules, runs, args.images)}")


if __name__ == "__main__":
    main()

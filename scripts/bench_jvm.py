"""The app's core on a JVM against the Python pipeline, both on OpenCV's DNN module: time by stage, and memory.

usage: .venv/bin/python scripts/bench_jvm.py [--rounds 3] [--threads 1] [--small 1000] [FOLDER]

FOLDER holds more images to read beside the regression set. Each image counts by its least time over the rounds. The
memory series is what the JVM holds outside its heap before, during and after reading the small images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

from edge_kit.ocr.image import SUFFIXES, Image, read_image
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import load_characters
from edge_kit.ocr.tensor import Float32Array, Run
from edge_kit.spec.load import profile
from edge_kit.verify.regression import regression_set
from labs.golden.images import NbModels, write_images
from model_opt.convert import ConvertOptions, OwnWriter, converted
from model_opt.zoo import fetch

ANDROID = Path(__file__).resolve().parent.parent / "android_app"
STAGES = ("det_pre", "det", "det_post", "rec_pre", "rec", "rec_post", "total")


def dnn(onnx: Path) -> Run:
    """Return OpenCV's DNN module on an ONNX file."""
    net = cv2.dnn.readNetFromONNX(str(onnx))

    def run(x: Float32Array) -> Float32Array:
        net.setInput(x)
        return np.asarray(net.forward(), np.float32)

    return run


def python_times(folder: Path, labels: Path, images: list[tuple[str, Image]], rounds: int) -> list[dict[str, float]]:
    """Return the least seconds of each stage for each image; a first round warms up."""
    rules = profile()
    runs = Runs(dnn(folder / "det.onnx"), (dnn(folder / "rec.onnx"),))
    pipeline = OcrPipeline(rules, runs, load_characters(labels, rules.ctc))
    best = [dict.fromkeys(STAGES, float("inf")) for _ in images]
    for count in range(rounds + 1):
        for row, (_, image) in zip(best, images, strict=True):
            timings = pipeline.read(image).timings
            if count:
                row.update({stage: min(row[stage], timings[stage]) for stage in STAGES})
    return best


def java_times(folder: Path, options: argparse.Namespace) -> dict[str, list]:
    """Return what the JVM measured on the images of ``folder``."""
    report = folder / "bench.json"
    settings = {"": report, ".rounds": options.rounds, ".small": options.small, ".threads": options.threads}
    command = ["mvn", "-B", "-ntp", "-q", "-f", str(ANDROID / "pom.xml"), "-pl", "ocr-core,engine-opencv", "test"]
    command += ["-Dtest=Bench", "-Dsurefire.failIfNoSpecifiedTests=false", f"-Dedgekit.images={folder}"]
    command += [f"-Dedgekit.bench{key}={value}" for key, value in settings.items()]
    subprocess.run(command, check=True)
    return json.loads(report.read_text())


def main() -> None:
    """Measure both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--small", type=int, default=1000, help="small images for the memory series, at least 10")
    parser.add_argument("folder", nargs="?", type=Path)
    options = parser.parse_args()
    images = [(image.name, read_image(image.path)) for image in regression_set()]
    if options.folder is not None:
        paths = sorted(path for path in options.folder.iterdir() if path.suffix.lower() in SUFFIXES)
        images += [(path.name, read_image(path)) for path in paths]
    det, rec, arm, writer = fetch("PP-OCRv4_mobile_det"), fetch("PP-OCRv4_mobile_rec"), ConvertOptions(), OwnWriter()
    models = NbModels(converted(det, arm, writer), converted(rec, arm, writer), rec.dictionary)
    cv2.setNumThreads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder, models, images)
        python = python_times(folder, models.labels, images, options.rounds)
        java = java_times(folder, options)
    print(f"{len(images)} images, {options.threads} thread(s), least of {options.rounds} rounds, seconds in sum")
    for stage in STAGES:
        ours = sum(row[stage] for row in java["images"])
        theirs = sum(row[stage] for row in python)
        print(f"{stage:9} python {theirs:8.3f}  jvm {ours:8.3f}  ratio {ours / theirs:5.2f}")
    series = ", ".join(f"{value:.0f}" for value in java["native_megabytes"])
    print(f"native memory over {options.small} small images: {series} MB")


if __name__ == "__main__":
    main()

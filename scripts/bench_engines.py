"""Compare an engine with the server engine on images: tensors, boxes, texts.

usage: .venv/bin/python scripts/bench_engines.py IMAGES [--engine lite_x86|onnx]

Prints one line an image and a table of totals. Recognisers are compared on the same lines; see edge_kit/verify.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from edge_kit.api import create_pipeline
from edge_kit.verify.regression import user_set
from edge_kit.verify.runs import Named, verify_pipelines


def main() -> None:
    """Run both engines and print what they differ in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--engine", default="lite_x86")
    args = parser.parse_args()
    images = [Named(image.name, image.path) for image in user_set(args.images)]
    begin = time.perf_counter()
    with (
        create_pipeline("ocr", engine="server", threads=1) as reference,
        create_pipeline("ocr", engine=args.engine, threads=1) as candidate,
    ):
        verified = verify_pipelines(
            reference.ocr, {args.engine: candidate.ocr}, images, lambda _, name: print(name, file=sys.stderr)
        )
    done = verified[args.engine]
    for row in done.comparison.worst_first:
        m = row.measures
        print(f"{row.name}: det {m.det.max_abs:.2e}, rec {m.rec.max_abs:.2e}, lines {m.texts.equal}/{m.texts.lines}")
    print("| metric | value |\n|---|---|")
    for name, value in done.comparison.total.metrics().items():
        print(f"| {name} | {value:.6g} |")
    for name, count in done.comparison.to_dict()["counts"].items():
        print(f"| {name} | {count} |")
    print(f"{len(images)} images, {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()

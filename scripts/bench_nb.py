"""Speed of the engine nb against the paddle2onnx export and Paddle Lite's x86 kernels, and its load time.

usage: .venv/bin/python scripts/bench_nb.py [--rounds 15]

One thread; the same input; rounds alternate between the engines and the least time of each counts.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from edge_kit.engines.base import Engine, EngineOptions
from edge_kit.engines.factory import create_engine
from edge_kit.engines.nb import NbEngine
from model_opt.convert import ConvertOptions, OwnWriter, converted
from model_opt.zoo import fetch

INPUTS = {"PP-OCRv4_mobile_det": (1, 3, 640, 640), "PP-OCRv4_mobile_rec": (1, 3, 48, 320)}


def seconds(engine: Engine, x: np.ndarray) -> float:
    """Return the time of one run."""
    begin = time.perf_counter()
    engine.run(x)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    options = EngineOptions(threads=1)
    random = np.random.default_rng(0)
    print("| model | nb (ms) | onnx | server | lite_x86 | onnx / nb | lite_x86 / nb |\n|---|---|---|---|---|---|---|")
    for name, shape in INPUTS.items():
        model = fetch(name)
        engines = {kind: create_engine(kind, model, options) for kind in ("nb", "onnx", "server", "lite_x86")}
        x = random.uniform(-1, 1, shape).astype(np.float32)
        least = {kind: min(seconds(engine, x) for _ in range(2)) for kind, engine in engines.items()}
        for _ in range(rounds):
            least = {kind: min(least[kind], seconds(engine, x)) for kind, engine in engines.items()}
        ms = {kind: value * 1000 for kind, value in least.items()}
        shown = " | ".join(f"{ms[kind]:.1f}" for kind in engines)
        ratios = f"{ms['onnx'] / ms['nb']:.2f} | {ms['lite_x86'] / ms['nb']:.2f}"
        print(f"| {name} {'x'.join(map(str, shape[2:]))} | {shown} | {ratios} |")
        for engine in engines.values():
            engine.close()
    paths = [converted(fetch(name), ConvertOptions(), OwnWriter()) for name in INPUTS]
    begin = time.perf_counter()
    for path in paths:
        NbEngine(path, options)
    print(f"\nload of both .nb files (read, translate, session): {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()

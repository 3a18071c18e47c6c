"""Time and memory of `edge-kit build --target arm64`: cold, unchanged, and the time of `--help`.

usage: .venv/bin/python scripts/bench_build.py [--recipe fp32] [--apk]

Models and wheels are in the cache (fetched first if not); results of stages are not. Memory is the largest sum of
the proportional set sizes of the process and all its children, sampled every 20 ms.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from edge_kit.stages.oracle import find_oracle
from model_opt.resources import cache_dir
from model_opt.zoo import fetch

ROOT = Path(__file__).resolve().parent.parent


def tree_memory(process: psutil.Process) -> int:
    """Return the bytes of a process and all its children, shared pages counted once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def measure(*args: str, cache: Path) -> tuple[float, int]:
    """Run the command line and return its seconds and its peak memory in bytes."""
    begin = time.perf_counter()
    child = subprocess.Popen(
        [str(ROOT / "scripts" / "edge-kit"), *args],
        env={**os.environ, "EDGE_KIT_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
    )
    process, peak = psutil.Process(child.pid), 0
    while child.poll() is None:
        peak = max(peak, tree_memory(process))
        time.sleep(0.02)
    if child.returncode:
        sys.exit(f"edge-kit {' '.join(args)} ended with {child.returncode}")
    return time.perf_counter() - begin, peak


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="fp32")
    parser.add_argument("--apk", action="store_true", help="build the Android app as well")
    args = parser.parse_args()
    find_oracle(offline=False)
    fetch("PP-OCRv4_mobile_det")
    fetch("PP-OCRv4_mobile_rec")
    downloads = cache_dir()
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name) / "cache"
        cache.mkdir()
        for part in ("files", "tools", "models"):
            if (downloads / part).is_dir():
                (cache / part).symlink_to(downloads / part)
        app = "--apk" if args.apk else "--no-apk"
        build = ("build", "--target", "arm64", "--recipe", args.recipe, "--out", str(Path(name) / "bundle"), app)
        rows = [
            ("cold build", *measure(*build, cache=cache)),
            ("unchanged second build", *measure(*build, cache=cache)),
            ("edge-kit --help", *min(measure("--help", cache=cache) for _ in range(5))),
        ]
    print("| what | seconds | peak memory (MB) |\n|---|---|---|")
    for what, seconds, peak in rows:
        print(f"| {what} | {seconds:.2f} | {peak / 1e6:.0f} |")


if __name__ == "__main__":
    main()

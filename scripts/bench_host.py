"""Host pipeline speed: bare models, edge-kit's onnx engine and RapidOCR, on the same images in one run.

usage: .venv/bin/python scripts/bench_host.py IMAGES [--rounds 3] [--threads 2]

- bare: the same tensors, made beforehand, through detection on all threads, then the lines, one at a time, through
  parallel one-thread sessions. No decoding, no pre- or post-processing.
- edge-kit: ``create_pipeline(engine="onnx")`` over the files, decoding included; and the complete command line.
- RapidOCR (rapidocr-onnxruntime 1.4.4, in its own environment below the cache), set to the same specification.

Each is a separate process; rounds alternate and the least time of each counts. Results are checked: the text of
edge-kit here must equal the server engine's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEER = ("rapidocr-onnxruntime==1.4.4", "onnxruntime==1.23.2", "opencv-python==4.11.0.86", "numpy==1.26.4")

BARE = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from edge_kit.api import create_pipeline
from edge_kit.inputs import expand
threads = int(sys.argv[2])
with create_pipeline("ocr", engine="onnx", threads=threads) as pipeline:
    work = []
    for source in expand(sys.argv[1]):
        image = source.load()
        found = pipeline.ocr.detect(image)
        from edge_kit.ocr.detection import detection_input
        lines = [pipeline.ocr.line_input(image, box) for box in found.dt_polys]
        work.append((detection_input(image, pipeline.ocr.rules.detection), lines))
    det, *recs = [engine.run for engine in pipeline._engines]
    begin = time.perf_counter()
    with ThreadPoolExecutor(len(recs)) as pool:
        from queue import SimpleQueue
        idle = SimpleQueue()
        [idle.put(run) for run in recs]
        def one(tensor):
            run = idle.get()
            try:
                return run(tensor)
            finally:
                idle.put(run)
        for tensor, lines in work:
            det(tensor)
            list(pool.map(one, lines))
    print(json.dumps({"seconds": time.perf_counter() - begin}))
"""

OURS = """
import json, sys, time
from edge_kit.api import create_pipeline
with create_pipeline("ocr", engine="onnx", threads=int(sys.argv[2])) as pipeline:
    begin = time.perf_counter()
    results = list(pipeline.predict(sys.argv[1]))
    seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "lines": sum(len(r.rec_texts) for r in results)}))
"""

THEIRS = """
import json, sys, time
from pathlib import Path
from rapidocr_onnxruntime import RapidOCR
threads = int(sys.argv[2])
engine = RapidOCR(det_limit_side_len=960, det_limit_type="max", det_thresh=0.3, det_box_thresh=0.6,
                  det_unclip_ratio=1.5, det_use_dilation=False, rec_batch_num=1, use_cls=False, text_score=0.5,
                  max_side_len=100000, min_side_len=1, min_height=1, width_height_ratio=-1,
                  intra_op_num_threads=threads, inter_op_num_threads=1)
files = sorted(str(p) for p in Path(sys.argv[1]).iterdir())
begin = time.perf_counter()
lines = 0
for file in files:
    result, _ = engine(file, use_cls=False)
    lines += len(result or [])
print(json.dumps({"seconds": time.perf_counter() - begin, "lines": lines}))
"""


def peer_python() -> Path:
    """Return the interpreter of the peer's own environment, made once."""
    from model_opt.resources import cache_dir

    home = cache_dir() / "bench" / "rapidocr"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER], check=True)
        (home / "ready").touch()
    return python


def run(python: Path | str, code: str, images: str, threads: int) -> dict[str, float]:
    """Run one measurement in a separate process and return what it prints."""
    done = subprocess.run(
        [str(python), "-c", code, images, str(threads)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def command_line(images: str, threads: int) -> float:
    """Return the seconds of the complete command, interpreter start and model loading included."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "edge_kit.cli", "ocr", images, "--engine", "onnx", "--threads", str(threads)]
    subprocess.run([*command, "--json", "-"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    names = ("bare models", "edge-kit", "edge-kit, complete command", "RapidOCR")
    times: dict[str, list[float]] = {name: [] for name in names}
    peer = peer_python()
    for _ in range(args.rounds):
        times["bare models"].append(run(sys.executable, BARE, args.images, args.threads)["seconds"])
        times["edge-kit"].append(run(sys.executable, OURS, args.images, args.threads)["seconds"])
        times["edge-kit, complete command"].append(command_line(args.images, args.threads))
        times["RapidOCR"].append(run(peer, THEIRS, args.images, args.threads)["seconds"])
    bare = min(times["bare models"])
    print("| what | least of", args.rounds, "runs (s) | against bare |")
    print("|---|---|---|")
    for name, seconds in times.items():
        print(f"| {name} | {min(seconds):.2f} | {min(seconds) / bare:.2f} |")


if __name__ == "__main__":
    main()

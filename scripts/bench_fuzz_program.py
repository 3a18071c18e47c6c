#!/usr/bin/env python3
"""Feed the reader of Paddle programs, its checks and the passes damaged models: typed errors only, and quickly.

    python scripts/bench_fuzz_program.py --count 300000 [FOLDER ...]

A run damages one of the models in the folders, or of the tests' small ones when none is given, in one of two ways.
Bytes: bits, numbers, pieces cut out, doubled or moved in ``.pdmodel`` or ``.pdiparams``. Structure (``--structure``,
the share of the runs): attributes, operators, arguments, sizes and parameters of a model that was read, which only the
checks and the passes can notice; what fails so is tried once more by way of its files before it counts. A model goes
through what ``build`` does before a converter is called: read, checked (kind, sizes, quantisation, operators),
completed, optimised, encoded again. What breaks the promise is written to ``--out`` and the exit code is 1. The same
seed and count repeat the same runs; SIGTERM ends them early, with the figures so far.
"""

from __future__ import annotations

import argparse
import functools
import random
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model_opt.errors import KitError  # noqa: E402
from model_opt.opt_tool.conv_pairs import kept_apart  # noqa: E402
from model_opt.paddle_model import complete, decode_model, read_model  # noqa: E402
from model_opt.passes import optimise  # noqa: E402
from model_opt.program import Model  # noqa: E402
from model_opt.zoo.inspect import interface_of  # noqa: E402
from model_opt.zoo.operators import check_known, check_not_quantised  # noqa: E402
from tests.model_opt.program_cases import CASES  # noqa: E402
from tests.model_opt.program_mutator import file_bytes, mutate_bytes, mutate_model  # noqa: E402

SLOW_SECONDS = 2.0  # of the processor, as the machine may be busy
HANG_SECONDS = 60
MOST_MEMORY = 2 << 30
FILE_SHARE = 0.1
NOWHERE = Path("inference.pdmodel")
REPORT_EVERY = 10_000
BROKEN = "BROKEN "


def try_files(program: bytes, params: bytes, deep: bool = True) -> str:
    """Read two files and go on as ``try_model`` does; return what came of it."""
    try:
        model = decode_model(program, params)
    except KitError:
        return "reader: refused"
    return try_model(model, deep)


def try_model(model: Model, deep: bool = True) -> str:
    """Check, complete, optimise (``deep``) and encode a model; return ``optimised``, or who refused it."""
    try:
        check_not_quantised(model.program, NOWHERE)
        interface_of(model.program, NOWHERE)
        check_known(model.program, NOWHERE)
    except KitError:
        return "checks: refused"
    if not deep:
        file_bytes(kept_apart(complete(model)[0]))
        return "checks: passed"
    try:
        made, _ = optimise(model)
    except KitError:
        return "passes: refused"
    file_bytes(kept_apart(complete(made)[0]))
    return "passes: optimised"


def one_run(
    rng: random.Random, models: list[Model], structure: float, passes: float = 1.0
) -> tuple[str, tuple[bytes, bytes] | None]:
    """Damage one model and try it; return the outcome and, for a broken promise, the files that break it."""
    model = rng.choice(models)
    if rng.random() >= structure:
        program, params = _files_of(model)
        if rng.random() < 0.75:
            program = mutate_bytes(rng, program)
        else:
            params = mutate_bytes(rng, params)
        return _promised(program, params, rng.random() < passes)
    try:
        damaged = mutate_model(rng, model, models)
        if rng.random() < FILE_SHARE:
            return _promised(*file_bytes(damaged))
    except (ValueError, TypeError, OverflowError):
        return "no such file", None  # the damage is none that a file can hold
    try:
        return try_model(damaged), None
    except Exception:  # noqa: BLE001  do files do the same?
        signal.alarm(HANG_SECONDS)
        return _promised(*file_bytes(damaged))


@functools.cache
def _files_of(model: Model) -> tuple[bytes, bytes]:
    return file_bytes(model)


def _promised(program: bytes, params: bytes, deep: bool = True) -> tuple[str, tuple[bytes, bytes] | None]:
    begin = time.process_time()
    try:
        outcome = try_files(program, params, deep)
    except Exception as error:  # noqa: BLE001  any other exception is what this script looks for
        return f"{BROKEN}{type(error).__name__}: {error}", (program, params)
    seconds = time.process_time() - begin
    return (f"{BROKEN}{seconds:.1f} s", (program, params)) if seconds > SLOW_SECONDS else (outcome, None)


def _hung(number: int, frame: object) -> None:
    raise TimeoutError(f"no answer for {HANG_SECONDS} s")


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of models (default: the tests' small ones)")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--structure", type=float, default=0.2, help="share of runs that damage a model that was read")
    parser.add_argument("--passes", type=float, default=1.0, help="share of readable damaged files that the passes get")
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    args = parser.parse_args()
    models = [read_model(f / "inference.pdmodel", f / "inference.pdiparams") for f in args.folders]
    models = models or [make() for make in CASES.values()]
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGALRM, _hung)
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    warnings.simplefilter("error")
    stopped: list[bool] = []
    rng = random.Random(args.seed)
    outcomes: Counter[str] = Counter()
    failures: list[tuple[str, tuple[bytes, bytes]]] = []
    slowest, begin = 0.0, time.perf_counter()
    for _ in range(args.count):
        if stopped:
            break
        started = time.process_time()
        signal.alarm(HANG_SECONDS)
        outcome, files = one_run(rng, models, args.structure, args.passes)
        signal.alarm(0)
        if sum(outcomes.values()) % REPORT_EVERY == REPORT_EVERY - 1:
            print(f"{sum(outcomes.values()) + 1} runs, {time.perf_counter() - begin:.0f} s", flush=True)
        slowest = max(slowest, time.process_time() - started)
        outcomes[outcome.split(":")[0] if files else outcome] += 1
        if files:
            failures.append((outcome, files))
            print(f"FAILED: {outcome}", flush=True)
            if len(failures) >= 20:
                break
    return report(outcomes, failures, slowest, time.perf_counter() - begin, args.out)


def report(
    outcomes: Counter[str], failures: list[tuple[str, tuple[bytes, bytes]]], slowest: float, seconds: float, out: Path
) -> int:
    """Print the figures, write the failures, return the exit code."""
    runs = sum(outcomes.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{runs} runs in {seconds:.0f} s ({runs / seconds:.0f} a second), peak memory {peak:.0f} MB")
    print(f"slowest run {slowest * 1000:.0f} ms of the processor")
    for name, count in outcomes.most_common():
        print(f"  {count:9d}  {name}")
    for number, (what, (program, params)) in enumerate(failures):
        folder = out / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "inference.pdmodel").write_bytes(program)
        (folder / "inference.pdiparams").write_bytes(params)
        print(f"FAILED {folder}: {what}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Feed the ``.nb`` reader and translator damaged files: they must answer or raise an ``NbError``, and quickly.

    python scripts/bench_fuzz_nb.py --count 1000000 --jobs 2 [FILE.nb ...]

A run damages one of the files, or of the tests' programs when none is given, in one of two ways. Bytes: bits, numbers,
offsets, lengths, pieces cut out, doubled or moved; the file is read, summarised, canonicalised and translated to ONNX.
Structure (``--structure``, the share of the runs): attributes, operators, kernels, names, sizes and parameters of a
model that was read, which only the translator can notice; now and then by way of a file, and always before a finding
counts. What breaks the promise is written to ``--out`` and the exit code is 1. The same seed, count and jobs repeat
the same runs. Small files (a few KB) give a thousand runs a second.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import resource
import signal
import struct
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from model_opt.nb import NbError, NbModel, canonicalise, guard_place, inspect_nb, read_nb  # noqa: E402
from model_opt.nb.to_onnx import to_onnx  # noqa: E402
from tests.model_opt.nb_mutator import mutate_model, to_bytes  # noqa: E402
from tests.model_opt.nb_op_cases import CASES  # noqa: E402

SLOW_SECONDS = 2.0  # of the processor, as the machine may be busy
HANG_SECONDS = 60
MOST_MEMORY = 2 << 30
MOST_GROWTH = 1 << 20
"""Bytes that a translation may take beyond eight times its file (int8 weights become float32, opt's notes ONNX)."""
FILE_SHARE = 0.1
BROKEN = "BROKEN "
NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF)


@dataclass
class Tally:
    """What a worker saw."""

    runs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    failures: list[tuple[str, bytes]] = field(default_factory=list)


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Return ``data`` with one to four damages."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if len(damaged) < 8:
            break
        _damage(rng, damaged)
    return bytes(damaged)


def _damage(rng: random.Random, data: bytearray) -> None:
    # Three damages in four go where the structure is, not into the megabytes of parameters.
    topology = min(len(data), 26 + struct.unpack_from("<Q", data.ljust(26, b"\0"), 18)[0] + 256)
    end = topology if rng.random() < 0.75 else len(data)
    at = rng.randrange(max(1, end - 4))
    kind = rng.randrange(8)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at] = rng.randrange(256)
    elif kind == 2:
        struct.pack_into("<I", data, at, rng.choice(NUMBERS))
    elif kind == 3:
        aligned = min(26 + (at - 26) // 4 * 4, len(data) - 4) if at >= 26 else 0
        (number,) = struct.unpack_from("<I", data, aligned)
        struct.pack_into("<I", data, aligned, (number + rng.choice((-8, -4, -1, 1, 4, 8, 64))) & 0xFFFFFFFF)
    elif kind == 4:
        struct.pack_into("<I", data, at, rng.randrange(len(data)))
    elif kind == 5:
        del data[rng.randrange(len(data)) :]
    elif kind == 6:
        del data[at : at + rng.randrange(1, 65)]
    else:
        piece = data[at : at + rng.randrange(1, 65)]
        target = rng.randrange(len(data))
        data[target : target + rng.choice((0, len(piece)))] = piece


def try_bytes(data: bytes) -> str:
    """Read, summarise, canonicalise and translate; return ``onnx``, or the section of the ``NbError``."""
    try:
        model = read_nb(data)
        inspect_nb(model, pinned_opt="2.14rc0").to_json()
        read_nb(canonicalise(data))
    except NbError as error:
        return f"reader: {(error.section or 'file').split(' ')[0]}"
    with contextlib.suppress(NbError):
        guard_place(model, "arm")
    return try_model(model)


def try_model(model: NbModel) -> str:
    """Translate; return ``onnx``, or ``translator`` for an ``NbError``."""
    try:
        made = len(to_onnx(model))
    except NbError:
        return "translator: refused"
    if made > 8 * model.nbytes + MOST_GROWTH:
        raise MemoryError(f"{made} bytes of ONNX from a file of {model.nbytes}")
    return "translator: onnx"


def try_structure(rng: random.Random, model: NbModel, others: list[NbModel]) -> tuple[str, bytes | None]:
    """Try a damaged model, now and then by way of its file; a fault that no file can cause is none."""
    damaged = mutate_model(rng, model, others)
    if rng.random() < FILE_SHARE:
        return _try_file(to_bytes(damaged))
    try:
        return try_model(damaged), None
    except Exception:  # noqa: BLE001  does a file do the same?
        return _try_file(to_bytes(damaged))


def _try_file(data: bytes) -> tuple[str, bytes | None]:
    start = time.process_time()
    try:
        outcome = try_bytes(data)
    except Exception as error:  # noqa: BLE001  any other exception is what this script looks for
        return f"{BROKEN}{type(error).__name__}: {error}", data
    seconds = time.process_time() - start
    return (f"{BROKEN}{seconds:.1f} s", data) if seconds > SLOW_SECONDS else (outcome, None)


def _hung(number: int, frame: object) -> None:
    raise TimeoutError(f"no answer for {HANG_SECONDS} s")


def work(job: tuple[int, int, float, list[bytes]]) -> Tally:
    """Run one worker's share."""
    seed, count, structure, originals = job
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGALRM, _hung)
    warnings.simplefilter("error")
    rng = random.Random(seed)
    models = [read_nb(data) for data in originals]
    tally = Tally()
    for _ in range(count):
        at = rng.randrange(len(originals))
        start = time.process_time()
        signal.alarm(HANG_SECONDS)
        if rng.random() < structure:
            outcome, damaged = try_structure(rng, models[at], models)
        else:
            outcome, damaged = _try_file(mutate(rng, originals[at]))
        signal.alarm(0)
        if damaged is not None:
            tally.failures.append((outcome, damaged))
        tally.runs += 1
        tally.outcomes[outcome.split(" ")[0] if damaged else outcome] += 1
        tally.slowest = max(tally.slowest, time.process_time() - start)
        if len(tally.failures) >= 20:
            break
    return tally


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help=".nb files to start from (default: the tests' programs)")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--structure", type=float, default=0.8, help="share of the runs that damage a model that was read"
    )
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    args = parser.parse_args()
    originals = [path.read_bytes() for path in args.files] or [to_bytes(case.model()) for case in CASES]
    for data in originals:
        read_nb(data)
    share = -(-args.count // args.jobs)
    shares = [(args.seed * 1000 + job, share, args.structure, originals) for job in range(args.jobs)]
    start = time.perf_counter()
    with multiprocessing.Pool(args.jobs) as pool:
        tallies = pool.map(work, shares)
    return report(tallies, time.perf_counter() - start, args.out)


def report(tallies: list[Tally], seconds: float, out: Path) -> int:
    """Print the figures, write the failures, return the exit code."""
    runs = sum(tally.runs for tally in tallies)
    outcomes = sum((tally.outcomes for tally in tallies), Counter())
    failures = [failure for tally in tallies for failure in tally.failures]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{runs} runs in {seconds:.0f} s ({runs / seconds:.0f} a second), peak memory {peak:.0f} MB")
    print(f"slowest run {max(tally.slowest for tally in tallies) * 1000:.0f} ms")
    for name, count in outcomes.most_common():
        print(f"  {count:9d}  {name}")
    for number, (what, data) in enumerate(failures):
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{number}.nb").write_bytes(data)
        print(f"FAILED {out / f'{number}.nb'}: {what}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

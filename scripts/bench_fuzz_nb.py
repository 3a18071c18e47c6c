#!/usr/bin/env python3
"""Feed the ``.nb`` reader damaged files: it must answer with a model or an ``NbError``, and quickly.

    python scripts/bench_fuzz_nb.py --count 1000000 --jobs 2 FILE.nb [FILE.nb ...]

Each run damages one of the files (bits, numbers, offsets, lengths, pieces cut out, doubled or moved), then reads,
summarises and canonicalises it. What breaks the promise is written to ``--out`` and the exit code is 1. The same
seed and count repeat the same runs. Small files (a few KB) give thousands of runs a second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model_opt.nb import NbError, canonicalise, guard_place, inspect_nb, read_nb

SLOW_SECONDS = 2.0
NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF)


@dataclass
class Tally:
    """What a worker saw."""

    runs: int = 0
    models: int = 0
    sections: Counter[str] = field(default_factory=Counter)
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


def try_one(data: bytes) -> str:
    """Read, summarise and canonicalise; return ``model`` or the section of the ``NbError``."""
    try:
        model = read_nb(data)
        inspect_nb(model, pinned_opt="2.14rc0").to_json()
        read_nb(canonicalise(data))
        guard_place(model, "arm")
    except NbError as error:
        return (error.section or "guard").split(" ")[0]
    return "model"


def work(job: tuple[int, int, list[bytes]]) -> Tally:
    """Run one worker's share."""
    seed, count, originals = job
    rng = random.Random(seed)
    tally = Tally()
    for _ in range(count):
        data = mutate(rng, rng.choice(originals))
        start = time.perf_counter()
        try:
            outcome = try_one(data)
        except Exception as error:  # noqa: BLE001  any other exception is what this script looks for
            tally.failures.append((f"{type(error).__name__}: {error}", data))
            outcome = "broken promise"
        seconds = time.perf_counter() - start
        if seconds > SLOW_SECONDS:
            tally.failures.append((f"{seconds:.1f} s", data))
        tally.runs += 1
        tally.models += outcome == "model"
        tally.sections[outcome] += 1
        tally.slowest = max(tally.slowest, seconds)
        if len(tally.failures) >= 20:
            break
    return tally


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help=".nb files to start from")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    args = parser.parse_args()
    originals = [path.read_bytes() for path in args.files]
    for data in originals:
        read_nb(data)
    share = -(-args.count // args.jobs)
    start = time.perf_counter()
    with multiprocessing.Pool(args.jobs) as pool:
        tallies = pool.map(work, [(args.seed * 1000 + job, share, originals) for job in range(args.jobs)])
    return report(tallies, time.perf_counter() - start, args.out)


def report(tallies: list[Tally], seconds: float, out: Path) -> int:
    """Print the figures, write the failures, return the exit code."""
    runs = sum(tally.runs for tally in tallies)
    sections = sum((tally.sections for tally in tallies), Counter())
    failures = [failure for tally in tallies for failure in tally.failures]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{runs} runs in {seconds:.0f} s ({runs / seconds:.0f} a second), peak memory {peak:.0f} MB")
    print(f"slowest run {max(tally.slowest for tally in tallies) * 1000:.0f} ms")
    for name, count in sections.most_common():
        print(f"  {count:9d}  {name}")
    for number, (what, data) in enumerate(failures):
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{number}.nb").write_bytes(data)
        print(f"FAILED {out / f'{number}.nb'}: {what}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the fuzzers of model files share: their limits, the loop, the report, and the files that break a promise."""

from __future__ import annotations

import argparse
import resource
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SLOW_SECONDS = 2.0  # of the processor, as the machine may be busy
HANG_SECONDS = 60
MOST_MEMORY = 2 << 30
MOST_FAILURES = 20
REPORT_EVERY = 10_000
BROKEN = "BROKEN "

Files = Mapping[str, bytes]
Outcome = tuple[str, Files | None]
"""What came of a run and, for a broken promise, the files that break it."""


def promised(files: Files, attempt: Callable[[], str]) -> Outcome:
    """Return the outcome of ``attempt`` on ``files``; any exception and a slow answer break the promise."""
    begin = time.process_time()
    try:
        outcome = attempt()
    except Exception as error:  # noqa: BLE001  any exception that comes here is what a fuzzer looks for
        return f"{BROKEN}{type(error).__name__}: {error}", files
    seconds = time.process_time() - begin
    return (f"{BROKEN}{seconds:.1f} s", files) if seconds > SLOW_SECONDS else (outcome, None)


def options(description: str | None, folders: str) -> argparse.ArgumentParser:
    """Return a parser of what every fuzzer takes; ``folders`` says what the folders are for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help=folders)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    return parser


def fuzz(count: int, out: Path, one: Callable[[int], tuple[str, Outcome]]) -> int:
    """Run ``one`` for each number below ``count`` within the limits, report, and return the exit code.

    ``one`` returns what its outcome is counted under, "" for nothing, and the outcome. SIGTERM ends the runs early.
    """
    stopped: list[bool] = []
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGALRM, _hung)
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    warnings.simplefilter("error")
    outcomes, failures = Counter[str](), list[tuple[str, Files]]()
    slowest, begin = 0.0, time.perf_counter()
    for number in range(count):
        if stopped or len(failures) >= MOST_FAILURES:
            break
        started = time.process_time()
        signal.alarm(HANG_SECONDS)
        label, (outcome, files) = one(number)
        signal.alarm(0)
        slowest = max(slowest, time.process_time() - started)
        outcomes[label + (outcome.split(":")[0] if files else outcome)] += 1
        if files is not None:
            failures.append((outcome, files))
            print(f"FAILED: {outcome}", flush=True)
        if number % REPORT_EVERY == REPORT_EVERY - 1:
            print(f"{number + 1} runs, {time.perf_counter() - begin:.0f} s", flush=True)
    return _report(outcomes, failures, slowest, time.perf_counter() - begin, out)


def _hung(number: int, frame: object) -> None:
    raise TimeoutError(f"no answer for {HANG_SECONDS} s")


def _report(
    outcomes: Counter[str], failures: Sequence[tuple[str, Files]], slowest: float, seconds: float, out: Path
) -> int:
    """Print the figures, write the failures, return the exit code."""
    runs = sum(outcomes.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{runs} runs in {seconds:.0f} s ({runs / seconds:.0f} a second), peak memory {peak:.0f} MB")
    print(f"slowest run {slowest * 1000:.0f} ms of the processor")
    for name, times in outcomes.most_common():
        print(f"  {times:9d}  {name}")
    for number, (what, files) in enumerate(failures):
        folder = out / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        print(f"FAILED {folder}: {what}")
    return 1 if failures else 0

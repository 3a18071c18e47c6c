"""Runs ``edge-kit batch`` over many pictures, kills it at random, and measures memory and rate.

    .venv/bin/python scripts/bench_batch.py [--parts kill,ray,memory] [--count 1000] [--many 10000] [--json FILE]

Every picture shows its own number, so that a row of another input would be seen.

kill    one run to its end; one that is killed (SIGKILL) five times at random and started again: the rows must be equal
ray     the same pictures with ``--on ray``: the rows must be equal to those of the local run
memory  many pictures: resident memory of the process and of its workers over time
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from edge_kit.batch.rows import TIMES
from edge_kit.batch.shards import Shards

SHARD = 50
KILLS = 5
EVERY_SECONDS = 0.5


@dataclass
class Ended:
    """How a run of the command ended."""

    code: int
    seconds: float
    read: int
    """Inputs that it read, 0 where it was killed."""
    memory: list[tuple[int, int]] = field(default_factory=list)
    """Resident bytes of the process and of all its workers, every half second."""


def write_pictures(folder: Path, count: int) -> None:
    """Write pictures of 160 x 48 pixels with their number in large digits."""
    folder.mkdir(parents=True)
    for i in range(count):
        image = np.full((48, 160, 3), 255, np.uint8)
        cv2.putText(image, f"{i:05d}", (18, 36), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 2, cv2.LINE_AA)
        (folder / f"{i:05d}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())


@dataclass(frozen=True)
class Kill:
    """When to kill a run: so many seconds after it has committed so many shards."""

    shards: int
    seconds: float


def call(models: str, folder: Path, out: Path, *more: str, kill: Kill | None = None) -> Ended:
    """Run the command; end it by SIGKILL, if asked for."""
    command = [sys.executable, "-m", "edge_kit.cli", "batch", str(folder), "--out", str(out), "--models", models]
    command += ["--shard-size", str(SHARD), "--json", *more]
    begin = time.monotonic()
    ended = Ended(0, 0.0, 0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        goal = committed(out) + (kill.shards * SHARD if kill else 0)
        while process.poll() is None:
            time.sleep(EVERY_SECONDS if kill is None else 0.05)
            if kill is not None and committed(out) >= goal:
                time.sleep(kill.seconds)
                process.send_signal(signal.SIGKILL)
                break
            ended.memory += _memory(process.pid)
        stdout, stderr = process.communicate()
    ended.code, ended.seconds = process.returncode, time.monotonic() - begin
    if ended.code == 0:
        ended.read = json.loads(stdout)["read"]
    elif ended.code != -signal.SIGKILL:
        raise SystemExit(f"the run ended with {ended.code}: {stderr}")
    return ended


def _memory(pid: int) -> list[tuple[int, int]]:
    try:
        process = psutil.Process(pid)
        workers = sum(one.memory_info().rss for one in process.children(recursive=True))
        return [(process.memory_info().rss, workers)]
    except psutil.Error:
        return []


def rows(out: Path) -> list[dict[str, Any]]:
    """Return the rows of a run without the fields that hold times."""
    found = Shards(out, "jsonl", SHARD, "kit").rows()
    return [{key: value for key, value in row.items() if key not in TIMES} for row in found]


def faults(found: Sequence[dict[str, Any]], count: int) -> list[str]:
    """Return what is wrong with the rows of ``count`` pictures: lost and doubled ones, and rows of others."""
    numbers = [row["index"] for row in found]
    wrong = [f"lost {i}" for i in sorted(set(range(count)) - set(numbers))]
    wrong += [f"{len(numbers) - len(set(numbers))} doubled"] if len(numbers) != len(set(numbers)) else []
    wrong += [f"error in {row['path']}: {row['error']}" for row in found if row["error"]]
    return wrong + [f"{row['path']} is not number {row['index']}" for row in found if _stem(row) != row["index"]]


def _stem(row: dict[str, Any]) -> int:
    return int(Path(row["path"]).stem)


def own_number(found: Sequence[dict[str, Any]]) -> int:
    """Return how many rows read the number of their own picture."""
    return sum("".join(row.get("rec_texts", ())) == f"{row['index']:05d}" for row in found)


def part_kill(models: str, folder: Path, base: Path, count: int) -> dict[str, Any]:
    """Run once undisturbed, once with kills, and compare."""
    calm = call(models, folder, base / "calm")
    expected = rows(base / "calm")
    chance, kills, done = random.Random(7), 0, []
    while kills < KILLS:
        moment = Kill(chance.randint(1, 2), chance.uniform(0.0, 1.0))
        if call(models, folder, base / "killed", kill=moment).code == 0:
            raise SystemExit("a run ended before it was killed: give a larger --count")
        kills += 1
        done.append(committed(base / "killed"))
    last = call(models, folder, base / "killed")
    found = rows(base / "killed")
    return {
        "inputs": count,
        "kills": kills,
        "inputs_kept_after_each_kill": done,
        "rows": len(found),
        "faults": faults(found, count),
        "equal_to_the_undisturbed_run": found == expected,
        "rows_that_read_their_own_number": own_number(found),
        "read_by_the_last_run": last.read,
        "seconds": round(calm.seconds, 1),
        "inputs_a_second": round(count / calm.seconds, 1),
    }


def committed(out: Path) -> int:
    """Return the inputs of complete shards."""
    log = out / "done.jsonl"
    lines = log.read_bytes().splitlines() if log.exists() else []
    return sum(json.loads(line)["inputs"] for line in lines if line.endswith(b"}"))


def part_ray(models: str, folder: Path, base: Path, count: int) -> dict[str, Any]:
    """Run on Ray, and compare with the local rows."""
    if not (base / "calm").exists():
        call(models, folder, base / "calm")
    ended = call(models, folder, base / "ray", "--on", "ray")
    found = rows(base / "ray")
    return {
        "inputs": count,
        "faults": faults(found, count),
        "equal_to_the_local_run": found == rows(base / "calm"),
        "seconds": round(ended.seconds, 1),
        "inputs_a_second": round(count / ended.seconds, 1),
    }


def part_memory(models: str, base: Path, count: int) -> dict[str, Any]:
    """Read many pictures and compare the middle third's memory with the last third's."""
    write_pictures(base / "many", count)
    ended = call(models, base / "many", base / "memory")
    third = max(1, len(ended.memory) // 3)

    def mib(part: Sequence[tuple[int, int]], index: int) -> float:
        return round(statistics.median(entry[index] for entry in part) / 2**20, 1)

    middle, last = ended.memory[third : 2 * third], ended.memory[2 * third : -1] or ended.memory[-1:]
    found = rows(base / "memory")
    return {
        "inputs": count,
        "faults": faults(found, count),
        "rows_that_read_their_own_number": own_number(found),
        "seconds": round(ended.seconds, 1),
        "inputs_a_second": round(count / ended.seconds, 1),
        "process_mib_middle_last": [mib(middle, 0), mib(last, 0)],
        "workers_mib_middle_last": [mib(middle, 1), mib(last, 1)],
    }


def main() -> None:
    """Run the parts and print their figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="kill,ray,memory")
    parser.add_argument("--models", default="pp-ocrv6-tiny")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args()
    found: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "models": given.models}
    with tempfile.TemporaryDirectory(prefix="edge-kit-bench-batch-") as scratch:
        base = Path(scratch)
        write_pictures(base / "in", given.count)
        for part in given.parts.split(","):
            if part == "memory":
                found[part] = part_memory(given.models, base, given.many)
            else:
                work = {"kill": part_kill, "ray": part_ray}[part]
                found[part] = work(given.models, base / "in", base, given.count)
            print(json.dumps({part: found[part]}, indent=2), flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

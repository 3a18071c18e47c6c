"""Loads the service as many clients would, kills its workers, sends it hostile requests, and measures what it costs.

    .venv/bin/python scripts/bench_serve.py --images DIR [--parts load,kill,hostile,overhead] [--requests 2000]

load      each of many clients asks for pictures in turn; every answer is compared with what ``predict`` reads in that
          picture; /health is asked for all the while; memory of the front process and of the workers over time
kill      the same with a worker killed (SIGKILL) at random times: only requests in work may fail, with 503
hostile   bombs, truncated files, wrong types, huge heads, slow bodies …: each must get a 4xx, and no worker may end
overhead  the time for a number of pictures against ``predict`` in as many processes with as many threads, in turns
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import signal
import statistics
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

JSON = "application/json"
RAW = "application/octet-stream"
TARGET = "/ocr?visualize=false"


@dataclass(frozen=True)
class Picture:
    """A picture and what ``predict`` reads in it."""

    name: str
    data: bytes
    texts: tuple[str, ...]
    polys: tuple[Any, ...]


@dataclass
class Load:
    """What a load showed."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Pictures whose answer was not what ``predict`` reads: swapped or corrupted."""
    kills: int = 0
    health_ms: list[float] = field(default_factory=list)
    memory: list[tuple[float, int, int]] = field(default_factory=list)
    """Seconds since the start, resident bytes of the front process and of all workers."""

    def summary(self) -> dict[str, Any]:
        """Return the figures."""
        health = sorted(self.health_ms) or [0.0]
        warm = [entry for entry in self.memory if entry[0] >= self.seconds / 3]
        third = max(1, len(warm) // 3)

        def growth(index: int) -> float:
            first, last = (statistics.median(e[index] for e in part) for part in (warm[:third], warm[-third:]))
            return (last - first) / 2**20

        return {
            "seconds": round(self.seconds, 1),
            "statuses": dict(self.statuses),
            "wrong": len(self.wrong),
            "kills": self.kills,
            "health_p50_ms": round(statistics.median(health), 1),
            "health_p99_ms": round(health[int(0.99 * (len(health) - 1))], 1),
            "health_max_ms": round(health[-1], 1),
            "front_mib": round(self.memory[-1][1] / 2**20) if self.memory else 0,
            "workers_mib": round(max((e[2] for e in self.memory), default=0) / 2**20),
            "front_growth_mib": round(growth(1), 1) if len(warm) > 3 else None,
            "workers_growth_mib": round(growth(2), 1) if len(warm) > 3 else None,
        }


@contextlib.contextmanager
def service(models: str, workers: int, *more: str) -> Iterator[tuple[str, int, int]]:
    """Start the service by its command; yield host, port and process id when it is ready."""
    command = [
        sys.executable,
        "-m",
        "edge_kit.cli",
        "serve",
        "--models",
        models,
        "--port",
        "0",
        "--workers",
        str(workers),
    ]
    with subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(word for word in process.stderr.readline().split() if word.startswith("http://"))
        host, port = address.removeprefix("http://").split(":")
        try:
            asyncio.run(_until_ready(host, int(port), workers))
            yield host, int(port), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


async def _until_ready(host: str, port: int, workers: int) -> None:
    for _ in range(1200):
        _, body = await once(host, port, request("GET", "/metrics"))
        if f"edge_kit_workers {float(workers)}" in body.decode():
            return
        await asyncio.sleep(0.1)
    raise SystemExit("the service did not become ready")


def request(method: str, target: str, body: bytes = b"", kind: str = RAW, *headers: str) -> bytes:
    """Return the bytes of an HTTP request."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: bench",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body of the next answer on a connection; status 0 when the connection ends."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, b""
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), None)
    try:
        body = await (reader.readexactly(length) if length is not None else reader.read())
    except (asyncio.IncompleteReadError, ConnectionError):
        body = b""
    return int(head[9:12]), body


async def once(
    host: str, port: int, data: bytes, pieces: Callable[[], Iterator[bytes]] | None = None
) -> tuple[int, bytes]:
    """Send one request on a connection of its own; ``pieces`` follow slowly, one every 0.2 s."""
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    try:
        writer.write(data)
        answer = asyncio.create_task(asyncio.wait_for(read_answer(reader), 120))
        for piece in pieces() if pieces else ():
            await asyncio.sleep(0.2)
            if answer.done():
                break
            writer.write(piece)
        return await answer
    finally:
        writer.close()


async def load(
    host: str, port: int, pid: int, pictures: Sequence[Picture], total: int, clients: int, kill: float = 0.0
) -> Load:
    """Ask ``total`` times by ``clients`` at once; kill a worker about ``kill`` seconds after all are ready."""
    seen, numbers = Load(), iter(range(total))
    begin = time.perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
        for number in numbers:
            picture = pictures[number % len(pictures)]
            writer.write(request("POST", TARGET, picture.data))
            status, body = await read_answer(reader)
            seen.statuses[status] += 1
            if status == 200 and not same(body, picture):
                seen.wrong.append(picture.name)
        writer.close()

    beside = [asyncio.create_task(_ask_health(host, port, seen)), asyncio.create_task(_watch(pid, seen, begin))]
    if kill:
        beside.append(asyncio.create_task(_kill_workers(host, port, pid, seen, kill)))
    await asyncio.gather(*(client() for _ in range(clients)))
    seen.seconds = time.perf_counter() - begin
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    return seen


def same(body: bytes, picture: Picture) -> bool:
    """Return whether an answer is what ``predict`` reads in the picture."""
    found = json.loads(body)["result"]["ocrResults"][0]["prunedResult"]
    return tuple(found["rec_texts"]) == picture.texts and found["rec_polys"] == list(picture.polys)


async def _ask_health(host: str, port: int, seen: Load) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while True:
        begin = time.perf_counter()
        writer.write(request("GET", "/health"))
        status, _ = await read_answer(reader)
        assert status == 200, status
        seen.health_ms.append(1000 * (time.perf_counter() - begin))
        await asyncio.sleep(0.05)


async def _watch(pid: int, seen: Load, begin: float) -> None:
    front = psutil.Process(pid)
    while True:
        held = 0
        for child in front.children():
            with contextlib.suppress(psutil.Error):
                held += child.memory_info().rss
        seen.memory.append((time.perf_counter() - begin, front.memory_info().rss, held))
        await asyncio.sleep(0.5)


async def _kill_workers(host: str, port: int, pid: int, seen: Load, every: float) -> None:
    """Kill a worker, wait until all are ready again, wait a while, and so on."""
    chance = random.Random(5)
    while True:
        await asyncio.sleep(every * (0.5 + chance.random()))
        workers = psutil.Process(pid).children()
        os.kill(chance.choice(workers).pid, signal.SIGKILL)
        seen.kills += 1
        await asyncio.sleep(0.5)
        await _until_ready(host, port, len(workers))


Hostile = tuple[str, bytes, "Callable[[], Iterator[bytes]] | None"]


def hostile(picture: bytes, chance: random.Random) -> Hostile:
    """Return the name of a kind, the first bytes to send, and what follows slowly."""
    kind = chance.choice(sorted(_HOSTILE))
    made = _HOSTILE[kind](picture, chance)
    return (kind, made, None) if isinstance(made, bytes) else (kind, *made)


def _png(width: int, height: int, data: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def _json(**values: Any) -> bytes:
    return request("POST", TARGET, json.dumps(values).encode(), JSON)


def _raw(data: bytes) -> bytes:
    return request("POST", TARGET, data)


def _huge_jpeg(picture: bytes, chance: random.Random) -> bytes:
    return _raw(
        b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01" + chance.randbytes(99)
    )


def _huge_tiff(picture: bytes, chance: random.Random) -> bytes:
    entries = [(256, 4, 1, 10**6), (257, 4, 1, 10**6), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
               (277, 3, 1, 1), (278, 4, 1, 10**6), (279, 4, 1, 10**6)]  # fmt: skip
    return _raw(
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHII", *e) for e in entries)
        + bytes(4)
    )


def _slow(picture: bytes, chance: random.Random) -> tuple[bytes, Callable[[], Iterator[bytes]]]:
    return request("POST", TARGET, b"", RAW).replace(b"Length: 0", b"Length: 5000"), lambda: (b"x" for _ in range(99))


def _slow_chunks(picture: bytes, chance: random.Random) -> tuple[bytes, Callable[[], Iterator[bytes]]]:
    head = b"POST /ocr HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: image/png\r\n\r\n"
    return head, lambda: (b"1\r\nx\r\n" for _ in range(99))


def _form(count: int, disposition: str) -> bytes:
    body = b"".join(f"--B\r\n{disposition}\r\n\r\nx\r\n".encode() for _ in range(count)) + b"--B--\r\n"
    return request("POST", TARGET, body, "multipart/form-data; boundary=B")


_MAGICS = b"%PDF-1.7\n", b"II*\0", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"BM", b"\0\0\0\x0cjP  "

_HOSTILE: dict[str, Callable[[bytes, random.Random], Any]] = {
    "bomb png": lambda picture, chance: _raw(_png(chance.randint(14_000, 2**31 - 1), 14_000, bytes(10_000))),
    "bomb png, little data": lambda picture, chance: _raw(_png(12_000, 12_000, bytes(10))),
    "bomb jpeg": _huge_jpeg,
    "bomb tiff": _huge_tiff,
    "truncated head": lambda picture, chance: _raw(picture[: chance.randint(1, 12)]),
    "noise": lambda picture, chance: _raw(chance.randbytes(chance.randint(1, 5000))),
    "noise behind a magic": lambda picture, chance: _raw(
        chance.choice(_MAGICS) + chance.randbytes(300)
    ),
    "empty": lambda picture, chance: _raw(b""),
    "no json": lambda picture, chance: request("POST", TARGET, chance.randbytes(50), JSON),
    "deep json": lambda picture, chance: request("POST", TARGET, b'{"file":' + b"[" * 50_000, JSON),
    "no file": lambda picture, chance: _json(visualize=False),
    "wrong fields": lambda picture, chance: _json(file="AAAA", fileType=chance.randint(2, 9)),
    "numbers out of range": lambda picture, chance: _json(file="AAAA", textDetLimitSideLen=10**9, textDetThresh=-1),
    "no base64": lambda picture, chance: _json(file="%" * 5 + "a"),
    "file of the machine": lambda picture, chance: _json(file=chance.choice(("/etc/passwd", "file:///etc"))),
    "address": lambda picture, chance: _json(file=chance.choice(("http://127.0.0.1/", "http://169.254.169.254/latest"))),
    "other type": lambda picture, chance: request("POST", TARGET, picture, "text/html"),
    "form without file": lambda picture, chance: _form(1, 'Content-Disposition: form-data; name="a"'),
    "form of many parts": lambda picture, chance: _form(500, 'Content-Disposition: form-data; name="a"'),
    "form without names": lambda picture, chance: _form(2, "X: y"),
    "too large": lambda picture, chance: request("POST", TARGET).replace(b"Length: 0", b"Length: 999999999999"),
    "huge head": lambda picture, chance: b"POST /ocr HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "many heads": lambda picture, chance: b"POST /ocr HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "bad chunks": lambda picture, chance: b"POST /ocr HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "two lengths": lambda picture, chance: request("POST", TARGET, b"ab", RAW, "Content-Length: 3"),
    "no http": lambda picture, chance: chance.randbytes(64) + b"\r\n\r\n",
    "other method": lambda picture, chance: request("PUT", "/ocr", picture),
    "other path": lambda picture, chance: request("GET", "/../../etc/passwd"),
    "slow body": _slow,
    "slow chunks": _slow_chunks,
}  # fmt: skip


async def attack(
    host: str, port: int, picture: bytes, total: int, clients: int
) -> tuple[dict[str, Counter[int]], list[str]]:
    """Send hostile requests; return the statuses of each kind, and what was no typed 4xx."""
    chance = random.Random(11)
    todo = iter([hostile(picture, chance) for _ in range(total)])
    statuses: dict[str, Counter[int]] = {}
    odd: list[str] = []

    async def client() -> None:
        for kind, data, pieces in todo:
            status, body = await once(host, port, data, pieces)
            statuses.setdefault(kind, Counter())[status] += 1
            if not 400 <= status < 500:
                odd.append(f"{kind}: {status}")
            elif status != 400 and json.loads(body)["errorCode"] != status:
                odd.append(f"{kind}: {status} with the body {body[:100]!r}")

    await asyncio.gather(*(client() for _ in range(clients)))
    return statuses, odd


async def worker_ends(host: str, port: int) -> float:
    """Return how many workers have ended since the service started."""
    _, body = await once(host, port, request("GET", "/metrics"))
    lines = [line for line in body.decode().splitlines() if line.startswith("edge_kit_worker_ends_total{")]
    return sum(float(line.split()[-1]) for line in lines)


_PIPELINE: Any = None


def _open(models: str, threads: int) -> None:
    global _PIPELINE
    import cv2

    from edge_kit import create_pipeline

    cv2.setNumThreads(threads)
    _PIPELINE = create_pipeline(models=models, threads=threads)


def _predict(path: str) -> tuple[str, tuple[str, ...], tuple[Any, ...]]:
    (result,) = _PIPELINE.predict(path)
    return path, tuple(result.rec_texts), tuple(result.dt_polys.tolist())


def measure_overhead(args: argparse.Namespace, pictures: Sequence[Picture], paths: Sequence[Path]) -> dict[str, Any]:
    """Time both sides in turns, with as many clients as workers, and return seconds and their ratio."""
    threads = max(1, len(os.sched_getaffinity(0)) // args.workers)
    work = [str(path) for path in paths] * args.rounds
    times: dict[str, list[float]] = {"predict": [], "service": []}
    context = multiprocessing.get_context("spawn")
    with (
        service(args.models, args.workers) as (host, port, pid),
        context.Pool(args.workers, _open, (args.models, threads)) as pool,
    ):
        for turn in range(args.turns + 1):  # the first warms both up
            begin = time.perf_counter()
            pool.map(_predict, work, chunksize=1)
            middle = time.perf_counter()
            seen = asyncio.run(load(host, port, pid, pictures, len(work), args.workers))
            assert seen.statuses == {200: len(work)}, seen.statuses
            if turn:
                times["predict"].append(middle - begin)
                times["service"].append(seen.seconds)
    ratios = [s / p for s, p in zip(times["service"], times["predict"], strict=True)]
    return {
        "pictures": len(work),
        **{f"{name}_s": [round(t, 2) for t in spent] for name, spent in times.items()},
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_of_best": round(min(times["service"]) / min(times["predict"]), 3),
    }


def read_pictures(models: str, paths: Sequence[Path]) -> list[Picture]:
    """Return the pictures with what ``predict`` reads in them."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, _open, (models, 1)) as pool:
        read = pool.map(_predict, [str(path) for path in paths], chunksize=1)
    return [Picture(Path(p).name, Path(p).read_bytes(), texts, polys) for p, texts, polys in read]


def main() -> None:
    """Run the parts and print their figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--parts", default="load,kill,hostile,overhead")
    parser.add_argument("--models", default="pp-ocrv6-tiny")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument(
        "--kill-every", type=float, default=5.0, help="seconds from a worker's start to the next kill, about"
    )
    parser.add_argument("--rounds", type=int, default=2, help="how often each side reads the folder in one turn")
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    paths = sorted(args.images.iterdir())
    pictures = read_pictures(args.models, paths)
    figures: dict[str, Any] = {}
    for part in args.parts.split(","):
        if part == "overhead":
            figures[part] = measure_overhead(args, pictures, paths)
            print(json.dumps({part: figures[part]}), flush=True)
            continue
        more = ("--timeout", "300", "--queue", str(args.clients)) if part != "hostile" else ("--body-timeout", "2")
        with service(args.models, args.workers, *more) as (host, port, pid):
            if part == "hostile":
                statuses, odd = asyncio.run(attack(host, port, pictures[0].data, args.requests, args.clients))
                figures[part] = {
                    "requests": args.requests, "statuses": dict(sum(statuses.values(), Counter())), "odd": odd,
                    "kinds": len(statuses), "workers_ended": asyncio.run(worker_ends(host, port)),
                }  # fmt: skip
            else:
                kill = args.kill_every if part == "kill" else 0.0
                seen = asyncio.run(load(host, port, pid, pictures, args.requests, args.clients, kill))
                figures[part] = seen.summary()
        print(json.dumps({part: figures[part]}), flush=True)


if __name__ == "__main__":
    main()

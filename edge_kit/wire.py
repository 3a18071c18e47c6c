"""Messages between a process and its workers: a JSON header and bytes, through the worker's standard streams.

JSON and not pickle: a worker decodes files of strangers, and must not be able to run code in the process above it.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
from collections.abc import Mapping
from typing import IO, Any

from model_opt.errors import KitError

_COMMAND = (
    "import importlib, json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "sys.exit(importlib.import_module(sys.argv[2]).main())"
)
"""What a worker runs: the process above it never imports the pipeline."""

_SIZES = struct.Struct("!IQ")


class WorkerGone(KitError):
    """The worker process ended before it answered."""


def worker_command(module: str) -> list[str]:
    """Return the command of a worker process, whose ``module.main`` reads messages; it finds this process's modules."""
    return [sys.executable, "-c", _COMMAND, json.dumps(sys.path), module]


def worker_environment(threads: int) -> dict[str, str]:
    """Return the environment of a worker whose libraries may use that many threads."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}


def own_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Take standard input and output for messages; what libraries print goes to standard error. For workers."""
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    return source, target


def send_message(target: IO[bytes], header: Mapping[str, Any], body: bytes = b"") -> None:
    """Write one message."""
    target.write(pack(header, body))
    target.write(body)
    target.flush()


def pack(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return the head of a message: both sizes and the header. ``body`` follows it as it is."""
    text = json.dumps(header).encode()
    return _SIZES.pack(len(text), len(body)) + text


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Return the next header and body, None at the end of the stream."""
    sizes = stream.read(_SIZES.size)
    if len(sizes) < _SIZES.size:
        return None
    header, body = _SIZES.unpack(sizes)
    return json.loads(stream.read(header)), stream.read(body)


async def receive_message(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    """Return the next header and body. Raises ``asyncio.IncompleteReadError`` at the end of the stream."""
    header, body = _SIZES.unpack(await reader.readexactly(_SIZES.size))
    return json.loads(await reader.readexactly(header)), await reader.readexactly(body)

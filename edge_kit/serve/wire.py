"""Messages between the front process and a worker: a JSON header and bytes, through the worker's standard streams.

JSON and not pickle: a worker decodes files of strangers, and must not be able to run code in the front process.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

_SIZES = struct.Struct("!IQ")


def pack(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return the head of a message: both sizes and the header. ``body`` follows it as it is."""
    text = json.dumps(header).encode()
    return _SIZES.pack(len(text), len(body)) + text


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
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

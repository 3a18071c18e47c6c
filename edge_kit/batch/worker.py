"""A worker process: one reader, one input at a time, over its standard streams.

Messages in: the settings, then entries of the manifest. Out: ``ready`` or ``failed``, then the rows of each entry.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_kit.batch.inputs import Sources
from edge_kit.batch.manifest import entry_from
from edge_kit.batch.rows import Reader, read_entry
from edge_kit.wire import own_streams, read_message, send_message
from model_opt.errors import KitError


def main() -> int:
    """Read entries with the kit's pipelines until the stream ends; return the exit code."""
    return answer_entries(_open)


def answer_entries(open_reader: Callable[[Sequence[Mapping[str, Any]]], Reader]) -> int:
    """Answer entries with the reader that ``open_reader`` makes of the settings, until the stream ends."""
    source, target = own_streams()
    for name in (signal.SIGINT, signal.SIGTERM):  # the process above says when to end
        signal.signal(name, signal.SIG_IGN)
    first = read_message(source)
    if first is None:
        return 0
    try:
        reader = open_reader(first[0]["settings"])
    except KitError as error:
        send_message(target, {"failed": str(error)})
        return error.exit_code
    send_message(target, {"ready": True})
    sources = Sources()
    while (message := read_message(source)) is not None:
        answer = read_entry(reader, sources, entry_from(message[0]))
        send_message(target, {"rows": answer.rows, "failed": answer.failed}, answer.lines)
    return 0


def _open(settings: Sequence[Mapping[str, Any]]) -> Reader:
    import cv2

    from edge_kit.batch.reading import open_reader

    cv2.setNumThreads(int(settings[0]["threads"]))
    return open_reader(settings)

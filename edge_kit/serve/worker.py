"""A worker process: one pipeline, one request at a time, over its standard streams.

Messages in: the settings, then requests. Out: ``ready`` or ``failed``, then one message for each request. With
``check`` in the settings no model is loaded: the answer is for what can be refused before, and the process ends.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import uuid
from collections.abc import Mapping
from typing import Any

from edge_kit.serve.errors import RequestError
from edge_kit.serve.schemas import envelope, log_id_in
from edge_kit.wire import own_streams, read_message, send_message
from model_opt.errors import KitError

NICENESS = 5
"""How much less urgent than the front process a worker is, so that ``/health`` and refusals need not wait for it."""


def main() -> int:
    """Serve requests until the front process closes the stream; return the exit code."""
    source, target = own_streams()
    if sys.platform != "win32":
        os.nice(NICENESS)
    for name in (signal.SIGINT, signal.SIGTERM):  # the front process says when to end
        signal.signal(name, signal.SIG_IGN)
    first = read_message(source)
    if first is None:
        return 0
    settings = first[0]
    # OpenCV's own bound, should a file's header say one thing to Pillow and another to OpenCV. Read at its import.
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(settings["pixels"])
    try:
        if settings.get("check"):
            _check(settings)
            send_message(target, {"ready": True})
            return 0
        handler = _Handler(settings)
    except KitError as error:
        send_message(target, {"failed": str(error)})
        return error.exit_code
    send_message(target, {"ready": True})
    while (message := read_message(source)) is not None:
        send_message(target, *handler.handle(*message))
    return 0


def _check(settings: Mapping[str, Any]) -> None:
    from edge_kit.api import check_pipeline

    check_pipeline(settings["pipeline"], **settings["options"])


class _Handler:
    """The pipeline and what a request may ask of it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        import cv2
        from PIL import Image as Pillow

        from edge_kit.api import create_pipeline
        from edge_kit.serve.documents import Bounds

        cv2.setNumThreads(settings["threads"])
        Pillow.MAX_IMAGE_PIXELS = None  # ``documents`` checks the limit of this service
        self._bounds = Bounds(settings["pixels"], settings["pages"])
        self._visualize = bool(settings["visualize"])
        self._pipeline = create_pipeline(settings["pipeline"], **settings["options"])

    def handle(self, header: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        """Return header and body of the answer to one request, whatever it is."""
        log_id = str(header.get("log_id") or uuid.uuid4())
        try:
            return self._answered(header, body, log_id)
        except RequestError as error:
            return _refused(log_id, error.status, error.what)
        except KitError as error:
            sys.stderr.write(f"edge-kit serve: {error}\n")
        except MemoryError:
            sys.stderr.write("edge-kit serve: a request found no memory\n")
            return _refused(log_id, 503, "not enough memory for this request")
        except Exception:  # noqa: BLE001 - one request's fault must not cost the others their worker
            traceback.print_exc()
        return _refused(log_id, 500, "Internal server error")

    def _answered(self, header: Mapping[str, Any], body: bytes, log_id: str) -> tuple[dict[str, Any], bytes]:
        from edge_kit.serve.answers import answer
        from edge_kit.serve.bodies import parse_body, resumed

        kept = header.get("resume")
        try:
            request = resumed(kept, body) if kept else parse_body(header["content_type"], header["query"], body)
        except RequestError as error:
            return _refused(log_id_in(body) or log_id, error.status, error.what)
        log_id = request.options.logId or log_id
        if request.url is not None:
            return {"fetch": request.url, "resume": request.without_data(), "log_id": log_id}, b""
        known = {"log_id": log_id, "ignored": list(request.ignored)}
        try:
            made = answer(self._pipeline, request, log_id, self._bounds, visualize=self._visualize)
        except RequestError as error:
            refused, text = _refused(log_id, error.status, error.what)
            return {**known, **refused}, text
        return {**known, "status": 200, "pages": made.pages, "seconds": made.seconds}, made.body


def _refused(log_id: str, status: int, message: str) -> tuple[dict[str, Any], bytes]:
    from edge_kit.serve.answers import to_json

    return {"status": status, "log_id": log_id}, to_json(envelope(log_id, status, message))

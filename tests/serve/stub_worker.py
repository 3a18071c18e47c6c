"""A worker without models: the body of a request says what it does."""

import json
import os
import time

from edge_kit.serve.bodies import parse_body
from edge_kit.serve.schemas import envelope
from edge_kit.wire import own_streams, read_message, send_message

PIXEL = "R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
"""base64 of a white picture."""

LINES = {"rec_texts": ["first line", "<b>second</b> & last"], "rec_scores": [0.99, 0.5]}
POLYS = [[[10, 10], [90, 10], [90, 30], [10, 30]], [[10, 50], [90, 50], [90, 70], [10, 70]]]


def form_answer(header, body):
    """Answer a form as a worker with models would: two lines for a picture, two pages for a PDF."""
    request = parse_body(header["content_type"], header["query"], body)
    if request.data.startswith(b"BAD"):
        refused = envelope("x", 422, json.dumps([{"type": "t", "loc": "body.file", "msg": "bad <i>file</i>"}]))
        return {"status": 422}, json.dumps(refused).encode()
    page = {"prunedResult": {**LINES, "rec_polys": POLYS}}
    if request.options.visualize:
        page["inputImage"] = PIXEL
    is_pdf = request.data.startswith(b"%PDF")
    size = {"width": 100, "height": 80}
    info = {"numPages": 2, "pages": [size, size], "type": "pdf"} if is_pdf else {**size, "type": "image"}
    result = {"ocrResults": [page, page] if is_pdf else [page], "dataInfo": info}
    answer = {"logId": "x", "result": result, "errorCode": 0, "errorMsg": "Success"}
    return {"status": 200, "pages": 1, "seconds": {"det": 0.012, "total": 0.03}}, json.dumps(answer).encode()


def main() -> int:
    source, target = own_streams()
    settings, _ = read_message(source)

    def send(header, body=b""):
        send_message(target, header, body)

    if "fail" in settings["options"]:
        send({"failed": settings["options"]["fail"]})
        return 2
    send({"ready": True})
    held = []
    while (message := read_message(source)) is not None:
        header, body = message
        asked = json.loads(body) if body.startswith(b"{") else {}
        time.sleep(asked.get("sleep", 0))
        if "exit" in asked:
            os._exit(3)
        if "hold" in asked:
            held.append(bytearray(os.urandom(1 << 20)) * asked["hold"])
            time.sleep(5)
        if "fetch" in asked and "resume" not in header:
            send({"fetch": asked["fetch"], "resume": {"asked": 1}, "log_id": "f"})
            continue
        if header.get("content_type", "").startswith(("multipart/", "application/octet-stream")):
            send(*form_answer(header, body))
            continue
        made = json.dumps({"pid": os.getpid(), "size": len(body), "echo": asked.get("echo"), "header": header}).encode()
        send({"status": 200, "pages": 1, "seconds": {"read": 0.001}, "ignored": asked.get("ignored", [])}, made)
    return 0

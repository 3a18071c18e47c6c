"""A worker without models: the body of a request says what it does."""

import json
import os
import time

from edge_kit.serve.wire import pack, read_message
from edge_kit.serve.worker import own_streams


def main() -> int:
    source, target = own_streams()
    settings, _ = read_message(source)

    def send(header, body=b""):
        target.write(pack(header, body) + body)
        target.flush()

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
        made = json.dumps({"pid": os.getpid(), "size": len(body), "echo": asked.get("echo"), "header": header}).encode()
        send({"status": 200, "pages": 1, "seconds": {"read": 0.001}}, made)
    return 0

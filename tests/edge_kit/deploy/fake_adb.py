#!/usr/bin/env python3
"""An adb that replays a script: the device's behaviour is in the JSON file named by FAKE_ADB_SCRIPT.

Every call is added to ``calls`` beside that file. The script holds ``devices`` (text behind the heading), ``install``
and ``start`` (text, exit code), ``looks`` (answers to the question whether the report is there, the last one repeated),
``crash`` (log lines), ``report`` (a file to be pulled) and ``slow`` (an adb command that never answers).
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path


def main() -> int:
    place = Path(os.environ["FAKE_ADB_SCRIPT"])
    script = json.loads(place.read_text())
    arguments = sys.argv[1:]
    with place.with_name("calls").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    if arguments[:1] == ["devices"]:
        return answer("* daemon started successfully\nList of devices attached\n" + script["devices"] + "\n")
    if arguments[:1] != ["-s"] or len(arguments) < 3:
        return answer("adb: usage: unknown command", 1)
    command, rest = arguments[2], arguments[3:]
    if command == script.get("slow"):
        time.sleep(60)
    if command == "install":
        return answer(*script.get("install", ["Performing Streamed Install\nSuccess", 0]))
    if command == "pull":
        if "report" not in script:
            return answer(f"adb: error: failed to stat remote object '{rest[0]}': No such file or directory", 1)
        shutil.copyfile(script["report"], rest[1])
        return answer(f"{rest[0]}: 1 file pulled")
    return shell(place, script, " ".join(rest))


def shell(place: Path, script: dict, command: str) -> int:
    if command.startswith("am start"):
        return answer(
            *script.get(
                "start", ["Starting: Intent { cmp=com.example.reader/org.edgekit.ocr.app.SelfTestActivity }", 0]
            )
        )
    if command.startswith("if [ -f "):
        looked = place.with_name("looked")
        number = int(looked.read_text()) if looked.exists() else 0
        looked.write_text(str(number + 1))
        looks = script.get("looks", ["4711", "ready"])
        return answer(looks[min(number, len(looks) - 1)])
    if command.startswith("logcat"):
        return answer(script.get("crash", ""))
    known = ("am force-stop com.example.reader", "rm -f /sdcard/Android/data/com.example.reader/", "input keyevent")
    return answer("", 0) if command.startswith(known) else answer(f"/system/bin/sh: {command}: not found", 127)


def answer(text: str, code: int = 0) -> int:
    sys.stdout.write(text)
    return code


if __name__ == "__main__":
    sys.exit(main())

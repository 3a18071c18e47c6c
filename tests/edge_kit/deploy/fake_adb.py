#!/usr/bin/env python3
"""An adb that replays a script: the device's behaviour is in the JSON file named by FAKE_ADB_SCRIPT.

Every call is added to ``calls`` beside that file. The script holds ``devices`` (text behind the heading), ``install``
and ``start`` (text, exit code), ``looks`` (answers to the question whether the report is there, the last one repeated),
``crash`` (log lines), ``report`` (a file to be pulled), ``slow`` (an adb command that never answers), ``locked`` (how
often the lock screen shows), ``thermal`` (statuses, one for each question, the last one repeated), ``fixed`` (whether
there is a fixed performance mode), ``modes`` (whether the engine knows power modes), ``hot`` (the status that the app
reports, or ``unknown``) and ``hidden``. A bench that is asked for answers with ``milliseconds`` ("threads mode": of
each round) in its report.
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
        if "milliseconds" in script:
            measure(place, script, Path(rest[1]))
        return answer(f"{rest[0]}: 1 file pulled")
    return shell(place, script, " ".join(rest))


def measure(place: Path, script: dict, report: Path) -> None:
    """Put the row of the setting that was last asked for into the report."""
    words = place.with_name("started").read_text().split()
    asked = {key: value for option, key, value in zip(words, words[1:], words[2:], strict=False) if option == "--es"}
    rounds = int(asked["rounds"])
    times = [script["milliseconds"][f"{asked['threads']} {asked['power']}" if "power" in asked else asked["threads"]]]
    row = {
        "threads": int(asked["threads"]),
        "power_mode": asked["power"] if script.get("modes", True) else None,
        "det_ms": [0.4 * ms for ms in times * rounds],
        "rec_ms": [0.5 * ms for ms in times * rounds],
        "total_ms": times * rounds,
        "thermal": [None if script.get("hot") == "unknown" else script.get("hot", 0)] * rounds,
        "hidden": [script.get("hidden", False)] * rounds,
    }
    report.write_text(json.dumps({**json.loads(report.read_text()), "bench": [row]}))


def count(place: Path, name: str) -> int:
    """Return how often this was asked before."""
    counter = place.with_name(f"count-{name}")
    number = int(counter.read_text()) if counter.exists() else 0
    counter.write_text(str(number + 1))
    return number


def shell(place: Path, script: dict, command: str) -> int:
    if command.startswith("am start"):
        place.with_name("started").write_text(command)
        return answer(
            *script.get(
                "start", ["Starting: Intent { cmp=com.example.reader/org.edgekit.ocr.app.SelfTestActivity }", 0]
            )
        )
    if command.startswith("if [ -f "):
        looks = script.get("looks", ["4711", "ready"])
        return answer(looks[min(count(place, "looks"), len(looks) - 1)])
    if command.startswith("logcat"):
        return answer(script.get("crash", ""))
    if command == "dumpsys window policy":
        showing = str(count(place, "locks") < script.get("locked", 0)).lower()
        return answer(
            f"WINDOW MANAGER POLICY STATE\n    KeyguardServiceDelegate\n      showing={showing}\n      occluded=true"
        )
    if command.startswith("dumpsys thermalservice"):
        statuses = script.get("thermal", [0])
        status = statuses[min(count(place, "thermal"), len(statuses) - 1)]
        return answer(
            "Can't find service: thermalservice" if status is None else f"HAL Ready: true\nThermal Status: {status}"
        )
    if command.startswith("cmd power set-fixed-performance-mode-enabled"):
        return answer("done" if script.get("fixed", True) else "unknown")
    if command.startswith("settings get global"):
        return answer(script.get("stay_on", "0"))
    known = (
        "am force-stop com.example.reader", "rm -f /sdcard/Android/data/com.example.reader/", "input keyevent",
        "wm dismiss-keyguard", "settings put global stay_on_while_plugged_in",
    )  # fmt: skip
    return answer("", 0) if command.startswith(known) else answer(f"/system/bin/sh: {command}: not found", 127)


def answer(text: str, code: int = 0) -> int:
    sys.stdout.write(text)
    return code


if __name__ == "__main__":
    sys.exit(main())

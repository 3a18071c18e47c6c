"""Runs models inside the emulated machine, for scripts/bench_arm_engines.py; needs numpy, cv2 and onnxruntime alone.

usage: python arm_guest.py PLAN.json REPORT.json

The plan names runs: an engine, an ONNX file, threads, inputs as .npy files. Rounds go over all runs in turn, after one
that warms up, so that a disturbance meets all alike. The report holds, for each run, the least processor seconds of a
round over all its inputs, the least of the wall clock, seconds and memory of its load, and writes the answers beside
the plan. Each load and each round of each run is framed by two calls of getppid, at which the counting plugin reports.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np


def opencv(path, threads):
    """Return OpenCV's DNN module on a file."""
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(path)

    def run(x):
        net.setInput(x)
        return net.forward()

    return run


def onnx_runtime(path, threads):
    """Return ONNX Runtime on a file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


ENGINES = {"opencv": opencv, "onnxruntime": onnx_runtime}


def resident():
    """Return the resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def in_turn(runs, inputs):
    """Run every input; several copies of a model, each on its own thread, take the widest that is left."""
    answers = [None] * len(inputs)
    places = sorted(range(len(inputs)), key=lambda place: inputs[place].shape[-1])

    def work(run):
        while True:
            try:
                place = places.pop()
            except IndexError:
                return
            answers[place] = np.array(run(inputs[place]))

    workers = [Thread(target=work, args=(run,)) for run in runs[1:]]
    for worker in workers:
        worker.start()
    work(runs[0])
    for worker in workers:
        worker.join()
    return answers


def load(entry):
    """Return the models of a run, as many as it has copies, and what loading them took."""
    make = ENGINES[entry["engine"]]
    os.getppid()
    before, cpu, wall = resident(), time.process_time(), time.perf_counter()
    runs = [make(entry["model"], entry["threads"]) for _ in range(entry.get("copies", 1))]
    took = {"load_cpu": time.process_time() - cpu, "load_wall": time.perf_counter() - wall}
    os.getppid()
    return runs, {**took, "load_bytes": resident() - before}


def measure(entry, runs, row, keep):
    """Run all inputs once; where ``keep``, let the least times stand in ``row``."""
    inputs = [np.load(path) for path in entry["inputs"]]
    if entry["engine"] == "opencv":
        import cv2

        cv2.setNumThreads(entry["threads"])  # of the process, so the last model's would hold
    os.getppid()
    cpu, wall = time.process_time(), time.perf_counter()
    answers = in_turn(runs, inputs)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    os.getppid()
    if keep:
        row["cpu"] = min(cpu, row.get("cpu", cpu))
        row["wall"] = min(wall, row.get("wall", wall))
    return answers


def main():
    """Run the plan."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    import cv2
    import onnxruntime

    report = {"opencv": cv2.__version__, "onnxruntime": onnxruntime.__version__, "runs": {}}
    loaded = {}
    for name, entry in plan["runs"].items():
        loaded[name], report["runs"][name] = load(entry)
    for count in range(plan["rounds"] + 1):
        for name, entry in plan["runs"].items():
            answers = measure(entry, loaded[name], report["runs"][name], count > 0)
            if count == 0 and "answers" in entry:
                np.savez(entry["answers"], *answers)
    Path(sys.argv[2]).write_text(json.dumps(report))


if __name__ == "__main__":
    main()

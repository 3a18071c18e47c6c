"""Bulk runs of the tests: small pictures, a stub in place of the models."""

import json
from itertools import count

import cv2
import numpy as np

from edge_kit.batch.inputs import Sources
from edge_kit.batch.rows import TIMES, read_entry
from edge_kit.batch.run import BatchRun, run_batch
from edge_kit.batch.shards import Shards
from edge_kit.batch.work import Work
from tests.batch.stub_worker import StubReader


def picture(value):
    """Return a PNG of 8 x 6 pixels that all have one value."""
    return cv2.imencode(".png", np.full((6, 8, 3), value, np.uint8))[1].tobytes()


def write_pictures(folder, number, first=0):
    """Write that many pictures, all different, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:03d}.png" for i in range(number)]
    for i, path in enumerate(paths):
        path.write_bytes(picture((first + i) % 256))
    return paths


def work(module="tests.batch.stub_worker", **settings):
    """Return the work of stub workers."""
    return Work(({"engine": "stub", "threads": 1, **settings},), 1, ".", module)


def in_process(stop_after=None, **settings):
    """Return an executor that reads in this process, and is killed before that many answers and one."""

    def execute(entries):
        reader, sources, number = StubReader(settings), Sources(), count()
        for entry in entries:
            if next(number) == stop_after:
                raise Killed
            yield read_entry(reader, sources, entry)

    return execute


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the kit may catch it."""


def run(inputs, out, execute=None, form="jsonl", size=4, description=None, **more):
    """Run a batch of the stub and return its summary."""
    given = BatchRun(tuple(map(str, inputs)), out, form, size, description or {"edge_kit": "1"}, **more)
    return run_batch(given, execute or in_process(), lambda progress: None)


def rows(out, form="jsonl", size=4, schema="kit"):
    """Return all rows of a folder without the fields that hold times."""
    found = list(Shards(out, form, size, schema).rows())
    return [{key: value for key, value in row.items() if key not in TIMES} for row in found]


def manifest(out):
    """Return the manifest's lines."""
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]

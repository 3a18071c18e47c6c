"""A worker without models: it says the size and the mean of a picture, and obeys what its settings ask for."""

import os
import time

from edge_kit.batch.worker import answer_entries
from model_opt.errors import KitError


class StubReader:
    """Reads a picture; ``dies_of`` is the mean that ends the process, ``refuses`` one that is an error."""

    engine = "stub"
    alpha = "drop"

    def __init__(self, settings):
        self._settings = settings

    def read(self, image, name):
        mean = int(image.mean())
        time.sleep(self._settings.get("seconds", 0))
        if mean == self._settings.get("dies_of"):
            os.kill(os.getpid(), 9)
        if mean == self._settings.get("refuses"):
            raise KitError(f"the engine refuses {mean}")
        if mean == self._settings.get("fails"):
            raise ZeroDivisionError("no such luck")
        return {
            "dt_polys": [[[0, 0], [mean, 0], [mean, 9], [0, 9]]],
            "dt_scores": [mean / 255],
            "rec_texts": [f"mean {mean} 文"],
            "rec_scores": [0.5],
            "timings": {"total": 0.001},
        }


def open_stub(settings):
    if "fail" in settings[0]:
        raise KitError(settings[0]["fail"])
    return StubReader(settings[0])


def main():
    return answer_entries(open_stub)

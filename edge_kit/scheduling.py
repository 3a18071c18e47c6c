"""Who may compute when: images side by side on the cores of one pipeline, answers in the order of the inputs.

A model runs best on one core at a time: two threads inside one run wait for each other. So with several images to read,
each run gets one core, and the cores go to whatever is ready: lines of one image, the detection of the next. An image
that is alone gets all cores for its detection. What a model answers does not depend on its threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from edge_kit.ocr.tensor import Float32Array, Run

S = TypeVar("S")
R = TypeVar("R")


class Cores:
    """The cores that the runs of a pipeline share, and how many of its images are being read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._images = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, count: int = 1) -> Iterator[None]:
        """Wait for that many free cores (at most all), and hold them."""
        count = min(count, self.count)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()

    @contextmanager
    def image(self) -> Iterator[None]:
        """State that one more image is being read."""
        with self._changed:
            self._images += 1
        try:
            yield
        finally:
            with self._changed:
                self._images -= 1

    @property
    def alone(self) -> bool:
        """Whether at most one image is being read."""
        return self._images <= 1

    def held(self, run: Run, count: int = 1) -> Run:
        """Return a run that holds that many cores while it computes."""

        def holding(x: Float32Array) -> Float32Array:
            with self.taken(count):
                return run(x)

        return holding

    def by_company(self, wide: Callable[[], Run], narrow: Callable[[], Run]) -> Run:
        """Return a run that takes ``wide`` and all cores for an image that is alone, else ``narrow`` and one core.

        Each is made when it is first needed. Both answer with the same bits.
        """
        wide, narrow = _made_once(wide), _made_once(narrow)

        def run(x: Float32Array) -> Float32Array:
            alone = self.alone
            chosen = wide() if alone else narrow()
            with self.taken(self.count if alone else 1):
                return chosen(x)

        return run


def _made_once(make: Callable[[], Run]) -> Callable[[], Run]:
    """Return ``make`` that makes once and then gives the same."""
    made: list[Run] = []
    making = threading.Lock()

    def get() -> Run:
        with making:
            if not made:
                made.append(make())
            return made[0]

    return get


def in_order(
    sources: Iterator[S],
    work: Callable[[S], R],
    readers: int,
    ahead: int = 1,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[tuple[S, R]]:
    """Yield each source with what ``work`` makes of it, in order, ``readers`` of them at a time.

    At most ``readers + ahead`` sources are taken before the first is yielded. ``work`` raises into this iterator.
    When that ends, also early, ``stop`` is called before it waits for work that has begun and nobody wants.
    """
    with ThreadPoolExecutor(readers, "edge-kit-image") as pool:
        waiting: deque[tuple[S, Future[R]]] = deque()
        try:
            for source in sources:
                waiting.append((source, pool.submit(work, source)))
                if len(waiting) >= readers + ahead:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            stop()
            for _, future in waiting:
                future.cancel()

"""Map a function over items in threads, for functions that release the GIL."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from model_opt.machine import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], at_once: int | None = None) -> Iterator[Result]:
    """Yield ``work`` of each item, in the order of ``items``, computed by ``at_once`` threads (one for each core).

    No more than that many results wait to be taken, so large ones do not pile up. An exception of ``work`` comes out
    where its result would have.
    """
    count = at_once or available_cores()
    with ThreadPoolExecutor(count) as pool:
        running: deque[Future[Result]] = deque()
        for item in items:
            if len(running) == count:
                yield running.popleft().result()
            running.append(pool.submit(work, item))
        while running:
            yield running.popleft().result()

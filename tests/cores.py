"""Which of the machine's cores a process of pytest-xdist uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

MACHINE = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
"""The cores before ``take_cores``."""


def take_cores(number: int, count: int) -> None:
    """Keep process ``number`` of ``count`` to cores that no other has, if there are as many."""
    cores = sorted(MACHINE)
    if cores:
        os.sched_setaffinity(0, set(cores[number::count]) or {cores[number % len(cores)]})


@contextmanager
def all_cores() -> Iterator[None]:
    """Let programs that are started meanwhile use all cores: the Java machine compiles beside its work."""
    if not MACHINE:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, MACHINE)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)

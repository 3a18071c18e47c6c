"""Images side by side: answers in the order of the inputs, never more runs than cores, all cores for one alone."""

import threading
import time

import numpy as np
import pytest

from edge_kit.scheduling import Cores, in_order

X = np.zeros((1, 3, 4, 4), np.float32)


def test_answers_keep_the_order_of_the_sources_whichever_is_done_first():
    def work(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0.0)
        return number * number

    assert list(in_order(iter(range(20)), work, 4)) == [(n, n * n) for n in range(20)]


def test_no_more_sources_are_taken_than_readers_and_one_more():
    taken: list[int] = []

    def sources():
        for number in range(50):
            taken.append(number)
            yield number

    answers = in_order(sources(), lambda n: n, 3)
    next(answers)
    assert len(taken) == 4
    answers.close()
    assert len(taken) == 4


def test_an_error_of_the_work_reaches_the_caller():
    def work(number: int) -> int:
        if number == 2:
            raise ValueError(number)
        return number

    answers = in_order(iter(range(4)), work, 2)
    assert [next(answers), next(answers)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError):
        next(answers)


def test_work_that_has_begun_is_stopped_before_it_is_waited_for():
    release, begun = threading.Event(), threading.Event()

    def work(n):
        if n == 0:
            return n
        begun.set()
        assert release.wait(60)
        return n

    answers = in_order(iter(range(9)), work, 2, stop=release.set)
    assert next(answers) == (0, 0)
    assert begun.wait(60)
    answers.close()
    assert release.is_set()


def test_never_more_runs_at_once_than_cores():
    cores = Cores(2)
    running, most, lock = 0, 0, threading.Lock()

    def run(x):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return x

    held = cores.held(run)
    list(in_order(iter(range(40)), lambda _: held(X), 8))
    assert most == 2


def test_an_image_that_is_alone_gets_the_wide_run_and_others_the_narrow_one():
    cores, calls = Cores(2), []

    def named(name):
        calls.append(f"made {name}")

        def run(x):
            calls.append(name)
            return x

        return run

    run = cores.by_company(lambda: named("wide"), lambda: named("narrow"))
    with cores.image():
        run(X)
        with cores.image():
            run(X)
            run(X)
        run(X)
    assert calls == ["made wide", "wide", "made narrow", "narrow", "narrow", "wide"]


def test_a_run_that_fails_gives_its_cores_back():
    cores = Cores(1)

    def run(x):
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            cores.held(run)(X)
    with cores.taken():
        pass

"""Work on several items at once: results in order, errors where they belong, and few results waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from model_opt.quantize.parallel import in_order


def test_results_come_in_the_order_of_the_items_though_later_ones_end_first() -> None:
    second_ended = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_ended.wait(10)
        if item == 1:
            second_ended.set()
        return item * item

    assert list(in_order(work, range(9), 2)) == [item * item for item in range(9)]


def test_no_more_items_are_begun_than_may_wait() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            asked.append(item)
            yield item

    for taken, result in enumerate(in_order(lambda item: item, items(), 3)):
        assert result == taken
        assert len(asked) <= taken + 4


def test_an_error_comes_out_where_its_result_would_have() -> None:
    def work(item: int) -> float:
        return 1 / (2 - item)

    results = in_order(work, range(5), 2)
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_nothing_to_do_is_done() -> None:
    assert list(in_order(str, [])) == []

"""Two ``.nb`` files side by side."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import tests.model_opt.nb_writer as nw
from model_opt.nb import CountChange, NbComparison, compare_summaries, inspect_nb, read_nb

ARM, OPENCL = "4/1/1", "5/5/4"


def summary(ops: list[nw.Op], params: dict[str, np.ndarray] | None = None, version: bytes = b"v2.14-rc"):
    data = nw.nb_bytes([nw.feed("x"), *ops, nw.fetch("y")], params, version=version)
    return inspect_nb(read_nb(data), pinned_opt="2.14rc0")


@pytest.fixture
def comparison() -> NbComparison:
    weights = np.ones((4, 1), np.float32)
    long_way = [
        nw.Op("elementwise_mul", {"X": ["x"], "Y": ["w"]}, {"Out": ["a"]}, {"axis": -1}, ARM),
        nw.Op("io_copy", {"Input": ["a"]}, {"Out": ["b"]}, {}, "5/4/4"),
        nw.Op("relu", {"X": ["b"]}, {"Out": ["y"]}, {}, OPENCL),
    ]
    short_way = [nw.Op("elementwise_mul", {"X": ["x"], "Y": ["w"]}, {"Out": ["y"]}, {"axis": -1}, ARM)]
    before = summary(long_way, {"w": weights}, version=b"v2.12")
    return compare_summaries(before, summary(short_way, {"w": weights.astype(np.int8)}))


def by_name(rows: tuple[CountChange, ...]) -> dict[str, tuple[int, int]]:
    return {row.name: (row.before, row.after) for row in rows}


def test_totals_count_operators_copies_and_bytes(comparison: NbComparison):
    totals = by_name(comparison.totals)
    assert totals["ops"] == (5, 3)
    assert totals["io_copy"] == (1, 0)
    assert totals["calib"] == totals["layout"] == (0, 0)
    assert totals["param_bytes"] == (16, 4)
    assert totals["bytes"][0] > totals["bytes"][1]


def test_types_only_one_file_has_count_as_zero_in_the_other(comparison: NbComparison):
    assert by_name(comparison.op_types)["relu"] == (1, 0)
    assert by_name(comparison.param_bytes) == {"fp32": (16, 0), "int8": (0, 4)}
    assert by_name(comparison.kernels)["elementwise_mul/def/arm/fp32/NCHW"] == (1, 1)


def test_what_changed_most_comes_first(comparison: NbComparison):
    assert [row.name for row in comparison.op_types] == ["io_copy", "relu", "elementwise_mul", "feed", "fetch"]
    assert [row.change for row in comparison.param_bytes] == [-16, 4]


def test_facts_tell_place_precision_and_version(comparison: NbComparison):
    facts = {fact.name: (fact.before, fact.after, fact.changed) for fact in comparison.facts}
    assert facts["place"] == ("opencl", "arm", True)
    assert facts["opt_version"] == ("v2.12", "v2.14-rc", True)
    assert facts["canonical"] == ("yes", "yes", False)


def test_warnings_are_gone_or_new_by_their_code(comparison: NbComparison):
    assert [warning.code for warning in comparison.warnings_gone] == ["opt_version"]
    assert comparison.warnings_new == ()


def test_a_file_against_itself_has_changed_in_nothing():
    one = summary([nw.Op("relu", {"X": ["x"]}, {"Out": ["y"]}, {}, ARM)])
    same = compare_summaries(one, one)
    rows = (*same.totals, *same.op_types, *same.kernels, *same.param_bytes)
    assert {row.change for row in rows} == {0}
    assert not any(fact.changed for fact in same.facts)
    assert same.warnings_gone == same.warnings_new == ()


def test_the_json_form_holds_every_number(comparison: NbComparison):
    plain = json.loads(json.dumps(comparison.to_json()))
    assert plain["totals"]["ops"] == {"before": 5, "after": 3, "change": -2}
    assert set(plain["op_types"]) == {row.name for row in comparison.op_types}
    with pytest.raises(dataclasses.FrozenInstanceError):
        comparison.before = "other"  # type: ignore[misc]


def test_quantising_a_real_detector_shows_as_what_it_is(shared_dir):
    golden = shared_dir / "lite_golden"
    before, after = (inspect_nb(read_nb(golden / f"det_{kind}.nb")) for kind in ("fp32", "static_int8"))
    comparison = compare_summaries(before, after)
    assert by_name(comparison.totals)["calib"] == (0, 47)
    assert comparison.op_types[0] == CountChange("calib", 0, 47)
    assert [warning.code for warning in comparison.warnings_new] == ["int8_activations"]

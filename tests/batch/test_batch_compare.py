"""Comparisons at scale: sums of shards, gates, and what Ray's actors do without Ray."""

import json
import math
import sys
from dataclasses import asdict, replace

import pytest

import edge_kit
from edge_kit.batch.compare import engines_of, judge, measures_from, recipe_of, sums_of
from edge_kit.batch.on_ray import ShardReader, answers_of, check_ray
from edge_kit.batch.rows import Answer
from edge_kit.batch.run import Comparison
from edge_kit.verify.compare import Measures
from edge_kit.verify.metrics import BoxAgreement, MaskFlips, StepFlips, TensorDifference, TextAgreement
from model_opt.errors import KitError
from tests.batch.running import Killed, rows, run, work, write_pictures

GOOD = Measures(
    det=TensorDifference(values=9, finite=9, largest=1e-5, total=1e-7),
    mask=MaskFlips(pixels=9, reference_mask=4, candidate_mask=4, flips=0),
    boxes=BoxAgreement(matched=1, identical=1, iou_total=1.0),
    rec=TensorDifference(values=9, finite=9, largest=1e-5, total=1e-9),
    steps=StepFlips(steps=3, flips=0),
    texts=TextAgreement(lines=1, equal=1, characters=4, edits=0),
)
WRONG = replace(GOOD, texts=TextAgreement(lines=1, equal=0, characters=4, edits=1))


def answers(*measures):
    """Return answers of images that measured that, one of them without any for None."""
    listed = [
        {"error": "x"} if one is None else {"error": None, "equal": one == GOOD, "measures": asdict(one)}
        for one in measures
    ]
    return [Answer(i, 1, False, json.dumps(row).encode() + b"\n") for i, row in enumerate(listed)]


def test_measures_survive_json_with_every_digit():
    odd = replace(GOOD, det=TensorDifference(7, 7, 0.1 + 0.2, 1 / 3))
    assert measures_from(json.loads(json.dumps(asdict(odd)))) == odd


def test_sums_of_shards_are_the_sum_of_their_images():
    parts = [sums_of(answers(GOOD, WRONG)), sums_of(answers(GOOD, None))]
    verdict = judge("server", "nb", "fp32", parts)
    assert (verdict.images, verdict.equal) == (3, 2)
    assert verdict.metrics["texts_equal"] == pytest.approx(2 / 3)
    assert verdict.metrics["character_accuracy"] == pytest.approx(11 / 12)
    assert [gate.name for gate in verdict.gates if not gate.passed] == ["texts_equal", "character_accuracy"]


def test_gates_pass_for_equal_engines_and_fail_where_nothing_was_measured():
    assert judge("server", "nb", "fp32", [sums_of(answers(GOOD))]).passed
    nothing = judge("server", "nb", "fp32", [sums_of(answers(None))])
    assert not nothing.passed
    assert math.isnan(nothing.metrics["texts_equal"])


def test_the_order_of_answers_does_not_change_the_sums():
    given = [replace(GOOD, det=TensorDifference(1, 1, 0.1 * i, 0.1 * i)) for i in range(1, 9)]
    listed = answers(*given)
    assert sums_of(listed[::-1]) == sums_of(listed)


@pytest.mark.parametrize("kills", [False, True])
def test_a_comparison_is_judged_over_all_shards_of_all_runs(tmp_path, kills):
    write_pictures(tmp_path / "in", 9)

    def execute(entries):
        for entry in entries:
            if kills and entry.index == 5:
                raise Killed
            (answer,) = answers(WRONG if entry.index == 1 else GOOD)
            yield replace(answer, index=entry.index)

    def again():
        return run([tmp_path / "in"], tmp_path / "out", execute, comparison=Comparison("server", "nb", "fp32"))

    if kills:
        with pytest.raises(Killed):
            again()
        kills = False
    summary = again()
    assert summary.verdict.images == 9
    assert summary.verdict.metrics["texts_equal"] == pytest.approx(8 / 9)
    assert not summary.passed
    assert summary.to_dict()["comparison"]["passed"] is False


def test_engines_and_recipe_of_a_comparison():
    assert engines_of("server, nb") == ("server", "nb")
    assert engines_of("paddle,onnxruntime") == ("server", "onnx")
    assert recipe_of(None, None) == "fp32"
    assert recipe_of("weight_int8", None) == "weight_int8"
    with pytest.raises(KitError, match="unknown engine 'tflite'"):
        engines_of("server,tflite")


def test_an_actor_answers_a_shard_as_local_workers_do(tmp_path):
    """Ray itself starts in ``scripts/bench_batch.py``."""
    write_pictures(tmp_path / "in", 5)
    run([tmp_path / "in"], tmp_path / "expected")
    actor = ShardReader(work(), edge_kit.__version__)

    def execute(entries):
        for entry in entries:
            yield from answers_of(actor({"entries": json.dumps([entry.to_dict()])}))

    run([tmp_path / "in"], tmp_path / "out", execute)
    actor.close()
    assert rows(tmp_path / "out") == rows(tmp_path / "expected")


def test_an_actor_of_another_version_refuses_to_read(tmp_path):
    with pytest.raises(KitError, match="this node has edge-kit"):
        ShardReader(work(), "99.0")


def test_ray_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(KitError) as caught:
        check_ray()
    assert 'pip install "edge-kit[ray]"' in str(caught.value)

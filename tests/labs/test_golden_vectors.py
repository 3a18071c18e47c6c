"""Golden vectors: the committed set is what the pipeline answers today, and a damaged set says so."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_kit.spec.load import load_spec, profile
from labs.golden.vectors import (
    PADDLEX,
    STAGES,
    Case,
    ConformanceError,
    digest,
    expected,
    offset_case,
    order_case,
    pack_lines,
    random_ctc_case,
    rare_cases,
    read_cases,
    rectangle_case,
    unpack_lines,
    vector_spec,
    write_vectors,
)

GOLDEN = Path(__file__).resolve().parents[2] / "android_app" / "golden"
SPEC = vector_spec()
BASE = SPEC.profiles[0]


def test_the_committed_vectors_are_what_the_pipeline_answers_today():
    wrong, stages = [], set()
    for case, sums in read_cases(GOLDEN):
        stages.add((case.profile, case.stage))
        if {key: digest(value) for key, value in expected(case, SPEC).items()} != sums:
            wrong.append(case.name)
    assert wrong == []
    assert {stage for profile, stage in stages if profile == "pp-ocrv4"} == set(STAGES)
    assert {profile for profile, _ in stages} == {profile.name for profile in SPEC.profiles}


def test_the_committed_set_is_small_and_has_no_stray_files():
    manifest = json.loads((GOLDEN / "manifest.json").read_text())
    rows = [row for case in manifest["cases"] for part in ("inputs", "expected") for row in case[part].values()]
    named = {row["file"] for row in rows if "file" in row}
    assert {path.name for path in GOLDEN.iterdir()} == named | {"manifest.json", "ocr_spec.json"}
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) <= 1.5e6


def test_the_vectors_hold_the_real_profiles_unchanged():
    real = load_spec().for_app
    assert SPEC.profiles[: len(real.profiles)] == real.profiles


def test_a_set_reads_back_as_it_was_written(tmp_path):
    cases = [
        offset_case(1, 20, BASE),
        order_case(2, 20, BASE),
        rectangle_case(3, 20, BASE),
        random_ctc_case(4, 9, BASE),
    ]
    assert write_vectors(tmp_path, cases, SPEC) == 4
    back = list(read_cases(tmp_path))
    assert [case.name for case, _ in back] == [case.name for case in cases]
    for case, (read, sums) in zip(cases, back, strict=True):
        assert {key: digest(value) for key, value in read.inputs.items()} == {
            key: digest(value) for key, value in case.inputs.items()
        }
        assert sums == {key: digest(value) for key, value in expected(read, SPEC).items()}


def test_two_sets_of_one_seed_are_byte_identical(tmp_path):
    for name in ("a", "b"):
        write_vectors(tmp_path / name, [offset_case(5, 50, BASE), random_ctc_case(5, 40, BASE)], SPEC)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("a", "b")]
    assert files[0] == files[1]


def test_a_damaged_array_is_named(tmp_path):
    write_vectors(tmp_path, [offset_case(1, 5, BASE)], SPEC)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    path = tmp_path / manifest["cases"][0]["inputs"]["quads"]["file"]
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(ConformanceError, match=path.name):
        list(read_cases(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", '{"cases": [{}]}', "\xff"])
def test_a_damaged_manifest_is_an_error_with_a_hint(tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConformanceError) as error:
        list(read_cases(tmp_path))
    assert error.value.path == str(tmp_path / "manifest.json")
    assert error.value.hint


def test_lines_of_several_sizes_pack_and_unpack():
    random = np.random.default_rng(1)
    lines = [random.integers(0, 255, (height, 7 * height, 3), dtype=np.uint8) for height in (1, 30, 48)]
    for line, back in zip(lines, unpack_lines(pack_lines(lines)), strict=True):
        assert np.array_equal(line, back)


def test_random_rectangles_reach_the_rare_shapes():
    """Long thin ones, and tiny ones whose rounded corners are drawn with few points."""
    case = offset_case(1, 2000, BASE)
    sides = np.linalg.norm(case.inputs["quads"][:, :2] - case.inputs["quads"][:, 1:3], axis=2)
    assert (sides.max(axis=1) / sides.min(axis=1)).max() > 50
    counts = expected(case, SPEC)["counts"]
    assert counts.min() <= 12
    assert counts.max() > 40


def test_an_answer_depends_on_the_profile():
    boxes = order_case(1, 1000, BASE)
    answers = {
        rules.name: digest(expected(Case("x", "order", rules.name, boxes.inputs, boxes.params), SPEC)["boxes"])
        for rules in SPEC.profiles
    }
    assert len(set(answers.values())) == len({rules.boxes for rules in SPEC.profiles}) == 3


def test_the_rare_cases_show_each_rule_that_paddlex_3_alone_has():
    """Under paddlex-3's rules with one of them put back each case that the rule is about has another answer."""
    ours = profile(PADDLEX, SPEC)
    image = next(case.inputs["image"] for case, _ in read_cases(GOLDEN) if case.stage == "det_input")
    cases = list(rare_cases(7, image, ours))
    older = {
        "max_side_limit": replace(ours, detection=replace(ours.detection, max_side_limit=None)),
        "normalise": replace(ours, detection=replace(ours.detection, normalise="subtract_divide")),
        "unclip_distance": replace(ours, db=replace(ours.db, unclip_distance="shoelace")),
        "box_scaling": replace(ours, db=replace(ours.db, box_scaling="float32_steps")),
        "collapsed_line": replace(ours, crop=replace(ours.crop, collapsed_line="one_pixel")),
    }
    differing = {rule: [case.stage for case in cases if differs(case, ours, rules)] for rule, rules in older.items()}
    assert differing == {
        "max_side_limit": ["det_input"],
        "normalise": ["det_input"],
        "unclip_distance": ["offset"],
        "box_scaling": ["boxes"],
        "collapsed_line": ["crop"],
    }


def differs(case, rules, others):
    """Return whether two sets of rules answer a case differently."""
    answers = [expected(case, replace(SPEC, profiles=(replace(one, name=case.profile),))) for one in (rules, others)]
    first, second = ({key: digest(value) for key, value in answer.items()} for answer in answers)
    return first != second

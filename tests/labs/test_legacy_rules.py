"""The file of mistakes: validated, every row there, and apart from the specification that ships."""

import dataclasses

import pytest

from edge_kit.spec import SpecError, export_json, load_spec
from labs.legacy.rules import FOLDER, LegacyRules, Unclip, legacy_profile, load_legacy


def test_each_of_the_21_rows_stands_alone_in_a_profile():
    alone = [p.rules.rows for p in load_legacy().profiles if len(p.rules.rows) == 1]
    assert {rows[0] for rows in alone} == set(range(1, 22))
    assert [rows[0] for rows in alone] == sorted(rows[0] for rows in alone)


def test_whole_demos_combine_rows_that_stand_alone_too():
    spec = load_legacy()
    single = [p.rules for p in spec.profiles if len(p.rules.rows) == 1]
    demos = [p.rules for p in spec.profiles if len(p.rules.rows) > 1]
    assert len(demos) >= 3
    for rules in demos:
        for field in dataclasses.fields(rules):
            value = getattr(rules, field.name)
            assert value == field.default or any(getattr(one, field.name) == value for one in single), field.name


def test_a_switch_that_is_off_has_no_row():
    assert LegacyRules().rows == ()
    assert LegacyRules(pad_pixel=0).rows == (17,)
    assert LegacyRules(side_block_below=True, first_scale=True).rows == (1, 21)


def test_the_mistakes_are_not_part_of_the_specification_that_ships():
    assert not any(p.name.startswith("legacy") for p in load_spec().profiles)
    assert b"legacy" not in export_json(load_spec())


def test_values_come_from_the_file(changed_config):
    def change(document):
        document["profiles"]["legacy-squash"]["rules"]["squash_to"] = 320
        document["report"]["same_line"] = 0.25

    spec = load_legacy(changed_config("legacy_spec.yaml", change, FOLDER))
    assert legacy_profile("legacy-squash", spec).rules == LegacyRules(squash_to=320)
    assert legacy_profile("legacy-unclip-rectangle", spec).rules.unclip == Unclip("inflate", 1.95)
    assert (spec.base.name, spec.same_box, spec.same_line) == ("pp-ocrv4", 0.5, 0.25)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: d["profiles"]["legacy-squash"]["rules"].update(squash_to="wide"), "legacy-squash.rules.squash_to"),
        (lambda d: d["profiles"]["legacy-squash"]["rules"].update(sqash_to=448), "sqash_to"),
        (lambda d: d["profiles"]["legacy-squash"].update(rules={}), "legacy-squash.rules"),
        (lambda d: d["profiles"]["legacy-mask-bytes"]["rules"].update(mask_unscaled=True), "legacy-mask-bytes.rules"),
        (lambda d: d["profiles"]["legacy-dilation"]["rules"].update(dilation=False), "legacy-dilation.rules.dilation"),
        (lambda d: d["profiles"]["legacy-unclip-1.6"]["rules"]["unclip"].pop("kind"), "unclip"),
        (lambda d: d["profiles"].update({"squash": d["profiles"]["legacy-squash"]}), "squash"),
        (lambda d: d.update(base_profile="pp-ocrv9"), "pp-ocrv9"),
        (lambda d: d.pop("report"), "report"),
    ],
)
def test_a_bad_file_is_an_error_that_names_the_key(changed_config, change, word):
    with pytest.raises(SpecError) as caught:
        load_legacy(changed_config("legacy_spec.yaml", change, FOLDER))
    assert word in str(caught.value)


def test_an_unknown_profile_lists_the_known_ones():
    with pytest.raises(SpecError, match="legacy-nothing") as caught:
        legacy_profile("legacy-nothing")
    assert "legacy-squash, legacy-mask-bytes" in str(caught.value)

import pytest

from model_opt.errors import KitError
from model_opt.formats.inference_yml import DbSettings, DetResize, parse_inference_yml, read_inference_yml
from tests.model_opt.formats.yml_cases import CLS, DET, REC


def read(text, encoding="utf-8"):
    return parse_inference_yml(text.encode(encoding))


def characters(entries):
    found = read(REC + entries).dictionary
    assert found is not None
    return found.characters


def test_the_settings_of_a_detector():
    found = read(DET)
    assert (found.model_name, found.kind, found.channel_order) == ("PP-OCRv5_mobile_det", "det", "BGR")
    assert found.resize == DetResize(resize_long=960)
    assert found.db == DbSettings(0.3, 0.6, 1.5, 1000)
    normal = found.normalisation
    assert normal is not None
    assert (normal.mean, normal.std, normal.order) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "hwc")
    assert normal.scale == 1.0 / 255.0
    assert (found.unknown, found.notes, found.dictionary, found.image_shape) == ((), (), None, None)


def test_the_settings_of_a_recogniser():
    found = read(REC + "  - 一\n  - a\n")
    assert (found.model_name, found.kind, found.image_shape) == ("PP-OCRv5_mobile_rec", "rec", (3, 48, 320))
    assert found.dictionary is not None
    assert found.dictionary.text == "一\na\n"
    assert (found.db, found.resize, found.unknown) == (None, None, ())


def test_the_settings_of_a_classifier():
    found = read(CLS)
    assert (found.kind, found.labels) == ("cls", ("0_degree", "180_degree"))


def test_a_resize_without_settings_states_nothing():
    """v6 leaves the rule to the pipeline; a default here would be taken for the model's."""
    assert (
        read(DET.replace("  - DetResizeForTest:\n      resize_long: 960", "  - DetResizeForTest: null")).resize
        == DetResize()
    )


@pytest.mark.parametrize(
    "text",
    [DET.replace("\n", "\r\n"), "\ufeff" + DET, "\ufeff" + DET.replace("\n", "\r\n")],
    ids=["crlf", "mark", "mark and crlf"],
)
def test_line_ends_and_a_mark_of_windows_change_nothing(text):
    assert read(text) == read(DET)


@pytest.mark.parametrize(
    ("entry", "character"),
    [
        ("1", "1"), ("'1'", "1"), ("007", "007"), ("0x1F", "0x1F"), ("1_0", "1_0"), ("1.50", "1.50"), ("1e3", "1e3"),
        ("yes", "yes"), ("No", "No"), ("true", "true"), ("~", "~"), ("null", "null"), ("Null", "Null"),
        (".inf", ".inf"),
        ("2001-01-01", "2001-01-01"), ("12:30", "12:30"), ("=", "="), ("<<", "<<"),
        ("' '", " "), ('"\\u3000"', "\u3000"),
        ("\u3000", "\u3000"), ("'#'", "#"), ("'-'", "-"), ("''''", "'"), ('"\\""', '"'), ("'\\'", "\\"), ("🇩🇪", "🇩🇪"),
        ('"\\u0085"', "\u0085"), ('"\\u2028"', "\u2028"),
    ],
)  # fmt: skip
def test_an_entry_of_the_dictionary_is_what_is_written(entry, character):
    """YAML would turn some into numbers, dates, truth values or nothing, on which PaddleX ends."""
    assert characters(f"  - a\n  - {entry}\n  - b\n") == ("a", character, "b")


def test_entries_that_are_no_text_to_yaml_are_noted():
    found = read(REC + "  - 1\n  - ~\n  - a\n")
    assert len(found.notes) == 1
    assert "'1' (entry 1), '~' (entry 2)" in found.notes[0]


def test_a_character_that_is_there_twice_stays_and_is_noted():
    """Classes count entries: dropping one would shift all behind it."""
    found = read(REC + "  - a\n  - b\n  - a\n")
    assert found.dictionary is not None
    assert found.dictionary.characters == ("a", "b", "a")
    assert any("more than once" in note for note in found.notes)


def test_a_dictionary_in_one_text_is_taken_apart():
    assert characters("    abc一\n") == ("a", "b", "c", "一")


def test_what_is_not_known_is_listed_and_harms_nothing():
    text = DET.replace("  - ToCHWImage: null", "  - ToCHWImage: null\n  - Sharpen: {by: 2}") + "  ring: 3\nMore: 1\n"
    found = read(text)
    assert found.unknown == ("More", "PreProcess.Sharpen", "PostProcess.ring")
    assert found.db == read(DET).db


def test_another_channel_order_is_no_bgr():
    found = read(DET.replace("img_mode: BGR", "img_mode: GRAY"))
    assert (found.channel_order, found.unknown) == (None, ("PreProcess.DecodeImage.img_mode: GRAY",))


@pytest.mark.parametrize(
    ("written", "value"), [("1./255.", 1 / 255), ("1 / 128", 1 / 128), ("0.5", 0.5), ("'0.25'", 0.25), ("null", None)]
)
def test_the_scale_is_read_as_a_number_or_a_quotient(written, value):
    normal = read(DET.replace("1./255.", written)).normalisation
    assert normal is not None
    assert normal.scale == value


@pytest.mark.parametrize("written", ["__import__('os')", "1/0", "1/2/3", "1/", "a", "[1]", "9**9"])
def test_a_scale_is_never_run_as_code(written):
    with pytest.raises(KitError, match=r"PreProcess\.NormalizeImage\.scale"):
        read(DET.replace("1./255.", written))


BROKEN = {
    "yaml": ("a: [1, 2", "no YAML"),
    "empty": ("", "the document"),
    "list": ("- 1\n", "the document"),
    "config": ("Train: {a: 1}\n", "not the settings of a model"),
    "steps": ("PreProcess: {transform_ops: 3}\n", "transform_ops"),
    "step": ("PreProcess: {transform_ops: [3]}\n", "transform_ops"),
    "threshold": (DET.replace("thresh: 0.3", "thresh: high"), "PostProcess.thresh"),
    "candidates": (DET.replace("1000", "10.5"), "max_candidates"),
    "infinite": (DET.replace("box_thresh: 0.6", "box_thresh: .inf"), "PostProcess.box_thresh"),
    "std": (DET.replace("0.229", "0.0"), "division by 0"),
    "mean": (DET.replace("mean: [0.485, 0.456, 0.406]", "mean: 0.5"), "NormalizeImage.mean"),
    "shape": (REC.replace("[3, 48, 320]", "[3, 48]") + "  - a\n", "image_shape"),
    "entry": (REC + "  - a\n  -\n  - b\n", "entry 2 is empty"),
    "line end": (REC + '  - "a\\nb"\n', "holds a line end"),
    "nested": (REC + "  - [a]\n", "a list of characters"),
    "mapping": (REC.replace("character_dict:", "character_dict: {a: 1}"), "character_dict"),
    "deep": ("PostProcess: " + "[" * 100_000, "no YAML"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_settings_are_named(tmp_path, name):
    text, found = BROKEN[name]
    path = tmp_path / "inference.yml"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(KitError) as caught:
        read_inference_yml(path)
    assert found in caught.value.what
    assert caught.value.path == str(path)
    assert caught.value.hint


def test_another_encoding_and_a_missing_file_are_clear_errors(tmp_path):
    with pytest.raises(KitError, match="no YAML"):
        parse_inference_yml((REC + "  - 人\n").encode("gbk"))
    with pytest.raises(KitError, match="cannot read"):
        read_inference_yml(tmp_path / "inference.yml")


def test_the_order_of_the_parts_does_not_matter():
    """v6 writes PostProcess before PreProcess."""
    head, pre = DET.split("PreProcess:\n")
    pre, post = pre.split("PostProcess:\n")
    assert read(head + "PostProcess:\n" + post + "PreProcess:\n" + pre) == read(DET)

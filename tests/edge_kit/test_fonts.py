"""The font draws what the recogniser can read, and says what it cannot."""

import pytest

from edge_kit import fonts
from model_opt.errors import KitError


@pytest.mark.parametrize("serif", [False, True])
def test_chinese_english_and_digits_have_glyphs(serif):
    assert fonts.missing_glyphs("南丰站 Nanfeng 0123，。（）￥", fonts.chinese_font(serif=serif)) == ""


def test_characters_without_a_glyph_are_named():
    assert fonts.missing_glyphs("字กأ字ก", fonts.chinese_font()) == "กأ"


def test_nearly_all_of_the_dictionary_can_be_drawn(mobile_rec):
    characters = mobile_rec.dictionary.read_text(encoding="utf-8").replace("\n", "")
    assert len(fonts.missing_glyphs(characters, fonts.chinese_font())) < 0.02 * len(characters)


def test_a_missing_package_is_an_error_with_its_name(monkeypatch):
    monkeypatch.setattr(fonts, "_PACKAGE", "no_such_package_at_all")
    with pytest.raises(KitError, match="missing") as caught:
        fonts.chinese_font()
    assert "pylopdf-fonts-zh-cn" in str(caught.value)


def test_a_file_that_is_no_font_is_an_error(tmp_path):
    path = tmp_path / "font.otf"
    path.write_bytes(b"OTTO and nothing more")
    with pytest.raises(KitError, match="not a font") as caught:
        fonts.missing_glyphs("字", path)
    assert caught.value.path == str(path)

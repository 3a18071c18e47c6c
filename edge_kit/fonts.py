"""The fonts that pictures are drawn with.

Noto Sans SC and Noto Serif SC, carried by the package pylopdf-fonts-zh-cn under the SIL Open Font License 1.1: it
allows use, embedding and redistribution of pictures drawn with them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from model_opt.errors import KitError

_PACKAGE = "pylopdf_fonts_zh_cn"


def chinese_font(*, serif: bool = False) -> Path:
    """Return the font file for Chinese, English and digits; raise ``KitError`` when its package is missing."""
    name = "NotoSerifSC-Regular.otf" if serif else "NotoSansSC-Regular.otf"
    found = find_spec(_PACKAGE)
    folders = list(found.submodule_search_locations or ()) if found else []
    for folder in folders:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise KitError(
        f"the font {name} is missing",
        hint="install the package pylopdf-fonts-zh-cn (./scripts/edge-kit does it)",
    )


def glyph_test(font_file: Path) -> Callable[[str], bool]:
    """Return a test whether the font has a glyph for one character, blanks included.

    Raises ``KitError`` when the file is not a font. A character without a glyph is drawn as the font's empty box; its
    picture is compared with that box.
    """
    from PIL import ImageFont

    try:
        font = ImageFont.truetype(str(font_file), 24)
    except OSError as error:
        raise KitError(f"not a font that can be used: {error}", path=font_file) from error

    def picture(character: str) -> bytes:
        return bytes(font.getmask(character))

    box = picture("\U0010ffff")

    def has(character: str) -> bool:
        return character.isspace() or picture(character) != box

    return has


def missing_glyphs(text: str, font_file: Path) -> str:
    """Return the characters of ``text`` that the font cannot draw, each once, in the order they come."""
    has = glyph_test(font_file)
    return "".join(character for character in dict.fromkeys(text) if not has(character))

"""A recogniser's dictionary: which character each class stands for. In: a file. Out: characters, or what is wrong.

The one reader of dictionaries in Python; ``android_app/ocr-core/.../Labels.kt`` reads by the same rules, and both are
tested on ``android_app/ocr-core/src/test/resources/labels_cases.json``. The rules are PaddleOCR's own
(``ppocr/postprocess/rec_postprocess.py``): lines end at ``\\n`` alone, carriage returns around them are dropped, all
else is the character, blanks and Unicode separators too. But a byte-order mark is no character, and an empty line is
refused: it would count as a class without a character.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_opt.errors import KitError
from model_opt.fs import file_fault, file_hint, sha256_bytes

MARK = "\ufeff"
"""The byte-order mark as UTF-8 decodes it."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SAVE = "save it as UTF-8, one character a line"
_TRAINED = "give the dictionary that the model was trained with, one character a line"
_MOST_NAMED = 5
_FEW_LOST = 3

KNOWN_EMPTY: Mapping[str, str] = {
    "d509abad601cf33158113d796ce76585c4f50a51b3568002b4d4fcffbc5489d9": "PaddleOCR's bn_dict.txt",
    "705d95fffee2161c07b5785c7036a7c2201f0aa82c8895648d7dd4bd3de37e7c": "PaddleOCR's bm_dict_add.txt",
}
"""Dictionaries by SHA-256 whose empty lines are classes of the models that were trained with them."""


class DictionaryError(KitError):
    """A dictionary that cannot be read, or does not fit a recogniser."""


@dataclass(frozen=True)
class Dictionary:
    """``characters`` in the order of the classes after the blank; ``notes`` on oddities that were accepted."""

    characters: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The dictionary as it ships: UTF-8 without a mark, each line ended by ``\\n``."""
        return "".join(f"{character}\n" for character in self.characters)


def read_dictionary(path: Path) -> Dictionary:
    """Read a dictionary file. Raises ``DictionaryError`` naming file, line and likely cause."""
    try:
        data = path.read_bytes()
    except (OSError, UnicodeEncodeError) as error:
        hint = file_hint(error, "check the path and its permissions")
        raise DictionaryError(f"cannot read the dictionary: {file_fault(error)}", path=path, hint=hint) from error
    return parse_dictionary(data, path)


def parse_dictionary(data: bytes, path: Path | None = None) -> Dictionary:
    """Read the bytes of a dictionary; ``path`` is for messages. Raises ``DictionaryError``."""
    text = _decoded(data, path).lstrip(MARK)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    characters = tuple(line.strip("\r") for line in lines)
    if not characters:
        raise DictionaryError("the dictionary is empty", path=path, hint=_TRAINED)
    _check_lines(characters, sha256_bytes(data), path)
    return Dictionary(characters, tuple(_notes(characters)))


def _decoded(data: bytes, path: Path | None) -> str:
    if data.startswith(_UTF16) or b"\0" in data:
        raise DictionaryError("the dictionary is not UTF-8 but looks like UTF-16", path=path, hint=_SAVE)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DictionaryError(
            f"the dictionary is not UTF-8 (byte {error.start}, line {line}); it may be GBK or another encoding",
            path=path,
            hint=_SAVE,
        ) from error


def _check_lines(characters: Sequence[str], digest: str, path: Path | None) -> None:
    inner = next((at for at, character in enumerate(characters, 1) if "\r" in character), None)
    if inner is not None:
        raise DictionaryError(
            f"line {inner} of the dictionary holds a carriage return: its lines end as on an old Mac",
            path=path,
            hint="save it with line ends of Unix or Windows",
        )
    empty = [at for at, character in enumerate(characters, 1) if not character]
    if empty and digest not in KNOWN_EMPTY:
        raise DictionaryError(
            f"{_lines(empty)} of the dictionary {'is' if len(empty) == 1 else 'are'} empty: an editor removed "
            "a blank that was a character, or there is an extra empty line",
            path=path,
            hint="put the blank back where the dictionary of the training has one, else remove the line",
        )


def _lines(numbers: Sequence[int]) -> str:
    """Return ``line 3``, ``lines 3 and 9``, ``lines 1, 2, 3, 4, 5 and 7 more``."""
    if len(numbers) == 1:
        return f"line {numbers[0]}"
    if len(numbers) > _MOST_NAMED:
        return f"lines {', '.join(map(str, numbers[:_MOST_NAMED]))} and {len(numbers) - _MOST_NAMED} more"
    return f"lines {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _notes(characters: Sequence[str]) -> list[str]:
    """Return what a reader of a report should know: PaddleOCR's own dictionaries hold such lines, so they stay."""
    places: dict[str, list[int]] = {}
    for at, character in enumerate(characters, 1):
        places.setdefault(character, []).append(at)
    twice = [(character, at) for character, at in places.items() if len(at) > 1]
    padded = [(character, at[0]) for character, at in places.items() if character.strip(" ") not in (character, "")]
    notes = []
    if twice:
        shown = ", ".join(f"{character!r} in {_lines(at)}" for character, at in twice[:_MOST_NAMED])
        notes.append(f"the dictionary holds {_times(len(twice), 'character')} more than once: {shown}")
    if padded:
        shown = ", ".join(f"{character!r} in line {at}" for character, at in padded[:_MOST_NAMED])
        notes.append(f"{_times(len(padded), 'line')} of the dictionary {'has' if len(padded) == 1 else 'have'} a blank "
                     f"before or behind the character, which goes into texts: {shown}")  # fmt: skip
    return notes


def _times(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def space_follows(characters: int, classes: int | None, path: Path | None = None) -> bool | None:
    """Return whether a space follows the dictionary's last character as a separate class; None when not stated.

    A recogniser has a class for the blank of CTC, one for each character and, trained with ``use_space_char``, one for
    the space: ``classes`` decides. Raises ``DictionaryError`` when the dictionary fits neither way.
    """
    if classes is None:
        return None
    if classes - characters in (1, 2):
        return classes - characters == 2
    lost = 0 < classes - 2 - characters <= _FEW_LOST
    raise DictionaryError(
        f"the dictionary holds {characters:,} characters, and the model has {classes:,} classes: it was trained with "
        f"{classes - 2:,} characters and a space (use_space_char), or with {classes - 1:,} and none",
        path=path,
        hint=_TRAINED + (": a line may have been lost, such as that of a blank" if lost else ""),
    )

"""What the pipeline answers for one image, and the forms it can be printed and saved in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_kit.ocr.reading import Reading
from edge_kit.ocr.schemas import KIT, plain, schema_of
from model_opt.errors import KitError
from model_opt.fs import file_fault, file_hint, same_file, write_atomic
from model_opt.http import is_url, path_of

if TYPE_CHECKING:
    from PIL import Image as Pillow


class _Shown(Mapping[str, Any]):
    """PaddleX's ``str``: in the class that has a property of this name, annotations could not say ``str``."""

    @property
    def str(self) -> dict[Any, Any]:
        """The fields under ``res`` as PaddleX 3 shows them: numbers and boxes as arrays, texts as lists."""
        return {"res": {key: _shown(key, value) for key, value in self.items()}}


@dataclass(frozen=True)
class OcrResult(Reading, _Shown):
    """Boxes, texts and scores of one image, in reading order, one text and score for each box.

    It is a mapping too: ``result["rec_texts"]``, ``for key in result``. ``schema`` says which fields that has, and
    what ``json``, ``print`` and the files hold; see ``edge_kit.ocr.schemas``.
    """

    schema: str = field(default=KIT, repr=False, compare=False)

    def __getitem__(self, key: str) -> Any:
        """Return a field by its name in the schema."""
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the schema's fields."""
        return iter(self._fields)

    def __len__(self) -> int:
        """Return the number of the schema's fields."""
        return len(self._fields)

    @cached_property
    def _fields(self) -> dict[str, Any]:
        return schema_of(self.schema).fields(self)

    @property
    def json(self) -> dict[str, Any]:
        """The fields as JSON types, under ``res`` as PaddleX 3 gives them unless the schema is an older one."""
        schema = schema_of(self.schema)
        body: dict[str, Any] = plain(schema.body(self) if schema.json_key is None else schema.fields(self))
        return body if schema.json_key is None else {schema.json_key: body}

    @property
    def img(self) -> Any:
        """The picture, under ``ocr_res_img`` as PaddleX 3 gives it unless the schema is an older one."""
        key = schema_of(self.schema).image_key
        picture = self._picture()
        return picture if key is None else {key: picture}

    def _picture(self) -> Pillow.Image:
        from edge_kit.ocr.draw import draw_lines

        return draw_lines(self.image, self.dt_polys, self.rec_texts)

    def to_dict(self) -> dict[str, Any]:
        """Return the schema's fields as JSON types.

        The kit's own: input_path, dt_polys, dt_scores, rec_texts, rec_scores, timings.
        """
        body: dict[str, Any] = plain(schema_of(self.schema).body(self))
        return body

    def to_json(self, *, indent: int | None = None, ensure_ascii: bool = False) -> str:
        """Return ``to_dict`` as JSON text; a file name that is no UTF-8 keeps its bytes as ``\\udcXX`` escapes."""
        return _json_text(self.to_dict(), indent, ensure_ascii)

    def print(
        self,
        format_json: bool | None = None,
        indent: int = 4,
        ensure_ascii: bool = False,
        *,
        json_format: bool | None = None,
    ) -> None:
        """Write the result to standard output: JSON, or one line a text when ``format_json`` is false.

        ``json_format`` is PaddleX 3's word for it, whose own schema prints its fields in Python's form by default.
        Characters that standard output cannot show are escaped; a process without one prints nothing.
        """
        import sys

        out = sys.stdout
        if out is None:
            return
        schema = schema_of(self.schema)
        wanted = json_format if format_json is None else format_json
        if wanted or (wanted is None and schema.prints_json):
            text = self.to_json(indent=indent, ensure_ascii=ensure_ascii)
            if not schema.prints_json:
                text = _json_text({"res": self.to_dict()}, indent, ensure_ascii)
        elif schema.prints_json:
            lines = zip(self.rec_texts, self.rec_scores, strict=True)
            text = "\n".join(f"{score:.4f}  {line}" for line, score in lines)
        else:
            with np.printoptions(threshold=1, edgeitems=1):
                text = str(self.str)
        encoding = getattr(out, "encoding", None) or "utf-8"
        out.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")

    def save_to_json(self, save_path: str | Path, indent: int = 4, ensure_ascii: bool = False) -> Path:
        """Write the JSON form; a folder keeps the input's name. Returns the file written.

        Raises ``KitError`` for a place that cannot be written to, and for the file that was read.
        """
        schema = schema_of(self.schema)
        target = self._target(save_path, json_ending(self.schema))
        text = self.to_json(indent=indent, ensure_ascii=ensure_ascii) + ("\n" if schema.newline else "")
        return write_output(target, text.encode())

    def save_to_img(self, save_path: str | Path) -> Path:
        """Write the picture with boxes and texts side by side; a folder keeps the input's name.

        The suffix of a file chooses the format (PNG, JPEG, WebP …). Returns the file written. Raises ``KitError`` for
        another suffix, a place that cannot be written to, and the file that was read.
        """
        from edge_kit.ocr.draw import encode_picture

        target = self._target(save_path, image_ending(self.schema, self.input_path))
        return write_output(target, encode_picture(self._picture(), target))

    def save_all(self, save_path: str | Path) -> tuple[Path, Path]:
        """Write both forms into the folder ``save_path``, JSON first; errors as theirs. Returns the files written."""
        folder = f"{_path_of(save_path)}/"
        return self.save_to_json(folder), self.save_to_img(folder)

    def _target(self, save_path: str | Path, ending: str) -> Path:
        path = _path_of(save_path)
        if path.is_dir() or path.suffix == "" or str(save_path).endswith("/"):
            path /= f"{self.name or stem_of(self.input_path, self.page_index)}{ending}"
        if self.input_path is not None and same_file(path, self.input_path):
            raise KitError("the result would replace the file that was read", path=path, hint="name another folder")
        return path


def _path_of(save_path: str | Path) -> Path:
    """Return the place that a user gave; ``KitError`` for what is none."""
    if not isinstance(save_path, str | Path) or not str(save_path).strip():
        what = "save_path is empty" if isinstance(save_path, str) else f"save_path is a path, not {save_path!r}"
        raise KitError(what, hint="give a folder, or a file")
    return Path(save_path)


def image_ending(schema: str, input_path: str | None) -> str:
    """Return how the name of a picture in a folder goes on behind the stem of its input."""
    suffix = Path(input_path).suffix if input_path else ""
    if schema == KIT:
        suffix = suffix.lower()
    known = suffix.lower() in {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
    return f"{schema_of(schema).image_suffix}{suffix if known else '.png'}"


def json_ending(schema: str) -> str:
    """Return how the name of a JSON file in a folder goes on behind the stem of its input."""
    return f"{schema_of(schema).json_suffix}.json"


def _json_text(value: Any, indent: int | None, ensure_ascii: bool) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(key: str, value: Any) -> Any:
    """Return a field as PaddleX 3 prints it: numbers and boxes as arrays, texts and words as lists."""
    as_it_is = key in {"rec_texts", "text_word", "text_word_boxes"} or not isinstance(value, list)
    return value if as_it_is else np.array(value)


class Names:
    """Gives each result of a batch its own file name: the second ``page`` becomes ``page_2``."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def unused(self, stem: str) -> str:
        """Return ``stem``, or ``stem`` with the first number that makes it new."""
        number, name = self._taken.get(stem, 0), stem
        while name in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken[stem] = max(number, 1)
        self._taken.setdefault(name, 1)
        return name


def stem_of(input_path: str | None, page_index: int | None = None) -> str:
    """Return the file name without suffix of a path or address, ``image`` where there is none; a page's has its number.

    ``scan_0`` is the first page of ``scan.pdf``, as in PaddleX.
    """
    place = input_path or ""
    stem = Path(path_of(place) if is_url(place) else place).stem or "image"
    return stem if page_index is None else f"{stem}_{page_index}"


def write_output(target: Path, data: bytes) -> Path:
    """Write a file that a user asked for and return it; ``KitError`` when its place cannot be written to."""
    try:
        if target.is_dir():
            raise KitError("cannot write the result: a folder has this name", path=target, hint="name a file in it")
        write_atomic(target, data)
    except BrokenPipeError:  # the reader of /dev/stdout left
        raise
    except (OSError, UnicodeEncodeError) as error:
        what = f"cannot write the result: {_reason(error, target.parent)}"
        raise KitError(what, path=target, hint=file_hint(error, "choose another place")) from error
    return target


def make_folder(folder: Path) -> Path:
    """Make a folder for results, with those above it, and return it; ``KitError`` when that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, UnicodeEncodeError) as error:
        what = f"cannot make the folder for results: {_reason(error, folder)}"
        raise KitError(what, path=folder, hint=file_hint(error, "choose another place")) from error
    return folder


def _reason(error: OSError | UnicodeEncodeError, folder: Path) -> str:
    """Return why ``folder`` cannot be had: the file that stands in its way, else what the system says."""
    for above in (folder, *folder.parents):
        if above.is_file():
            return f"{above} is a file, and a folder is needed"
    return file_fault(error)

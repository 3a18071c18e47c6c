"""What the pipeline answers for one image, and the forms it can be printed and saved in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from edge_kit.ocr.image import Image
from model_opt.errors import KitError
from model_opt.fs import write_atomic


@dataclass(frozen=True)
class OcrResult:
    """Boxes, texts and scores of one image, in reading order, one text and score for each box."""

    input_path: str | None
    """Where the image came from; ``None`` for an array."""
    dt_polys: NDArray[np.int32]
    """[n, 4, 2] points (x, y), pixels of the image."""
    dt_scores: tuple[float, ...]
    rec_texts: tuple[str, ...]
    rec_scores: tuple[float, ...]
    timings: Mapping[str, float]
    """Seconds of each step; ``rec_*`` summed over lines that may have run side by side; ``total`` is elapsed."""
    image: Image = field(repr=False, compare=False)
    """The decoded image, BGR, for pictures."""
    name: str | None = field(default=None, repr=False, compare=False)
    """Stem of the files saved in a folder, when it differs from the input's (see ``Names``)."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON types: input_path, dt_polys, dt_scores, rec_texts, rec_scores, timings."""
        return {
            "input_path": self.input_path,
            "dt_polys": self.dt_polys.tolist(),
            "dt_scores": list(self.dt_scores),
            "rec_texts": list(self.rec_texts),
            "rec_scores": list(self.rec_scores),
            "timings": {name: round(seconds, 6) for name, seconds in self.timings.items()},
        }

    def to_json(self, *, indent: int | None = None, ensure_ascii: bool = False) -> str:
        """Return ``to_dict`` as JSON text; a file name that is no UTF-8 keeps its bytes as ``\\udcXX`` escapes."""
        text = json.dumps(self.to_dict(), indent=indent, ensure_ascii=ensure_ascii)
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    def print(self, format_json: bool = True, indent: int = 4, ensure_ascii: bool = False) -> None:
        """Write the result to standard output: JSON, or one line a text when ``format_json`` is false."""
        import sys

        if format_json:
            text = self.to_json(indent=indent, ensure_ascii=ensure_ascii)
        else:
            lines = zip(self.rec_texts, self.rec_scores, strict=True)
            text = "\n".join(f"{score:.4f}  {line}" for line, score in lines)
        sys.stdout.write(text + "\n")

    def save_to_json(self, save_path: str | Path, indent: int = 4, ensure_ascii: bool = False) -> Path:
        """Write the JSON form; a folder keeps the input's name. Returns the file written."""
        target = self._target(save_path, ".json")
        text = self.to_json(indent=indent, ensure_ascii=ensure_ascii) + "\n"
        return write_output(target, text.encode())

    def save_to_img(self, save_path: str | Path) -> Path:
        """Write the picture with boxes and texts side by side; a folder keeps the input's name.

        The suffix of a file chooses the format (PNG, JPEG, WebP …). Returns the file written.
        """
        from edge_kit.ocr.draw import draw_lines, encode_picture

        target = self._target(save_path, self._image_suffix())
        return write_output(target, encode_picture(draw_lines(self.image, self.dt_polys, self.rec_texts), target))

    def _image_suffix(self) -> str:
        suffix = Path(self.input_path).suffix.lower() if self.input_path else ""
        return suffix if suffix in {".jpg", ".jpeg", ".png", ".bmp", ".webp"} else ".png"

    def _target(self, save_path: str | Path, suffix: str) -> Path:
        path = Path(save_path)
        is_folder = path.is_dir() or path.suffix == "" or str(save_path).endswith("/")
        return path / f"{self.name or stem_of(self.input_path)}{suffix}" if is_folder else path


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


def stem_of(input_path: str | None) -> str:
    """Return the file name without suffix of a path or address, ``image`` where there is none."""
    if input_path is None:
        return "image"
    address = input_path.startswith(("http://", "https://"))
    return Path(urlsplit(input_path).path if address else input_path).stem or "image"


def write_output(target: Path, data: bytes) -> Path:
    """Write a file that a user asked for and return it; ``KitError`` when its place cannot be written to."""
    try:
        write_atomic(target, data)
    except OSError as error:
        raise KitError(
            f"cannot write the result: {error.strerror}", path=target, hint="choose another place"
        ) from error
    return target

"""What the zoo hands out, and its errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from model_opt.errors import KitError
from model_opt.fs import sha256_bytes

Kind = Literal["det", "rec", "cls"]
KINDS: tuple[Kind, ...] = ("det", "rec", "cls")

Format = Literal["paddle", "pir", "onnx"]

PDMODEL = "inference.pdmodel"
PIR_PROGRAM = "inference.json"
ONNX_MODEL = "inference.onnx"
PDIPARAMS = "inference.pdiparams"
INFERENCE_YML = "inference.yml"

FORMATS: Mapping[Format, tuple[str, ...]] = {
    "paddle": (PDMODEL, PDIPARAMS),
    "pir": (PIR_PROGRAM, PDIPARAMS),
    "onnx": (ONNX_MODEL,),
}
"""The files of a model in each format, the program first, by the names under which the kit keeps them."""

DICTIONARY, DICT_FILE = "dictionary", "dict.txt"
"""The key of a dictionary among sums, and its name in the store."""


class ZooError(KitError):
    """A model, a row of the zoo or an archive that cannot be used as it is."""


@dataclass(frozen=True)
class ModelFiles:
    """An inference model on this disk as it was published, its sums checked.

    ``program_file`` is a ``.pdmodel``, Paddle 3's ``inference.json`` or an ONNX file; ``params_file`` is None where the
    program holds its parameters itself. ``input_shape`` is NCHW with -1 where a size is free. ``sha256`` has the names
    of ``FORMATS`` and, where there is one, ``dictionary``. ``classes`` is the last size of the output, None where it is
    free. ``append_space`` says whether a space follows the dictionary's characters as the last class, None without a
    dictionary or where the classes are free. ``source`` says where the files came from. ``max_candidates`` is what a
    detector's ``inference.yml`` says of the contours to look at.
    """

    name: str
    kind: Kind
    format: Format
    program_file: Path
    params_file: Path | None
    dictionary: Path | None
    input_name: str
    input_shape: tuple[int, ...]
    sha256: Mapping[str, str] = field(hash=False)
    classes: int | None = None
    append_space: bool | None = None
    source: str = ""
    max_candidates: int | None = None

    @property
    def fingerprint(self) -> str:
        """A SHA-256 over the files' sums: two models share it only when all their files are equal."""
        return fingerprint_of(self.sha256)


def fingerprint_of(sums: Mapping[str, str]) -> str:
    """Return one SHA-256 for a set of named sums."""
    return sha256_bytes("".join(f"{name} {sums[name]}\n" for name in sorted(sums)).encode())

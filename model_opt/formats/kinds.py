"""Which format a program file has, by its content. Names and suffixes do not count: users rename files."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Literal

from model_opt.formats.errors import FormatError

Kind = Literal["paddle", "pir", "onnx"]

_HEAD = 4096
"""Bytes that are looked at first."""

_MOST_FIELDS = 4096
"""Fields of a protocol buffer that are walked over; a model has a dozen, and blocks."""

_VARINT, _BYTES = 0, 2
_ONNX_FIELDS: Mapping[int, int] = {
    **dict.fromkeys((1, 5), _VARINT),
    **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), _BYTES),
}
"""Number and wire type of the fields of ONNX's ``ModelProto``."""
_ONNX_GRAPH = 7
_BLOCK_STARTS = b"\x08"
"""A block of a ``ProgramDesc`` begins with its index."""

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a pointer of git-lfs, not the file itself", "run `git lfs pull` in the repository"),
    (b"\x80\x02", "a pickle, such as a training checkpoint (.pdparams, .pth)", "export an inference model first"),
    (b"\x80\x04", "a pickle, such as a training checkpoint (.pdparams, .pth)", "export an inference model first"),
    (
        b"PK\x03\x04",
        "a ZIP archive, such as a PyTorch checkpoint or a wheel",
        "unpack it, or export an inference model",
    ),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"\x89HDF", "an HDF5 file, such as Keras weights", "export the model to ONNX or Paddle first"),
    (b"GGUF", "a GGUF file", "give a model of PP-OCR"),
    (b"7767517", "a parameter file of ncnn", "give the Paddle or ONNX model that it was made from"),
    (b"\x00" * 16, "the parameters of a model (.pdiparams), not its program", "give the program that lies beside them"),
)
"""What files begin with, what they are, and what helps."""


def kind_of(path: Path) -> Kind | None:
    """Return the format of a program file, None when it holds no program. Reads a few kilobytes.

    Raises ``FormatError`` when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return kind_in(file)
    except (OSError, ValueError) as error:
        raise FormatError(_unreadable(path, error), path=path, hint="check the path and its permissions") from error


def refusal(path: Path) -> FormatError:
    """Return the error for a file that ``kind_of`` does not know: what it is instead, as far as its start shows."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError) as error:
        return FormatError(_unreadable(path, error), path=path, hint="check the path and its permissions")
    found, hint = describe(head)
    return FormatError(
        f"this is no program of Paddle (.pdmodel, inference.json) or ONNX: found {found}", path=path, hint=hint
    )


def _unreadable(path: Path, error: Exception) -> str:
    found = "a folder" if path.is_dir() else None if path.exists() else "nothing"
    return f"cannot read the model: {error}" if found is None else f"expected a model file, found {found}"


def kind_in(file: BinaryIO) -> Kind | None:
    """Return the format of an opened program file, None when it holds no program."""
    head = file.read(_HEAD)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return "pir" if b'"pir"' in text or b'"program"' in text else None
    if head.startswith(b"\n"):
        return "paddle" if _starts_block(head) else None
    file.seek(0)
    seen = set()
    for number, wire in _fields(file):
        if _ONNX_FIELDS.get(number) != wire:
            return None
        seen.add(number)
    return "onnx" if _ONNX_GRAPH in seen else None


def _starts_block(head: bytes) -> bool:
    """Return whether the first field, of number 1, holds a block."""
    for at in range(1, 11):
        if at < len(head) and head[at] < 0x80:
            return head[at + 1 : at + 2] == _BLOCK_STARTS
    return False


def _fields(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield number and wire type of the fields of a protocol buffer; -1 twice where none follows.

    What the fields hold is skipped. A file that ends within a field is damaged, and for its reader to name.
    """
    for _ in range(_MOST_FIELDS):
        key = _varint(file)
        if key is None:
            return
        number, wire = key >> 3, key & 7
        if number == 0 or wire not in (_VARINT, _BYTES):
            yield -1, -1
            return
        yield number, wire
        value = _varint(file)
        if value is None:
            return
        if wire == _BYTES:
            file.seek(min(value, 1 << 62), 1)


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return 0


def describe(head: bytes) -> tuple[str, str]:
    """Return what a file that holds no program is, by its first kilobytes, and what helps."""
    if not head:
        return "an empty file", "fetch or export the model again"
    for start, found, hint in _MAGIC:
        if head.startswith(start):
            return found, hint
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"<":
        return "a web page or XML", "the download gave a page instead of the file: fetch it again"
    if text[:1] == b"{":
        return "JSON that is no program, such as a config.json", "give inference.json of the exported model"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "a safetensors file: weights without a program", "export an inference model first"
    if head[4:8] == b"TFL3":
        return "a model of TensorFlow Lite", "give the Paddle or ONNX model that it was made from"
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it, or give it as a model of your own"
    if text.startswith((b"Global:", b"Hpi:", b"PreProcess:", b"PostProcess:")):
        return "the settings of a model (inference.yml), not its program", "give the program that lies beside them"
    if all(byte >= 0x20 or byte in b"\t\n\r" for byte in head) and _is_utf8(head):
        return f"text that begins with {head[:40].decode('utf-8', 'replace')!r}", "give the exported model"
    return f"bytes that begin with {head[:16].hex(' ')}", "the file is damaged or of another kind: export it again"


def _is_utf8(head: bytes) -> bool:
    """Return whether the start of a file is UTF-8; a character at its end may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True

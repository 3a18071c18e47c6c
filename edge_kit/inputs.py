"""Turn what a user gives (array, path, URL, folder, dict, list) into images, one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_kit.ocr.image import SUFFIXES, Image, ImageError, as_image, decode_image, read_image
from model_opt.download import Policy, download
from model_opt.errors import KitError, SourceUnavailable

MAX_DOWNLOAD = 256 << 20
"""Bytes an image behind a URL may have; more is refused before it fills the memory."""


@dataclass(frozen=True)
class ImageInput:
    """One image to be read: where it is, or the array itself."""

    input_path: str | None
    array: Any = None
    error: KitError | None = None
    """Why nothing can be read here: raised when it is loaded, so that a batch continues with the others."""

    def load(self) -> Image:
        """Return the BGR image; raise ``KitError`` when it cannot be read."""
        if self.error is not None:
            raise self.error
        if self.array is not None:
            return as_image(np.asarray(self.array), self.input_path or "array")
        if self.input_path is None:
            raise ImageError("an input without a path or an array")
        if is_url(self.input_path):
            return decode_image(_download(self.input_path), self.input_path)
        return read_image(Path(self.input_path))


def expand(inputs: Any) -> Iterator[ImageInput]:
    """Yield the images in ``inputs``: an ndarray, a path, an http(s) URL, a folder, ``{"img": …}``, or a list or
    iterator of these.

    A folder yields its image files in the order of their names, sub-folders left out. A path that does not exist and
    a folder without images give one that cannot be loaded; another type raises ``ImageError`` at once.
    """
    if isinstance(inputs, np.ndarray):
        yield ImageInput(None, inputs)
    elif isinstance(inputs, Mapping):
        if "img" not in inputs:
            raise ImageError(f"a dict input needs the key 'img'; it has {sorted(map(str, inputs))}")
        yield from expand(inputs["img"])
    elif isinstance(inputs, str | Path):
        yield from _expand_path(str(inputs))
    elif isinstance(inputs, Sequence | Iterator) and not isinstance(inputs, bytes | bytearray | memoryview):
        for item in inputs:
            yield from expand(item)
    else:
        raise ImageError(
            f"cannot read an input of type {type(inputs).__name__}",
            hint="give an ndarray (BGR uint8), a path, an http(s) URL, a folder, {'img': …}, a list or an iterator",
        )


def is_url(text: str) -> bool:
    """Return whether ``text`` is an http or https address."""
    return text.startswith(("http://", "https://"))


def _expand_path(text: str) -> Iterator[ImageInput]:
    if is_url(text):
        yield ImageInput(text)
        return
    if not text.strip() or "://" in text:
        what = (
            "the path of the input is empty" if not text.strip() else "the kit reads addresses of http and https only"
        )
        yield ImageInput(text, error=ImageError(what, path=text or None, hint="give a file, a folder or an address"))
        return
    path = Path(text)
    if not path.is_dir():
        yield ImageInput(text)
        return
    try:
        yield from (ImageInput(str(file)) for file in image_files(path))
    except ImageError as error:
        yield ImageInput(text, error=error)


def image_files(folder: Path, what: str = "folder", hint: str | None = None) -> list[Path]:
    """Return the image files in ``folder`` by name; ``ImageError`` when it cannot be listed or holds none."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise ImageError(f"cannot list the {what}: {error.strerror}", path=folder, hint=hint) from error
    if not files:
        known = f"known: {' '.join(sorted(SUFFIXES))}"
        raise ImageError(f"the {what} holds no image files", path=folder, hint=hint or known)
    return files


def _download(url: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edge-kit-image-") as scratch:
        target = Path(scratch) / "image"
        try:
            download(url, target, policy=Policy(attempts=1, connect_timeout=30.0, max_bytes=MAX_DOWNLOAD))
        except SourceUnavailable as error:
            raise KitError(error.what, path=url, hint="check the address") from error
        return target.read_bytes()

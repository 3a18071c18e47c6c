"""Turn what a user gives (array, path, URL, folder, dict, list) into images, one after the other."""

from __future__ import annotations

import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_kit import documents
from edge_kit.documents import Document, PageError, as_document
from edge_kit.ocr.image import (
    SUFFIXES,
    UNREAD_SUFFIXES,
    Image,
    ImageError,
    as_image,
    decode_image,
    is_broken_link,
    read_file,
    read_head,
)
from edge_kit.spec.model import Alpha
from model_opt.download import Policy, download
from model_opt.errors import KitError, SourceUnavailable
from model_opt.http import is_url

MAX_DOWNLOAD = 256 << 20
"""Bytes an image behind a URL may have; more is refused before it fills the memory."""
DOWNLOAD_SECONDS = 120.0
"""Seconds in which an image behind a URL has to come."""


class PassedOver(UserWarning):
    """Something in a folder that is not read."""


@dataclass(frozen=True)
class ImageInput:
    """One image to be read: where it is, or the array itself."""

    input_path: str | None
    array: Any = None
    error: KitError | None = None
    """Why nothing can be read here: raised when it is loaded, so that a batch continues with the others."""
    page_index: int | None = None
    """The page of a document, from 0; None for an image."""
    number: int | None = None
    """Which one of a list or iterator an array is, from 1."""

    def load(self, alpha: Alpha = "drop") -> Image:
        """Return the BGR image, of a document its first page; raise ``KitError`` when it cannot be read."""
        found = self.opened(alpha)
        if not isinstance(found, Document):
            return found
        page = next(found.pages(alpha=alpha))
        if isinstance(page, PageError):
            raise page
        return page

    def opened(self, alpha: Alpha = "drop", stop: threading.Event | None = None) -> Image | Document:
        """Return the BGR image, or the document that is there instead; raise ``KitError`` when it cannot be read.

        ``alpha`` says what becomes of transparency. ``stop`` ends a download that nobody waits for any more.
        """
        if self.error is not None:
            raise self.error
        if self.array is not None:
            name = "array" if self.number is None else f"array, number {self.number} of the inputs"
            return as_image(np.asarray(self.array), self.input_path or name, alpha)
        if self.input_path is None:
            raise ImageError("an input without a path or an array")
        path = self.input_path
        data = _download(path, stop) if is_url(path) else read_file(Path(path))
        return as_document(data, self.input_path) or decode_image(data, self.input_path, alpha)


def pages_of(source: ImageInput, document: Document, alpha: Alpha) -> Iterator[ImageInput]:
    """Yield the pages of a document as inputs, numbered from 0; one that cannot be read raises when it is loaded."""
    for index, page in enumerate(document.pages(alpha=alpha)):
        if isinstance(page, PageError):
            yield ImageInput(source.input_path, error=page, page_index=index)
        else:
            yield ImageInput(source.input_path, page, page_index=index)


def expand(inputs: Any) -> Iterator[ImageInput]:
    """Yield the images in ``inputs``: an ndarray, a path, an http(s) URL, a folder, ``{"img": …}``, or a list or
    iterator of these.

    A folder yields its images and PDF files in the order of their names; a warning of class ``PassedOver`` names what
    else is in it. A path that does not exist and a folder without images give one that cannot be loaded; another type
    raises ``ImageError`` at once.
    """
    if isinstance(inputs, np.ndarray):
        yield ImageInput(None, inputs)
    elif isinstance(inputs, ImageInput):
        yield inputs
    elif isinstance(inputs, Mapping):
        if "img" not in inputs:
            what = f"a dict input needs the key 'img'; it has {sorted(map(str, inputs))}"
            raise ImageError(what, hint="give {'img': …} with an ndarray or a path")
        yield from expand(inputs["img"])
    elif isinstance(inputs, str | Path):
        yield from _expand_path(str(inputs))
    elif isinstance(inputs, Sequence | Iterator) and not isinstance(inputs, bytes | bytearray | memoryview):
        for number, item in enumerate(inputs, 1):
            yield from _numbered(number, item)
    else:
        raise ImageError(
            f"cannot read an input of type {type(inputs).__name__}",
            hint="give an ndarray (BGR uint8), a path, an http(s) URL, a folder, {'img': …}, a list or an iterator",
        )


def _numbered(number: int, item: Any) -> Iterator[ImageInput]:
    """Yield the images of one item of a list; an array, and an error about a type, get its number."""
    try:
        for source in expand(item):
            plain = source.array is not None and source.input_path is None and source.number is None
            yield replace(source, number=number) if plain else source
    except ImageError as error:
        place = error.path or f"number {number} of the inputs"
        raise ImageError(error.what, path=place, hint=error.hint) from error


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
        yield from (ImageInput(str(file)) for file in user_files(path, suffixes=documents.READ_SUFFIXES))
    except ImageError as error:
        yield ImageInput(text, error=error)


def image_files(
    folder: Path, what: str = "folder", hint: str | None = None, suffixes: frozenset[str] = SUFFIXES
) -> list[Path]:
    """Return the image files in ``folder`` by name; ``ImageError`` when it cannot be listed or holds none.

    A link with an image's suffix that leads to nothing is among them: who reads it finds out.
    """
    try:
        named = (path for path in folder.iterdir() if path.suffix.lower() in suffixes)
        files = sorted(path for path in named if path.is_file() or is_broken_link(path))
        others = "" if files else _others(folder, files)
    except OSError as error:
        advice = hint or "check the path and its rights"
        raise ImageError(f"cannot list the {what}: {error.strerror}", path=folder, hint=advice) from error
    if not files:
        known = f"known: {' '.join(sorted(suffixes))}"
        holds = f", but {others}" if others else ""
        raise ImageError(f"the {what} holds no image files{holds}", path=folder, hint=hint or known)
    return files


def user_files(
    folder: Path, what: str = "folder", hint: str | None = None, suffixes: frozenset[str] = SUFFIXES
) -> list[Path]:
    """Return what ``image_files`` does; a warning of class ``PassedOver`` names what else is in ``folder``."""
    files = image_files(folder, what, hint, suffixes)
    others = _others(folder, files)
    if others:
        warnings.warn(f"{folder}: passed over {others}", PassedOver, stacklevel=2)
    return files


def warn_of_pages(files: Sequence[Path], doing: str) -> None:
    """Warn (``PassedOver``) of files with several pages or frames, of which a job takes the first alone.

    Raises ``ImageError`` for a file that cannot be read.
    """
    for path in files:
        if documents.may_have_pages(read_head(path, 1 << 16)) and as_document(read_file(path), str(path)) is not None:
            warnings.warn(f"{path}: {doing} its first page alone", PassedOver, stacklevel=2)


NAMED = 3
"""How many of the things that are passed over are named."""


def _others(folder: Path, files: Sequence[Path]) -> str:
    """Return in words what a folder holds beside ``files``; hidden files do not count."""
    known = set(files)
    rest = sorted(path for path in folder.iterdir() if path not in known and not path.name.startswith("."))
    below = [path.name for path in rest if path.is_dir()]
    files_besides = [path for path in rest if not path.is_dir()]
    photos = [path.name for path in files_besides if path.suffix.lower() in UNREAD_SUFFIXES]
    odd = [path.name for path in files_besides if path.suffix.lower() not in UNREAD_SUFFIXES]
    parts = [
        _counted(odd, "file that is no image", "files that are no images"),
        _counted(below, "sub-folder", "sub-folders"),
        unread_photos(photos, len(photos)),
    ]
    return " and ".join(filter(None, parts))


def unread_photos(names: Sequence[str], count: int) -> str:
    """Return in words what becomes of ``count`` pictures of phones, the first of them by ``names``; empty for none."""
    said = _counted(names, "HEIC or AVIF image", "HEIC or AVIF images", count)
    return said and f"{said}, which the kit does not read: convert {'it' if count == 1 else 'them'} to JPEG or PNG"


def _counted(names: Sequence[str], one: str, several: str, count: int | None = None) -> str:
    count = len(names) if count is None else count
    if not count:
        return ""
    more = ", …" if count > NAMED else ""
    return f"{count} {one if count == 1 else several} ({', '.join(names[:NAMED])}{more})"


def _download(url: str, stop: threading.Event | None) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edge-kit-image-") as scratch:
        target = Path(scratch) / "image"
        policy = Policy(attempts=1, connect_timeout=30.0, max_bytes=MAX_DOWNLOAD, total_timeout=DOWNLOAD_SECONDS)
        try:
            download(url, target, policy=policy, stop=stop)
        except SourceUnavailable as error:
            raise KitError(error.what, path=url, hint=_address_hint(error)) from error
        return target.read_bytes()


def _address_hint(error: SourceUnavailable) -> str:
    """Return what to do about an address that gives no image: there is no download that goes on where it broke off."""
    return (error.hint or "check the address").partition(", then start again")[0]

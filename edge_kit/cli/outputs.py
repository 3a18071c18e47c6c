"""Places that a command writes to: none of them may be one of its inputs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model_opt.errors import KitError
from model_opt.fs import same_file

if TYPE_CHECKING:
    from edge_kit.inputs import ImageInput


def refuse_input(option: str, target: Path, inputs: Iterable[Path | str | None]) -> None:
    """Raise ``KitError`` when ``target`` is a file among ``inputs``, or one in a folder among them; None is none."""
    if not target.is_file():
        return
    for one in inputs:
        if one is not None and (same_file(target, one) or _is_in(target, one)):
            what = f"{option} names an input of this command, which would be replaced"
            raise KitError(what, path=target, hint="name another file")


def refuse_inputs_inside(option: str, folder: Path, inputs: Iterable[Path | str | None]) -> None:
    """Raise ``KitError`` when a file or folder among ``inputs`` is ``folder`` or in it: it is replaced completely."""
    for one in inputs:
        if one is not None and Path(one).exists() and _is_in(Path(one), folder):
            what = f"{option} names a folder that holds an input of this command, which would be replaced"
            raise KitError(what, path=one, hint=f"name another folder with {option}")


def refuse_saved_inputs(option: str, folder: Path, schema: str, sources: Sequence[ImageInput], *, json: bool) -> None:
    """Raise ``KitError`` when a picture, or with ``json`` a JSON file, in ``folder`` could replace one of ``sources``.

    How many pages a source has is not known yet, nor which gets a number: every number counts.
    """
    if not folder.is_dir():
        return
    names = set(_names(schema, sources, json=json))
    places = {place for source in sources if (place := _place(source.input_path)) is not None}
    for path in sorted(folder.iterdir()):
        if _place(path) in places and _could_be(path.name, names):
            what = f"{option} would replace an input: its result gets the same name"
            raise KitError(what, path=path, hint=f"name another folder, as in {option} {folder / 'out'}")


def _is_in(target: Path, folder: Path | str) -> bool:
    return Path(folder).is_dir() and Path(os.path.realpath(target)).is_relative_to(os.path.realpath(folder))


def _place(path: Path | str | None) -> tuple[int, int] | None:
    """Return by what a file is known whatever its name; None for what is not there."""
    if path is None:
        return None
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _names(schema: str, sources: Sequence[ImageInput], *, json: bool) -> Iterator[tuple[str, str]]:
    """Yield stem and ending of each file that may be written."""
    from edge_kit.ocr.result import image_ending, json_ending, stem_of

    for source in sources:
        stem = stem_of(source.input_path)
        yield stem, image_ending(schema, source.input_path)
        if json:
            yield stem, json_ending(schema)


def _could_be(name: str, names: set[tuple[str, str]]) -> bool:
    """Return whether a file name is one of ``names``, with or without numbers between stem and ending."""
    for ending in {ending for _, ending in names}:
        stem = name.removesuffix(ending)
        while stem != name:
            if (stem, ending) in names:
                return True
            stem, more = re.subn(r"_\d+$", "", stem)
            if not more:
                break
    return False

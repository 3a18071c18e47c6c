"""Fingerprints of source code, for the keys of stages: a changed line of a stage's code makes it run again."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from edge_kit.build.files import walk_files
from model_opt.errors import KitError
from model_opt.files import sha256_bytes, sha256_file


def folder_fingerprint(folder: Path, suffix: str = "") -> str:
    """Return the SHA-256 over names and contents of the files below ``folder`` whose name ends in ``suffix``.

    Byte code (``__pycache__``) is left out, links are followed when they lead to files.
    """
    names = [name for name, _ in walk_files(folder) if name.endswith(suffix) and "__pycache__/" not in name]
    return sha256_bytes("".join(f"{sha256_file(folder / name)} {name}\n" for name in names).encode("utf-8"))


def code_fingerprint(*modules: str) -> str:
    """Return the SHA-256 over the sources of the named modules and packages (whole, with their children).

    The modules themselves are not imported, only the packages above them. ``KitError`` for an unknown one.
    """
    return sha256_bytes("\n".join(_sources(modules)).encode("utf-8"))


def _sources(modules: tuple[str, ...]) -> Iterator[str]:
    for name in sorted(set(modules)):
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            spec = None
        if spec is None or spec.origin is None or not Path(spec.origin).is_file():
            raise KitError(f"there is no source of a module {name!r}", hint="name modules of this kit only")
        if spec.submodule_search_locations:
            yield f"{name} {folder_fingerprint(Path(spec.origin).parent, '.py')}"
        else:
            yield f"{name} {sha256_file(Path(spec.origin))}"

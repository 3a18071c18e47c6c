"""Fingerprints for the keys of stages: of folders, and of the code that a stage may run.

That code is the import closure of the stage's module: every module of the kit that it imports, directly or through
others. Imports inside functions count, and importing a module runs the ``__init__`` of each package above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_kit.build.files import walk_files
from model_opt.errors import KitError
from model_opt.fs import sha256_bytes, sha256_file

PACKAGES = ("edge_kit", "model_opt")
"""The kit's packages. They lie side by side, in a checkout and when installed."""

_FROM = re.compile(r"from[ \t]+([\w.]+)[ \t]+import[ \t]*(\([^)]*\)|[^\n#]*)")
_IMPORT = re.compile(r"import[ \t]+([^\n#(]*)")
_NAME = re.compile(r"[\w.]+")


@dataclass(frozen=True)
class Module:
    """One module: the SHA-256 of its file, and the modules of the kit that it imports itself."""

    sha256: str
    imports: frozenset[str]


@dataclass(frozen=True)
class SourceTree:
    """The modules of the kit by their full names, as they were on disk at one moment."""

    modules: Mapping[str, Module]

    def closure(self, module: str) -> frozenset[str]:
        """Return the names of all modules that ``module`` may run, itself among them; ``KitError`` if unknown."""
        if module not in self.modules:
            raise KitError(f"there is no source of a module {module!r}", hint="name a module of this kit")
        found: set[str] = set()
        pending = [module]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self.modules[name].imports
        return frozenset(found)

    def fingerprint(self, module: str) -> str:
        """Return the SHA-256 over the names and contents of all modules that ``module`` may run."""
        lines = [f"{self.modules[name].sha256} {name}\n" for name in sorted(self.closure(module))]
        return sha256_bytes("".join(lines).encode())


def read_sources(root: Path | None = None, packages: tuple[str, ...] = PACKAGES) -> SourceTree:
    """Read the modules of ``packages`` below the folder ``root`` (default: where this kit lies); nothing is imported.

    Regular expressions find the imports. They may mistake a string for one, and then the closure is larger than it
    must be; they miss none that this code base has, which a test holds against ``ast``.
    """
    root = root or Path(__file__).resolve().parents[2]
    files = dict(_files(root, packages))
    known = frozenset(files)
    modules = {}
    for name, path in files.items():
        data = path.read_bytes()
        imports = frozenset(_imports(data.decode(), known) | _above(name))
        modules[name] = Module(sha256_bytes(data), imports)
    return SourceTree(modules)


def folder_fingerprint(folder: Path) -> str:
    """Return the SHA-256 over names and contents of the files below ``folder``.

    Byte code (``__pycache__``) is left out, links are followed when they lead to files.
    """
    names = [name for name, _ in walk_files(folder) if "__pycache__/" not in name]
    return sha256_bytes("".join(f"{sha256_file(folder / name)} {name}\n" for name in names).encode("utf-8"))


def _files(root: Path, packages: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Yield the full name and the path of each module."""
    for package in packages:
        for name, _ in walk_files(root / package):
            if name.endswith(".py"):
                parts = [package, *name.removesuffix(".py").split("/")]
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), root / package / name


def _imports(text: str, known: frozenset[str]) -> set[str]:
    """Return those of ``known`` that the statements of ``text`` import."""
    found = {name for line in _IMPORT.findall(text) for name in _NAME.findall(line)}
    for package, names in _FROM.findall(text):
        if package in known:
            # What "from package import name" brings may be a module of the package or a value of it.
            found |= {package, *(f"{package}.{name}" for name in _NAME.findall(names))}
    return found & known


def _above(name: str) -> set[str]:
    """Return the packages above a module."""
    parts = name.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts))}

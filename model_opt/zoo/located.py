"""Where a model's files are in a folder, by their names or else by what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_opt.fs import known_sum, sha256_file
from model_opt.zoo.files import FORMATS, INFERENCE_YML, PDIPARAMS, Format, ZooError

NEEDED = (
    "give an exported inference model: the folder or tar with inference.pdmodel or inference.json and "
    "inference.pdiparams, or an ONNX file"
)
_PROGRAMS = (".pdmodel", ".json", ".onnx")
_OTHER_FILES = (".pdiparams", ".nb", ".pdparams", ".yml", ".yaml", ".txt")
_MOST_NAMED = 8


@dataclass(frozen=True)
class Located:
    """A model's files: the program, its parameters where they have a file of their own, PaddleX's description."""

    format: Format
    program: Path
    params: Path | None
    yml: Path | None

    def sums(self, *, known: bool = False) -> dict[str, str]:
        """Return the SHA-256 of each file by its name in ``FORMATS``; ``known`` takes what was hashed before."""
        files = (self.program, self.params) if self.params else (self.program,)
        hashed = known_sum if known else sha256_file
        return {name: hashed(file) for name, file in zip(FORMATS[self.format], files, strict=True)}

    def in_folder(self, folder: Path) -> Located:
        """Return the same files after their folder was moved to ``folder``."""
        params, yml = (folder / path.name if path else None for path in (self.params, self.yml))
        return Located(self.format, folder / self.program.name, params, yml)


def locate(path: Path) -> Located:
    """Return the files of the model that ``path`` gives: a folder, or one file of the model.

    In a folder the usual names count first (``FORMATS``, in its order); without them the one file that holds a program,
    whatever its name. Raises ``ZooError`` when there is no complete model or more than one.
    """
    return _in_folder(path) if path.is_dir() else _of_file(path)


def named(folder: Path) -> Located | None:
    """Return the model whose files have the usual names in ``folder``, None when no format is complete."""
    for format_, names in FORMATS.items():
        files = [folder / name for name in names]
        if all(file.is_file() for file in files):
            return Located(format_, files[0], files[1] if len(files) > 1 else None, _yml(folder))
    return None


def is_program(path: Path) -> bool:
    """Return whether a path is a file by its name that may hold a program, so that no archive is expected."""
    return path.suffix in (*_PROGRAMS, *_OTHER_FILES)


def _in_folder(folder: Path) -> Located:
    found = named(folder)
    if found is not None:
        return found
    _refuse_incomplete(folder)
    programs = [file for file in sorted(folder.iterdir()) if file.suffix in _PROGRAMS and _format(file) is not None]
    if len(programs) > 1:
        names = ", ".join(file.name for file in programs[:_MOST_NAMED])
        raise ZooError(f"the folder holds more than one model: {names}", path=folder, hint="give the path of one file")
    if programs:
        return _of_file(programs[0])
    listed = ", ".join(sorted(entry.name for entry in folder.iterdir())[:_MOST_NAMED]) or "nothing"
    raise ZooError(f"the folder holds no model: it holds {listed}", path=folder, hint=NEEDED)


def _refuse_incomplete(folder: Path) -> None:
    """Raise for a program of the usual name without its parameters, and for parameters without a program."""
    for names in FORMATS.values():
        there = [name for name in names if (folder / name).is_file()]
        if there and there != [PDIPARAMS]:
            missing = next(name for name in names if name not in there)
            raise ZooError(f"the folder holds {there[0]} and no {missing}", path=folder, hint=NEEDED)


def _of_file(program: Path) -> Located:
    format_ = _format(program)
    if format_ is None:
        raise ZooError("this is a single file of a model and holds no program", path=program, hint=NEEDED)
    params = None
    if len(FORMATS[format_]) > 1:
        params = _params_of(program)
    return Located(format_, program, params, _yml(program.parent))


def _params_of(program: Path) -> Path:
    """Return the parameters beside a program: of its name, else the only ones in its folder."""
    same = program.with_suffix(".pdiparams")
    others = sorted(program.parent.glob("*.pdiparams"))
    if same.is_file() or len(others) != 1:
        others = [same]
    if not others[0].is_file():
        raise ZooError(f"there is no {same.name} beside the program", path=program, hint=NEEDED)
    return others[0]


def _yml(folder: Path) -> Path | None:
    return folder / INFERENCE_YML if (folder / INFERENCE_YML).is_file() else None


def _format(file: Path) -> Format | None:
    from model_opt.formats import kind_of

    return kind_of(file)

"""The stages ``fetch-det`` and ``fetch-rec``: the models as they were published."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_kit.build.files import SealedFile
from edge_kit.build.stage import StageContext
from edge_kit.stages.results import DICTIONARY, PARAMETERS, Fetched, Role
from model_opt.dictionary import read_dictionary
from model_opt.errors import KitError
from model_opt.fs import file_fault, file_hint, sha256_file
from model_opt.zoo import FORMATS, ModelFiles, check_operators, fetch, load_zoo, with_dictionary


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: the user's own files, or else the zoo's row ``name``, and a dictionary of the user's.

    ``any_operator`` takes models with operators that the kit does not translate: on x86 Paddle Lite's own engine runs
    them.
    """

    role: Role
    name: str
    own: ModelFiles | None
    dictionary: Path | None
    any_operator: bool
    offline: bool

    @property
    def cache_key(self) -> str:
        """The files' sums, as stated or as they are; ``KitError`` for an unknown row and an unreadable dictionary."""
        files = self.own.fingerprint if self.own else f"{load_zoo().row(self.name)!r} {_sum(self.dictionary)}"
        return f"{self.role} {self.any_operator} {files}"


def fetch_model(context: StageContext, source: ModelSource) -> Fetched:
    """Bring the model's files, and the recogniser's dictionary, into the build, checked."""
    files = source.own or fetch(source.name, offline=source.offline, progress=_bytes_progress(context))
    if files.kind != source.role:
        what = f"model {source.name!r} is of kind {files.kind}, and a {source.role} model is needed here"
        raise KitError(what, hint=f"name another with --{source.role}-model; 'edge-kit models list' shows the kinds")
    if source.dictionary is not None:
        files = with_dictionary(files, source.dictionary)
    if not source.any_operator:
        check_operators(files.program_file, files.params_file)
    dictionary: Path | None = None
    if source.role == "rec":
        dictionary = dictionary_of(files)
    notes = read_dictionary(dictionary).notes if dictionary else ()
    return Fetched(
        program=_copied(files.program_file, context.out / FORMATS[files.format][0]),
        parameters=_copied(files.params_file, context.out / PARAMETERS) if files.params_file else None,
        name=files.name,
        source=files.source,
        dictionary=_copied(dictionary, context.out / DICTIONARY) if dictionary else None,
        warnings=tuple(notes),
    )


def dictionary_of(recogniser: ModelFiles) -> Path:
    """Return the dictionary; raise ``KitError`` when the recogniser has none."""
    if recogniser.dictionary is None:
        raise KitError("the recogniser has no dictionary", path=recogniser.program_file, hint="name it with --rec-dict")
    return recogniser.dictionary


def _copied(source: Path, target: Path) -> SealedFile:
    shutil.copyfile(source, target)
    return SealedFile.of(target)


def _sum(dictionary: Path | None) -> str:
    if dictionary is None:
        return ""
    try:
        return sha256_file(dictionary)
    except (OSError, UnicodeEncodeError) as error:
        what = f"cannot read the dictionary: {file_fault(error)}"
        raise KitError(what, path=dictionary, hint=file_hint(error, "check the path and its permissions")) from error


def _bytes_progress(context: StageContext) -> Callable[[str, int, int | None], None]:
    def report(label: str, done: int, total: int | None) -> None:
        context.progress(done / total if total else None, label)

    return report

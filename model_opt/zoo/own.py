"""A user's own model, used as it is: a folder, a tar, or a file of Paddle, Paddle 3 (PIR) or ONNX."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from model_opt import store
from model_opt.dictionary import Dictionary, read_dictionary, space_follows
from model_opt.fs import disk_faults, ensure_folder, known_sum, sha256_bytes, sha256_file
from model_opt.resources import cache_dir
from model_opt.zoo.archive import extract_model
from model_opt.zoo.files import DICT_FILE, DICTIONARY, INFERENCE_YML, KINDS, PIR_PROGRAM, Kind, ModelFiles, ZooError
from model_opt.zoo.inspect import OUTPUT_RANK, Interface, check_kind, check_sizes, read_interface
from model_opt.zoo.located import NEEDED, Located, is_program, locate
from model_opt.zoo.operators import check_operators

WANTED = (PIR_PROGRAM, INFERENCE_YML, "*.pdmodel", "*.pdiparams", "*.onnx")
"""What is taken out of a user's archive."""

SUMS_FILE = "sums.json"


def open_model(path: Path, kind: Kind, *, dictionary: Path | None = None) -> ModelFiles:
    """Return the files of a user's own model, read completely and checked against ``kind``.

    ``path`` is a folder or a program file, used in place, or a tar (plain, gz, bz2, xz), unpacked once into the cache
    by its sum. What the files hold decides their format, not their names. A recogniser's dictionary is ``dictionary``,
    else the one in PaddleX's ``inference.yml`` beside the model, else None.

    Raises ``ZooError`` for a path without a model, one of another kind, one that is quantised already or fixes sizes
    that images differ in, ``DictionaryError`` for a dictionary that does not fit the classes, ``PaddleModelError`` and
    ``FormatError`` for damaged files.
    """
    from model_opt.formats.inference_yml import read_inference_yml

    path = Path(path)
    with disk_faults("read the model", path):
        found, interface = _read(path)
        check_kind(interface, kind, path)
        check_sizes(interface, kind, path)
        sums = found.sums()
        facts = read_inference_yml(found.yml) if found.yml else None
    files = ModelFiles(
        name=path.resolve().name.split(".tar")[0].removesuffix(".tgz"),
        kind=kind,
        format=found.format,
        program_file=found.program,
        params_file=found.params,
        dictionary=None,
        input_name=interface.input_name,
        input_shape=interface.input_shape,
        sha256=sums,
        classes=interface.classes,
        source=str(path),
        max_candidates=facts.db.max_candidates if facts and facts.db else None,
    )
    if dictionary is None and kind == "rec" and facts and facts.dictionary:
        dictionary = _stored_dictionary(facts.dictionary, found.yml)
    return files if dictionary is None else with_dictionary(files, dictionary)


DOWNLOAD_FIRST = (
    "download it and give the path of the file or folder; "
    "'edge-kit models list' has the models that are fetched by name"
)
"""What to do about an address in place of a model."""


def is_address(path: str) -> bool:
    """Return whether a model is named by an address; one that went through ``Path`` has a single slash."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", path) is not None


def check_model(path: Path) -> Kind:
    """Return what kind of model a folder or tar holds, by its output, once it passes every check of ``open_model``.

    Raises what ``open_model`` and ``check_operators`` raise, and ``ZooError`` for an output of no known kind.
    """
    path = Path(path)
    with disk_faults("read the model", path):
        output = _read(path)[1].output_shape
    kind: Kind | None = next((kind for kind in KINDS if OUTPUT_RANK[kind] == len(output)), None)
    if kind is None:
        raise ZooError(f"the output is {list(output)}, which no OCR model has", path=path, hint=NEEDED)
    files = open_model(path, kind)
    check_operators(files.program_file, files.params_file)
    return kind


def with_dictionary(files: ModelFiles, dictionary: Path) -> ModelFiles:
    """Return ``files`` with another dictionary, its sum and so another fingerprint.

    Raises ``ZooError`` when the model is no recogniser, ``DictionaryError`` for a dictionary that cannot be read or
    does not fit the classes.
    """
    if files.kind != "rec":
        raise ZooError(f"a {files.kind} model has no dictionary", path=dictionary, hint="leave the dictionary out")
    characters = read_dictionary(dictionary).characters
    space = space_follows(len(characters), files.classes, dictionary)
    sums = {**files.sha256, DICTIONARY: sha256_file(dictionary)}
    return dataclasses.replace(files, dictionary=dictionary, append_space=space, sha256=sums)


def _read(path: Path) -> tuple[Located, Interface]:
    """Return the files of the model that ``path`` gives, and what the program says of itself."""
    if not path.exists():
        if is_address(str(path)):
            raise ZooError("models are not read from addresses", path=path, hint=DOWNLOAD_FIRST)
        raise ZooError("there is no such model", path=path, hint=NEEDED)
    found = locate(path if path.is_dir() or is_program(path) else _unpacked(path))
    return found, read_interface(found.program, found.params)


def _unpacked(archive: Path) -> Path:
    """Return the folder of the cache with the archive's model, unpacked at the first call."""
    folder = cache_dir() / "models" / "own" / sha256_file(archive)[:32]

    def fill(staging: Path) -> None:
        names = extract_model(archive, staging, optional=WANTED)
        sums = {name: sha256_file(staging / name) for name in names}
        (staging / SUMS_FILE).write_text(json.dumps(sums), encoding="utf-8")

    return ensure_folder(folder, "unpack the model", fill, lambda: _undamaged(folder))


def _undamaged(folder: Path) -> bool:
    """Whether an unpacked model is in the cache with the sums it had when it was unpacked."""
    try:
        sums = json.loads((folder / SUMS_FILE).read_bytes())
        return all(known_sum(folder / name) == digest for name, digest in sums.items())
    except (FileNotFoundError, ValueError, AttributeError):
        return False


def _stored_dictionary(dictionary: Dictionary, yml: Path | None) -> Path:
    """Return the characters of an ``inference.yml`` as a dictionary file in the store."""
    data = dictionary.text.encode()
    return store.fetch(
        sha256_bytes(data),
        f"the dictionary of {yml}",
        lambda folder: (folder / DICT_FILE).write_bytes(data),
        hint="start again",
    )

"""A user's own model: a folder or tar with ``inference.pdmodel`` and ``inference.pdiparams``, used as it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from model_opt import store
from model_opt.config import read_yaml
from model_opt.dictionary import read_dictionary, space_follows
from model_opt.fs import disk_faults, ensure_folder, known_sum, sha256_bytes, sha256_file
from model_opt.resources import cache_dir
from model_opt.zoo.archive import PIR_PROGRAM, extract_model, pir_error
from model_opt.zoo.files import (
    DICT_FILE,
    DICTIONARY,
    INFERENCE_YML,
    KINDS,
    PDIPARAMS,
    PDMODEL,
    Kind,
    ModelFiles,
    ZooError,
)
from model_opt.zoo.inspect import OUTPUT_RANK, Interface, check_kind, check_sizes, read_interface
from model_opt.zoo.operators import check_operators

NEEDED = f"give the folder or tar of an exported inference model: {PDMODEL} and {PDIPARAMS}"

SUMS_FILE = "sums.json"


def open_model(path: Path, kind: Kind, *, dictionary: Path | None = None) -> ModelFiles:
    """Return the files of a user's own model, read completely and checked against ``kind``.

    ``path`` is a folder, used in place, or a tar (plain, gz, bz2, xz), unpacked once into the cache by its sum. A
    recogniser's dictionary is ``dictionary``, else the one in PaddleX's ``inference.yml`` beside the model, else None.

    Raises ``ZooError`` for a path without a model, a model of Paddle 3's new format, one of another kind, one that is
    quantised already or fixes sizes that images differ in, ``DictionaryError`` for a dictionary that does not fit the
    classes, ``PaddleModelError`` for damaged files.
    """
    path = Path(path)
    with disk_faults("read the model", path):
        folder, interface = _read(path)
        check_kind(interface, kind, path)
        check_sizes(interface, kind, path)
        sums = {file: sha256_file(folder / file) for file in (PDMODEL, PDIPARAMS)}
    files = ModelFiles(
        name=path.resolve().name.split(".tar")[0].removesuffix(".tgz"),
        kind=kind,
        pdmodel=folder / PDMODEL,
        pdiparams=folder / PDIPARAMS,
        dictionary=None,
        input_name=interface.input_name,
        input_shape=interface.input_shape,
        sha256=sums,
        classes=interface.classes,
        source=str(path),
    )
    if dictionary is None and kind == "rec":
        dictionary = _dictionary_of_yml(folder / INFERENCE_YML)
    return files if dictionary is None else with_dictionary(files, dictionary)


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
    check_operators(open_model(path, kind).pdmodel)
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


def require_model_files(folder: Path) -> None:
    """Raise ``ZooError`` unless ``folder`` holds both model files; what it holds instead decides the hint."""
    missing = [name for name in (PDMODEL, PDIPARAMS) if not (folder / name).is_file()]
    if not missing:
        return
    if PDMODEL in missing and (folder / PIR_PROGRAM).is_file():
        raise pir_error(folder)
    listed = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing"
    raise ZooError(f"the folder holds no {' and no '.join(missing)}; it holds {listed}", path=folder, hint=NEEDED)


def _read(path: Path) -> tuple[Path, Interface]:
    """Return the folder with the model that ``path`` gives, and what the program says of itself."""
    if not path.exists():
        raise ZooError("there is no such model", path=path, hint=NEEDED)
    folder = path if path.is_dir() else _unpacked(path)
    require_model_files(folder)
    return folder, read_interface(folder / PDMODEL, folder / PDIPARAMS)


def _unpacked(archive: Path) -> Path:
    """Return the folder of the cache with the archive's model, unpacked at the first call."""
    if archive.suffix in (".pdmodel", ".pdiparams", ".json", ".onnx", ".nb"):
        raise ZooError("this is a single file of a model", path=archive, hint=NEEDED)
    folder = cache_dir() / "models" / "own" / sha256_file(archive)[:32]

    def fill(staging: Path) -> None:
        names = extract_model(archive, staging, required=(PDMODEL, PDIPARAMS), optional=(INFERENCE_YML,))
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


def _dictionary_of_yml(path: Path) -> Path | None:
    """Return the characters of a PaddleX ``inference.yml`` as a dictionary file in the store, None without any."""
    if not path.is_file():
        return None
    document: Any = read_yaml(path, ZooError)
    post = document.get("PostProcess") if isinstance(document, dict) else None
    characters = post.get("character_dict") if isinstance(post, dict) else None
    if characters is None:
        return None
    if not isinstance(characters, list) or not all(isinstance(c, str) and "\n" not in c for c in characters):
        raise ZooError(
            "character_dict is not a list of characters", path=path, hint="name the dictionary with --rec-dict"
        )
    data = "".join(f"{character}\n" for character in characters).encode()
    return store.fetch(
        sha256_bytes(data),
        f"the dictionary of {path}",
        lambda folder: (folder / DICT_FILE).write_bytes(data),
        hint="start again",
    )

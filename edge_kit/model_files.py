"""The model files that a pipeline's settings name: fetched by name, or the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_kit.settings import PipelineSettings, looks_like_path
from model_opt.dictionary import read_dictionary
from model_opt.errors import KitError
from model_opt.zoo import ModelFiles, fetch, load_zoo, open_model, with_dictionary

_KINDS = {"det": "detector", "rec": "recogniser", "cls": "classifier"}


def check_models(settings: PipelineSettings) -> None:
    """Raise ``KitError`` for what can be refused before any model is fetched.

    That is a path that is not there, a name that the zoo lacks or has for another kind, and a dictionary that cannot
    be read.
    """
    chosen = settings.chosen
    for name, kind in ((chosen.det, "det"), (chosen.rec, "rec")):
        if not looks_like_path(name):
            _check_kind(name, load_zoo().row(name).kind, kind)
        elif not Path(name).exists():
            model_files(name, kind, None, settings)
    if settings.rec_dict:
        read_dictionary(Path(settings.rec_dict))


def det_files(settings: PipelineSettings) -> ModelFiles:
    """Return the detector's files: fetched by name, or the user's own by path."""
    return model_files(settings.chosen.det, "det", None, settings)


def rec_files(settings: PipelineSettings) -> ModelFiles:
    """Return the recogniser's files and dictionary: fetched by name, or the user's own by path."""
    return model_files(settings.chosen.rec, "rec", settings.rec_dict, settings)


def model_files(name: str, kind: Any, dictionary: str | None, settings: PipelineSettings) -> ModelFiles:
    """Return the files of a model of a kind (``det``, ``rec``, ``cls``) by name or path, with a dictionary if given.

    Raises ``KitError`` when they cannot be had, or are of another kind.
    """
    own = Path(dictionary) if dictionary else None
    if looks_like_path(name):
        return open_model(Path(name), kind, dictionary=own)
    files = fetch(name, offline=settings.offline)
    _check_kind(name, files.kind, kind)
    return files if own is None else with_dictionary(files, own)


def _check_kind(name: str, found: str, needed: str) -> None:
    if found != needed:
        what = f"model {name!r} is a {_KINDS[found]}, and a {_KINDS[needed]} is needed here"
        raise KitError(what, hint=f"name a {_KINDS[needed]} as {needed}_model, or check which model was given for what")

"""The model files that a pipeline's settings name: fetched by name, or the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_kit.settings import PipelineSettings, looks_like_path
from model_opt.errors import KitError
from model_opt.zoo import ModelFiles, fetch, open_model, with_dictionary

_KINDS = {"det": "detector", "rec": "recogniser", "cls": "classifier"}


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
    if files.kind != kind:
        what = f"model {name!r} is a {_KINDS[files.kind]}, and a {_KINDS[kind]} is needed here"
        raise KitError(what, hint=f"name a {_KINDS[kind]} as {kind}_model, or check which model was given for what")
    return files if own is None else with_dictionary(files, own)

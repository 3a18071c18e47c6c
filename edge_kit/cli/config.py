"""``edge-kit config export`` and ``edge-kit config convert``."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_kit.cli.outputs import refuse_input
from edge_kit.pipeline_files import Ignored, paddlex_document, read_document, read_pipeline_file
from edge_kit.rules import with_settings
from edge_kit.settings import PipelineSettings, ReadSettings, from_mapping, read_settings
from edge_kit.spec import profile
from model_opt.errors import KitError

FORMATS = ("kit", "paddlex")

_SAID_BY_PADDLEX = (
    "engine", "models", "det_model", "rec_model", "rec_batch_size", "spec", "text_det_limit_side_len",
    "text_det_limit_type", "text_det_max_side_limit", "text_det_thresh", "text_det_box_thresh",
    "text_det_unclip_ratio", "text_rec_score_thresh", "use_textline_orientation", "textline_orientation_model",
    "use_doc_orientation_classify", "doc_orientation_model", "use_doc_unwarping", "return_word_box", "enable_hpi",
    "hpi_config", "result_schema",
)  # fmt: skip
"""Settings that a pipeline file of PaddleX 3 holds, or that its form implies."""


def run_config_export(save: Path | None, form: str = "kit", models: str | None = None, *, force: bool = False) -> None:
    """Write a pipeline file with every setting at its default, to ``save`` or standard output.

    Raises ``KitError`` for a file that is there, unless ``force`` replaces it.
    """
    _refuse_existing(save, force=force)
    settings = from_mapping({} if models is None else {"models": models})
    _ = settings.chosen  # raises for an unknown set before a file is written
    _write(save, _text(settings, _checked_format(form), complete=True))


def run_config_convert(source: Path, target: Path, form: str | None, *, force: bool = False) -> None:
    """Write the pipeline file ``source`` in another form; what has no place there is listed on standard error.

    Raises ``KitError`` where ``target`` is the source, or a file that is there, unless ``force`` replaces that.
    """
    refuse_input("the file to write", target, (source,))
    _refuse_existing(target, force=force)
    document = read_document(source)
    if form is None:
        form = "paddlex" if read_pipeline_file(source).kind == "kit" else "kit"
    read = read_settings(document)
    _checked_format(form)
    for ignored in (*read.ignored, *_left_out(read, form)):
        sys.stderr.write(f"edge-kit: left out: {ignored}\n")
    _write(target, _text(read.settings, form, complete=False))


def _refuse_existing(save: Path | None, *, force: bool) -> None:
    """Raise ``KitError`` for a file that is there: a pipeline file is edited by hand."""
    if save is not None and save.is_file() and not force:
        raise KitError("the file is there already", path=save, hint="name another file, or replace it with --force")


def _checked_format(form: str) -> str:
    if form not in FORMATS:
        raise KitError(f"there is no format {form!r} of pipeline files", hint=f"use one of: {', '.join(FORMATS)}")
    return form


def _text(settings: PipelineSettings, form: str, *, complete: bool) -> str:
    """Return the file's text; a ``complete`` file of the kit has the defaults too."""
    import yaml

    if form == "paddlex":
        chosen = settings.chosen
        rules = with_settings(profile(chosen.profile), settings)
        document = paddlex_document(dataclasses.asdict(settings), rules, chosen.det, chosen.rec)
        heading = "# A pipeline file of PaddleX 3.\n"
    else:
        heading = (
            "# Settings of an edge-kit pipeline; paths are relative to this file. Lines left out keep the defaults.\n"
        )
        document = dataclasses.asdict(settings)
        if not complete:
            document = _changed(document)
    return heading + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _changed(values: Mapping[str, Any]) -> dict[str, Any]:
    defaults = dataclasses.asdict(PipelineSettings())
    return {key: value for key, value in values.items() if value != defaults[key]} or {"engine": defaults["engine"]}


def _left_out(read: ReadSettings, form: str) -> list[Ignored]:
    """Return the settings that PaddleX's file has no key for."""
    if form == "kit":
        return []
    settings, rest = read.settings, "PaddleX's file has no key for it"
    left = [Ignored(key, rest) for key in _changed(dataclasses.asdict(settings)) if key not in _SAID_BY_PADDLEX]
    used = settings.chosen.profile
    if used != "paddlex-3":
        left.append(Ignored("spec", f"PaddleX 3 reads by its own rules, not by those of {used}"))
    return left


def _write(save: Path | None, text: str) -> None:
    from edge_kit.ocr.result import write_output

    if save is None:
        sys.stdout.write(text)
    else:
        write_output(save, text.encode())

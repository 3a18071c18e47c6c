"""PaddleX's and PaddleOCR's words for options: what each means to the kit.

The words are those of ``paddlex`` and ``paddleocr ocr`` (PaddleX 3.7, PaddleOCR 3.7) and of PaddleOCR 2.x where their
meaning is clear. The Python interface and the command line share this table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge_kit.pipeline_files.model import Ignored
from edge_kit.pipeline_files.names import model_named
from model_opt.errors import KitError

WordKind = Literal["text", "int", "float", "bool", "flag", "ints", "literal"]
"""``bool`` needs True or False, ``flag`` may stand alone; ``ints`` are three numbers; ``literal`` a Python value."""

INPUT, SAVE_PATH, PIPELINE = "input", "save_path", "pipeline"
"""What a word gives that is no setting of the pipeline."""


@dataclass(frozen=True)
class Word:
    """One option of another tool.

    ``setting`` is the kit's name for it; a word with ``why`` has no effect here, one with ``refused`` is an error
    unless its value is ``off``.
    """

    kind: WordKind
    setting: str | None = None
    why: str | None = None
    refused: str | None = None
    off: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Understood:
    """What words mean: settings, those that hold where no pipeline file says otherwise, and what has no effect."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    implied: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[Ignored, ...] = ()


_RUNNER = "an option of Paddle's own runner"
_UNCHANGED = "the size of a model's input follows the image: leave it out"

_SETTINGS: Mapping[WordKind, Mapping[str, str]] = {
    "text": {
        "input": INPUT,
        "image_dir": INPUT,
        "save_path": SAVE_PATH,
        "config_save_path": SAVE_PATH,
        "paddlex_config": PIPELINE,
        "device": "device",
        "engine": "engine",
        "text_detection_model_name": "det_model",
        "text_detection_model_dir": "det_model",
        "text_recognition_model_name": "rec_model",
        "text_recognition_model_dir": "rec_model",
        "textline_orientation_model_name": "textline_orientation_model",
        "textline_orientation_model_dir": "textline_orientation_model",
        "doc_orientation_classify_model_name": "doc_orientation_model",
        "doc_orientation_classify_model_dir": "doc_orientation_model",
        "text_det_limit_type": "text_det_limit_type",
        "det_model_dir": "det_model",
        "rec_model_dir": "rec_model",
        "cls_model_dir": "cls_model",
        "rec_char_dict_path": "rec_dict",
        "det_limit_type": "text_det_limit_type",
        "result_schema": "result_schema",
    },
    "int": {
        "cpu_threads": "threads",
        "text_recognition_batch_size": "rec_batch_size",
        "rec_batch_size": "rec_batch_size",
        "rec_batch_num": "rec_batch_size",
        "text_det_limit_side_len": "text_det_limit_side_len",
        "text_det_max_side_limit": "text_det_max_side_limit",
        "det_limit_side_len": "text_det_limit_side_len",
    },
    "float": {
        "text_det_thresh": "text_det_thresh",
        "text_det_box_thresh": "text_det_box_thresh",
        "text_det_unclip_ratio": "text_det_unclip_ratio",
        "text_rec_score_thresh": "text_rec_score_thresh",
        "det_db_thresh": "text_det_thresh",
        "det_db_box_thresh": "text_det_box_thresh",
        "det_db_unclip_ratio": "text_det_unclip_ratio",
        "drop_score": "text_rec_score_thresh",
    },
    "bool": {
        "use_doc_orientation_classify": "use_doc_orientation_classify",
        "use_doc_unwarping": "use_doc_unwarping",
        "use_textline_orientation": "use_textline_orientation",
        "return_word_box": "return_word_box",
        "use_angle_cls": "use_angle_classifier",
    },
    "flag": {"enable_hpi": "enable_hpi", "use_hpip": "enable_hpi"},
    "literal": {"hpi_config": "hpi_config"},
}

_OTHERS: Mapping[str, Word] = {
    "lang": Word("text"),
    "ocr_version": Word("text"),
    "use_gpu": Word("bool"),
    "textline_orientation_batch_size": Word("int", why="each line is classified by itself"),
    "cls_batch_num": Word("int", why="lines are classified one by one, with the same answers"),
    "doc_unwarping_model_name": Word("text", why="the kit does not unwarp pages"),
    "doc_unwarping_model_dir": Word("text", why="the kit does not unwarp pages"),
    "use_tensorrt": Word("bool", why=_RUNNER),
    "enable_mkldnn": Word("bool", why=_RUNNER),
    "mkldnn_cache_capacity": Word("int", why=_RUNNER),
    "enable_cinn": Word("bool", why=_RUNNER),
    "show_log": Word("bool", why="the kit writes no log"),
    "use_mp": Word("bool", why="see --threads"),
    "total_process_num": Word("int", why="see --threads"),
    "gpu_mem": Word("int", why=_RUNNER),
    "precision": Word("text", refused="models compute as their recipe says", off=("fp32",)),
    "text_det_input_shape": Word("ints", refused=_UNCHANGED),
    "text_rec_input_shape": Word("ints", refused=_UNCHANGED),
    "det_algorithm": Word("text", refused="detectors are DB's", off=("DB",)),
    "rec_algorithm": Word("text", refused="recognisers are SVTR's", off=("SVTR_LCNet", "SVTR_HGNet")),
    "use_dilation": Word("bool", refused="see the profiles in docs/specification.md", off=(False,)),
    "use_space_char": Word("bool", refused="a dictionary without a space is found by its model", off=(True,)),
    "det": Word("bool", refused="the kit detects and recognises", off=(True,)),
    "rec": Word("bool", refused="the kit detects and recognises", off=(True,)),
    "type": Word("text", refused="the kit has the pipeline OCR only", off=("ocr",)),
    "serve": Word("flag", refused="use 'edge-kit serve'", off=(False,)),
    "get_pipeline_config": Word("text", refused="use 'edge-kit config export --format paddlex'"),
    "install": Word("text", refused="'edge-kit doctor' says what is missing"),
    "paddle2onnx": Word("flag", refused="'edge-kit inspect FILE.nb --onnx OUT' translates a file", off=(False,)),
}

WORDS: Mapping[str, Word] = {
    **{name: Word(kind, setting) for kind, names in _SETTINGS.items() for name, setting in names.items()},
    **_OTHERS,
}
"""Every word, written with underscores; hyphens mean the same."""

_NEWER = ("text_detection_model_", "text_recognition_model_", "ocr_version", "lang")
"""Words of PaddleOCR 3: where one of them chooses the models, they are read by PaddleOCR 3's rules."""


def understand(given: Mapping[str, Any]) -> Understood:
    """Return what words mean, given by name with values of the right type; None means: not given.

    Raises ``KitError`` for a word whose value the kit cannot obey or is of another type, for two words that say
    different things of one setting, and for a language that the kit does not have.
    """
    given = {name: value for name, value in given.items() if value is not None}
    settings: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    ignored: list[Ignored] = []
    for name, value in given.items():
        word = WORDS[name]
        _check_kind(name, value, word.kind)
        if word.refused is not None and value not in word.off:
            said = "" if word.kind == "flag" else f" {_written(value)}"
            raise KitError(f"{name}{said} is not supported: {word.refused}", hint="see docs/paddlex.md")
        if word.refused is not None or word.why is not None:
            ignored.append(Ignored(name, word.why or "it is so anyway"))
        for setting, meant in _meaning(name, value, given):
            other = said_by.setdefault(setting, name)
            if settings.setdefault(setting, meant) != meant:
                raise KitError(f"{other} and {name} say different things of one setting", hint="leave one of them out")
    implied = {"spec": "paddlex-3"} if any(name.startswith(_NEWER) for name in given) else {}
    return Understood(settings, implied, tuple(ignored))


_KINDS: Mapping[WordKind, tuple[tuple[type, ...], str]] = {
    "text": ((str, Path), "text"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "True or False"),
    "flag": ((bool,), "True or False"),
    "ints": ((list, tuple), "three whole numbers"),
    "literal": ((Mapping,), "a mapping"),
}
"""What a word's value may be, and what that is called in messages."""


def _check_kind(name: str, value: Any, kind: WordKind) -> None:
    """Raise ``KitError`` for a value of the wrong type: the text 'False' would be true, an empty one would be lost."""
    types, called = _KINDS[kind]
    if WORDS[name].setting is None or kind not in ("int", "float"):  # the settings check numbers, NumPy's too
        if not isinstance(value, types):
            raise KitError(f"{name} must be {called}, not {value!r}", hint="give such a value, or leave it out")
        if isinstance(value, str) and not value.strip():
            raise KitError(f"{name} is empty", hint="leave it out, or give a value")


def _meaning(name: str, value: Any, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings that a word gives."""
    setting = WORDS[name].setting
    if name == "use_gpu":
        yield "device", "gpu:0" if value else "cpu"
    elif name in ("lang", "ocr_version"):
        if not any(known.startswith(_NEWER[:2]) for known in given):
            det, rec = models_of(given.get("lang"), given.get("ocr_version"))
            yield from (("det_model", det), ("rec_model", rec))
    elif name.endswith("_model_name") and setting is not None:
        if f"{name.removesuffix('_name')}_dir" not in given:
            yield setting, model_named(value)
    elif setting is not None:
        yield setting, value


_LATIN = frozenset(
    "af az bs cs cy da de es et fr ga hr hu id is it ku la lt lv mi ms mt nl no oc pi pl pt ro rs_latin sk sl sq sv sw "  # noqa: SIM905
    "tl tr uz vi french german fi eu gl lb rm ca qu".split()
)
"""PaddleOCR's codes of languages in Latin letters, beside ``en``."""


VERSIONS = ("PP-OCRv4", "PP-OCRv5", "PP-OCRv6")
"""Values of ``ocr_version`` that the kit has models for."""


def models_of(lang: str | None, version: str | None) -> tuple[str, str]:
    """Return the detector and recogniser that PaddleOCR 3.7 takes for a language and a version of PP-OCR.

    Source of the choice: ``paddleocr/_pipelines/ocr.py``. Raises ``KitError`` where PaddleOCR, or the kit, has none.
    """
    lang = lang or "ch"
    east_asian = lang in ("ch", "chinese_cht", "japan")
    v6 = east_asian or lang == "en" or lang in _LATIN - {"pi"}
    if version in (None, "PP-OCRv6") and v6:
        return "PP-OCRv6_medium_det", "PP-OCRv6_medium_rec"
    if version == "PP-OCRv5" and east_asian:
        return "PP-OCRv5_server_det", "PP-OCRv5_server_rec"
    if version == "PP-OCRv4" and lang == "ch":
        return "PP-OCRv4_mobile_det", "PP-OCRv4_mobile_rec"
    if version not in (None, *VERSIONS):
        raise KitError(f"the kit has no models of {version!r}", hint=f"use one of: {', '.join(VERSIONS)}")
    raise KitError(
        f"the kit has no models for language {lang!r} of {version or 'the newest PP-OCR'}",
        hint="name a set of 'edge-kit models list' with --models, or your own model's folder with --rec-model",
    )


def _written(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

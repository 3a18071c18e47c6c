"""A pipeline's settings: which models, engine and devices; from arguments or a pipeline file of the kit or PaddleX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edge_kit.pipeline_files import Document, Ignored, Place, pipeline_file, read_document
from edge_kit.pipeline_files.names import engine_name, nearest
from edge_kit.spec import profile_name
from model_opt.errors import KitError
from model_opt.machine import available_cores
from model_opt.zoo import ModelSet, load_zoo

DEFAULT_CLS = "ch_ppocr_mobile_v2.0_cls"
DEFAULT_TEXTLINE = "PP-LCNet_x1_0_textline_ori"
DEFAULT_PAGE = "PP-LCNet_x1_0_doc_ori"
MAX_THREADS = 256
MAX_BATCH = 1024


@dataclass(frozen=True)
class PipelineSettings:
    """What a pipeline is made of.

    ``models`` names a set of ``configs/models.yaml`` (None: its default set): detector, recogniser and specification
    profile. ``det_model`` and ``rec_model``, names of that file or paths of a user's own model, replace those of the
    set; ``rec_dict`` is the dictionary of such a model, ``spec`` names another profile. ``rec_batch_size`` lines of an
    image share a run, in batches as the profile's server makes them (None: as many as the profile says). With engine
    ``nb`` and a ``bundle``, the bundle's own files and dictionary are used; without one, ``converter`` (``own`` or
    ``opt``) makes the files.

    The fields from ``text_det_limit_side_len`` on have PaddleX 3's names and meanings; None leaves what the profile
    says. ``result_schema`` is the form of a result's JSON: ``kit``, or that of a PaddleX: ``seed`` (its first
    pipeline), ``beta1``, ``paddlex-3``.
    """

    engine: str = "nb"
    device: str = "cpu"
    det_device: str | None = None
    rec_device: str | None = None
    models: str | None = None
    det_model: str | None = None
    rec_model: str | None = None
    rec_dict: str | None = None
    cls_model: str = DEFAULT_CLS
    use_angle_classifier: bool | None = None
    rec_batch_size: int | None = None
    spec: str | None = None
    threads: int | None = None
    offline: bool = False
    bundle: str | None = None
    converter: str = "own"
    text_det_limit_side_len: int | None = None
    text_det_limit_type: str | None = None
    text_det_max_side_limit: int | None = None
    text_det_thresh: float | None = None
    text_det_box_thresh: float | None = None
    text_det_unclip_ratio: float | None = None
    text_rec_score_thresh: float | None = None
    use_textline_orientation: bool | None = None
    textline_orientation_model: str | None = None
    use_doc_orientation_classify: bool | None = None
    doc_orientation_model: str | None = None
    use_doc_unwarping: bool | None = None
    return_word_box: bool | None = None
    enable_hpi: bool = False
    hpi_config: Mapping[str, Any] | None = field(default=None, hash=False)
    result_schema: str = "kit"

    @property
    def cores(self) -> int:
        """Threads the pipeline may use: ``threads``, else those this process may run on."""
        return self.threads or available_cores()

    @cached_property
    def chosen(self) -> ModelSet:
        """The detector, recogniser and profile in use. Raises ``ZooError`` for an unknown set."""
        return chosen_models(self.models, self.det_model, self.rec_model, self.spec)


@dataclass(frozen=True)
class ReadSettings:
    """Settings, and what was said of them: keys that have no effect, and where each setting stands in its file."""

    settings: PipelineSettings
    ignored: tuple[Ignored, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict, hash=False)
    path: Path | None = None


def chosen_models(models: str | None, det: str | None, rec: str | None, spec: str | None) -> ModelSet:
    """Return the set called ``models`` (None: the default) with whatever else is given in its place.

    The profile has its own name, also where an alias of it was given. Raises ``ZooError`` for an unknown set.
    """
    known = load_zoo().model_set(models)
    return replace(known, det=det or known.det, rec=rec or known.rec, profile=profile_name(spec or known.profile))


def looks_like_path(name: str) -> bool:
    """Return whether a model is given as a folder or file, not as a name of ``configs/models.yaml``."""
    return (
        Path(name).exists() or "/" in name or name.endswith((".tar", ".tar.gz", ".tgz", ".onnx", ".pdmodel", ".json"))
    )


def from_mapping(values: Mapping[str, Any]) -> PipelineSettings:
    """Return settings from plain values.

    Raises ``KitError`` for an unknown key (listing the known ones), a value of the wrong type or out of bounds.
    """
    return replace(PipelineSettings(), **checked(values))


def load_settings(path: Path, **overrides: Any) -> PipelineSettings:
    """Read a pipeline file (YAML) and apply ``overrides`` (``None`` means: not given)."""
    return read_settings(read_document(path), **overrides).settings


def read_settings(document: Document, **overrides: Any) -> ReadSettings:
    """Return the settings of a parsed pipeline file of any kind, ``overrides`` applied (``None`` means: not given).

    A device that is given holds for both models, whatever the file says of each; a set of models that is given takes
    the place of the file's models. The file's profile and its other settings hold.
    """
    file = pipeline_file(document)
    given = {key: value for key, value in overrides.items() if value is not None}
    if "device" in given:
        given = {"det_device": None, "rec_device": None, **given}
    stated, displaced = checked(file.settings, document.path, file.places), _displaced(given)
    settings = replace(PipelineSettings(), **{key: stated[key] for key in stated if key not in displaced})
    places = {key: place for key, place in (file.places or {}).items() if key not in {*given, *displaced}}
    return ReadSettings(replace(settings, **checked(given)), file.ignored, places, document.path)


def _displaced(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the settings of a file that say something about models in whose place others are given."""
    if "models" in given:
        return "det_model", "rec_model", "rec_dict", "bundle"
    return ("rec_dict",) if given.get("rec_model") in load_zoo().names else ()


_UNSUPPORTED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "use_doc_unwarping": ((None, False), "the kit does not unwarp pages"),
}
"""Settings that would change results: the values that are fine, and why others are not."""


def refuse_unsupported(read: ReadSettings) -> None:
    """Raise ``KitError`` for a setting that changes results and that the kit cannot obey, with the line to change."""
    for setting, (fine, why) in _UNSUPPORTED.items():
        value = getattr(read.settings, setting)
        if value in fine:
            continue
        place, off = read.places.get(setting), fine[-1]
        option = f"give {setting}={off} to create_pipeline, or --{setting} {off}"
        if place is None:
            raise KitError(f"{setting} is {value}, and {why}", hint=f"leave it out, or {option}")
        line = "" if place.line is None else f" in line {place.line}"
        raise KitError(
            f"{place.key} is {value}, and {why}", path=read.path, hint=f"write {place.key}: {off}{line}; or {option}"
        )
    for setting in ("det_model", "rec_model"):
        _refuse_unknown(read, setting)


def _refuse_unknown(read: ReadSettings, setting: str) -> None:
    """Raise ``KitError`` for a model of a file that is neither one of ``configs/models.yaml`` nor a path."""
    name, place = getattr(read.settings, setting), read.places.get(setting)
    if place is None or name is None or looks_like_path(name):
        return
    known = load_zoo().names
    if name in known:
        return
    where = "" if place.line is None else f"line {place.line}: "
    folder = (
        "the model's folder as model_dir" if place.key.endswith("model_name") else f"the path of its folder, ./{name}"
    )
    raise KitError(
        f"{where}{place.key}: the kit does not know model {name!r}, and PaddleX's folder of models does not hold it",
        path=read.path,
        hint=f"write {folder}, or one of: {', '.join(known)}",
    )


def checked(
    values: Mapping[str, Any], origin: Path | None = None, places: Mapping[str, Place] | None = None
) -> dict[str, Any]:
    """Return ``values`` with paths as text, NumPy's numbers as Python's, and the kit's names of engines.

    Raises ``KitError`` for an unknown key, a wrong type, an empty text or a number out of bounds; ``origin`` is their
    file, ``places`` say where in it they stand.
    """
    known = {one.name: str(one.type) for one in fields(PipelineSettings)}
    plain: dict[str, Any] = {key: _plain(value) for key, value in values.items()}
    for key, value in plain.items():
        named = _named(key, (places or {}).get(key))
        if key not in known:
            raise KitError(f"unknown setting {named}", path=origin, hint=_known_like(key, list(known)))
        fault = _type_fault(value, known[key]) or _bounds_fault(key, value)
        if fault is not None:
            raise KitError(f"setting {named} {fault}", path=origin, hint="give another value, or leave it out")
    if "engine" in plain:
        plain["engine"] = engine_name(plain["engine"])
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    is_scalar = type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0
    return value.item() if is_scalar else value


def _named(key: str, place: Place | None) -> str:
    """Return a setting's name as the user wrote it: as an argument, or as a key of a file with its line."""
    if place is None:
        return repr(key)
    return repr(place.key) if place.line is None else f"{place.key!r} in line {place.line}"


_PADDLEX_KEYS = ("Pipeline", "SubModules", "SubPipelines", "pipeline_name")
"""Keys by which a pipeline file of PaddleX is known."""


def _known_like(key: str, known: list[str]) -> str:
    """Return a hint that names the key that was probably meant, else all of them."""
    meant = nearest(key, (*known, *_PADDLEX_KEYS))
    return f"known: {', '.join(known)}" if meant is None else f"did you mean {meant}?"


_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "int": ((int,), "a whole number"),
    "float": ((float, int), "a number"),
    "bool": ((bool,), "True or False"),
    "Mapping[str, Any]": ((Mapping,), "a mapping"),
}
"""The annotations of ``PipelineSettings``: what they accept, and what they are called in messages."""


def _type_fault(value: Any, annotation: str) -> str | None:
    names = [name.strip() for name in annotation.split("|")]
    if value is None and "None" in names:
        return None
    types, called = _TYPES[names[0]]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        return f"must be {called}, not {value!r}"
    return "is empty" if isinstance(value, str) and not value.strip() else None


_BOUNDS: Mapping[str, tuple[float, float]] = {
    "threads": (1, MAX_THREADS),
    "rec_batch_size": (1, MAX_BATCH),
    "text_det_limit_side_len": (0, 100_000),
    "text_det_max_side_limit": (1, 1_000_000),
    "text_det_thresh": (0, 1),
    "text_det_box_thresh": (0, 1),
    "text_det_unclip_ratio": (0, 100),
    "text_rec_score_thresh": (0, 1),
}
_WORDS: Mapping[str, tuple[str, ...]] = {
    "text_det_limit_type": ("max", "min"),
    "result_schema": ("kit", "seed", "beta1", "paddlex-3"),
}


def _bounds_fault(key: str, value: Any) -> str | None:
    if value is None:
        return None
    if key in _BOUNDS and not _BOUNDS[key][0] <= value <= _BOUNDS[key][1]:
        return f"must be from {_BOUNDS[key][0]} to {_BOUNDS[key][1]}, not {value}"
    if key in _WORDS and value not in _WORDS[key]:
        return f"must be one of {', '.join(_WORDS[key])}, not {value!r}"
    return None

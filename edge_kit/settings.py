"""A pipeline's settings: which models, engine and devices; from arguments or a pipeline file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edge_kit.spec import profile_name
from model_opt.config import read_yaml
from model_opt.errors import KitError
from model_opt.machine import available_cores
from model_opt.zoo import ModelSet, load_zoo

DEFAULT_CLS = "ch_ppocr_mobile_v2.0_cls"
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

    @property
    def cores(self) -> int:
        """Threads the pipeline may use: ``threads``, else those this process may run on."""
        return self.threads or available_cores()

    @cached_property
    def chosen(self) -> ModelSet:
        """The detector, recogniser and profile in use. Raises ``ZooError`` for an unknown set."""
        return chosen_models(self.models, self.det_model, self.rec_model, self.spec)


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


def from_mapping(values: Mapping[str, Any], origin: Path | None = None) -> PipelineSettings:
    """Return settings from plain values; paths are taken relative to the folder of ``origin``.

    Raises ``KitError`` for an unknown key (listing the known ones) or a value of the wrong type.
    """
    return _relative_to(replace(PipelineSettings(), **_checked(values, origin)), origin)


def load_settings(path: Path, **overrides: Any) -> PipelineSettings:
    """Read a pipeline file (YAML) and apply ``overrides`` (``None`` means: not given)."""
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise KitError("a pipeline file holds 'key: value' lines", path=path, hint="see 'edge-kit config export'")
    given = {key: value for key, value in overrides.items() if value is not None}
    return replace(from_mapping(document, path), **_checked(given, None))


def _checked(values: Mapping[str, Any], origin: Path | None) -> dict[str, Any]:
    """Return ``values`` with paths as text; raise for an unknown key, a wrong type or a number out of bounds."""
    known = {field.name: str(field.type) for field in fields(PipelineSettings)}
    plain: dict[str, Any] = {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
    for key, value in plain.items():
        if key not in known:
            raise KitError(f"unknown setting {key!r}", path=origin, hint=f"known: {', '.join(known)}")
        _check_type(key, value, known[key], origin)
    size = plain.get("rec_batch_size")
    if size is not None and not 1 <= size <= MAX_BATCH:
        raise KitError(f"setting 'rec_batch_size' must be from 1 to {MAX_BATCH}, not {size}", path=origin)
    threads = plain.get("threads")
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise KitError(f"setting 'threads' must be from 1 to {MAX_THREADS}, not {threads}", path=origin)
    return plain


def _check_type(key: str, value: Any, annotation: str, origin: Path | None) -> None:
    accepted: dict[str, type] = {"str": str, "int": int, "bool": bool}
    names = [name.strip() for name in annotation.split("|")]
    types = tuple(accepted[name] for name in names if name in accepted)
    right = isinstance(value, types) and not (isinstance(value, bool) and bool not in types)
    if not right and not (value is None and "None" in names):
        raise KitError(f"setting {key!r} must be {annotation}, not {value!r}", path=origin)


def _relative_to(settings: PipelineSettings, origin: Path | None) -> PipelineSettings:
    """Make model paths of a pipeline file absolute, so that it works from every folder."""
    if origin is None:
        return settings
    changes: dict[str, Any] = {}
    for key in ("det_model", "rec_model", "rec_dict", "cls_model", "bundle"):
        value = getattr(settings, key)
        if value is not None and (origin.parent / value).exists():
            changes[key] = str((origin.parent / value).resolve())
    return replace(settings, **changes)

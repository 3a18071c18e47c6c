"""Read, validate and export the specification file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_kit.spec.model import (
    BatchRules,
    BoxRules,
    ClassifierInput,
    CropRules,
    CtcRules,
    DbPost,
    DetectionInput,
    ImageRules,
    PageRules,
    RecognitionInput,
    ResultRules,
    Spec,
    SpecProfile,
    TextlineRules,
    WordRules,
)
from model_opt.config import read_config
from model_opt.errors import KitError
from model_opt.resources import config_dir

_SECTIONS: Mapping[str, type[Any]] = {
    "detection": DetectionInput,
    "db": DbPost,
    "boxes": BoxRules,
    "crop": CropRules,
    "classifier": ClassifierInput,
    "recognition": RecognitionInput,
    "ctc": CtcRules,
    "result": ResultRules,
}
_OPTIONAL: Mapping[str, type[Any]] = {"image": ImageRules}
"""What a specification of before leaves out; the model has its meaning then."""
_HOST_SECTIONS: Mapping[str, type[Any]] = {
    "batch": BatchRules,
    "words": WordRules,
    "textline": TextlineRules,
    "page": PageRules,
}
"""What a device has no rules for: not exported, and None where a file leaves the section out."""


class SpecError(KitError):
    """The specification file is missing, malformed, or does not know a profile."""


def load_spec(path: Path | None = None) -> Spec:
    """Load the specification from ``path`` (default: ``configs/ocr_spec.yaml``).

    Raises ``SpecError`` naming the file, the key and what is allowed there.
    """
    path = path or config_dir() / "ocr_spec.yaml"
    document = read_config(path, config_dir() / "ocr_spec.schema.json", SpecError)
    raw = document["profiles"]
    profiles = tuple(_profile(name, _resolve(name, raw, path, ()), path) for name in raw)
    if document["default_profile"] not in raw:
        raise SpecError(f"default_profile {document['default_profile']!r} is not among the profiles", path=path)
    aliases = document.get("aliases", {})
    for alias, name in aliases.items():
        if name not in raw or alias in raw:
            raise SpecError(f"alias {alias!r} of {name!r}: an alias is a new name of a profile that exists", path=path)
    return Spec(document["spec_version"], document["default_profile"], profiles, aliases)


def profile_name(name: str) -> str:
    """Return a profile's own name, which exported files have, for one of its names; an unknown name as it is."""
    return load_spec().aliases.get(name, name)


def profile(name: str | None = None, spec: Spec | None = None) -> SpecProfile:
    """Return the profile called ``name`` (default: the specification's default profile).

    An exported specification knows no aliases: those of the kit's own hold for it too. Raises ``SpecError`` that lists
    the known names.
    """
    spec = spec or load_spec()
    wanted = name or spec.default_profile
    known = {one.name: one for one in spec.profiles}
    if wanted not in known:
        wanted = profile_name(wanted)
    if wanted not in known:
        raise SpecError(f"unknown specification profile {name!r}", hint=f"use one of: {', '.join(known)}")
    return known[wanted]


def export_json(spec: Spec) -> bytes:
    """Return the specification as the JSON that the app reads: each of the app's profiles complete, keys sorted."""
    document = {
        "spec_version": spec.spec_version,
        "default_profile": spec.default_profile,
        "profiles": {p.name: _plain(p) for p in spec.for_app.profiles},
    }
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _plain(value: SpecProfile) -> dict[str, Any]:
    """Return a profile as JSON types, its name left to the key that holds it, without the rules of hosts."""
    plain = dataclasses.asdict(value)
    return {key: rules for key, rules in plain.items() if key not in {"name", "host_only", *_HOST_SECTIONS}}


def _resolve(name: str, raw: Mapping[str, Any], path: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    """Merge a profile over the one it extends, section by section."""
    if name in seen:
        raise SpecError(f"profiles extend each other in a circle: {' -> '.join((*seen, name))}", path=path)
    if name not in raw:
        raise SpecError(f"profile {seen[-1]!r} extends {name!r}, which is not defined", path=path)
    own = dict(raw[name])
    parent = own.pop("extends", None)
    if parent is None:
        return own
    merged = _resolve(parent, raw, path, (*seen, name))
    for key, value in own.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


def _profile(name: str, values: Mapping[str, Any], path: Path) -> SpecProfile:
    """Build the typed profile; a key missing after inheritance is an error that names it."""
    sections: dict[str, Any] = {}
    stated = {section: kind for section, kind in {**_OPTIONAL, **_HOST_SECTIONS}.items() if section in values}
    for section, kind in {**_SECTIONS, **stated}.items():
        given = values.get(section, {})
        missing = [f.name for f in dataclasses.fields(kind) if f.name not in given]
        if missing:
            raise SpecError(f"profile {name!r} lacks {section}.{missing[0]}", path=path)
        sections[section] = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    batch = sections.get("batch")
    if batch is not None and batch.size > 1 and not values.get("host_only"):
        raise SpecError(
            f"profile {name!r} has a batch.size above 1 and no host_only: the app reads one line a run", path=path
        )
    described = {key: values[key] for key in ("description", "host_only") if key in values}
    return SpecProfile(name=name, **{"description": "", **described}, **sections)

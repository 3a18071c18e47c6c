"""Write ``runtime_config.json``: what the app on the device reads beside the models."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from edge_kit.devices.profiles import DeviceError, DeviceProfile
from edge_kit.spec import profile as specified
from edge_kit.templates import fill_template
from model_opt.config import check_schema
from model_opt.resources import config_dir


@dataclass(frozen=True)
class ModelEntry:
    """A model file of the bundle: its path in it, its sum, and the precision it computes in."""

    file: str
    sha256: str
    precision: str


def runtime_config(
    profile: DeviceProfile, *, spec_profile: str, models: Mapping[str, ModelEntry], opt_version: str, recipe: str
) -> bytes:
    """Return the runtime configuration of ``profile`` for the given models, as JSON with sorted keys.

    It comes from ``configs/templates/runtime_config.json.j2`` and is checked against
    ``configs/runtime_config.schema.json``; ``DeviceError`` when the template does not give what the schema states.
    Where the profile's largest side is not that of the specification's profile
    ``spec_profile``, its reason says so, whatever the profile's file says; ``SpecError`` when there is no such profile.
    """
    specified_limit = specified(spec_profile).detection.longest_side
    path = config_dir() / "templates" / "runtime_config.json.j2"
    text = fill_template(
        path,
        DeviceError,
        profile=profile,
        spec_profile=spec_profile,
        specified_limit=specified_limit,
        models={role: dataclasses.asdict(entry) for role, entry in models.items()},
        opt_version=opt_version,
        recipe=recipe,
    )
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DeviceError(f"the template is broken: {error}", path=path) from error
    check_schema(document, config_dir() / "runtime_config.schema.json", path, DeviceError)
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

"""The stage ``configure``: what a device reads beside the models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge_kit.build.files import write_files
from edge_kit.build.stage import StageContext, uses
from edge_kit.devices import DeviceProfile, ModelEntry, runtime_config
from edge_kit.spec import Spec, export_json
from edge_kit.stages.results import ROLES, Configured, Converted, Fetched, Role
from model_opt.dictionary import read_dictionary
from model_opt.resources import config_dir

RUNTIME, SPEC, LABELS = "runtime_config.json", "ocr_spec.json", "labels.txt"


def _files() -> Mapping[str, Path]:
    folder = config_dir()
    return {
        "template": folder / "templates" / "runtime_config.json.j2",
        "schema": folder / "runtime_config.schema.json",
        "specification": folder / "ocr_spec.yaml",
    }


@uses(_files)
def configure(
    context: StageContext,
    recogniser: Fetched,
    converted: Mapping[Role, Converted],
    device: DeviceProfile,
    spec: Spec,
    profile: str,
    recipe: str,
) -> Configured:
    """Write the device's configuration, the specification with its profile ``profile`` in use, and the labels."""
    models: dict[str, ModelEntry] = {
        role: ModelEntry(f"models/{role}.nb", converted[role].nb.sum.sha256, converted[role].precision)
        for role in ROLES
    }
    config = runtime_config(
        device, spec_profile=profile, models=models, opt_version=converted["det"].opt_version, recipe=recipe
    )
    labels = read_dictionary(recogniser.characters).text.encode()
    made = write_files(context.out, {RUNTIME: config, SPEC: export_json(spec), LABELS: labels})
    return Configured(made[RUNTIME], made[SPEC], made[LABELS])

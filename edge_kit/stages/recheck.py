"""Run the gates of an existing bundle again, from its manifest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_kit.build.cache import Facts, default_cache
from edge_kit.build.events import OnEvent
from edge_kit.build.graph import Stage, StageContext, run_stages
from edge_kit.build.manifest import MANIFEST_NAME, Manifest, read_manifest
from edge_kit.bundle import source_model
from edge_kit.spec import profile
from edge_kit.stages.models import fetch_stage, recogniser_of
from edge_kit.stages.oracle import find_oracle
from edge_kit.stages.request import ROLES, BuildRequest, Role
from edge_kit.stages.verification import images_of, verify_stage
from model_opt.errors import KitError
from model_opt.files import sha256_file


@dataclass(frozen=True)
class Sources:
    """What a user gives beside the bundle: own models it was made from, own images, whether to download."""

    det_model: str | None = None
    rec_model: str | None = None
    rec_dict: Path | None = None
    images: Path | None = None
    offline: bool = False


def recheck(bundle: Path, sources: Sources, on_event: OnEvent) -> Mapping[str, Any]:
    """Verify a bundle's own files again, against the models it was made from, and return the verification's facts.

    Those models are rows of the zoo, or given by the user, with the very sums that the manifest holds. Raises
    ``KitError`` for a bundle that cannot be used and for other models than the bundle's.
    """
    manifest = read_manifest(bundle / MANIFEST_NAME)
    request = BuildRequest(
        target=manifest.target,
        recipe=manifest.recipe,
        device_profile=manifest.device_profile,
        det_model=sources.det_model or source_model(manifest, "det", bundle),
        rec_model=sources.rec_model or source_model(manifest, "rec", bundle),
        rec_dict=sources.rec_dict,
        images=sources.images,
        out=bundle,
        offline=sources.offline,
        jobs=1,
        allow_failed_gates=True,
    )
    chosen = manifest.created_from.get("ocr_spec", {}).get("profile")
    rules = profile(str(chosen) if chosen else None).for_recogniser(recogniser_of(request))
    limit = json.loads((bundle / "runtime_config.json").read_bytes())["limit_side_len"]
    rules = replace(rules, detection=replace(rules.detection, limit_side_len=limit))
    images = images_of(sources.images)
    oracle = find_oracle(offline=sources.offline)
    stages = [
        *(fetch_stage(role, request) for role in ROLES),
        *(_bundled_stage(role, bundle) for role in ROLES),
        verify_stage(request, rules, images, oracle),
    ]
    cache = default_cache()
    with cache.in_use():
        results = run_stages(stages, cache, jobs=2, on_event=on_event)
        for role in ROLES:
            _same_sources(manifest, role, {n: s.sha256 for n, s in results[f"fetch-{role}"].files.items()}, bundle)
        return results["verify"].facts


def _bundled_stage(role: Role, bundle: Path) -> Stage:
    """Return a stage that stands for ``convert-<role>`` and brings in the bundle's own file."""
    path = bundle / "models" / f"{role}.nb"

    def run(context: StageContext) -> Facts:
        shutil.copyfile(path, context.out / f"{role}.nb")
        return {}

    return Stage(f"convert-{role}", run, needs=(f"fetch-{role}",), key={"file": sha256_file(path)})


def _same_sources(manifest: Manifest, role: Role, found: Mapping[str, str], bundle: Path) -> None:
    for name, total in found.items():
        stated = manifest.created_from.get(f"{role}/{name}", {}).get("sha256")
        if stated != total:
            raise KitError(
                f"the bundle was made from {role}/{name} with sha256 {stated}, the one here has {total}",
                path=bundle / MANIFEST_NAME,
                hint="give the model that the bundle was made from, or build it again",
            )

"""Run the gates of an existing bundle again, from its manifest."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from edge_kit.build.cache import default_cache
from edge_kit.build.events import OnEvent
from edge_kit.build.files import SealedFile
from edge_kit.build.manifest import MANIFEST_NAME, Manifest, read_manifest
from edge_kit.build.runner import running
from edge_kit.bundle import source_model
from edge_kit.jobs.layout import source_files
from edge_kit.jobs.models import facts_of_models, fetch_models, images_of, verify
from edge_kit.jobs.request import BuildRequest
from edge_kit.spec import profile
from edge_kit.stages.oracle import find_oracle
from edge_kit.stages.results import ROLES, Fetched, Role, Shipped
from edge_kit.verify.verification import Verification
from model_opt.errors import KitError


@dataclass(frozen=True)
class VerifyRequest:
    """What a user gives beside the bundle: own models it was made from, own images, whether to download."""

    det_model: str | None = None
    rec_model: str | None = None
    rec_dict: Path | None = None
    images: Path | None = None
    offline: bool = False


def recheck(bundle: Path, given: VerifyRequest, on_event: OnEvent) -> Verification:
    """Verify a bundle's own files again, against the models it was made from.

    Those models are rows of the zoo, or given by the user, with the very sums that the manifest holds. Raises
    ``KitError`` for a bundle that cannot be used and for other models than the bundle's.
    """
    manifest = read_manifest(bundle / MANIFEST_NAME)
    request = BuildRequest(
        target=manifest.target,
        recipe=manifest.recipe,
        det_model=given.det_model or source_model(manifest, "det", bundle),
        rec_model=given.rec_model or source_model(manifest, "rec", bundle),
        rec_dict=given.rec_dict,
        out=bundle,
        offline=given.offline,
    )
    chosen = manifest.created_from.get("ocr_spec", {}).get("profile")
    rules = facts_of_models(request).applied(profile(str(chosen) if chosen else None))
    limit = json.loads((bundle / "runtime_config.json").read_bytes())["limit_side_len"]
    rules = replace(rules, detection=rules.detection.limited_to(limit))
    shipped = {role: Shipped(SealedFile.of(bundle / "models" / f"{role}.nb")) for role in ROLES}
    images, oracle = images_of(given.images), find_oracle(offline=given.offline)
    with running(default_cache(), jobs=request.jobs, on_event=on_event) as run:
        fetched = fetch_models(run, request)
        verification = verify(run, request, fetched, shipped, rules, images, oracle)
        fetched, verification = run.result((fetched, verification))
    for role in ROLES:
        _check_sources(manifest, role, fetched[role], bundle)
    return verification


def _check_sources(manifest: Manifest, role: Role, fetched: Fetched, bundle: Path) -> None:
    for name, file in source_files(fetched).items():
        stated, found = manifest.created_from.get(f"{role}/{name}", {}).get("sha256"), file.sum.sha256
        if stated != found:
            raise KitError(
                f"the bundle was made from {role}/{name} with sha256 {stated}, the one here has {found}",
                path=bundle / MANIFEST_NAME,
                hint="give the model that the bundle was made from, or build it again",
            )

"""The stage ``apk-assets``: the bundle as the app reads it, golden vectors, the self-test's images and
answers, and the licences of all that is in the app."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge_kit.android.assets import BundleFacts, Expected, bundle_assets, golden_assets, selftest_assets
from edge_kit.build.files import write_files
from edge_kit.build.stage import StageContext
from edge_kit.licences import app_licences
from edge_kit.stages.apk.results import AppModels, Assets
from edge_kit.stages.redistributed import Redistributed
from edge_kit.stages.results import ROLES, Configured, Converted, Role
from edge_kit.verify.runs import Named
from edge_kit.verify.verification import Verification
from model_opt.nb import read_nb


def collect_assets(
    context: StageContext,
    target: str,
    recipe: str,
    converted: Mapping[Role, Converted],
    models: AppModels,
    configured: Configured,
    verification: Verification,
    golden: Path,
    images: tuple[Named, ...],
    has_lite: bool,
    lite_version: str | None,
    licences: Redistributed,
) -> Assets:
    """Write every asset below the stage's folder; the ``.nb`` files only where the app has Paddle Lite to read them."""
    beside = (configured.spec, configured.runtime, configured.labels)
    files = {file.path.name: file.path.read_bytes() for file in beside}
    for role in ROLES:
        if has_lite:
            files[f"models/{role}.nb"] = converted[role].nb.path.read_bytes()
        files[f"models/{role}.onnx"] = models.onnx[role].path.read_bytes()
    # The stand-in is not quantised: it must give the server's answers.
    by_reference = bool(models.stand_ins)
    engine = verification.reference if by_reference else verification.shipped.candidate
    runs = verification.reference_runs if by_reference else verification.shipped_runs
    answers = [Expected(r.name, r.dt_polys.tolist(), r.dt_scores, r.rec_texts, r.rec_scores) for r in runs]
    opt_version = read_nb(converted["rec"].nb.path).opt_version
    facts = BundleFacts(target, recipe, opt_version, lite_version, has_lite, models.stand_ins)
    assets = {
        **bundle_assets(files, facts),
        **golden_assets(golden),
        **selftest_assets({image.name: image.path for image in images}, answers, engine),
        **app_licences(licences.all(), licences.texts),
    }
    write_files(context.out, assets)
    return Assets(context.out, len(assets))

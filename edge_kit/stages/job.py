"""The main job: put the stages together, run them, and let a failed gate stop the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edge_kit import __version__
from edge_kit.build.cache import StageResult, default_cache
from edge_kit.build.events import OnEvent, StageFinished, StageStarted
from edge_kit.build.files import Json
from edge_kit.build.graph import StageError
from edge_kit.build.make import make_bundle
from edge_kit.build.output import WrittenBundle, check_target
from edge_kit.devices import DeviceProfile, check_fit, default_profile, load_profile
from edge_kit.recipes import AUTO, Recipe, Recipes, load_recipes
from edge_kit.spec import Profile, profile
from edge_kit.stages.apk import AppPlan, app_stages, plan_app
from edge_kit.stages.delivery import REPORT, configure_stage, gates_stage, layout, report_stage
from edge_kit.stages.models import recogniser_of
from edge_kit.stages.oracle import find_oracle
from edge_kit.stages.quantisation import model_stages
from edge_kit.stages.request import GATES, BuildRequest, check_converter, check_recipe, place_of_target
from edge_kit.stages.verification import PACKAGES, images_of, verify_stage
from model_opt.convert import find_converter
from model_opt.errors import KitError
from model_opt.files import write_atomic


class GatesFailed(KitError):
    """The candidate does not read what the reference reads, by the limits of its recipe."""

    exit_code = 1


def build_bundle(request: BuildRequest, on_event: OnEvent) -> WrittenBundle:
    """Run the whole job and return the bundle.

    Bad options are refused before any work. Raises ``GatesFailed`` when a gate fails and the request does not allow
    it; the report then stands beside the output as ``<out>.failed-report.html``, and an old bundle stays as it was.
    """
    recipes = load_recipes()
    place_of_target(request.target)
    device = load_profile(request.device_profile) if request.device_profile else default_profile(request.target)
    if request.recipe == AUTO:
        return _smallest_that_passes(request, device, recipes, on_event)
    return _build(request, recipes.row(request.recipe), device, on_event)


def _build(
    request: BuildRequest, recipe: Recipe, device: DeviceProfile, on_event: OnEvent, chosen_by: Json = None
) -> WrittenBundle:
    check_recipe(recipe, request.target)
    check_converter(request)
    check_fit(device, request.target, recipe.name)
    check_target(request.out)
    facts = recogniser_of(request)
    images = images_of(request.images)
    rules = for_device(profile().for_recogniser(facts), device)
    on_event(StageStarted("tool"))
    converter, oracle = find_converter(request.converter, offline=request.offline), find_oracle(offline=request.offline)
    on_event(StageFinished("tool", 0.0))
    tools = {
        "edge-kit": __version__,
        "converter": converter.name,
        "paddlelite": converter.opt_version,
        **{name: version(name) for name in PACKAGES},
    }
    app = plan_app(request.app, request.target, converter.opt_version, offline=request.offline) if request.app else None

    def judge(stage: str, result: StageResult) -> None:
        # At once, and not when all is done: nobody waits for the app of a bundle that is refused.
        if stage == GATES and not request.allow_failed_gates:
            _refuse_failed_gates(request, result)

    def make(app: AppPlan | None) -> WrittenBundle:
        stages = [
            *model_stages(request, recipe, rules, converter),
            verify_stage(request, rules, images, oracle),
            configure_stage(request, rules, facts, device),
            gates_stage(request, device, images, tools),
            *(app_stages(request, app, converter) if app else ()),
            report_stage(request, device, images, tools, app),
        ]
        plan, cache = layout(request, rules, device, tools, chosen_by, app), default_cache()
        return make_bundle(stages, plan, request.out, cache=cache, jobs=request.jobs, on_event=on_event, judge=judge)

    try:
        return make(app)
    except StageError as error:
        plain = app.without_release(error) if app else None
        if plain is None:
            raise
        return make(plain)


def _smallest_that_passes(
    request: BuildRequest, device: DeviceProfile, recipes: Recipes, on_event: OnEvent
) -> WrittenBundle:
    """Build the first recipe of ``auto`` that the device can run and whose gates pass; say why in the manifest.

    Raises ``GatesFailed`` with every recipe's failures when none passes.
    """
    passed_over: dict[str, str] = {}
    reports: set[Path] = set()
    for name in recipes.auto:
        recipe, tried = recipes.row(name), replace(request, recipe=name, allow_failed_gates=False)
        try:
            check_recipe(recipe, request.target)
            check_fit(device, request.target, name)
        except KitError as error:
            passed_over[name] = error.what
            continue
        try:
            built = _build(tried, recipe, device, on_event, {"recipe": AUTO, "passed_over": dict(passed_over)})
        except GatesFailed as error:
            passed_over[name] = error.what
            reports |= {Path(error.path)} if error.path else set()
        else:
            # The report of a recipe that was passed over answers no question of the user's.
            for report in reports:
                report.unlink(missing_ok=True)
            return built
    told = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
    raise GatesFailed(
        f"no recipe passes its gates for {device.name}: {told}",
        hint="look at <out>.failed-report.html, or build one --recipe with --allow-failed-gates",
    )


def for_device(rules: Profile, device: DeviceProfile) -> Profile:
    """Return the rules with the device's largest side: what is verified is what the device will do."""
    limit = device.value("limit_side_len")
    return replace(rules, detection=replace(rules.detection, limit_side_len=int(str(limit))))


def _refuse_failed_gates(request: BuildRequest, gates: StageResult) -> None:
    facts: Mapping[str, Any] = gates.facts
    if facts["passed"]:
        return
    moved = ", ".join(facts["worst"]) or "none was compared"
    report = request.out.with_name(request.out.name + ".failed-report.html")
    write_atomic(report, (gates.folder / REPORT).read_bytes())
    raise GatesFailed(
        f"gates of recipe {request.recipe} failed: {'; '.join(facts['failed'])}. Images that moved most: {moved}",
        path=report,
        hint="look at the report, choose another --recipe, or build with --allow-failed-gates",
    )

"""The main job: from models to a bundle, ended early by a failed gate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from edge_kit import __version__
from edge_kit.build.cache import CACHE_BYTES, default_cache
from edge_kit.build.events import BuildFinished, Event, OnEvent, StageCached, StageFinished, StageStarted
from edge_kit.build.files import Json
from edge_kit.build.manifest import Manifest
from edge_kit.build.output import WrittenBundle, check_target, write_bundle
from edge_kit.build.runner import Runner, StageError, running
from edge_kit.devices import DeviceProfile, check_fit, load_profile
from edge_kit.jobs.app import AppPlan, app_facts, app_notes, make_app, make_code, plan_app
from edge_kit.jobs.layout import bundle_files, created_from, model_facts, paper_files, redistributed
from edge_kit.jobs.models import facts_of_models, images_of, make_models, verify
from edge_kit.jobs.request import BuildRequest, check_converter, check_models, check_profile, check_recipe
from edge_kit.recipes import AUTO, Recipe, Recipes, load_recipes
from edge_kit.spec import Spec, SpecProfile, load_spec, profile
from edge_kit.stages.apk.results import APK
from edge_kit.stages.bill import write_bill
from edge_kit.stages.configure import configure
from edge_kit.stages.gates import judge
from edge_kit.stages.oracle import Oracle, find_oracle
from edge_kit.stages.report import Subject, write_report
from edge_kit.stages.results import Verdict
from edge_kit.stages.verify import PACKAGES
from edge_kit.targets import target_of
from edge_kit.verify.runs import Named
from model_opt.convert import Converter, find_converter
from model_opt.errors import KitError
from model_opt.fs import write_atomic


class GatesFailed(KitError):
    """The candidate does not read what the reference reads, by the limits of its recipe."""

    exit_code = 1


@dataclass(frozen=True)
class Job:
    """A request whose options were checked, with all that its stages take."""

    request: BuildRequest
    recipe: Recipe
    device: DeviceProfile
    rules: SpecProfile
    """The specification's rules for this recogniser, at the device's largest side: what it will do is verified."""
    spec: Spec
    images: tuple[Named, ...]
    converter: Converter
    oracle: Oracle
    tools: Mapping[str, str]
    chosen_by: Json
    """How the recipe was chosen when the user did not."""


def build_bundle(request: BuildRequest, on_event: OnEvent) -> WrittenBundle:
    """Run the complete job and return the bundle.

    Bad options are refused before any work. Raises ``GatesFailed`` when a gate fails and the request does not allow
    it; the report is then written beside the output as ``<out>.failed-report.html``, and an old bundle stays as it was.
    """
    recipes = load_recipes()
    device = load_profile(request.device_profile or target_of(request.target).profile)
    if request.recipe == AUTO:
        return _smallest_that_passes(request, device, recipes, on_event)
    recipe = recipes.row(request.recipe)
    check_options(request, recipe, device)
    return _build(request, recipe, device, on_event)


def check_options(request: BuildRequest, recipe: Recipe, device: DeviceProfile) -> None:
    """Raise ``KitError`` for a profile that the app lacks, and a recipe that target, device or models cannot have."""
    check_profile(request)
    check_recipe(recipe, target_of(request.target))
    check_models(request, recipe)
    check_fit(device, request.target, recipe.name)


def run_job(job: Job, app: AppPlan | None, run: Runner) -> WrittenBundle:
    """Plan and run the stages, and write the bundle."""
    request, rules = job.request, job.rules
    models = make_models(run, request, job.recipe, rules, job.converter)
    sources = {role: model.fetched for role, model in models.items()}
    converted = {role: model.converted for role, model in models.items()}
    verification = verify(run, request, sources, converted, rules, job.images, job.oracle)
    configured = run(
        "configure", configure, sources["rec"], converted, job.device, job.spec, rules.name, request.recipe
    )
    about = Subject(
        request.target, request.recipe, job.device.name, job.tools, job.images,
        sources, converted, configured, verification, rules.image.alpha,
    )  # fmt: skip
    gates = run("gates", judge, about)
    code = make_code(run, app) if app else None
    _refuse_failed_gates(request, run.result(gates))
    packaged, licences = None, redistributed(request, sources, app.licence_facts if app else ())
    if app and code:
        packaged = run.result(
            make_app(run, request, app, code, models, configured, verification, job.converter, licences)
        )
    report = run("report", write_report, about, app_notes(app, packaged) if app and packaged else ())
    models, configured, report, verification = run.result((models, configured, report, verification))
    files = bundle_files(models, configured, report) | ({APK: packaged.apk} if packaged else {})
    apk = APK if packaged else None
    files |= paper_files(run.result(run("bill", write_bill, request.target, request.recipe, files, licences, apk)))
    return write_bundle(
        request.out,
        files,
        Manifest(
            target=request.target,
            recipe=request.recipe,
            device_profile=job.device.name,
            created_from=created_from(models, rules, job.device),
            models={role: model_facts(role, model) for role, model in models.items()},
            verification={
                **verification.to_dict(),
                **({"chosen_by": job.chosen_by} if job.chosen_by else {}),
                **({} if verification.passed else {"allowed_to_fail": request.allow_failed_gates}),
            },
            tools=dict(job.tools),
            app=app_facts(app, packaged) if app and packaged else None,
        ),
    )


def _build(
    request: BuildRequest, recipe: Recipe, device: DeviceProfile, on_event: OnEvent, chosen_by: Json = None
) -> WrittenBundle:
    """Check what is left to check, find the tools, and run the job; without Paddle Lite's release if it is unfit."""
    check_converter(request)
    check_target(request.out)
    facts = facts_of_models(request)
    images = images_of(request.images)
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
    rules = for_device(facts.applied(profile(request.profile)), device)
    spec = facts.applied(load_spec())
    job = Job(request, recipe, device, rules, spec, images, converter, oracle, tools, chosen_by)
    try:
        return _finished(job, app, on_event)
    except StageError as error:
        plain = app.without_release(error) if app else None
        if plain is None:
            raise
        return _finished(job, plain, on_event)


def _finished(job: Job, app: AppPlan | None, on_event: OnEvent) -> WrittenBundle:
    """Run the job, clean the cache, and end the events with ``BuildFinished``, good or bad."""
    began, seen = time.monotonic(), list[Event]()

    def note(event: Event) -> None:
        seen.append(event)
        on_event(event)

    written, cache = None, default_cache()
    try:
        with running(cache, jobs=job.request.jobs, on_event=note) as run:
            written = run_job(job, app, run)
        cache.prune(CACHE_BYTES)
        return written
    finally:
        ran, cached = (sum(isinstance(event, kind) for event in seen) for kind in (StageFinished, StageCached))
        output, changed = (str(written.folder), written.changed) if written else (None, False)
        on_event(BuildFinished(written is not None, time.monotonic() - began, ran, cached, output, changed))


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
            check_options(tried, recipe, device)
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
    reasons = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
    raise GatesFailed(
        f"no recipe passes its gates for {device.name}: {reasons}",
        hint="see <out>.failed-report.html, or build one --recipe with --allow-failed-gates",
    )


def for_device(rules: SpecProfile, device: DeviceProfile) -> SpecProfile:
    """Return the rules with the device's longest side."""
    limit = device.value("limit_side_len")
    return replace(rules, detection=rules.detection.limited_to(int(str(limit))))


def _refuse_failed_gates(request: BuildRequest, verdict: Verdict) -> None:
    """Raise ``GatesFailed`` unless failures are allowed. Fail fast: never package a refused bundle."""
    if verdict.report is None or request.allow_failed_gates:
        return
    moved = ", ".join(verdict.worst) or "none was compared"
    report = request.out.with_name(request.out.name + ".failed-report.html")
    write_atomic(report, verdict.report.path.read_bytes())
    raise GatesFailed(
        f"gates of recipe {request.recipe} failed: {'; '.join(verdict.failed)}. Images that differ most: {moved}",
        path=report,
        hint="see the report, choose another --recipe, or build with --allow-failed-gates",
    )

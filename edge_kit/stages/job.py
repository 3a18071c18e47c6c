"""The main job: put the stages together, run them, and let a failed gate stop the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from edge_kit import __version__
from edge_kit.build.cache import StageResult, default_cache
from edge_kit.build.events import OnEvent, StageFinished, StageStarted
from edge_kit.build.make import BundlePlan, make_bundle
from edge_kit.build.output import WrittenBundle, check_target
from edge_kit.devices import DeviceProfile, check_fit, default_profile, load_profile
from edge_kit.spec import Profile, profile
from edge_kit.stages.delivery import REPORT, configure_stage, layout, report_stage
from edge_kit.stages.models import convert_stage, fetch_stage, optimise_stage
from edge_kit.stages.request import ROLES, BuildRequest, convert_options
from edge_kit.stages.verification import PACKAGES, images_of, verify_stage
from model_opt.errors import KitError
from model_opt.files import write_atomic
from model_opt.opt_tool import find_tool


class GatesFailed(KitError):
    """The candidate does not read what the reference reads, by the limits of its recipe."""

    exit_code = 1


def build_bundle(request: BuildRequest, on_event: OnEvent) -> WrittenBundle:
    """Run the whole job and return the bundle.

    Bad options are refused before any work. Raises ``GatesFailed`` when a gate fails and the request does not allow
    it; the report then stands beside the output as ``<out>.failed-report.html``, and an old bundle stays as it was.
    """
    options = convert_options(request.target, request.recipe)
    device = load_profile(request.device_profile) if request.device_profile else default_profile(request.target)
    check_fit(device, request.target, request.recipe)
    check_target(request.out)
    images = images_of(request.images)
    rules = for_device(profile(), device)
    on_event(StageStarted("tool"))
    tool = find_tool(offline=request.offline)
    on_event(StageFinished("tool", 0.0))
    tools = {"edge-kit": __version__, "paddlelite": tool.opt_version, **{name: version(name) for name in PACKAGES}}
    before = "optimise" if request.optimise else "fetch"
    stages = [
        *(fetch_stage(role, request) for role in ROLES),
        *(optimise_stage(role) for role in ROLES if request.optimise),
        *(convert_stage(role, options, tool, f"{before}-{role}") for role in ROLES),
        verify_stage(request, rules, images, tool),
        configure_stage(request, rules, device),
        report_stage(request, device, images, tools),
    ]
    plan = layout(request, rules, device, tools)

    def judged(results: Mapping[str, StageResult]) -> BundlePlan:
        _refuse_failed_gates(request, results)
        return plan(results)

    return make_bundle(stages, judged, request.out, cache=default_cache(), jobs=request.jobs, on_event=on_event)


def for_device(rules: Profile, device: DeviceProfile) -> Profile:
    """Return the rules with the device's largest side: what is verified is what the device will do."""
    limit = device.value("limit_side_len")
    return replace(rules, detection=replace(rules.detection, limit_side_len=int(str(limit))))


def _refuse_failed_gates(request: BuildRequest, results: Mapping[str, StageResult]) -> None:
    facts: Mapping[str, Any] = results["verify"].facts
    if facts["passed"] or request.allow_failed_gates:
        return
    told = "; ".join(_failures(facts))
    moved = ", ".join(map(str, facts["worst_first"][:3])) or "none was compared"
    report = request.out.with_name(request.out.name + ".failed-report.html")
    write_atomic(report, (results["report"].folder / REPORT).read_bytes())
    raise GatesFailed(
        f"gates of recipe {request.recipe} failed: {told}. Images that moved most: {moved}",
        path=report,
        hint="look at the report, choose another --recipe, or build with --allow-failed-gates",
    )


def _failures(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield each failed gate with its number and limit, the oracle's behind those of the shipped files."""
    if facts["not_proven"]:
        yield str(facts["not_proven"])
    else:
        yield from (f"{g['name']} is {g['value']}, limit {g['limit']}" for g in facts["gates"] if not g["passed"])
    oracle = facts["oracle"]
    for gate in oracle["gates"]:
        if not gate["passed"]:
            yield f"{gate['name']} of {oracle['candidate']} is {gate['value']}, limit {gate['limit']}"

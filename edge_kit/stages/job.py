"""The main job: put the stages together, run them, and let a failed gate stop the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from edge_kit import __version__
from edge_kit.build.cache import StageResult, default_cache
from edge_kit.build.events import OnEvent, StageFinished, StageStarted
from edge_kit.build.make import BundlePlan, make_bundle
from edge_kit.build.output import WrittenBundle, check_target
from edge_kit.devices import check_fit, default_profile, load_profile
from edge_kit.spec import profile
from edge_kit.stages.delivery import REPORT, configure_stage, layout, report_stage
from edge_kit.stages.models import convert_stage, fetch_stage
from edge_kit.stages.request import ROLES, BuildRequest, convert_options
from edge_kit.stages.verification import PACKAGES, images_of, verify_stage
from model_opt.errors import KitError
from model_opt.files import write_atomic
from model_opt.opt_tool import find_tool


class GatesFailed(KitError):
    """The candidate does not read what the reference reads, by the limits of its recipe."""


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
    rules = profile()
    on_event(StageStarted("tool"))
    tool = find_tool(offline=request.offline)
    on_event(StageFinished("tool", 0.0))
    tools = {"edge-kit": __version__, "paddlelite": tool.opt_version, **{name: version(name) for name in PACKAGES}}
    stages = [
        *(fetch_stage(role, request) for role in ROLES),
        *(convert_stage(role, options, tool) for role in ROLES),
        verify_stage(request, rules, images, tool),
        configure_stage(request, rules, device),
        report_stage(request, device, images, tools),
    ]
    plan = layout(request, rules, device, tools)

    def judged(results: Mapping[str, StageResult]) -> BundlePlan:
        _refuse_failed_gates(request, results)
        return plan(results)

    return make_bundle(stages, judged, request.out, cache=default_cache(), jobs=request.jobs, on_event=on_event)


def _refuse_failed_gates(request: BuildRequest, results: Mapping[str, StageResult]) -> None:
    facts = results["verify"].facts
    if facts["passed"] or request.allow_failed_gates:
        return
    gates = facts["gates"]
    assert isinstance(gates, list)
    failed = [gate for gate in gates if not gate["passed"]]
    told = "; ".join(f"{gate['name']} is {gate['value']}, limit {gate['limit']}" for gate in failed)
    worst = facts["worst_first"]
    moved = ", ".join(map(str, worst[:3])) if isinstance(worst, list) else ""
    report = request.out.with_name(request.out.name + ".failed-report.html")
    write_atomic(report, (results["report"].folder / REPORT).read_bytes())
    raise GatesFailed(
        f"{len(failed)} gates of recipe {request.recipe} failed: {told}. Images that moved most: {moved}",
        path=report,
        hint="look at the report, choose another --recipe, or build with --allow-failed-gates",
    )

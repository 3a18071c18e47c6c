"""The stage ``verify``: the shipped files and the server engine on the same images, judged by the recipe's gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from edge_kit.build.stage import StageContext, uses
from edge_kit.engines.base import Engine, EngineOptions
from edge_kit.engines.lite_x86 import LiteX86Engine
from edge_kit.engines.nb import ExactNbEngine, open_nb
from edge_kit.engines.server import open_server
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import load_characters
from edge_kit.ocr.tensor import Run
from edge_kit.spec import SpecProfile
from edge_kit.stages.oracle import Oracle
from edge_kit.stages.results import Fetched, Role, Shipped
from edge_kit.verify.gates import Limits, apply_gates
from edge_kit.verify.runs import Named, Verified, verify_pipelines
from edge_kit.verify.verification import ORACLE, REFERENCE, Judged, Verification
from model_opt.machine import available_cores
from model_opt.nb import NbModel, normalise_version, place_of, read_nb
from model_opt.opt_tool import ToolEnv
from model_opt.zoo import ModelFiles, open_model

ORACLE_PIXELS = 300_000
"""The oracle runs images up to this detector input: Paddle Lite's x86 engine takes 1.2 kB of memory a pixel."""
PACKAGES = ("paddlepaddle", "onnxruntime", "opencv-python", "numpy", "pyclipper")

MakeEngine = Callable[[Role], Engine]


@uses(lambda: {name: version(name) for name in PACKAGES})
def verify_models(
    context: StageContext,
    sources: Mapping[Role, Fetched],
    shipped: Mapping[Role, Shipped],
    rules: SpecProfile,
    specified_limit: int | None,
    images: tuple[Named, ...],
    limits: Limits,
    fp32_limits: Limits,
    oracle: Oracle,
) -> Verification:
    """Compare engines on ``images`` and apply the gates.

    The shipped files, run by the engine that can (``nb``, for x86 ``lite_x86`` where it runs), must pass ``limits``;
    Paddle Lite's own x86 kernels on the unquantised models must pass ``fp32_limits``, which checks the conversion by
    an engine that shares no code with the first. Where those kernels cannot run, the result says that they were not
    asked, and why. A failed gate does not fail the stage: the job decides, so that the report can show what failed.
    """
    engines = _engines(sources, shipped, oracle)
    done = _compare(context, sources, rules, images, engines)
    name = next(name for name in engines if name != REFERENCE)
    return Verification(
        reference=REFERENCE,
        images=len(images),
        shipped=_judged(name, done[name], limits),
        oracle=_judged(ORACLE, done[ORACLE], fp32_limits) if ORACLE in done else None,
        not_checked=oracle.reason,
        limit_side_len=rules.detection.longest_side,
        specified_limit_side_len=specified_limit,
        reference_runs=done[name].reference,
        shipped_runs=done[name].candidate,
    )


def _judged(candidate: str, verified: Verified, limits: Limits) -> Judged:
    comparison = verified.comparison
    return Judged(candidate, limits.name, comparison, apply_gates(comparison.total.metrics(), limits.name, (limits,)))


def _engines(sources: Mapping[Role, Fetched], shipped: Mapping[Role, Shipped], oracle: Oracle) -> dict[str, MakeEngine]:
    """Return the engines by name: the reference, the one that runs the shipped files, the oracle where it runs."""
    options = EngineOptions(threads=1, frugal=True)

    def source(role: Role) -> ModelFiles:
        found = sources[role]
        return open_model(found.program_file.parent, role, dictionary=found.characters if role == "rec" else None)

    def file(role: Role) -> Path:
        return shipped[role].nb.path

    made: dict[str, MakeEngine] = {REFERENCE: lambda role: open_server(source(role), options)}
    env = oracle.env
    if env is not None and _is_for(read_nb(file("det")), env):
        made[f"{ORACLE} (shipped)"] = lambda role: LiteX86Engine.from_nb(file(role), options, env=env)
    else:
        made["nb"] = lambda role: open_nb(file(role), options)
    if env is not None:
        made[ORACLE] = lambda role: LiteX86Engine(source(role), options, env=env)
    return made


def _is_for(model: NbModel, env: ToolEnv) -> bool:
    """Return whether Paddle Lite's x86 engine of this environment runs a file."""
    return place_of(model) == "x86" and normalise_version(model.opt_version) == normalise_version(env.opt_version)


def _compare(
    context: StageContext,
    sources: Mapping[Role, Fetched],
    rules: SpecProfile,
    images: Sequence[Named],
    engines: Mapping[str, MakeEngine],
) -> dict[str, Verified]:
    """Run every engine and compare it with the reference."""
    characters = load_characters(sources["rec"].characters, rules.ctc)
    with ExitStack() as stack:
        pipelines = {name: _pipeline(make, rules, characters, stack) for name, make in engines.items()}
        reference = pipelines.pop(REFERENCE)
        return verify_pipelines(reference, pipelines, images, context.progress, {ORACLE: ORACLE_PIXELS})


def _pipeline(make: MakeEngine, rules: SpecProfile, characters: Sequence[str], stack: ExitStack) -> OcrPipeline:
    """Return a pipeline on engines that ``stack`` closes."""
    det, rec = make("det"), make("rec")
    # The exact engine computes on one core, a line for some seconds, and may be run by several threads.
    at_once = available_cores() if isinstance(rec, ExactNbEngine) else 1
    pipeline = OcrPipeline(rules, Runs(_run_of(det), (_run_of(rec),) * at_once), characters)
    for closing in (det.close, rec.close, pipeline.close):
        stack.callback(closing)
    return pipeline


def _run_of(engine: Engine) -> Run:
    """Return how to run an engine: the exact one with the NaN that a device would show, for the gates to count."""
    return engine.compute if isinstance(engine, ExactNbEngine) else engine.run

"""The stage ``verify``: the shipped files and the server engine on the same images, judged by the recipe's gates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edge_kit.build.cache import Facts
from edge_kit.build.fingerprint import code_fingerprint
from edge_kit.build.graph import Stage, StageContext
from edge_kit.engines.base import Engine, EngineOptions
from edge_kit.engines.lite_x86 import LiteX86Engine
from edge_kit.engines.nb import ExactNbEngine, open_nb
from edge_kit.engines.server import ServerEngine
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import load_characters
from edge_kit.ocr.tensor import Run
from edge_kit.spec import Profile, export_json, load_spec
from edge_kit.spec import profile as specified
from edge_kit.stages.models import DICTIONARY, fetched
from edge_kit.stages.oracle import Oracle
from edge_kit.stages.request import ROLES, BuildRequest, Role
from edge_kit.verify.compare import Comparison, json_number
from edge_kit.verify.gates import apply_gates
from edge_kit.verify.regression import regression_set, user_set
from edge_kit.verify.runs import Named, Verified, verify_pipelines
from edge_kit.verify.store import dump_verified
from model_opt.files import sha256_bytes, sha256_file
from model_opt.machine import available_cores
from model_opt.nb import NbModel, normalise_version, place_of, read_nb
from model_opt.opt_tool import ToolEnv
from model_opt.resources import config_dir

VERIFIED = "verified.json"
REFERENCE, ORACLE = "server", "lite_x86"
ORACLE_PIXELS = 300_000
"""The oracle looks at images up to this detector input: Paddle Lite's x86 engine takes 1.2 kB of memory a pixel."""
PACKAGES = ("paddlepaddle", "onnxruntime", "opencv-python", "numpy", "pyclipper")

MakeEngine = Callable[[Role], Engine]


def images_of(folder: Path | None) -> tuple[Named, ...]:
    """Return the project's regression images and, behind them, those of the user's folder."""
    own = user_set(folder) if folder is not None else ()
    return tuple(Named(image.name, image.path) for image in (*regression_set(), *own))


def verify_stage(request: BuildRequest, profile: Profile, images: Sequence[Named], oracle: Oracle) -> Stage:
    """Return the stage that compares engines on ``images`` and applies gates.

    The shipped files, run by the engine that can (``nb``, for x86 ``lite_x86`` where it runs), must pass the gates of
    their recipe; Paddle Lite's own x86 kernels on the unquantised model must pass those of fp32, which checks the
    conversion by an engine that shares no code with the first. Where those kernels cannot run, the facts say that they
    were not asked, and why. A failed gate does not fail the stage: the job decides, so that the report can show what
    failed.
    """
    sums = "".join(f"{sha256_file(image.path)} {image.name}\n" for image in images)
    key = {
        "images": sha256_bytes(sums.encode()),
        "spec": sha256_bytes(export_json(load_spec())),
        "profile": repr(profile),
        "gates": sha256_file(config_dir() / "gates.yaml"),
        "recipe": request.recipe,
        "oracle": oracle.cache_key,
        "packages": json.dumps({name: version(name) for name in PACKAGES}),
        "code": code_fingerprint(__name__),
    }

    def run(context: StageContext) -> Facts:
        made = _engines(context, oracle)
        done = _compare(context, profile, images, made)
        shipped = next(name for name in made if name != REFERENCE)
        (context.out / VERIFIED).write_bytes(dump_verified(done[shipped]))
        return {**_facts(request.recipe, shipped, done, len(images), oracle), **_limits(profile)}

    needs = (*(f"fetch-{role}" for role in ROLES), *(f"convert-{role}" for role in ROLES))
    return Stage("verify", run, needs=needs, key=key)


def _shipped(context: StageContext, role: Role) -> Path:
    return context.inputs[f"convert-{role}"] / f"{role}.nb"


def _engines(context: StageContext, oracle: Oracle) -> dict[str, MakeEngine]:
    """Return the engines by name: the reference, the one that runs the shipped files, the oracle where it runs."""
    options = EngineOptions(threads=1, frugal=True)
    made: dict[str, MakeEngine] = {REFERENCE: lambda role: ServerEngine(fetched(context.inputs, role), options)}
    env = oracle.env
    if env is not None and _is_for(read_nb(_shipped(context, "det")), env):
        made[f"{ORACLE} (shipped)"] = lambda role: LiteX86Engine.from_nb(_shipped(context, role), options, env=env)
    else:
        made["nb"] = lambda role: open_nb(_shipped(context, role), options)
    if env is not None:
        made[ORACLE] = lambda role: LiteX86Engine(fetched(context.inputs, role), options, env=env)
    return made


def _is_for(model: NbModel, env: ToolEnv) -> bool:
    """Return whether Paddle Lite's x86 engine of this environment runs a file."""
    return place_of(model) == "x86" and normalise_version(model.opt_version) == normalise_version(env.opt_version)


def _compare(
    context: StageContext, profile: Profile, images: Sequence[Named], made: Mapping[str, MakeEngine]
) -> dict[str, Verified]:
    """Run every engine and compare it with the reference."""
    characters = load_characters(context.inputs["fetch-rec"] / DICTIONARY, profile.ctc)
    with ExitStack() as stack:
        pipelines = {name: _pipeline(make, profile, characters, stack) for name, make in made.items()}
        reference = pipelines.pop(REFERENCE)
        return verify_pipelines(reference, pipelines, images, context.progress, {ORACLE: ORACLE_PIXELS})


def _pipeline(make: MakeEngine, profile: Profile, characters: Sequence[str], stack: ExitStack) -> OcrPipeline:
    """Return a pipeline on engines that ``stack`` closes."""
    det, rec = make("det"), make("rec")
    # The exact engine computes on one core, a line for some seconds, and may be run by several threads.
    at_once = available_cores() if isinstance(rec, ExactNbEngine) else 1
    pipeline = OcrPipeline(profile, Runs(_run_of(det), (_run_of(rec),) * at_once), characters)
    for closing in (det.close, rec.close, pipeline.close):
        stack.callback(closing)
    return pipeline


def _run_of(engine: Engine) -> Run:
    """Return how to run an engine: the exact one with the NaN that a device would show, for the gates to count."""
    return engine.compute if isinstance(engine, ExactNbEngine) else engine.run


def _facts(recipe: str, shipped: str, done: Mapping[str, Verified], images: int, oracle: Oracle) -> Facts:
    """Return what the manifest says of the verification."""
    judged = _judged(done[shipped].comparison, recipe)
    checked = _oracle_facts(done, oracle)
    return {
        "reference": REFERENCE,
        "candidate": shipped,
        "images": images,
        **judged,
        "passed": bool(judged["passed"] and checked["passed"] is not False),
        "oracle": checked,
    }


def _oracle_facts(done: Mapping[str, Verified], oracle: Oracle) -> dict[str, Any]:
    """Return what the oracle's answers are worth; ``passed`` is None where it was not asked, with the reason."""
    about = {"candidate": ORACLE, "recipe": "fp32"}
    if ORACLE not in done:
        return {**about, "images": 0, "passed": None, "gates": [], "not_checked": oracle.reason}
    return {**about, "images": len(done[ORACLE].reference), **_judged(done[ORACLE].comparison, "fp32")}


def _limits(profile: Profile) -> Facts:
    """Return the largest side that both engines worked at, and the specification's own."""
    return {
        "limit_side_len": profile.detection.limit_side_len,
        "specified_limit_side_len": specified(profile.name).detection.limit_side_len,
    }


def _judged(comparison: Comparison, recipe: str) -> dict[str, Any]:
    results = apply_gates(comparison.metrics(), recipe)
    gates = [
        {"name": gate.name, "value": json_number(gate.value), "limit": gate.limit, "passed": gate.passed}
        for gate in results
    ]
    told = comparison.to_dict()
    kept = {key: told[key] for key in ("metrics", "counts", "worst_first")}
    return {"gates": gates, "passed": all(gate.passed for gate in results), **kept}

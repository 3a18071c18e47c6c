"""The stage ``verify``: the server engine and Paddle Lite on the same images, judged by the recipe's gates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from edge_kit.build.cache import Facts
from edge_kit.build.fingerprint import code_fingerprint
from edge_kit.build.graph import Stage, StageContext
from edge_kit.engines.base import Engine, EngineOptions
from edge_kit.engines.lite_x86 import LiteX86Engine
from edge_kit.engines.server import ServerEngine
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import load_characters
from edge_kit.spec import Profile, export_json, load_spec
from edge_kit.stages.models import fetched
from edge_kit.stages.request import BuildRequest
from edge_kit.verify.compare import Comparison, json_metrics
from edge_kit.verify.gates import apply_gates
from edge_kit.verify.regression import regression_set, user_set
from edge_kit.verify.runs import Named, verify_pipelines
from edge_kit.verify.store import dump_verified
from model_opt.files import sha256_bytes, sha256_file
from model_opt.opt_tool import ToolEnv
from model_opt.resources import config_dir

VERIFIED = "verified.json"
REFERENCE, CANDIDATE = "server", "lite_x86"
PACKAGES = ("paddlepaddle", "opencv-python", "numpy", "pyclipper")
_CODE = ("edge_kit.stages.verification", "edge_kit.verify", "edge_kit.ocr", "edge_kit.engines", "edge_kit.spec")


def images_of(folder: Path | None) -> tuple[Named, ...]:
    """Return the project's regression images and, behind them, those of the user's folder."""
    own = user_set(folder) if folder is not None else ()
    return tuple(Named(image.name, image.path) for image in (*regression_set(), *own))


def verify_stage(request: BuildRequest, profile: Profile, images: Sequence[Named], tool: ToolEnv) -> Stage:
    """Return the stage that compares both engines on ``images`` and applies the gates of the recipe.

    A failed gate does not fail the stage: the job decides, so that the report can show what failed.
    """
    sums = "".join(f"{sha256_file(image.path)} {image.name}\n" for image in images)
    key = {
        "images": sha256_bytes(sums.encode()),
        "spec": sha256_bytes(export_json(load_spec())),
        "profile": profile.name,
        "gates": sha256_file(config_dir() / "gates.yaml"),
        "recipe": request.recipe,
        "opt": tool.opt_version,
        "packages": json.dumps({name: version(name) for name in PACKAGES}),
        "code": code_fingerprint(*_CODE, "model_opt.opt_tool"),
    }

    def run(context: StageContext) -> Facts:
        with ExitStack() as stack:
            reference, candidate = _pipelines(context, profile, tool, stack)
            verified = verify_pipelines(reference, candidate, images, context.progress)
        (context.out / VERIFIED).write_bytes(dump_verified(verified))
        return _facts(verified.comparison, request.recipe, len(images))

    return Stage("verify", run, needs=("fetch-det", "fetch-rec"), key=key)


def _pipelines(
    context: StageContext, profile: Profile, tool: ToolEnv, stack: ExitStack
) -> tuple[OcrPipeline, OcrPipeline]:
    """Return the reference and the candidate pipeline; ``stack`` frees their engines."""
    det, rec = fetched(context.inputs, "det"), fetched(context.inputs, "rec")
    options = EngineOptions(threads=1)
    characters = load_characters(context.inputs["fetch-rec"] / "dict.txt", profile.ctc)
    pairs: list[tuple[Engine, Engine]] = [
        (ServerEngine(det, options), ServerEngine(rec, options)),
        (LiteX86Engine(det, options, env=tool), LiteX86Engine(rec, options, env=tool)),
    ]
    made = []
    for det_engine, rec_engine in pairs:
        stack.callback(det_engine.close)
        stack.callback(rec_engine.close)
        made.append(OcrPipeline(profile, Runs(det_engine.run, (rec_engine.run,)), characters))
        stack.callback(made[-1].close)
    return made[0], made[1]


def _facts(comparison: Comparison, recipe: str, images: int) -> Facts:
    """Return what the manifest says of the verification."""
    results = apply_gates(comparison.metrics(), recipe)
    gates = [
        {"name": g.name, "value": json_metrics({"v": g.value})["v"], "limit": g.limit, "passed": g.passed}
        for g in results
    ]
    return {
        "reference": REFERENCE,
        "candidate": CANDIDATE,
        "images": images,
        "passed": all(g.passed for g in results),
        "gates": gates,
        **{key: value for key, value in comparison.to_dict().items() if key in ("metrics", "counts", "worst_first")},
    }

"""The stages ``configure``, ``gates`` and ``report``, and the layout of the bundle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from edge_kit.build.cache import Facts, StageResult
from edge_kit.build.files import Json
from edge_kit.build.fingerprint import code_fingerprint
from edge_kit.build.graph import Stage, StageContext
from edge_kit.build.make import BundlePlan
from edge_kit.build.manifest import Manifest
from edge_kit.devices import DeviceProfile, ModelEntry, runtime_config
from edge_kit.ocr.image import read_image
from edge_kit.spec import Profile, RecogniserFacts, export_json, load_spec
from edge_kit.stages.apk import APK, PACKAGE, AppPlan, app_facts, app_notes
from edge_kit.stages.models import DICTIONARY
from edge_kit.stages.request import GATES, ROLES, BuildRequest
from edge_kit.stages.verification import REFERENCE, VERIFIED
from edge_kit.verify.compare import ImageComparison
from edge_kit.verify.gates import apply_gates
from edge_kit.verify.report import ConfigRow, ModelRow, ReportData, render_report, report_picture
from edge_kit.verify.runs import Named, Verified
from edge_kit.verify.store import load_verified
from model_opt.dictionary import read_dictionary
from model_opt.files import sha256_bytes, sha256_file
from model_opt.resources import config_dir

RUNTIME, SPEC, LABELS, REPORT = "runtime_config.json", "ocr_spec.json", "labels.txt", "report.html"
MAX_PICTURES = 16
_WORST = 3
"""So many of the images that moved most are named when a gate fails."""
_CONVERTED = tuple(f"convert-{role}" for role in ROLES)
_FETCHED = tuple(f"fetch-{role}" for role in ROLES)


def configure_stage(request: BuildRequest, profile: Profile, facts: RecogniserFacts, device: DeviceProfile) -> Stage:
    """Return the stage that writes what the device reads beside the models; ``facts`` are those of the recogniser."""
    spec = load_spec().for_recogniser(facts)
    templates = (config_dir() / "templates" / "runtime_config.json.j2", config_dir() / "runtime_config.schema.json")
    key = {
        "device": repr(device),
        "spec": sha256_bytes(export_json(spec)),
        "profile": profile.name,
        "recipe": request.recipe,
        "templates": " ".join(sha256_file(path) for path in templates),
        "code": code_fingerprint(__name__),
    }

    def run(context: StageContext) -> Facts:
        converted = {role: context.facts[f"convert-{role}"] for role in ROLES}
        models: dict[str, ModelEntry] = {
            role: ModelEntry(f"models/{role}.nb", str(found["sha256"]), str(found["precision"]))
            for role, found in converted.items()
        }
        opt_version = str(converted["det"]["opt_version"])
        config = runtime_config(
            device, spec_profile=profile.name, models=models, opt_version=opt_version, recipe=request.recipe
        )
        (context.out / RUNTIME).write_bytes(config)
        (context.out / SPEC).write_bytes(export_json(spec))
        labels = read_dictionary(context.inputs["fetch-rec"] / DICTIONARY).text
        (context.out / LABELS).write_text(labels, encoding="utf-8", newline="")
        return {}

    return Stage("configure", run, needs=(*_CONVERTED, "fetch-rec"), key=key)


def report_stage(
    request: BuildRequest,
    device: DeviceProfile,
    images: Sequence[Named],
    tools: Mapping[str, str],
    app: AppPlan | None = None,
) -> Stage:
    """Return the stage that writes the report."""
    key = {**_report_key(request, device, images, tools), "app": json.dumps(app.lite_facts) if app else ""}

    def run(context: StageContext) -> Facts:
        notes = app_notes(app, context.facts[PACKAGE]) if app else ()
        _write_report(context, _report_data(request, device, tools, images, context), notes)
        return {}

    packaged = (PACKAGE,) if app else ()
    return Stage("report", run, needs=(GATES, "verify", "configure", *_FETCHED, *_CONVERTED, *packaged), key=key)


def gates_stage(
    request: BuildRequest, device: DeviceProfile, images: Sequence[Named], tools: Mapping[str, str]
) -> Stage:
    """Return the stage that says whether the shipped files pass; what is made of them for the app waits for it.

    Facts: ``passed``, ``failed`` (a sentence for each failed gate) and ``worst`` (the images that moved most). Where a
    gate failed it leaves the report too, so that a build may end here.
    """

    def run(context: StageContext) -> Facts:
        verified = context.facts["verify"]
        if verified["passed"]:
            return {"passed": True, "failed": [], "worst": []}
        _write_report(context, _report_data(request, device, tools, images, context))
        worst = [str(name) for name in _list(verified["worst_first"])[:_WORST]]
        return {"passed": False, "failed": list(_failures(verified)), "worst": worst}

    key = _report_key(request, device, images, tools)
    return Stage(GATES, run, needs=("verify", "configure", *_FETCHED, *_CONVERTED), key=key)


def _failures(verified: Mapping[str, Any]) -> Iterator[str]:
    """Yield each failed gate with its number and limit, the oracle's behind those of the shipped files."""
    yield from (f"{g['name']} is {g['value']}, limit {g['limit']}" for g in verified["gates"] if not g["passed"])
    oracle = verified["oracle"]
    for gate in oracle["gates"]:
        if not gate["passed"]:
            yield f"{gate['name']} of {oracle['candidate']} is {gate['value']}, limit {gate['limit']}"


def _report_key(
    request: BuildRequest, device: DeviceProfile, images: Sequence[Named], tools: Mapping[str, str]
) -> dict[str, str]:
    """Return what determines the text of a report beside the results it tells of."""
    return {
        "request": json.dumps([request.target, request.recipe, device.name]),
        "tools": json.dumps(dict(tools), sort_keys=True),
        "images": "".join(sha256_file(image.path) for image in images),
        "gates": sha256_file(config_dir() / "gates.yaml"),
        "template": sha256_file(config_dir() / "templates" / "report.html.j2"),
        "code": code_fingerprint(__name__),
    }


def _write_report(context: StageContext, data: ReportData, notes: Sequence[str] = ()) -> None:
    html = render_report(replace(data, notes=(*data.notes, *notes)))
    (context.out / REPORT).write_text(html, encoding="utf-8")


def _report_data(
    request: BuildRequest,
    device: DeviceProfile,
    tools: Mapping[str, str],
    images: Sequence[Named],
    context: StageContext,
) -> ReportData:
    verified = load_verified((context.inputs["verify"] / VERIFIED).read_bytes())
    config = json.loads((context.inputs["configure"] / RUNTIME).read_bytes())
    worst = verified.comparison.worst_first
    models = tuple(_model_row(role, context.facts[f"convert-{role}"]) for role in ROLES)
    facts = context.facts["verify"]
    warnings = [str(w) for stage in (*_FETCHED, *_CONVERTED) for w in _list(context.facts[stage]["warnings"])]
    return ReportData(
        target=request.target,
        recipe=request.recipe,
        device_profile=device.name,
        opt_version=str(context.facts["convert-det"]["opt_version"]),
        reference_engine=REFERENCE,
        candidate_engine=str(facts["candidate"]),
        gates=apply_gates(verified.comparison.metrics(), request.recipe),
        images=worst,
        pictures=_pictures(worst[:MAX_PICTURES], images, verified, context.progress),
        models=models,
        tools=tuple(sorted(tools.items())),
        runtime_config=_config_rows(config),
        notes=(
            *_limit_note(facts),
            "None of this was run on a phone.",
            _oracle_note(facts),
            *dict.fromkeys(warnings),
        ),
    )


def _limit_note(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Say that the device profile departs from the specification's largest side, if it does."""
    used, stated = facts["limit_side_len"], facts["specified_limit_side_len"]
    if used == stated:
        return ()
    return (
        f"Verified at limit_side_len {used} of the device profile, on both sides; the specification says {stated}. "
        f"Passed gates prove that the device reads what the server reads at {used}, not what it reads at {stated}.",
    )


def _oracle_note(facts: Mapping[str, Any]) -> str:
    """Return what the oracle says of the conversion, in a sentence."""
    oracle = facts["oracle"]
    if oracle["passed"] is None:
        return (
            f"Not checked: the conversion by an engine that shares no code with the kit's (Paddle Lite's x86 kernels); "
            f"{oracle['not_checked']}."
        )
    failed = [gate["name"] for gate in oracle["gates"] if not gate["passed"]]
    verdict = f"fails {', '.join(failed)}" if failed else "passes every gate of fp32"
    return f"Independent check of the conversion: Paddle Lite's x86 kernels on the unquantised models; it {verdict}."


def _pictures(
    rows: Sequence[ImageComparison],
    images: Sequence[Named],
    verified: Verified,
    progress: Callable[[float | None, str], None],
) -> tuple[Any, ...]:
    paths = {image.name: image.path for image in images}
    reference = {run.name: run for run in verified.reference}
    candidate = {run.name: run for run in verified.candidate}
    made = []
    for position, row in enumerate(rows):
        progress(position / len(rows), row.name)
        picture = report_picture(read_image(paths[row.name]), reference[row.name], candidate[row.name], row)
        made.append(picture)
    return tuple(made)


def _model_row(role: str, facts: Mapping[str, Any]) -> ModelRow:
    return ModelRow(
        name=role,
        file=f"models/{role}.nb",
        bytes=facts["bytes"],
        sha256=facts["sha256"],
        ops=facts["ops"],
        io_copy=facts["io_copy"],
        calib=facts["calib"],
        parameter_types=tuple((kind, row["bytes"]) for kind, row in sorted(facts["params"].items())),
        op_histogram=tuple(facts["op_histogram"].items()),
    )


def _config_rows(config: Mapping[str, Any]) -> tuple[ConfigRow, ...]:
    reasons = config.get("reasons", {})
    return tuple(
        ConfigRow(key, value if isinstance(value, str) else json.dumps(value), reasons.get(key, ""))
        for key, value in config.items()
        if key in reasons
    )


def layout(
    request: BuildRequest,
    profile: Profile,
    device: DeviceProfile,
    tools: Mapping[str, str],
    chosen_by: Json = None,
    app: AppPlan | None = None,
) -> Callable[[Mapping[str, StageResult]], BundlePlan]:
    """Return the function that lays out the bundle from the stages' results.

    ``chosen_by`` says how the recipe was chosen when the user did not.
    """

    def lay_out(results: Mapping[str, StageResult]) -> BundlePlan:
        files = {f"models/{role}.nb": results[f"convert-{role}"].sealed(f"{role}.nb") for role in ROLES}
        files |= {name: results["configure"].sealed(name) for name in (RUNTIME, SPEC, LABELS)}
        files[REPORT] = results["report"].sealed(REPORT)
        if app is not None:
            files[APK] = results[PACKAGE].sealed(APK)
        verification = dict(results["verify"].facts)
        if chosen_by is not None:
            verification["chosen_by"] = chosen_by
        if not verification["passed"]:
            verification["allowed_to_fail"] = request.allow_failed_gates
        manifest = Manifest(
            target=request.target,
            recipe=request.recipe,
            device_profile=device.name,
            created_from=_created_from(results, profile, device),
            models={role: _model_facts(results, role) for role in ROLES},
            verification=verification,
            tools=dict(tools),
            app=app_facts(app, results[PACKAGE].facts) if app is not None else None,
        )
        return BundlePlan(files, manifest)

    return lay_out


def _created_from(
    results: Mapping[str, StageResult], profile: Profile, device: DeviceProfile
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for role in ROLES:
        result = results[f"fetch-{role}"]
        for name, total in sorted(result.files.items()):
            found[f"{role}/{name}"] = {"sha256": total.sha256, "bytes": total.bytes, "model": result.facts["name"]}
    spec = export_json(load_spec())
    found["ocr_spec"] = {"sha256": sha256_bytes(spec), "bytes": len(spec), "profile": profile.name}
    found["device_profile"] = {"sha256": sha256_bytes(repr(device).encode()), "name": device.name}
    found["gates"] = {"sha256": sha256_file(config_dir() / "gates.yaml")}
    return found


def _model_facts(results: Mapping[str, StageResult], role: str) -> dict[str, Any]:
    """Return what the manifest says of a model: the converted file, and what was done to it before."""
    facts: Mapping[str, Any] = results[f"convert-{role}"].facts
    before = {
        word: dict(results[name].facts) if name in results else None
        for word, name in (("optimised", f"optimise-{role}"), ("quantised", f"quantise-{role}"))
    }
    warnings = [*_list(results[f"fetch-{role}"].facts["warnings"]), *_list(facts["warnings"])]
    return {**facts, "nb": f"models/{facts['nb']}", "warnings": warnings, **before}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

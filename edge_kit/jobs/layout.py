"""The bundle that a build's results make: its files and its manifest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from edge_kit.bill import BILL
from edge_kit.build.files import Json, SealedFile
from edge_kit.devices import DeviceProfile
from edge_kit.jobs.models import BuiltModel
from edge_kit.jobs.request import BuildRequest
from edge_kit.licences import LICENSES, load_licences, texts_dir
from edge_kit.settings import looks_like_path
from edge_kit.spec import SpecProfile, export_json, load_spec
from edge_kit.stages.bill import Bill
from edge_kit.stages.configure import LABELS, RUNTIME, SPEC
from edge_kit.stages.redistributed import Redistributed
from edge_kit.stages.report import REPORT
from edge_kit.stages.results import DICTIONARY, PARAMETERS, Configured, Fetched, Role
from model_opt.fs import sha256_bytes, sha256_file
from model_opt.resources import config_dir


def bundle_files(
    models: Mapping[Role, BuiltModel], configured: Configured, report: SealedFile
) -> dict[str, SealedFile]:
    """Return the files of a bundle by their names in it, without the app."""
    return {
        **{f"models/{role}.nb": model.converted.nb for role, model in models.items()},
        RUNTIME: configured.runtime,
        SPEC: configured.spec,
        LABELS: configured.labels,
        REPORT: report,
    }


def redistributed(request: BuildRequest, sources: Mapping[Role, Fetched], facts: Collection[str]) -> Redistributed:
    """Return what a bundle redistributes; ``facts`` are those of its app (``AppPlan.licence_facts``), or none."""
    licences = load_licences()
    own: list[str] = [role for role in sources if looks_like_path(request.model(role))]
    # Beside a model of the user's stands the user's dictionary, whatever file it came from.
    own += ["dictionary"] if request.rec_dict is not None or "rec" in own else []
    return Redistributed(licences.present(facts), licences.model, sources, tuple(own), texts_dir())


def paper_files(bill: Bill) -> dict[str, SealedFile]:
    """Return the licences and the bill of materials by their names in a bundle."""
    return {LICENSES: bill.licences, BILL: bill.materials}


def source_files(fetched: Fetched) -> dict[str, SealedFile]:
    """Return the files that a model was made from, by their names."""
    files = {fetched.program.path.name: fetched.program}
    files |= {PARAMETERS: fetched.parameters} if fetched.parameters else {}
    return files if fetched.dictionary is None else {**files, DICTIONARY: fetched.dictionary}


def created_from(
    models: Mapping[Role, BuiltModel], rules: SpecProfile, device: DeviceProfile
) -> dict[str, dict[str, Any]]:
    """Return what the manifest says of the bundle's sources."""
    spec = export_json(load_spec())
    sources = {
        f"{role}/{name}": {**asdict(file.sum), "model": model.fetched.name}
        for role, model in models.items()
        for name, file in source_files(model.fetched).items()
    }
    return {
        **sources,
        "ocr_spec": {"sha256": sha256_bytes(spec), "bytes": len(spec), "profile": rules.name},
        "device_profile": {"sha256": sha256_bytes(repr(device).encode()), "name": device.name},
        "gates": {"sha256": sha256_file(config_dir() / "gates.yaml")},
    }


def model_facts(role: Role, model: BuiltModel) -> dict[str, Json]:
    """Return what the manifest says of a model: the converted file, and what was done to it before."""
    converted, optimised, quantised = model.converted, model.optimised, model.quantised
    return {
        **asdict(converted),
        **asdict(converted.nb.sum),
        "nb": f"models/{role}.nb",
        "warnings": [*model.fetched.warnings, *converted.warnings],
        "optimised": optimised and _facts(optimised, "ops_before", "ops_after", "passes", "left"),
        "quantised": quantised and _facts(quantised, "algorithm", "inputs", "totals"),
    }


def _facts(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}

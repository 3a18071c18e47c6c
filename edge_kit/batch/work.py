"""What a run is: the settings that its workers get, and the description that keeps one folder to one kind of result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edge_kit
from edge_kit.batch.manifest import MANIFEST_NAME
from model_opt.errors import KitError
from model_opt.fs import sha256_file, write_atomic
from model_opt.machine import available_cores, default_workers
from model_opt.resources import config_dir

if TYPE_CHECKING:
    from edge_kit.settings import PipelineSettings

DESCRIPTION_NAME = "batch.json"
PACKAGES = ("paddlepaddle", "onnxruntime", "opencv-python", "numpy", "pyclipper")
"""Packages whose version may change what is read."""

_NO_MATTER = ("threads", "offline", "enable_hpi", "hpi_config")
"""Settings that do not change a row; hpi is refused."""

_MODELS = (
    "models", "det_model", "rec_model", "rec_dict", "cls_model", "bundle", "textline_orientation_model",
    "doc_orientation_model",
)  # fmt: skip
"""Settings that name models: their sums are described, so that a moved folder changes nothing."""


class MixedError(KitError):
    """The output folder holds results of another kind."""


@dataclass(frozen=True)
class Work:
    """What a worker must know, as JSON types: ``settings`` of one pipeline, or of a reference and a candidate."""

    settings: tuple[Mapping[str, Any], ...]
    threads: int
    """Of one worker."""
    folder: str
    """The current folder, for relative paths."""
    module: str = "edge_kit.batch.worker"
    """The module whose ``main`` is a worker process."""

    @property
    def engine(self) -> str:
        """What rows name as their engine: the candidate in a comparison."""
        return str(self.settings[-1]["engine"])


def share_threads(settings: Sequence[PipelineSettings], workers: int) -> tuple[Work, int]:
    """Return the work of each worker, and how many workers there are; 0 asks for the default.

    The threads of the settings (default: all cores) are shared by the workers. On another device than the CPU one
    worker is the default.
    """
    threads = settings[0].threads or available_cores()
    on_cpu = all(device in (None, "cpu") for one in settings for device in (one.device, one.det_device, one.rec_device))
    count = workers or (default_workers(threads) if on_cpu else 1)
    each = max(1, threads // count)
    values = tuple(asdict(replace(one, threads=each)) for one in settings)
    return Work(values, each, str(Path.cwd())), count


def describe(settings: Sequence[PipelineSettings], **about: Any) -> dict[str, Any]:
    """Return what all rows of a folder have in common; ``about`` is said of the run itself.

    Fetches the models. Raises ``KitError`` for what cannot be had.
    """
    engines = [one.engine for one in settings]
    return {
        **about,
        "edge_kit": edge_kit.__version__,
        "engines": engines,
        "packages": {name: _version(name) for name in PACKAGES},
        "profile": settings[0].chosen.profile,
        "specification": _specification(settings),
        "models": {f"{one.engine}.{role}": text for one in settings for role, text in _models(one).items()},
        "settings": _plain_settings(settings[0]),
    }


def settle(out: Path, description: Mapping[str, Any]) -> None:
    """Write the description of a new run, or compare it with that of the run in ``out``.

    A run begins with its manifest; the description of one that did not get so far is replaced. Raises ``MixedError``
    that names what differs, ``KitError`` for a folder with other files in it.
    """
    path = out / DESCRIPTION_NAME
    if not (path.exists() and (out / MANIFEST_NAME).exists()):
        names = sorted(entry.name for entry in out.iterdir() if not entry.name.startswith("."))
        others = [name for name in names if name != DESCRIPTION_NAME]
        if others:
            what = f"the output folder holds other files: {others[0]}"
            raise KitError(what, path=out, hint="give a new or an empty folder")
        write_atomic(path, json.dumps(description, indent=2).encode() + b"\n")
        return
    try:
        noted = json.loads(path.read_bytes())
    except ValueError as error:
        raise KitError("the description of the run is damaged", path=path, hint="choose another --out") from error
    now = json.loads(json.dumps(description))
    differing = [f"{name}: {old} before, {new} now" for name, old, new in _differences(noted, now)]
    if differing:
        raise MixedError(
            "the output folder holds results of another kind\n  " + "\n  ".join(differing),
            path=path,
            hint="choose another --out, or run with what is described there",
        )


def _differences(noted: Any, now: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(noted, dict) and isinstance(now, dict):
        keys = [*noted, *(key for key in now if key not in noted)]
        return [
            difference
            for key in keys
            for difference in _differences(noted.get(key), now.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if noted == now else [(name, noted, now)]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _plain_settings(settings: PipelineSettings) -> dict[str, Any]:
    values = asdict(settings)
    left_out = (*_NO_MATTER, *_MODELS, "engine", "spec")
    return {name: value for name, value in values.items() if name not in left_out}


def _specification(settings: Sequence[PipelineSettings]) -> str:
    """Return the sum of the specification: the bundle's own where its files are read."""
    for one in settings:
        if one.bundle is not None and one.engine == "nb":
            return sha256_file(Path(one.bundle) / "ocr_spec.json")
    return sha256_file(config_dir() / "ocr_spec.yaml")


def _models(settings: PipelineSettings) -> dict[str, str]:
    """Return name and sum of each model that the settings name."""
    from edge_kit.bundle import bundle_files
    from edge_kit.model_files import det_files, model_files, rec_files
    from edge_kit.settings import DEFAULT_PAGE, DEFAULT_TEXTLINE

    if settings.bundle is not None and settings.engine == "nb":
        files = bundle_files(Path(settings.bundle))
        named = {"det": files.det, "rec": files.rec, "labels": files.labels}
        return {role: f"{path.name} {sha256_file(path)}" for role, path in named.items()}
    models = {"det": det_files(settings), "rec": rec_files(settings)}
    asked = {
        "textline": (settings.use_textline_orientation, settings.textline_orientation_model or DEFAULT_TEXTLINE),
        "angle": (settings.use_angle_classifier, settings.cls_model),
        "page": (settings.use_doc_orientation_classify, settings.doc_orientation_model or DEFAULT_PAGE),
    }
    models |= {role: model_files(name, "cls", None, settings) for role, (wanted, name) in asked.items() if wanted}
    return {role: f"{files.name} {files.fingerprint}" for role, files in models.items()}

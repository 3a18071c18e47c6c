"""The app's assets and the pictures that its decoder is tested on, made as the build makes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from edge_kit.android.app_onnx import app_onnx
from edge_kit.android.assets import BundleFacts, Expected, bundle_assets, golden_assets, selftest_assets
from edge_kit.android.sources import sources_dir
from edge_kit.devices import ModelEntry, default_profile, runtime_config
from edge_kit.licences import Component, app_licences, load_licences, model_components, texts_dir
from edge_kit.ocr.image import Image, read_image
from edge_kit.spec.load import export_json, load_spec, profile
from edge_kit.verify.regression import regression_set
from labs.golden.images import NbModels, expected_results, nb_pipeline
from model_opt.fs import sha256_bytes
from model_opt.nb import read_nb

TARGET, RECIPE, ENGINE = "arm64", "fp32", "nb"


def write_app_assets(folder: Path, models: NbModels) -> None:
    """Write ``bundle/``, ``golden/``, ``selftest/`` and ``licences/`` of an app without Paddle Lite into ``folder``.

    Beside them ``nb/`` holds the models' own files, which such an app does without.
    """
    images = {image.name: image.path for image in regression_set()}
    facts = BundleFacts(TARGET, RECIPE, read_nb(models.det).opt_version, None, False)
    assets = {
        **bundle_assets(_bundle(models), facts),
        **golden_assets(sources_dir() / "golden"),
        **selftest_assets(images, _expected(models), ENGINE),
        **app_licences(_components(), texts_dir()),
        "nb/det.nb": models.det.read_bytes(),
        "nb/rec.nb": models.rec.read_bytes(),
    }
    for name, data in assets.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def write_pictures(folder: Path, paths: Iterable[Path]) -> None:
    """Copy image files and write ``sums.json``: the SHA-256 of each one's pixels as Python decodes them (BGR)."""
    sums = {}
    for path in paths:
        (folder / path.name).write_bytes(path.read_bytes())
        sums[path.name] = sha256_bytes(read_image(path, profile().image.alpha).tobytes())
    (folder / "sums.json").write_text(json.dumps(sums), encoding="utf-8")


def _components() -> tuple[Component, ...]:
    licences = load_licences()
    models = model_components(licences.model, {"det": "PP-OCRv4_mobile_det", "rec": "PP-OCRv4_mobile_rec"}, ())
    return (*licences.present(["app", "arm64-v8a"]), *models)


def _bundle(models: NbModels) -> dict[str, bytes]:
    spec = load_spec()
    files = {"labels.txt": models.labels.read_bytes(), "ocr_spec.json": export_json(spec)}
    files["models/det.onnx"] = app_onnx(read_nb(models.det), "det")
    files["models/rec.onnx"] = app_onnx(read_nb(models.rec), "rec")
    entries = {
        role: ModelEntry(f"models/{role}.nb", sha256_bytes(path.read_bytes()), RECIPE)
        for role, path in (("det", models.det), ("rec", models.rec))
    }
    files["runtime_config.json"] = runtime_config(
        default_profile(TARGET),
        spec_profile=spec.default_profile,
        models=entries,
        opt_version=read_nb(models.det).opt_version,
        recipe=RECIPE,
    )
    return files


def _expected(models: NbModels) -> Iterable[Expected]:
    alpha = profile().image.alpha
    images: list[tuple[str, Image]] = [(image.name, read_image(image.path, alpha)) for image in regression_set()]
    for row in expected_results(nb_pipeline(models), images)["images"]:
        yield Expected(row["name"], row["dt_polys"], row["dt_scores"], row["rec_texts"], row["rec_scores"])

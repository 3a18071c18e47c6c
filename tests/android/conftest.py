"""What the Java side of the tests needs: Maven, a JDK, golden vectors and whole images made by the Python pipeline."""

from __future__ import annotations

import shutil
from itertools import chain
from pathlib import Path

import pytest
from app_assets import write_app_assets, write_pictures

from edge_kit.android.conformance import Models, random_cases, real_cases, vector_spec, write_vectors
from edge_kit.android.whole_images import NbModels, open_models, write_images
from edge_kit.ocr.image import read_image
from edge_kit.ocr.recognition import load_characters
from edge_kit.verify.regression import regression_set


@pytest.fixture(scope="session")
def maven(lacking) -> Path:
    """The path of ``mvn``; skipped without it or a JDK, a failure in CI."""
    missing = [name for name in ("javac", "mvn") if shutil.which(name) is None]
    if missing:
        lacking(f"{' and '.join(missing)} not found: apt-get install openjdk-17-jdk-headless maven")
    return Path(str(shutil.which("mvn")))


@pytest.fixture(scope="session")
def nb_models(mobile_det, mobile_rec, converter) -> NbModels:
    """The public models as a build makes them for ARM, unquantised."""
    from model_opt.convert import ConvertOptions, converted

    det, rec = (converted(model, ConvertOptions(place="arm"), converter) for model in (mobile_det, mobile_rec))
    return NbModels(det, rec, mobile_rec.dictionary)


@pytest.fixture(scope="session")
def all_images(shared_dir):
    """The 16 regression images and the 29 shared ones, by name."""
    images = [(image.name, image.path) for image in regression_set()]
    images += [(path.name, path) for path in sorted((shared_dir / "images").iterdir())]
    return [(name, read_image(path)) for name, path in images]


@pytest.fixture(scope="session")
def vectors(nb_models, all_images, tmp_path_factory) -> Path:
    """Golden vectors of every stage on all images and on thousands of random shapes."""
    folder, spec = tmp_path_factory.mktemp("vectors"), vector_spec()
    runs = open_models(nb_models)
    characters = load_characters(nb_models.labels, spec.profiles[0].ctc)
    real = real_cases(all_images, Models(runs.detect, runs.recognise, characters), spec)
    write_vectors(folder, chain(real, random_cases(3, 5000, all_images[0][1], spec)), spec)
    return folder


@pytest.fixture(scope="session")
def whole_images(nb_models, all_images, tmp_path_factory) -> Path:
    """All images with what Python's engine ``nb`` reads on them."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, nb_models, all_images)
    return folder


@pytest.fixture(scope="session")
def app_assets(nb_models, tmp_path_factory) -> Path:
    """The assets of an app, as the build makes them."""
    folder = tmp_path_factory.mktemp("assets")
    write_app_assets(folder, nb_models)
    return folder


@pytest.fixture(scope="session")
def pictures(shared_dir, tmp_path_factory) -> Path:
    """The 16 regression images and the 29 shared ones as files, with sums of their pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, [*(i.path for i in regression_set()), *sorted((shared_dir / "images").iterdir())])
    return folder

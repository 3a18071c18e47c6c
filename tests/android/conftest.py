"""What the Java side of the tests needs: Maven, a JDK, and golden vectors and images of the Python pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from arm_lane import ARM64, Jvm, open_jvm

from edge_kit.android.errors import ToolMissing
from edge_kit.ocr.image import read_image
from edge_kit.ocr.recognition import load_characters
from edge_kit.recipes import load_recipes
from edge_kit.spec.load import profile
from edge_kit.verify.regression import regression_set
from labs.golden.images import NbModels, open_models, write_images
from labs.golden.vectors import Models, write_all_vectors
from model_opt.nb import read_nb
from model_opt.nb.to_onnx import to_onnx
from tests.android.app_assets import write_app_assets, write_pictures


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
    folder, runs = tmp_path_factory.mktemp("vectors"), open_models(nb_models)
    characters = load_characters(nb_models.labels, profile().ctc)
    write_all_vectors(folder, Models(runs.detect, runs.recognise, characters), all_images)
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


@pytest.fixture(scope="session")
def arm(lacking) -> Callable[[str], Jvm]:
    """Opens a Java machine on an emulated arm64 core; skipped without its programs, a failure in CI."""

    def opened(cpu: str) -> Jvm:
        try:
            return open_jvm(ARM64, cpu)
        except ToolMissing as error:
            lacking(str(error))

    return opened


@pytest.fixture(scope="session")
def arm_sets(maven, mobile_det, mobile_rec, converter, tmp_path_factory) -> dict[str, Path]:
    """For each recipe of the OpenCV engine: its models, three pictures, the smallest first, and what ``nb`` reads.

    The models are those of a recipe without what its algorithms do, which takes minutes: the same operators and
    precisions.
    """
    from model_opt.convert import converted

    wanted = ("tiny.png", "street_sign.png", "vertical.png")
    paths = {image.name: image.path for image in regression_set()}
    images = [(name, read_image(paths[name])) for name in wanted]
    folders = {}
    for recipe in ("fp32", "weight_int8"):
        row, folder = load_recipes().row(recipe), tmp_path_factory.mktemp(f"arm-{recipe}")
        det = converted(mobile_det, row.det.convert_options("arm"), converter)
        rec = converted(mobile_rec, row.rec.convert_options("arm"), converter)
        assert write_images(folder, NbModels(det, rec, mobile_rec.dictionary), images) == len(wanted)
        (folder / "open-rec.onnx").write_bytes(to_onnx(read_nb(rec)))
        folders[recipe] = folder
    return folders

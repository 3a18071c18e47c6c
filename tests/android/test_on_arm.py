"""The compiled core and the OpenCV engine on an emulated arm64 core: bit for bit, model for model, text for text."""

from __future__ import annotations

import json
import re

import pytest
from android_library import open_android
from arm_lane import ARM64, ARMV7, CPUS, MODULES, agreement, host_jvm, run_tests

from edge_kit.android.errors import ToolMissing
from edge_kit.android.sources import sources_dir
from edge_kit.ocr.image import read_image
from edge_kit.verify.regression import regression_set
from labs.golden.images import NbModels, write_images
from model_opt.zoo import fetch, load_zoo

pytestmark = pytest.mark.xdist_group("maven")  # the classes that the test of the modules has just compiled

READ_ON = (("cortex-a53", "weight_int8", 2), ("cortex-a76", "fp32", 3))
"""Which recipe reads how many pictures on which core; scripts/bench_arm.py reads all of them with both."""
EVERY_VECTOR_ON = "cortex-a76"
LEFT_OUT = ("MemoryTest", "WholeImagesTest")
"""Tests that the host runs: native memory over 1,500 images is 90 s of an emulated core (docs/benchmarks.md has ARM's
run), and all images would take hours; the pictures below stand for them."""

SETS_ON = (("pp-ocrv5-mobile", None), ("pp-ocrv6-tiny", 8), ("pp-ocrv6-small", 8))
"""With weights of how many bits the smallest picture is read; the host runs both kinds (test_app_sets.py)."""


def count_tests() -> int:
    """Return the number of test methods in the sources of ``MODULES``, without those of ``LEFT_OUT``."""
    folders = [sources_dir() / module / "src" / "test" for module in MODULES]
    files = [path for folder in folders for path in folder.rglob("*Test.kt") if path.stem not in LEFT_OUT]
    return sum(len(re.findall(r"^    @Test$", path.read_text(encoding="utf-8"), re.MULTILINE)) for path in files)


@pytest.mark.parametrize("cpu", CPUS)
def test_core_and_engine_pass_their_tests_and_the_golden_vectors(arm, vectors, cpu):
    """The committed vectors on both cores, those of all images on one."""
    every = cpu == EVERY_VECTOR_ON
    run = run_tests(arm(cpu), LEFT_OUT, {"edgekit.vectors": vectors} if every else {})
    given_up = 0 if every else 1
    assert (run.passed, run.gave_up) == (count_tests() - given_up, given_up), run.output
    if every:
        count = len(json.loads((vectors / "manifest.json").read_bytes())["cases"])
        assert f"\n{count} of {count} golden vectors are equal" in run.output


@pytest.mark.parametrize(("cpu", "recipe", "count"), READ_ON)
def test_models_load_and_read_pictures_on_arm_as_on_x86(arm, arm_sets, cpu, recipe, count):
    """A recogniser of undeclared width is refused: the proof that the lane sees what x86 hides, where it loads."""
    files = [folder / name for folder in arm_sets.values() for name in ("det.onnx", "rec.onnx", "open-rec.onnx")]
    folder, numbers = arm_sets[recipe], list(range(count))
    words = ["load", *files, "--", "read", folder, *numbers]
    answers, on_host = (list(jvm.answers("load and read", words)) for jvm in (arm(cpu), host_jvm()))
    loaded, found, host = answers[: len(files)], answers[len(files) :], on_host[len(files) :]
    assert [answer["loaded"] for answer in loaded] == [True, True, False] * len(arm_sets)
    assert all("Can't infer a dim denoted by -1" in answer["error"] for answer in loaded[2::3])
    assert all(answer["loaded"] for answer in on_host[: len(files)])
    expected = json.loads((folder / "expected.json").read_bytes())["images"][:count]
    assert [row["name"] for row in found] == [row["name"] for row in expected]
    assert sum(len(row["rec_texts"]) for row in found) > len(expected)
    for reference in (expected, host):  # Python's engine nb, and OpenCV's own x86 library
        for one, other in zip(reference, found, strict=True):
            compared = agreement(one, other)
            assert compared.identical, (one["name"], one["rec_texts"], other["rec_texts"])
            assert compared.score_difference < 1e-4


def test_every_set_is_loaded_and_reads_a_picture_on_arm(arm, set_files, tmp_path):
    """Gelu, wider attention and 18,710 classes, one small input for each net."""
    picture = next(image for image in regression_set() if image.name == "tiny.png")
    for name, bits in SETS_ON:
        made, row = set_files(name), load_zoo().model_set(name)
        models = NbModels(made["det", bits].nb, made["rec", bits].nb, fetch(row.rec).dictionary)
        write_images(tmp_path / name, models, [(picture.name, read_image(picture.path))], row.profile)
    folders = [tmp_path / name for name, _ in SETS_ON]
    answers = list(arm("cortex-a76").answers("read a picture with each set", ["first", *folders]))
    assert len(answers) == len(folders)
    for folder, found in zip(folders, answers, strict=True):
        (expected,) = json.loads((folder / "expected.json").read_bytes())["images"]
        compared = agreement(expected, found)
        assert (compared.identical, compared.lines) == (True, 1), (folder.name, expected, found)
        assert compared.score_difference < 1e-4


@pytest.mark.parametrize(("machine", "cpu"), [(ARM64, "cortex-a76"), (ARMV7, "cortex-a15")])
def test_the_archives_own_library_loads_the_models_and_reads_a_picture(arm_sets, lacking, machine, cpu):
    """The bytes of ``libopencv_java4.so`` in the APK, on a shim of Android's C library; reading loads both models."""
    try:
        jvm = open_android(cpu, machine)
    except ToolMissing as error:
        lacking(str(error))
    answers = list(jvm.answers("read a picture with each recipe", ["first", *arm_sets.values()]))
    assert len(answers) == len(arm_sets)
    for folder, found in zip(arm_sets.values(), answers, strict=True):
        expected = json.loads((folder / "expected.json").read_bytes())["images"][0]
        compared = agreement(expected, found)
        assert (expected["name"], compared.identical, compared.lines) == ("tiny.png", True, 1), found
        assert compared.score_difference < 1e-4

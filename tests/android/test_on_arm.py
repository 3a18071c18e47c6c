"""The compiled core and the OpenCV engine on an emulated arm64 core: bit for bit, model for model, text for text."""

from __future__ import annotations

import json
import re

import pytest
from android_library import open_android
from arm_lane import ARM64, ARMV7, CPUS, agreement, every_test, host_jvm, run_tests

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
LEFT_OUT = "MemoryTest"
"""Native memory over 1,500 images: 90 s of an emulated core, and the host runs it; docs/benchmarks.md has ARM's run."""

SETS_ON = (("pp-ocrv5-mobile", None), ("pp-ocrv6-tiny", 8), ("pp-ocrv6-small", 8))
"""With weights of how many bits the smallest picture is read; the host runs both kinds (test_app_sets.py)."""


def count_tests(module: str) -> int:
    """Return the number of test methods in a module's sources, without those of ``LEFT_OUT``."""
    sources = (sources_dir() / module / "src" / "test").rglob("*Test.kt")
    texts = (path.read_text(encoding="utf-8") for path in sources if path.stem != LEFT_OUT)
    return sum(len(re.findall(r"^    @Test$", text, re.MULTILINE)) for text in texts)


@pytest.mark.parametrize("cpu", CPUS)
def test_the_core_passes_its_tests_and_the_golden_vectors(arm, vectors, cpu):
    """The committed vectors on both cores, those of all images on one."""
    every = cpu == EVERY_VECTOR_ON
    selected = [*every_test("ocr-core"), f"--exclude-classname=.*{LEFT_OUT}"]
    run = run_tests(arm(cpu), "ocr-core", selected, {"edgekit.vectors": vectors} if every else {})
    given_up = 0 if every else 1
    assert (run.passed, run.gave_up) == (count_tests("ocr-core") - given_up, given_up), run.output
    if every:
        count = len(json.loads((vectors / "manifest.json").read_bytes())["cases"])
        assert f"\n{count} of {count} golden vectors are equal" in run.output


@pytest.mark.parametrize("cpu", CPUS)
def test_the_engine_passes_its_tests(arm, cpu):
    """Its test of memory and that of all images take hours here; the pictures below stand for them."""
    test = "OpenCvEngineTest"
    run = run_tests(arm(cpu), "engine-opencv", [f"--select-class=org.edgekit.ocr.opencv.{test}"], {})
    text = next((sources_dir() / "engine-opencv" / "src" / "test").rglob(f"{test}.kt")).read_text()
    assert (run.passed, run.gave_up) == (text.count("    @Test\n"), 0), run.output


@pytest.mark.parametrize("cpu", CPUS)
def test_the_models_load_and_a_recogniser_of_undeclared_width_is_refused(arm, arm_sets, cpu):
    """The refused file is the proof that the lane sees what x86 hides: there it loads."""
    files = [folder / name for folder in arm_sets.values() for name in ("det.onnx", "rec.onnx", "open-rec.onnx")]
    answers = list(arm(cpu).answers("load the models", ["load", *files]))
    assert [answer["loaded"] for answer in answers] == [True, True, False] * len(arm_sets)
    assert all("Can't infer a dim denoted by -1" in answer["error"] for answer in answers[2::3])
    assert all(answer["loaded"] for answer in host_jvm().answers("load the models", ["load", *files]))


@pytest.mark.parametrize(("cpu", "recipe", "count"), READ_ON)
def test_pictures_are_read_on_arm_as_on_x86(arm, arm_sets, cpu, recipe, count):
    folder = arm_sets[recipe]
    expected = json.loads((folder / "expected.json").read_bytes())["images"][:count]
    numbers = list(range(count))
    found = list(arm(cpu).answers("read the pictures", ["read", folder, *numbers]))
    host = list(host_jvm().answers("read the pictures", ["read", folder, *numbers]))
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
    for folder in arm_sets.values():
        expected = json.loads((folder / "expected.json").read_bytes())["images"]
        number = next(i for i, row in enumerate(expected) if row["name"] == "tiny.png")
        (found,) = jvm.answers("read a picture", ["read", folder, number])
        compared = agreement(expected[number], found)
        assert (compared.identical, compared.lines) == (True, 1), found
        assert compared.score_difference < 1e-4

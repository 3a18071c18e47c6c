"""The commands in the README, the tutorial and the how-tos: each can be parsed, and each names what runs it.

``RUNS`` says for every command line which test does what it does, or why none does. Lines with ``HERE`` are run by this
file, as they stand.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edge_kit.cli.app import app
from edge_kit.jobs import models
from edge_kit.jobs.build import build_bundle
from edge_kit.jobs.request import BuildRequest
from edge_kit.recipes import load_recipes
from edge_kit.spec import load_spec
from edge_kit.targets import TARGETS
from edge_kit.verify.regression import regression_set
from model_opt.zoo import load_zoo
from tests.docs.pages import KIT, ROOT, blocks, pages, shell_commands

PLACES = [
    ROOT / "README.md",
    ROOT / "docs" / "index.md",
    ROOT / "docs" / "tutorial.md",
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
]
HERE = "tests/docs/test_commands.py::test_commands_run_as_they_stand"
NO_PHONE, NO_DOCKER = "not run: needs a phone", "not run: no Docker was at hand"
CLI, JOBS, DEVICE = "tests/edge_kit/cli/test_cli.py", "tests/edge_kit/jobs", "tests/edge_kit/cli/test_cli_device.py"
APK, SERVE = "tests/edge_kit/android/test_apk_build.py", "tests/serve"
BUILD = f"{APK}::test_the_bundle_holds_a_signed_app_and_says_what_it_weighs"
OWN = f"{JOBS}/test_job.py::test_a_users_own_models_and_images_go_the_same_way"
AUTO = f"{JOBS}/test_job.py::test_auto_takes_the_first_recipe_that_passes_and_says_what_it_passed_over"
ON_DEVICE = f"{DEVICE}::test_a_device_that_reads_the_same_ends_with_zero"
CHOSEN = "tests/edge_kit/hpi/test_hpi.py::test_the_choice_reads_what_the_default_reads"
FP32 = f"{JOBS}/test_job.py::test_the_complete_regression_set_passes_the_fp32_gates"
FP16 = f"{JOBS}/test_job.py::test_the_nan_of_an_fp16_detector_fail_its_gates_by_name"
QUANTISED = f"{JOBS}/test_quantisation.py::test_what_the_algorithm_made_is_what_is_written"
COMPARED = "tests/edge_kit/verify/test_bundles.py::test_the_picture_has_a_bar_for_each_bundle_and_figure"
SERVED = f"{SERVE}/test_service.py::test_each_of_many_requests_gets_what_predict_reads"
READS = f"{CLI}::test_ocr_writes_one_json_line_per_image_and_a_picture"
PADDLE = f"{CLI}::test_the_options_of_paddleocr_read_and_save_as_they_say"
OWN_BUILD = "./scripts/edge-kit build --target arm64 --models pp-ocrv5-mobile --rec-model my_rec/"

RUNS = {
    # README
    "./scripts/edge-kit ocr photo.jpg --save out/": HERE,
    "./scripts/edge-kit build --target arm64": BUILD,
    "./scripts/edge-kit serve": SERVED,
    "./scripts/edge-kit ocr photo.jpg folder/ --bundle build/arm64 --save out/ --json result.jsonl": HERE,
    "./scripts/edge-kit build --target arm64 --det-model my_det/ --rec-model my_rec.tar --rec-dict my_dict.txt "
    "--images my_photos/": OWN,
    "apt-get install git python3 python3-venv libgl1 libglib2.0-0 libgomp1 default-jdk-headless maven aapt apksigner": (
        "tests/test_bootstrap.py::test_root_gets_the_missing_packages_once"
    ),
    # tutorial
    "apt-get install git python3 python3-venv libgl1 libglib2.0-0 libgomp1 default-jdk-headless maven aapt apksigner "
    "adb": "tests/test_bootstrap.py::test_root_gets_the_missing_packages_once",
    "./scripts/edge-kit doctor": f"{CLI}::test_doctor_reports_what_is_there",
    "./scripts/edge-kit models verify my_rec/": HERE,
    "./scripts/edge-kit ocr my_photos/ --models pp-ocrv5-mobile --rec-model my_rec/ --save out/ --json before.jsonl": (
        READS
    ),
    f"{OWN_BUILD} --images my_photos/ --application-id com.example.reader --app-name Reader": OWN,
    f"{OWN_BUILD} --images my_photos/ --recipe weight_int8 --calibration my_photos/ --out build/small": QUANTISED,
    "./scripts/edge-kit compare build/arm64 build/small --plot sizes.svg": HERE,
    "adb install -r build/small/edge-ocr.apk": NO_PHONE,
    "./scripts/edge-kit verify build/small --device auto": ON_DEVICE,
    "./scripts/edge-kit bench build/small --device auto --save my_phone.yaml": (
        f"{DEVICE}::test_a_bench_suggests_a_valid_profile"
    ),
    f"{OWN_BUILD} --device-profile my_phone.yaml": (
        f"{JOBS}/test_job.py::test_a_device_with_a_smaller_limit_is_verified_at_that_limit"
    ),
    # how-to: quantise
    "edge-kit recipes list": HERE,
    "edge-kit quantize --recipe weight_int8 --det-model my_det/ --images my_photos/ --out build/quantized": QUANTISED,
    "edge-kit quantize --recipe static_int8 --models pp-ocrv6-tiny --det-model PP-OCRv6_tiny_det "
    "--allow-failed-gates": f"{JOBS}/test_quantisation.py::test_a_failed_gate_writes_nothing",
    "edge-kit quantize --recipe weight_int8 --rec-model my_rec/ --calibration my_pages/": QUANTISED,
    "edge-kit build --target arm64 --recipe weight_int8 --out build/small": QUANTISED,
    "edge-kit build --target arm64-fp16 --recipe fp16 --out build/half": FP16,
    "edge-kit build --target arm64 --recipe auto": AUTO,
    "edge-kit compare build/arm64 build/small build/half --plot sizes.svg": HERE,
    "edge-kit inspect build/small/models/det.nb --compare build/arm64/models/det.nb": HERE,
    # how-to: serve
    "edge-kit serve --models pp-ocrv6-small": SERVED,
    "curl --form file=@photo.jpg --form visualize=false http://127.0.0.1:8080/ocr": (
        f"{SERVE}/test_clients.py::test_the_curl_client"
    ),
    "edge-kit serve --host 0.0.0.0 --port 8080 --api-key-file key.txt --access-log": (
        f"{SERVE}/test_front.py::test_an_api_key_is_asked_for"
    ),
    "edge-kit serve --bundle build/arm64": SERVED,
    "edge-kit serve --models pp-ocrv5-mobile --rec-model my_rec/": SERVED,
    "edge-kit serve --workers 4 --threads 8 --queue 128": SERVED,
    "docker compose --file docker/compose.yaml up --build": NO_DOCKER,
    # how-to: batch
    "edge-kit ocr scans/ --json result.jsonl": HERE,
    "edge-kit ocr scans/ photo.jpg https://example.com/page.png --json result.jsonl --save out/": (
        "tests/edge_kit/test_inputs.py::test_an_image_behind_an_address_is_read"
    ),
    "edge-kit ocr scans/ --json - | jq -r '.rec_texts[]'": f"{CLI}::test_a_pipe_gets_plain_lines_and_no_progress",
    "edge-kit batch scans/ --out results": HERE,
    "edge-kit batch scans/ shards/ @list.txt --out results --format parquet --models pp-ocrv6-small": (
        "tests/batch/test_batch_models.py::test_rows_are_what_predict_reads_in_both_formats"
    ),
    "edge-kit batch photos/ --out compared --compare server,nb": HERE,
    "edge-kit ocr scans/ --models pp-ocrv6-tiny --json result.jsonl": HERE,
    "edge-kit hpi report --models pp-ocrv6-tiny": CHOSEN,
    # how-to: an app of one's own
    "./scripts/edge-kit build --target arm64 --recipe weight_int8": BUILD,
    "mvn -f android_app/pom.xml -DskipTests install": (
        "tests/android/test_maven.py::"
        "test_what_maven_installs_is_a_valid_aar_and_jars_that_the_example_compiles_against"
    ),
    # how-to: a difference
    "edge-kit ocr photo.jpg --bundle build/arm64 --json device.jsonl --save out_bundle/": HERE,
    "edge-kit ocr photo.jpg --engine server --json server.jsonl --save out_server/": HERE,
    "edge-kit verify build/arm64": FP32,
    "edge-kit verify build/arm64 --device auto --report selftest.json": (ON_DEVICE),
    "edge-kit legacy-report photo.jpg": f"{CLI}::test_legacy_report_prints_a_row_for_each_mistake",
    "edge-kit build --target arm64 --recipe fp32 --no-apk --out build/fp32": FP32,
    "edge-kit compare build/fp32 build/arm64": HERE,
    "edge-kit inspect build/arm64/models/rec.nb --compare build/fp32/models/rec.nb": HERE,
    "edge-kit overflow build/half/models/det.nb photo.jpg": (
        f"{CLI}::test_overflow_names_the_layer_of_the_detector_that_overflows"
    ),
    "edge-kit emulate build/arm64/models/rec.nb --input line.npy --output steps.npy": HERE,
    "edge-kit emulate build/half/models/rec.nb --input line.npy --output exact.npy --precision exact": (
        f"{CLI}::test_emulate_counts_the_nan_of_a_phone"
    ),
    "edge-kit inspect build/arm64/models/rec.nb --onnx rec.onnx": HERE,
    "edge-kit ocr photo.jpg --engine server --spec pp-ocrv4": HERE,
    "edge-kit ocr photo.jpg --engine server --spec paddlex-3": HERE,
    # how-to: PaddleX
    "edge-kit ocr --pipeline OCR.yaml -i photo.jpg --save_path out/ --device cpu --use_doc_unwarping False": PADDLE,
    "edge-kit ocr photo.jpg --models pp-ocrv5-mobile": HERE,
    "edge-kit ocr photo.jpg --models pp-ocrv6-small": HERE,
    "edge-kit config export --format paddlex --models pp-ocrv5-mobile --save OCR.yaml": HERE,
    "edge-kit config convert OCR.yaml ocr.yaml": HERE,
    "edge-kit serve --pipeline OCR.yaml": SERVED,
}
"""Each command line of ``PLACES``: the test that does what it does, often with other files; or why none does."""


def words_of(line: str) -> list[list[str]]:
    """Return the words of each command of a line with pipes."""
    found: list[list[str]] = [[]]
    for word in shlex.split(line):
        if word == "|":
            found.append([])
        else:
            found[-1].append(word)
    return found


def parse(words: list[str]) -> tuple[Any, dict[str, Any]]:
    """Parse the words behind ``edge-kit`` as the command line does, and run nothing; return command and values."""
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="edge-kit")
    rest = list(words)
    while hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands, f"there is no command {name!r}"
        command = command.commands[name]
        context = command.context_class(command, info_name=name, parent=context)
    made = command.make_context(command.name, rest, parent=context.parent)
    return command, made.params


def known_values() -> dict[str, set[str]]:
    """Return, by the name of an option, what may stand behind it."""
    return {
        "models": set(load_zoo().sets),
        "recipe": {*load_recipes().rows, "auto"},
        "target": set(TARGETS),
        "spec": {one.name for one in load_spec().profiles} | {*load_spec().aliases},
        "engine": {"nb", "server", "lite_x86", "onnx", "openvino"},
    }


@pytest.mark.parametrize("page", [page for page in pages() if shell_commands(page)], ids=lambda page: page.stem)
def test_every_command_of_the_documentation_can_be_parsed(page):
    known = known_values()
    for line in shell_commands(page):
        for words in words_of(line):
            if words[0] in KIT and "--help" not in words:
                values = parse(words[1:])[1]
                chosen = {name: values[name] for name in known if isinstance(values.get(name), str)}
                assert {name: one for name, one in chosen.items() if one not in known[name]} == {}, line


def test_an_option_that_does_not_exist_is_noticed():
    with pytest.raises(Exception, match="no-such"):
        parse(["build", "--target", "arm64", "--no-such"])
    with pytest.raises(AssertionError, match="no command 'biuld'"):
        parse(["biuld", "--target", "arm64"])


def test_every_command_that_users_copy_has_a_row_and_no_row_is_left_over():
    shown = {line for page in PLACES for line in shell_commands(page)}
    assert sorted(shown - RUNS.keys()) == []
    assert sorted(RUNS.keys() - shown) == []


def test_the_tests_that_run_them_exist():
    lost = []
    for line, run in RUNS.items():
        if run.startswith("not run: "):
            continue
        path, _, name = run.partition("::")
        defined = set(re.findall(r"^def (\w+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE))
        if name not in defined:
            lost.append((line, run))
    assert lost == []


def test_python_examples_are_python():
    for page in pages():
        for block in _python(page):
            ast.parse(block)


def _python(page: Path) -> list[str]:
    return [block.body for block in blocks(page) if block.language == "python"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, mobile_rec):
    """A folder with the files that the commands name: ``photo.jpg``, ``scans``, ``my_rec``, ``build/arm64``, ..."""
    import cv2
    import numpy as np

    folder = tmp_path_factory.mktemp("place")
    picture = cv2.imread(str(ROOT / "configs" / "regression" / "street_sign.png"))
    for name in ("photo.jpg", "scans/a.png", "scans/b.png", "folder/a.png", "photos/a.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(folder / name), picture)
    (folder / "my_rec").mkdir()
    for file, name in ((mobile_rec.program_file, "inference.pdmodel"), (mobile_rec.params_file, "inference.pdiparams")):
        shutil.copy(file, folder / "my_rec" / name)
    few = tuple(image for image in regression_set() if image.name in {"street_sign.png", "empty.png"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "regression_set", lambda: few)
        build_bundle(BuildRequest("arm64", "fp32", folder / "build" / "arm64"), lambda _: None)
    for name in ("small", "half", "fp32"):
        shutil.copytree(folder / "build" / "arm64", folder / "build" / name)
    np.save(folder / "line.npy", np.zeros((1, 3, 48, 320), np.float32))
    return folder


@pytest.mark.integration
@pytest.mark.xdist_group("place")
@pytest.mark.parametrize("page", PLACES, ids=lambda page: page.stem)
def test_commands_run_as_they_stand(page, place, monkeypatch):
    monkeypatch.chdir(place)
    for line in shell_commands(page):
        if RUNS[line] == HERE:
            done = CliRunner().invoke(app, shlex.split(line)[1:], prog_name="edge-kit")
            assert done.exit_code == 0, (line, done.output, done.exception)

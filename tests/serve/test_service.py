"""The service with real models answers what the pipeline reads, in PaddleX's schemas."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from edge_kit import create_pipeline
from edge_kit.serve.settings import ServeSettings
from tests.serve.running import running
from tests.serve.test_documents import png_of_size

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("serve")]

SETTINGS = ServeSettings(port=0, workers=2, threads=2, options={"models": "pp-ocrv6-tiny"})
OPTIONS = {"visualize": "false"}


@pytest.fixture(scope="module")
def client():
    with running(SETTINGS, 300) as client:
        client.timeout = 120
        yield client


@pytest.fixture(scope="module")
def pictures(shared_dir):
    return [
        shared_dir / "images" / name for name in ("cnocr_helloworld.jpg", "lite_1.jpg", "rapid_en.jpg", "lite_4.jpg")
    ]


@pytest.fixture(scope="module")
def expected(pictures):
    with create_pipeline(models="pp-ocrv6-tiny", threads=1) as pipeline:
        return {path: (list(r.rec_texts), r.dt_polys.tolist()) for path, r in zip(
            pictures, pipeline.predict([str(path) for path in pictures]), strict=True)}  # fmt: skip


def as_json(path, **more):
    return {"file": base64.b64encode(path.read_bytes()).decode(), **more}


def test_each_of_many_requests_gets_what_predict_reads(client, pictures, expected):
    def ask(number):
        path = pictures[number % len(pictures)]
        answer = client.post("/ocr", content=path.read_bytes(), headers={"Content-Type": "image/jpeg"}, params=OPTIONS)
        pruned = answer.json()["result"]["ocrResults"][0]["prunedResult"]
        return path, (pruned["rec_texts"], pruned["rec_polys"])

    with ThreadPoolExecutor(8) as clients:
        for path, got in clients.map(ask, range(24)):
            assert got == expected[path]


def test_todays_answer_has_paddlexs_fields_in_its_order(client, pictures):
    answer = client.post("/ocr", json=as_json(pictures[0], fileType=1, logId="mine")).json()
    assert list(answer) == ["logId", "result", "errorCode", "errorMsg"]
    assert (answer["logId"], answer["errorCode"], answer["errorMsg"]) == ("mine", 0, "Success")
    height, width = cv2.imread(str(pictures[0])).shape[:2]
    assert answer["result"]["dataInfo"] == {"width": width, "height": height, "type": "image"}
    (page,) = answer["result"]["ocrResults"]
    assert list(page) == ["prunedResult", "ocrImage", "inputImage"]
    assert list(page["prunedResult"]) == [
        "model_settings", "dt_polys", "text_det_params", "text_type", "textline_orientation_angles",
        "text_rec_score_thresh", "return_word_box", "rec_texts", "rec_scores", "rec_polys", "rec_boxes",
    ]  # fmt: skip
    drawn = Pillow.open(io.BytesIO(base64.b64decode(page["ocrImage"])))
    assert (drawn.format, max(drawn.size) <= 2000) == ("JPEG", True)


def test_the_answer_of_beta1(client, pictures, expected):
    answer = client.post("/ocr", json={"image": as_json(pictures[0])["file"]}).json()
    assert list(answer) == ["logId", "errorCode", "errorMsg", "result"]
    texts = answer["result"]["texts"]
    assert [list(line) for line in texts] == [["poly", "text", "score"]] * len(texts)
    assert ([line["text"] for line in texts], [line["poly"] for line in texts]) == expected[pictures[0]]
    assert Pillow.open(io.BytesIO(base64.b64decode(answer["result"]["image"]))).format == "JPEG"


def test_multipart_base64_and_bytes_give_one_result(client, pictures):
    path = pictures[1]
    answers = [
        client.post("/ocr", json=as_json(path, visualize=False)),
        client.post("/ocr", files={"file": path.open("rb")}, data=OPTIONS),
        client.post("/ocr", content=path.read_bytes(), headers={"Content-Type": "image/jpeg"}, params=OPTIONS),
    ]
    results = [answer.json()["result"] for answer in answers]
    assert results[0] == results[1] == results[2]
    assert "total;dur=" in answers[0].headers["server-timing"]


def test_a_pdf_and_a_tiff_are_read_by_page(client, pictures, expected):
    pages = [Pillow.open(pictures[0]).convert("RGB"), Pillow.open(pictures[2]).convert("RGB")]
    for kind, suffix in (("TIFF", "tiff"), ("PDF", "pdf")):
        file = io.BytesIO()
        pages[0].save(
            file, kind, save_all=True, append_images=pages[1:], **({} if kind == "TIFF" else {"resolution": 144})
        )
        headers = {"Content-Type": "application/octet-stream"}
        result = client.post("/ocr", content=file.getvalue(), headers=headers, params=OPTIONS).json()["result"]
        assert result["dataInfo"]["type"] == suffix
        assert result["dataInfo"]["numPages"] == 2
        assert [(page["width"], page["height"]) for page in result["dataInfo"]["pages"]] == [
            page.size for page in pages
        ]
        assert all(page["prunedResult"]["rec_texts"] for page in result["ocrResults"])


def test_options_of_a_request_change_this_answer_alone(client, pictures):
    plain = client.post("/ocr", json=as_json(pictures[1], visualize=False)).json()["result"]["ocrResults"][0]
    strict = as_json(
        pictures[1], visualize=False, textRecScoreThresh=1.0, textDetLimitSideLen=320, textDetLimitType="max"
    )
    changed = client.post("/ocr", json=strict).json()["result"]["ocrResults"][0]["prunedResult"]
    assert changed["rec_texts"] == []
    assert len(changed["dt_polys"]) > 0 == len(changed["rec_polys"])
    assert changed["text_rec_score_thresh"] == 1.0
    assert changed["text_det_params"]["limit_side_len"] == 320
    again = client.post("/ocr", json=as_json(pictures[1], visualize=False)).json()["result"]["ocrResults"][0]
    assert again == plain


def test_boxes_of_words_are_given_where_asked_for(client, pictures):
    result = client.post("/ocr", json=as_json(pictures[2], visualize=False, returnWordBox=True)).json()["result"]
    page = result["ocrResults"][0]["prunedResult"]
    assert page["return_word_box"] is True
    assert [len(words) for words in page["text_word"]] == [len(boxes) for boxes in page["text_word_boxes"]]
    assert "".join(page["text_word"][0]).split() == page["rec_texts"][0].split()


def test_an_option_whose_model_is_not_loaded_is_422(client, pictures):
    answer = client.post("/ocr", json=as_json(pictures[0], useDocUnwarping=True))
    assert answer.status_code == 422
    assert "unwarp" in answer.json()["errorMsg"]


def test_hostile_files_are_refused_and_cost_no_worker(client):
    noise = np.random.default_rng(3).integers(0, 256, 2000, dtype=np.uint8).tobytes()
    before = client.get("/metrics").text.count("edge_kit_worker_ends_total{")
    for data in (png_of_size(60_000, 60_000), png_of_size(9000, 9000), b"%PDF-1.7\n" + noise, b"II*\0" + noise, noise):
        answer = client.post("/ocr", content=data, headers={"Content-Type": "application/octet-stream"})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errorCode"] == 422
    assert client.get("/metrics").text.count("edge_kit_worker_ends_total{") == before

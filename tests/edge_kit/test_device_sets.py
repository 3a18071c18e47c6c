"""Several devices share the images of one pipeline; auto may fall back, a device by name never does."""

import threading

import numpy as np
import pytest

from edge_kit import api, model_files
from edge_kit.api import DeviceChoice, create_pipeline
from edge_kit.device_sets import device_sets
from edge_kit.engines.base import EngineError
from edge_kit.settings import PipelineSettings
from model_opt.errors import KitError


def test_each_number_is_a_set_and_one_device_is_shared():
    assert device_sets(PipelineSettings(device="gpu:0,2")) == (("gpu:0", "gpu:0"), ("gpu:2", "gpu:2"))
    assert device_sets(PipelineSettings(det_device="gpu:0,1")) == (("gpu:0", "cpu"), ("gpu:1", "cpu"))
    assert device_sets(PipelineSettings()) == (("cpu", "cpu"),)
    with pytest.raises(KitError, match="detector has 2 devices and the recogniser 3"):
        device_sets(PipelineSettings(det_device="gpu:0,1", rec_device="gpu:0,1,2"))


class FakeEngine:
    """Reads nothing; notes which device ran, and waits until every device has an image."""

    name = "fake"

    def __init__(self, options, seen, barrier):
        self.device, self.seen, self.barrier = options.device, seen, barrier

    def run(self, x):
        self.seen.append(self.device)
        if self.barrier is not None:
            self.barrier.wait(timeout=20)
        return np.zeros((1, 1, *x.shape[2:]), np.float32)

    def close(self):
        pass


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with two GPUs whose engines are fakes; ``broken`` kinds of device do not work."""
    seen, broken, made = [], set(), []
    labels = tmp_path / "dict.txt"
    labels.write_text("a\nb\n", encoding="utf-8")
    barrier = threading.Barrier(2)

    def make(options):
        kind = options.device.split(":")[0]
        if kind in broken:
            raise EngineError(f"no driver for {kind}")
        made.append(options.device)
        return FakeEngine(options, seen, barrier if options.device in ("gpu:0", "gpu:1") else None)

    monkeypatch.setattr(api, "_parts", lambda settings, plan: api._Parts(make, make, labels))
    monkeypatch.setattr(api, "offered", lambda engine: ("CUDAExecutionProvider", "CPUExecutionProvider"))
    return seen, broken, made


IMAGE = np.full((64, 96, 3), 255, np.uint8)


def test_two_devices_read_two_images_at_the_same_time_and_keep_the_order(machine):
    seen, _, _ = machine
    with create_pipeline("ocr", engine="onnx", device="gpu:0,1") as pipeline:
        # Each run waits for one on the other device: with a single device this would time out.
        results = list(pipeline.predict([IMAGE] * 6))
    assert len(results) == 6
    assert sorted(set(seen)) == ["gpu:0", "gpu:1"]
    assert seen.count("gpu:0") == seen.count("gpu:1") == 3


def test_auto_takes_the_gpu_and_falls_back_with_a_message_where_it_does_not_work(machine):
    _, broken, _ = machine
    with pytest.warns(DeviceChoice, match="gpu by CUDAExecutionProvider"):
        pipeline = create_pipeline("ocr", engine="onnx", device="auto")
    assert pipeline.settings.device == "gpu"
    pipeline.close()
    broken.add("gpu")
    with pytest.warns(DeviceChoice, match="cpu, since gpu does not work: no driver"):
        pipeline = create_pipeline("ocr", engine="onnx", device="auto", threads=2)
    with pipeline:
        assert pipeline.settings.device == "cpu"
        assert len(list(pipeline.predict([IMAGE] * 3))) == 3


def test_a_device_by_name_never_falls_back(machine):
    _, broken, made = machine
    broken.add("gpu")
    with pytest.raises(EngineError, match="no driver for gpu"):
        create_pipeline("ocr", engine="onnx", device="gpu:0")
    assert made == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"engine": "nb", "device": "gpu:1"}, "engine nb cannot run on device 'gpu:1'"),
        ({"det_device": "npu"}, "cannot run on device 'npu'"),
        ({"rec_model": "no/such/folder"}, "there is no such model"),
        ({"rec_model": "PP-OCRv9_rec"}, "unknown model 'PP-OCRv9_rec'"),
        ({"det_model": "PP-OCRv4_mobile_rec"}, "is a recogniser, and a detector is needed"),
        ({"rec_dict": "no-such.txt"}, "cannot read the dictionary"),
    ],
)
def test_what_can_be_refused_by_name_is_refused_before_a_model_is_fetched(given, message, monkeypatch):
    monkeypatch.setattr(model_files, "fetch", lambda *_, **__: pytest.fail("a model was fetched"))
    with pytest.raises(KitError, match=message):
        create_pipeline("ocr", **given)

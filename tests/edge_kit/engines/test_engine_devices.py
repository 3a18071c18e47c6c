"""Devices by PaddleX's names: the grammar, one table of engines and kinds, refusals that say what to install."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge_kit.engines import server, session
from edge_kit.engines.base import EngineError, EngineOptions
from edge_kit.engines.devices import KINDS, REFUSED, TABLE, auto_device, one_device, parse_device, pick, provider, ways
from edge_kit.engines.factory import ENGINES


@pytest.mark.parametrize(
    ("text", "kind", "each"),
    [
        ("cpu", "cpu", ("cpu",)),
        ("gpu", "gpu", ("gpu",)),
        ("gpu:1", "gpu", ("gpu:1",)),
        ("npu:0,3", "npu", ("npu:0", "npu:3")),
        ("metax_gpu:2", "metax_gpu", ("metax_gpu:2",)),
    ],
)
def test_a_device_is_a_kind_and_numbers(text, kind, each):
    device = parse_device(text)
    assert (device.kind, device.each) == (kind, each)


@pytest.mark.parametrize(
    "text", ["cpu:0", "cuda", "GPU", "gpu:", "gpu:a", "gpu:-1", "gpu:0,,1", "gpu:0,0", "", "gpu:²"]
)
def test_other_words_are_refused(text):
    with pytest.raises(EngineError):
        parse_device(text)


def test_an_engine_takes_one_device():
    assert one_device("gpu:3") == ("gpu", 3)
    assert one_device("xpu") == ("xpu", 0)
    with pytest.raises(EngineError, match="several"):
        one_device("gpu:0,1")


def test_every_kind_and_engine_is_in_the_table_or_refused_with_a_reason():
    assert {way.kind for way in TABLE} == set(KINDS)
    assert {way.engine for way in TABLE} == set(REFUSED) == set(ENGINES)
    for engine in ENGINES:
        for kind in KINDS:
            if not any(way.engine == engine and way.kind == kind for way in TABLE):
                with pytest.raises(EngineError, match="cannot run on device") as error:
                    ways(engine, kind)
                assert "--engine" in str(error.value)


def test_what_nobody_ran_is_marked_and_stands_in_the_docs():
    text = (Path(__file__).parents[3] / "docs" / "devices-host.md").read_text(encoding="utf-8")
    for way in TABLE:
        (row,) = [
            line for line in text.splitlines() if line.startswith(f"| `{way.engine}` | `{way.kind}` | {way.needs} ")
        ]
        assert way.package in row
        assert row.rstrip(" |").endswith("yes" if way.ran else "no")
    assert not any(way.ran for way in TABLE if way.kind != "cpu")


def test_the_first_provider_that_is_there_is_taken_and_gets_the_number():
    way = pick("onnx", "gpu", ("ROCMExecutionProvider", "MIGraphXExecutionProvider", "CPUExecutionProvider"))
    assert provider(way, 2) == ("MIGraphXExecutionProvider", {"device_id": "2"})
    intel = provider(pick("onnx", "gpu", ("OpenVINOExecutionProvider",)), 0)
    assert intel == ("OpenVINOExecutionProvider", {"device_type": "GPU", "precision": "FP32"})
    assert provider(pick("onnx", "cpu", ("CPUExecutionProvider",)), 0) == "CPUExecutionProvider"


def test_a_device_whose_package_is_missing_names_the_package():
    with pytest.raises(EngineError, match="only CPUExecutionProvider") as error:
        pick("onnx", "npu", ("CPUExecutionProvider",))
    assert "onnxruntime-cann" in str(error.value)


def test_auto_takes_what_is_there_and_says_so_when_it_falls_back():
    assert auto_device("onnx", lambda: ("CUDAExecutionProvider", "CPUExecutionProvider"))[0] == "gpu"
    device, sentence = auto_device("onnx", lambda: ("CPUExecutionProvider",))
    assert device == "cpu"
    assert "nothing else" in sentence


class FakeOrt(SimpleNamespace):
    """ONNX Runtime with CUDA, as it behaves with and without a GPU."""


def fake_session(monkeypatch, in_use):
    import onnxruntime

    asked = []

    class Session:
        def __init__(self, model, settings, providers):
            asked.extend(providers)

        def get_providers(self):
            return in_use

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return asked


def test_a_session_on_a_gpu_asks_for_its_number(monkeypatch):
    asked = fake_session(monkeypatch, ["CUDAExecutionProvider", "CPUExecutionProvider"])
    session.make_session(b"model", EngineOptions(device="gpu:1"), Path("m.onnx"))
    assert asked == [("CUDAExecutionProvider", {"device_id": "1"})]


def test_a_named_device_never_falls_back_even_where_onnx_runtime_would(monkeypatch):
    fake_session(monkeypatch, ["CPUExecutionProvider"])
    with pytest.raises(EngineError, match="would run on CPUExecutionProvider"):
        session.make_session(b"model", EngineOptions(device="gpu:1"), Path("m.onnx"))


class FakeConfig:
    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *args: self.calls.append((name, *args))


@pytest.mark.parametrize(
    ("device", "available", "calls"),
    [
        ("cpu", ("cpu",), [("disable_gpu",), ("set_cpu_math_library_num_threads", 3)]),
        ("gpu:2", ("cpu", "gpu"), [("enable_use_gpu", 256, 2)]),
        ("dcu:1", ("cpu", "gpu"), [("enable_use_gpu", 256, 1)]),
        ("xpu:1", ("cpu", "xpu"), [("enable_xpu",), ("set_xpu_device_id", 1)]),
        ("npu", ("cpu", "npu"), [("enable_custom_device", "npu", 0)]),
        ("iluvatar_gpu:1", ("cpu", "iluvatar_gpu"), [("enable_custom_device", "iluvatar_gpu", 1)]),
    ],
)
def test_paddle_is_set_up_by_its_own_names(device, available, calls):
    config = FakeConfig()
    server._set_device(config, EngineOptions(device=device, threads=3), available)
    assert config.calls == calls


def test_paddle_without_a_device_names_the_package():
    with pytest.raises(EngineError, match="offers only cpu") as error:
        server._set_device(FakeConfig(), EngineOptions(device="mlu"), ("cpu",))
    assert "paddle-custom-mlu" in str(error.value)


def test_openvino_answers_as_onnx_runtime_does_within_rounding():
    openvino = pytest.importorskip("openvino")
    from edge_kit.engines.openvino import OpenVinoEngine
    from tests.edge_kit.engines.test_session import answer, head_net, pictures

    assert openvino
    engine = OpenVinoEngine(head_net(), EngineOptions(), Path("m.onnx"))
    for x in pictures():
        expected = np.frombuffer(answer(head_net(), x), np.float32)
        assert np.abs(engine.run(x).ravel() - expected).max() < 1e-4
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run(pictures()[0])

"""The program that a session loads: fewer reorders, another head, the same bits; kept in the cache, damage seen."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge_kit.engines.base import EngineError, EngineOptions
from edge_kit.engines.blocked import keep_blocked
from edge_kit.engines.head import fold_head
from edge_kit.engines.session import local_program, make_session
from model_opt.formats.onnx_model.messages import ATTR_TYPES, model_message

ORIGIN = Path("model.onnx")


class Net:
    """A small ONNX program in the making."""

    def __init__(self, outputs: int = 1) -> None:
        self.model = model_message()()
        self.model.ir_version = 8
        self.model.opset_import.add().version = 17
        for values, name, channels in ((self.model.graph.input, b"x", 3), (self.model.graph.output, b"y", outputs)):
            value = values.add()
            value.name = name
            value.type.tensor_type.elem_type = 1
            for side in (None, channels, None, None):
                dim = value.type.tensor_type.shape.dim.add()
                if side is not None:
                    dim.dim_value = side
        self.random = np.random.default_rng(7)
        self.count = 0

    def constant(self, *shape: int) -> bytes:
        tensor = self.model.graph.initializer.add()
        self.count += 1
        tensor.name, tensor.data_type = f"c{self.count}".encode(), 1
        tensor.dims.extend(shape)
        tensor.raw_data = self.random.standard_normal(shape, np.float32).tobytes()
        return tensor.name

    def add(self, kind: str, *inputs: bytes, output: bytes | None = None, **attributes) -> bytes:
        node = self.model.graph.node.add()
        self.count += 1
        node.op_type = kind.encode()
        node.input.extend(inputs)
        node.output.append(output or f"v{self.count}".encode())
        for name, value in attributes.items():
            one = node.attribute.add()
            one.name = name.encode()
            field = "ints" if isinstance(value, list) else "f" if isinstance(value, float) else "i"
            one.type = ATTR_TYPES[field]
            if field == "ints":
                one.ints.extend(value)
            else:
                setattr(one, field, value)
        return node.output[0]

    def conv(self, source: bytes, inputs: int, outputs: int, side: int = 1, output: bytes | None = None) -> bytes:
        weights, bias = self.constant(outputs, inputs, side, side), self.constant(outputs)
        return self.add("Conv", source, weights, bias, output=output, pads=[side // 2] * 4, kernel_shape=[side, side])

    def bytes(self) -> bytes:
        return self.model.SerializeToString()


def hard_swish_net() -> bytes:
    """Convolutions with hard-swish, a scale by channel and an addition between them, as in PP-LCNetV3."""
    net = Net(outputs=8)
    first = net.conv(b"x", 3, 16, 3)
    gate = net.add("HardSigmoid", first, alpha=1 / 6, beta=0.5)
    active = net.add("Mul", first, gate)
    second = net.conv(active, 16, 16, 3)
    pooled = net.conv(net.add("GlobalAveragePool", second), 16, 16)
    scaled = net.add("Mul", second, net.add("HardSigmoid", pooled, alpha=0.2, beta=0.5))
    third = net.add("Add", active, scaled)
    both = net.add("Add", third, net.conv(third, 16, 16))
    net.conv(both, 16, 8, output=b"y")
    return net.bytes()


def head_net(kernel: int = 2, user: bool = False) -> bytes:
    net = Net(outputs=1)
    small = net.add("Relu", net.conv(b"x", 3, 8, 3))
    options = {"kernel_shape": [kernel, kernel], "strides": [2, 2], "pads": [0] * 4}
    wide = net.add("ConvTranspose", small, net.constant(8, 8, kernel, kernel), net.constant(8), **options)
    full = net.add(
        "ConvTranspose", net.add("Relu", wide), net.constant(8, 1, kernel, kernel), net.constant(1), **options
    )
    net.add("Sigmoid", full, output=b"y")
    if user:
        net.model.graph.output.add().CopyFrom(net.model.graph.output[0])
        net.model.graph.output[1].name = wide
    return net.bytes()


def kinds(program: bytes) -> Counter:
    model = model_message()()
    model.ParseFromString(program)
    return Counter(node.op_type.decode() for node in model.graph.node)


def optimised(program: bytes, folder: Path) -> bytes:
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    settings.optimized_model_filepath = str(folder / "optimised.onnx")
    ort.InferenceSession(program, settings, providers=["CPUExecutionProvider"])
    return (folder / "optimised.onnx").read_bytes()


def answer(program: bytes, x: np.ndarray) -> bytes:
    import onnxruntime as ort

    session = ort.InferenceSession(program, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0].tobytes()


def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [random.standard_normal(shape, np.float32) for shape in ((1, 3, 32, 64), (3, 3, 96, 32))]


def test_a_program_of_hard_swish_needs_fewer_reorders_and_answers_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    plain = optimised(hard_swish_net(), tmp_path)
    if not kinds(plain)["ReorderOutput"]:
        pytest.skip("ONNX Runtime has no blocked layout on this processor")
    fewer = keep_blocked(plain)
    assert fewer is not None
    reorders = [kinds(one)["ReorderOutput"] + kinds(one)["ReorderInput"] for one in (plain, fewer)]
    assert reorders[1] < reorders[0]
    session = make_session(hard_swish_net(), EngineOptions(threads=2), ORIGIN)
    for x in pictures():
        assert session.run(None, {"x": x})[0].tobytes() == answer(hard_swish_net(), x)


def test_a_scale_by_channel_stays_in_the_plain_layout(tmp_path):
    """Its one value a channel is broadcast, and in blocks that would reach other channels."""
    fewer = keep_blocked(optimised(hard_swish_net(), tmp_path))
    if fewer is None:
        pytest.skip("ONNX Runtime has no blocked layout on this processor")
    model = model_message()()
    model.ParseFromString(fewer)
    pooled = next(n for n in model.graph.node if n.op_type in (b"GlobalAveragePool", b"ReduceMean"))
    assert pooled is not None
    for x in pictures():
        assert answer(fewer, x) == answer(hard_swish_net(), x)


def test_two_transposed_convolutions_of_a_head_become_plain_ones_of_the_same_sums():
    folded = fold_head(head_net())
    assert folded is not None
    assert kinds(folded)["ConvTranspose"] == 0
    for x in pictures():
        one, other = (np.frombuffer(answer(program, x), np.float32) for program in (folded, head_net()))
        assert np.abs(one - other).max() <= 2e-6  # some processors have other kernels for the two forms


def test_a_session_answers_with_the_bits_of_the_program_it_was_given(tmp_path, monkeypatch):
    """Whatever form this processor runs: where the other form differs in a bit, it is not taken."""
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "cache"))
    session = make_session(head_net(), EngineOptions(threads=2), ORIGIN)
    for x in pictures():
        assert session.run(None, {"x": x})[0].tobytes() == answer(head_net(), x)


@pytest.mark.parametrize("options", [{"kernel": 3}, {"user": True}], ids=["overlapping kernel", "inner output"])
def test_another_head_stays_as_it_is(options):
    assert fold_head(head_net(**options)) is None


def test_a_program_is_made_once_and_made_anew_when_its_file_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path))
    made = local_program(head_net(), ORIGIN)
    (path,) = (tmp_path / "ort").iterdir()
    assert path.read_bytes() == made
    stamp = path.stat().st_mtime_ns
    assert local_program(head_net(), ORIGIN) == made
    assert path.stat().st_mtime_ns == stamp
    path.write_bytes(made[:-1])
    assert local_program(head_net(), ORIGIN) == made
    assert path.read_bytes() == made


def test_a_rewrite_that_changes_a_bit_is_not_used(tmp_path, monkeypatch):
    from edge_kit.engines import session

    def wrong(program: bytes) -> bytes:
        model = model_message()()
        model.ParseFromString(program)
        tensor = model.graph.initializer[-1]
        values = np.frombuffer(tensor.raw_data, np.float32).copy()
        values[0] = np.nextafter(values[0], np.float32(9))
        tensor.raw_data = values.tobytes()
        return model.SerializeToString()

    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path))
    monkeypatch.setattr(session, "fold_head", wrong)
    made = make_session(head_net(), EngineOptions(), ORIGIN)
    for x in pictures():
        assert made.run(None, {"x": x})[0].tobytes() == answer(head_net(), x)


def test_a_cache_that_cannot_be_written_to_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path / "file"))
    assert local_program(head_net(), ORIGIN)


def test_a_file_that_is_no_model_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_KIT_CACHE", str(tmp_path))
    with pytest.raises(EngineError, match="cannot load the model"):
        make_session(b"no model", EngineOptions(), ORIGIN)
    with pytest.raises(EngineError, match="cannot read the model"):
        make_session(tmp_path / "missing.onnx", EngineOptions(), ORIGIN)

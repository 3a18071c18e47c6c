"""The activations that opt 2.14 computes in fp16, single or fused into a convolution."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping

import numpy as np
import pytest

from model_opt.emulator import emulate
from model_opt.emulator.exp16 import logistic
from model_opt.nb import NbError, NbModel, read_nb
from model_opt.program import Attr, AttrType

# SHA-256 of the kernel's outputs for all 65,536 fp16 numbers, NaN as 0x7e00. Made by compiling the vector code of
# Paddle Lite's activation_fp16.cc with -ffast-math for aarch64 and running it under qemu: GCC 12 and clang 14 agree.
COMPILED = {
    "sigmoid": "4c5cd91df7ab0fa95cbef808a256e7a51ac0d0f2f04108a9399fb66af1ea4fa2",
    "swish": "76fdda321f155425c6e2a1c2b94b31ae45f9b20470bead9338756fbcd7613a1a",
    "swish 1.7": "5db345c78a48f7b6afa497fe2f677d30782c23cb1f21f4b6ef76821d033cba7b",
}
EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


def _computed(name: str, x: np.ndarray) -> np.ndarray:
    beta = np.float32(np.float16(1.7 if name.endswith("1.7") else 1))
    with np.errstate(all="ignore"):
        return logistic(np.ones_like(x) if name == "sigmoid" else x, x, beta).astype(np.float16)


@pytest.mark.parametrize("name", COMPILED)
def test_every_fp16_number_gives_what_the_compiled_kernel_gives(name):
    y = _computed(name, EVERY)
    bits = np.where(np.isnan(y), np.float16(np.nan), y).tobytes()
    assert hashlib.sha256(bits).hexdigest() == COMPILED[name]


@pytest.mark.parametrize("name", ["sigmoid", "swish"])
def test_an_activation_is_within_a_few_steps_of_float64(name):
    x = np.linspace(-9, 9, 4096, dtype=np.float32).astype(np.float16).astype(np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    exact = exact if name == "sigmoid" else exact * x
    steps = np.abs(_computed(name, x) - exact) / np.spacing(np.abs(exact).astype(np.float16)).astype(np.float64)
    # The engine loses the small half of ln 2, so the error grows with the number of halvings.
    assert steps[np.abs(x) <= 1].max() <= 2
    assert steps.max() <= 7


def test_the_last_values_of_a_tensor_go_through_float32():
    x = np.full(7, 1.1, np.float32).astype(np.float16).astype(np.float32)
    y = _computed("sigmoid", x)
    assert len(set(y[:4].tolist())) == 1
    assert y[4:].tolist() == [np.float16(1 / (1 + np.exp(-np.float64(x[0]))))] * 3


def _conv(shared_dir, **attrs: object) -> tuple[NbModel, np.ndarray]:
    """Return the model of one 1x1 convolution with other attributes, and its input."""
    folder = shared_dir / "lite_golden" / "micro"
    model = read_nb(folder / "conv1x1.fp16.nb")
    kinds = {str: AttrType.STRING, bool: AttrType.BOOLEAN, float: AttrType.FLOAT}
    made = {name: Attr(kinds[type(value)], value) for name, value in attrs.items()}
    ops = tuple(dataclasses.replace(op, attrs={**op.attrs, **made}) if op.type == "conv2d" else op for op in model.ops)
    with np.load(folder / "conv1x1.npz") as file:
        return model.with_ops(ops), file["input"]


def _first_conv(model: NbModel, x: np.ndarray) -> np.ndarray:
    """Return what the convolution gives; the operators behind it are left out."""
    conv = next(op for op in model.ops if op.type == "conv2d")
    kept = model.ops[: model.ops.index(conv) + 1]
    (name,) = conv.outputs["Output"]
    fetch = dataclasses.replace(model.ops[-1], inputs={"X": (name,)})
    (feed,) = [op.outputs["Out"][0] for op in model.ops if op.type == "feed"]
    variables = tuple(
        dataclasses.replace(var, dims=x.shape) if var.name == feed else var for var in model.blocks[0].vars
    )
    block = dataclasses.replace(model.blocks[0], ops=(*kept, fetch), vars=variables)
    (y,) = emulate(dataclasses.replace(model, program=model.program.with_main(block)), {feed: x}).values()
    return y


HARD_SWISH: Mapping[str, object] = {
    "with_act": True,
    "act_type": "hard_swish",
    "hard_swish_offset": 3.0,
    "hard_swish_scale": 6.0,
    "hard_swish_threshold": 6.0,
}


@pytest.mark.parametrize("pixels", ["all", "one"])
def test_hard_swish_fused_into_a_convolution_rounds_each_step(shared_dir, pixels):
    plain, x = _conv(shared_dir)
    x = x if pixels == "all" else np.ascontiguousarray(x[:, :, :1, :1])
    fused, _ = _conv(shared_dir, **HARD_SWISH)
    y = _first_conv(plain, x).astype(np.float16)
    gate = np.minimum(np.maximum(y + np.float16(3), np.float16(0)), np.float16(6))
    np.testing.assert_array_equal(_first_conv(fused, x), (y * np.float16(1 / 6)) * gate)


def test_relu6_fused_into_a_convolution_clips_at_its_threshold(shared_dir):
    plain, x = _conv(shared_dir)
    fused, _ = _conv(shared_dir, with_act=True, act_type="relu6", fuse_brelu_threshold=0.5)
    np.testing.assert_array_equal(_first_conv(fused, x), np.clip(_first_conv(plain, x), 0, 0.5))


def test_an_activation_that_no_kernel_fuses_is_named(shared_dir):
    model, x = _conv(shared_dir, with_act=True, act_type="tanh")
    with pytest.raises(NbError, match="tanh"):
        _first_conv(model, x)

"""One small program for every operator of the table, with what Paddle Lite's kernel answers, in plain numpy.

The references are written after the C++ kernels, loop by loop, and share nothing with the translator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import tests.model_opt.nb_writer as nw
from model_opt.nb import NbModel, read_nb
from model_opt.nb.types import KERNEL_ATTR
from model_opt.program import LAYOUTS, PRECISIONS, TARGETS

Array = np.ndarray[Any, np.dtype[np.float32]]
OPENCL = "opencl/fp16/ImageDefault"


@dataclass
class Case:
    """A program of some operators between ``x`` and ``y``, an input, and the answer."""

    name: str
    ops: Sequence[nw.Op]
    answer: Callable[[Array], Array]
    params: Mapping[str, np.ndarray] = field(default_factory=dict)
    shape: Sequence[int] = (1, 4, 7, 9)
    """Of the input; the file leaves its sides open as ``declared`` says."""
    declared: Sequence[int] | None = None
    outputs: Sequence[str] = ("y",)

    def model(self) -> NbModel:
        ops = [nw.feed("x"), *self.ops, *(nw.fetch(name, i) for i, name in enumerate(self.outputs))]
        shapes = {"x": self.shape if self.declared is None else self.declared}
        return read_nb(nw.nb_bytes(ops, self.params, shapes=shapes))

    def input(self) -> Array:
        return np.random.default_rng(7).normal(0, 2, self.shape).astype(np.float32)


def op(kind: str, inputs: Any, outputs: Any, attrs: Any = None, kernel: str = "def/arm/fp32/NCHW") -> nw.Op:
    """Return an operator; ``X=a`` and the like may be given as plain strings."""
    inputs = {slot: [names] if isinstance(names, str) else names for slot, names in sorted(inputs.items())}
    outputs = {slot: [names] if isinstance(names, str) else names for slot, names in sorted(outputs.items())}
    alias, target, precision, layout = kernel.split("/")
    numbers = (TARGETS.index(target), PRECISIONS.index(precision), LAYOUTS.index(layout))
    stored = "/".join(map(str, (kind, alias, *numbers)))
    return nw.Op(kind, inputs, outputs, {**(attrs or {}), KERNEL_ATTR: stored}, place=None)


def random(*shape: int, seed: int = 3) -> Array:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def ints(*values: int) -> tuple[str, tuple[int, ...]]:
    return "ints", values


# ---------------------------------------------------------------- convolutions


def convolve(x: Array, w: Array, pads: Sequence[int], strides: Sequence[int], dilations: Sequence[int], groups: int):
    top, bottom, left, right = pads
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    _, channels, height, width = x.shape
    kh, kw = w.shape[2:]
    out_h = (height - dilations[0] * (kh - 1) - 1) // strides[0] + 1
    out_w = (width - dilations[1] * (kw - 1) - 1) // strides[1] + 1
    y = np.zeros((1, w.shape[0], out_h, out_w))
    each = w.shape[0] // groups
    for o in range(w.shape[0]):
        first = o // each * (channels // groups)
        for c in range(channels // groups):
            for i in range(kh):
                for j in range(kw):
                    rows = slice(i * dilations[0], i * dilations[0] + (out_h - 1) * strides[0] + 1, strides[0])
                    cols = slice(j * dilations[1], j * dilations[1] + (out_w - 1) * strides[1] + 1, strides[1])
                    y[0, o] += x[0, first + c, rows, cols].astype(np.float64) * w[o, c, i, j]
    return y


def deconvolve(x: Array, w: Array, stride: int, pad: int, extra: int = 0):
    _, channels, height, width = x.shape
    kh, kw = w.shape[2:]
    full = np.zeros((1, w.shape[1], (height - 1) * stride + kh + extra, (width - 1) * stride + kw + extra))
    for c in range(channels):
        for o in range(w.shape[1]):
            for i in range(height):
                for j in range(width):
                    place = (0, o, slice(i * stride, i * stride + kh), slice(j * stride, j * stride + kw))
                    full[place] += x[0, c, i, j] * w[c, o].astype(np.float64)
    return full[:, :, pad : full.shape[2] - pad, pad : full.shape[3] - pad]


def conv_attrs(**more: Any) -> dict[str, Any]:
    base = {"strides": ints(1, 1), "paddings": ints(0, 0), "dilations": ints(1, 1), "groups": 1}
    return {**base, "padding_algorithm": "EXPLICIT", "data_format": "NCHW", **more}


def act_attrs(kind: str, **more: float) -> dict[str, Any]:
    return {"with_act": True, "act_type": kind, **more}


W, B = random(6, 4, 3, 3), random(6, seed=4)


def conv(name: str, attrs: dict[str, Any], answer: Callable[[Any], Any], **more: Any) -> Case:
    """A 3x3 convolution of 4 to 6 channels with bias; ``answer`` gets its plain result with pads of 1."""
    kernel = more.pop("kernel", "def/arm/fp32/NCHW")
    node = op("conv2d", {"Input": "x", "Filter": "w", "Bias": "b"}, {"Output": "y"}, attrs, kernel)

    def answered(x: Array) -> Any:
        return answer(convolve(x, W, (1, 1, 1, 1), (1, 1), (1, 1), 1) + B[:, None, None])

    return Case(name, [node], answered, {"w": W, "b": B}, **more)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def activation_of_conv() -> list[Case]:
    gpu = f"image2d/{OPENCL}"
    rows = [
        ("arm", act_attrs("relu", fuse_relu=True), lambda y: np.maximum(y, 0)),
        ("arm", act_attrs("relu6", fuse_brelu_threshold=1.5), lambda y: np.clip(y, 0, 1.5)),
        ("arm", act_attrs("leaky_relu", leaky_relu_alpha=0.3), lambda y: np.where(y > 0, y, 0.3 * y)),
        (
            "arm",
            act_attrs("hard_swish", hard_swish_threshold=5.0, hard_swish_scale=4.0, hard_swish_offset=2.0),
            lambda y: np.clip(y + 2, 0, 5) * y / 4,
        ),
        ("opencl", act_attrs("relu6", fuse_brelu_threshold=1.5), lambda y: np.clip(y, 0, 6)),
        ("opencl", act_attrs("hard_sigmoid", slope=0.3, offset=0.4), lambda y: np.clip(0.3 * y + 0.4, 0, 1)),
        ("opencl", act_attrs("swish", swish_scale=0.7, fuse_swish=True), lambda y: y * sigmoid(0.7 * y)),
        ("opencl", act_attrs("sigmoid", fuse_sigmoid=True), sigmoid),
        ("opencl", act_attrs("tanh", fuse_tanh=True), np.tanh),
        ("opencl", act_attrs("abs", fuse_abs=True), np.abs),
    ]
    cases = []
    for target, act, answer in rows:
        kernel = {"kernel": gpu} if target == "opencl" else {}
        name = f"conv2d {act['act_type']} on {target}"
        cases.append(conv(name, conv_attrs(paddings=ints(1, 1), **act), answer, **kernel))
    return cases


def convolutions() -> list[Case]:
    cases = [
        conv("conv2d", conv_attrs(paddings=ints(1, 1)), lambda y: y),
        conv("conv2d of four pads", conv_attrs(paddings=ints(1, 1, 1, 1)), lambda y: y),
        conv("conv2d SAME", conv_attrs(paddings=ints(9, 9), padding_algorithm="SAME"), lambda y: y),
        conv("conv2d VALID", conv_attrs(paddings=ints(9, 9), padding_algorithm="VALID"), lambda y: y[:, :, 1:-1, 1:-1]),
        conv("conv2d at any size", conv_attrs(paddings=ints(1, 1)), lambda y: y, declared=(-1, 4, -1, -1)),
        *activation_of_conv(),
    ]
    for name, pads, strides, dilations in (
        ("uneven pads", (2, 0, 1, 3), (1, 1), (1, 1)),
        ("strides", (1, 1, 2, 2), (2, 3), (1, 1)),
        ("dilations", (2, 2, 1, 1), (1, 1), (2, 1)),
    ):
        attrs = conv_attrs(paddings=ints(*pads), strides=ints(*strides), dilations=ints(*dilations))
        node = op("conv2d", {"Input": "x", "Filter": "w"}, {"Output": "y"}, attrs)
        answer = partial(convolve, w=W, pads=pads, strides=strides, dilations=dilations, groups=1)
        cases.append(Case(f"conv2d {name}", [node], answer, {"w": W}))
    deep = random(8, 1, 3, 3)
    node = op(
        "depthwise_conv2d",
        {"Input": "x", "Filter": "w"},
        {"Output": "y"},
        conv_attrs(paddings=ints(1, 1), strides=ints(2, 1), groups=4),
    )
    depth = Case("depthwise_conv2d", [node], lambda x: convolve(x, deep, (1,) * 4, (2, 1), (1, 1), 4), {"w": deep})
    return [*cases, depth, *second_inputs(), *transposed_convolutions()]


def second_inputs() -> list[Case]:
    w = random(4, 4, 3, 3)
    cases = []
    for kind, lowest in (("elementwise_add", -np.inf), ("fusion_elementwise_add_activation", 0)):
        attrs = conv_attrs(paddings=ints(1, 1), fuse_elementwise_op_type=kind, **act_attrs("relu", fuse_relu=True))
        inputs = {"Input": "x", "Filter": "w", "SecondInput": "x"}
        node = op("conv2d", inputs, {"Output": "y"}, attrs, f"image2d/{OPENCL}")
        cases.append(Case(f"conv2d then {kind}", [node], partial(added_behind, w=w, lowest=lowest), {"w": w}))
    return cases


def added_behind(x: Array, w: Array, lowest: float) -> Any:
    return np.maximum(np.maximum(convolve(x, w, (1,) * 4, (1, 1), (1, 1), 1), 0) + x, lowest)


def transposed_convolutions() -> list[Case]:
    w, b = random(4, 3, 2, 2), random(3)
    cases = []
    for name, more, extra in (
        ("", {}, 0),
        (" with output_padding", {"output_padding": ints(1, 1)}, 1),
        (" with output_size", {"output_size": ints(15, 19)}, 1),
    ):
        attrs = conv_attrs(strides=ints(2, 2), **more, **act_attrs("relu", fuse_relu=True))
        node = op("conv2d_transpose", {"Input": "x", "Filter": "w", "Bias": "b"}, {"Output": "y"}, attrs)
        answer = partial(deconvolved_relu, w=w, b=b, extra=extra)
        cases.append(Case(f"conv2d_transpose{name}", [node], answer, {"w": w, "b": b}))
    wide = random(4, 3, 3, 3)
    attrs = conv_attrs(strides=ints(2, 2), paddings=ints(1, 1))
    node = op("conv2d_transpose", {"Input": "x", "Filter": "w"}, {"Output": "y"}, attrs)
    return [*cases, Case("conv2d_transpose padded", [node], lambda x: deconvolve(x, wide, 2, 1), {"w": wide})]


def deconvolved_relu(x: Array, w: Array, b: Array, extra: int) -> Any:
    return np.maximum(deconvolve(x, w, 2, 0, extra) + b[:, None, None], 0)


# ---------------------------------------------------------------- pools and interpolations


def pool(x: Array, kind: str, ksize: Any, strides: Any, pads: Any, ceil: bool = False, exclusive: bool = True):
    """``pooling_basic``: windows cut at the input, the average over what is left of them."""
    height, width = x.shape[2:]
    top, bottom, left, right = pads
    more = (strides[0] - 1, strides[1] - 1) if ceil else (0, 0)
    out_h = (height - ksize[0] + top + bottom + more[0]) // strides[0] + 1
    out_w = (width - ksize[1] + left + right + more[1]) // strides[1] + 1
    y = np.zeros((*x.shape[:2], out_h, out_w))
    for i in range(out_h):
        for j in range(out_w):
            rows = max(i * strides[0] - top, 0), min(i * strides[0] - top + ksize[0], height)
            cols = max(j * strides[1] - left, 0), min(j * strides[1] - left + ksize[1], width)
            window = x[:, :, rows[0] : rows[1], cols[0] : cols[1]].astype(np.float64)
            if kind == "max":
                y[:, :, i, j] = window.max(axis=(2, 3))
            else:
                count = window.shape[2] * window.shape[3] if exclusive else ksize[0] * ksize[1]
                y[:, :, i, j] = window.sum(axis=(2, 3)) / count
    return y


def pool_case(
    name: str, kind: str, ksize: Any, strides: Any, pads: Any, shape: Any = (1, 4, 7, 9), **more: Any
) -> Case:
    attrs = {
        "pooling_type": kind, "ksize": ints(*ksize), "strides": ints(*strides), "paddings": ints(*pads),
        "global_pooling": False, "adaptive": False, "exclusive": True, "ceil_mode": False, "data_format": "NCHW",
    }  # fmt: skip
    attrs.update(more)
    full = pads if len(pads) == 4 else (pads[0], pads[0], pads[1], pads[1])
    border = {"pads": full, "ceil": attrs["ceil_mode"], "exclusive": attrs["exclusive"]}
    answer = partial(pool, kind=kind, ksize=ksize, strides=strides, **border)
    return Case(f"pool2d {name}", [op("pool2d", {"X": "x"}, {"Out": "y"}, attrs)], answer, shape=shape)


def pools() -> list[Case]:
    cases = [
        pool_case("max", "max", (2, 2), (2, 2), (0, 0)),
        pool_case("avg", "avg", (3, 2), (3, 2), (0, 0)),
        pool_case("max, padded", "max", (3, 3), (2, 2), (1, 1)),
        pool_case("avg, pads not counted", "avg", (3, 3), (2, 2), (1, 1)),
        pool_case("avg, pads counted", "avg", (3, 3), (2, 2), (1, 1), exclusive=False),
        pool_case("avg of four pads", "avg", (3, 3), (1, 1), (1, 0, 0, 2)),
        pool_case("max, ceil", "max", (3, 3), (2, 2), (0, 0), (1, 4, 8, 10), ceil_mode=True),
        pool_case("avg, ceil", "avg", (3, 3), (2, 2), (0, 0), (1, 4, 8, 10), ceil_mode=True),
    ]
    whole = pool_case("global", "avg", (1, 1), (1, 1), (0, 0), global_pooling=True)
    whole.answer = lambda x: x.mean(axis=(2, 3), keepdims=True)
    highest = pool_case("global max", "max", (1, 1), (1, 1), (0, 0), global_pooling=True)
    highest.answer = lambda x: x.max(axis=(2, 3), keepdims=True)
    adaptive = pool_case("adaptive", "avg", (2, 3), (1, 1), (0, 0), (1, 4, 8, 9), adaptive=True)
    adaptive.answer = lambda x: x.reshape(1, 4, 2, 4, 3, 3).mean(axis=(3, 5))
    return [*cases, whole, highest, adaptive]


def nearest(x: Array, out: tuple[int, int], align: bool):
    picks = []
    for size, wanted in zip(x.shape[2:], out, strict=True):
        step = (size - 1) / (wanted - 1) if align else size / wanted
        picks.append([int(np.float32(step) * i + (0.5 if align else 0)) for i in range(wanted)])
    return x[:, :, picks[0]][:, :, :, picks[1]]


def bilinear(x: Array, out: tuple[int, int], align: bool, mode: int):
    y = x.astype(np.float64)
    for axis, wanted in zip((2, 3), out, strict=True):
        size = x.shape[axis]
        step = (size - 1) / (wanted - 1) if align else size / wanted
        at = np.arange(wanted) * step if align or mode == 1 else (np.arange(wanted) + 0.5) * step - 0.5
        at = np.maximum(at, 0)
        low = np.minimum(at.astype(int), size - 1)
        high = np.minimum(low + 1, size - 1)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        y = np.take(y, low, axis) * (1 - share) + np.take(y, high, axis) * share
    return y


def interpolations() -> list[Case]:
    cases = []
    for kind, align, mode in (
        ("nearest", False, 1),
        ("nearest", True, 1),
        ("bilinear", False, 0),
        ("bilinear", False, 1),
        ("bilinear", True, 1),
    ):
        for version, sizing, out in (
            ("_v2", {"scale": ("floats", (2.0, 3.0)), "out_h": -1, "out_w": -1}, (14, 27)),
            ("", {"scale": 0.0, "out_h": 5, "out_w": 11}, (5, 11)),
        ):
            attrs = {"align_corners": align, "align_mode": mode, "interp_method": kind, "data_layout": "NCHW", **sizing}
            apply = nearest if kind == "nearest" else partial(bilinear, mode=mode)
            node = op(f"{kind}_interp{version}", {"X": "x"}, {"Out": "y"}, attrs)
            name = f"{kind}_interp{version} align {align} mode {mode}"
            cases.append(Case(name, [node], partial(apply, out=out, align=align)))
    return cases


# ---------------------------------------------------------------- element by element


RULES: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "max": np.maximum, "min": np.minimum,
}  # fmt: skip


def combined(x: Array, rule: Callable[..., Any], other: Array, first: bool = False, lowest: float = -np.inf) -> Any:
    return np.maximum(rule(other, x) if first else rule(x, other), lowest)


def elementwise() -> list[Case]:
    number, last, channel, rows = random(1), random(7, 9), random(4), random(4, 7)
    cases = []
    for kind, rule in RULES.items():
        for name, other, axis, shaped in (
            ("a number", number, -1, number),
            ("the last sides", last, -1, last),
            ("axis 1", channel, 1, channel[:, None, None]),
            ("axis 1 of two", rows, 1, rows[:, :, None]),
        ):
            node = op(f"elementwise_{kind}", {"X": "x", "Y": "p"}, {"Out": "y"}, {"axis": axis})
            answer = partial(combined, rule=rule, other=shaped)
            cases.append(Case(f"elementwise_{kind} {name}", [node], answer, {"p": other}))
        node = op(f"elementwise_{kind}", {"X": "p", "Y": "x"}, {"Out": "y"}, {"axis": -1})
        answer = partial(combined, rule=rule, other=number, first=True)
        cases.append(Case(f"elementwise_{kind} parameter first", [node], answer, {"p": number}))
        fused = f"fusion_elementwise_{kind}_activation"
        node = op(fused, {"X": "x", "Y": "p"}, {"Out": "y"}, {"axis": -1, "act_type": "relu"})
        cases.append(Case(fused, [node], partial(combined, rule=rule, other=number, lowest=0), {"p": number}))
    fused = "fusion_elementwise_add_activation"
    node = op(fused, {"X": "x", "Y": "x"}, {"Out": "y"}, {"axis": -1, "act_type": "tanh"})
    return [*cases, Case(f"{fused} tanh", [node], lambda x: np.tanh(2 * x)), *scales()]


def scales() -> list[Case]:
    cases = []
    for after, more, answer in (
        (True, {}, lambda x: x * 0.3 + 1.5),
        (False, {}, lambda x: (x + 1.5) * 0.3),
        (True, {"activation_type": "relu"}, lambda x: np.maximum(x * 0.3 + 1.5, 0)),
        (True, {"activation_type": "relu6", "alpha": 1.7}, lambda x: np.clip(x * 0.3 + 1.5, 0, 1.7)),
        (True, {"activation_type": "leaky_relu", "alpha": 0.1}, lambda x: np.maximum(x * 0.3 + 1.5, 0.03 * x + 0.15)),
    ):
        attrs = {"scale": 0.3, "bias": 1.5, "bias_after_scale": after, **more}
        name = f"scale {'after' if after else 'before'} {more.get('activation_type', '')}"
        cases.append(Case(name, [op("scale", {"X": "x"}, {"Out": "y"}, attrs)], answer))
    factor, shift = (np.linspace(first, 2, 4, dtype=np.float32) for first in (0.5, -1))
    node = op("affine_channel", {"X": "x", "Scale": "f", "Bias": "s"}, {"Out": "y"}, {"data_layout": "NCHW"})
    each = [array.reshape(1, 4, 1, 1) for array in (factor, shift)]
    return [*cases, Case("affine_channel", [node], lambda x: x * each[0] + each[1], {"f": factor, "s": shift})]


def activations() -> list[Case]:
    erf = np.vectorize(math.erf)
    rows: list[tuple[str, dict[str, Any], Callable[[Any], Any]]] = [
        ("relu", {}, lambda x: np.maximum(x, 0)),
        ("relu6", {"threshold": 6.0}, lambda x: np.clip(x, 0, 6)),
        ("leaky_relu", {"alpha": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
        ("sigmoid", {}, sigmoid),
        ("tanh", {}, np.tanh),
        ("swish", {"beta": 1.0}, lambda x: x * sigmoid(x)),
        ("swish", {"beta": 1.7}, lambda x: x * sigmoid(1.7 * x)),
        ("hard_sigmoid", {"slope": 0.2, "offset": 0.5}, lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
        ("hard_swish", {"threshold": 6.0, "scale": 6.0, "offset": 3.0}, lambda x: np.clip(x + 3, 0, 6) * x / 6),
        ("hard_swish", {"threshold": 4.0, "scale": 3.0, "offset": 1.0}, lambda x: np.clip(x + 1, 0, 4) * x / 3),
        ("gelu", {"approximate": False}, lambda x: x / 2 * (1 + erf(x / math.sqrt(2)))),
        (
            "gelu",
            {"approximate": True},
            lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.astype(np.float64) ** 3))),
        ),
    ]
    return [
        Case(f"{kind} {sorted(attrs.values())}", [op(kind, {"X": "x"}, {"Out": "y"}, attrs)], answer)
        for kind, attrs, answer in rows
    ]


# ---------------------------------------------------------------- products and norms


def products() -> list[Case]:
    w, b = random(9, 5), random(5)
    fc = {"Input": "x", "W": "w", "Bias": "b"}
    plain = {"in_num_col_dims": 1, "op_type": "matmul_v2"}
    cases = [
        Case("fc of a matmul", [op("fc", fc, {"Out": "y"}, plain)], lambda x: x @ w + b, {"w": w, "b": b}),
        Case(
            "fc with relu",
            [op("fc", fc, {"Out": "y"}, {**plain, "activation_type": "relu"})],
            lambda x: np.maximum(x @ w + b, 0),
            {"w": w, "b": b},
        ),
        Case(
            "fc with relu6",
            [op("fc", fc, {"Out": "y"}, {**plain, "activation_type": "relu6", "alpha": 0.5})],
            lambda x: np.clip(x @ w + b, 0, 0.5),
            {"w": w, "b": b},
        ),
    ]
    flat, row = random(63, 5), random(1, 5)
    cases += [
        Case(
            "fc of rows",
            [op("fc", fc, {"Out": "y"}, {"in_num_col_dims": 2})],
            lambda x: x.reshape(1, 4, 63) @ flat + row,
            {"w": flat, "b": row},
        ),
        Case(
            "mul",
            [op("mul", {"X": "x", "Y": "w"}, {"Out": "y"}, {"x_num_col_dims": 2, "y_num_col_dims": 1})],
            lambda x: x.reshape(1, 4, 63) @ flat,
            {"w": flat},
        ),
    ]
    return [*cases, *matmuls()]


def matmuls() -> list[Case]:
    cases = []
    for kind, names in (("matmul", ("transpose_X", "transpose_Y")), ("matmul_v2", ("trans_x", "trans_y"))):
        for first in (False, True):
            for second in (False, True):
                attrs = {names[0]: first, names[1]: second, "alpha": 0.5}
                node = op(kind, {"X": "x", "Y": "w"}, {"Out": "y"}, attrs)
                inner = 7 if first else 9
                w = random(5, inner) if second else random(inner, 5)
                answer = partial(half_product, w=w, first=first, second=second)
                cases.append(Case(f"{kind} {first} {second}", [node], answer, {"w": w}))
        node = op(kind, {"X": "x", "Y": "x"}, {"Out": "y"}, {names[0]: False, names[1]: True, "alpha": 1.0})
        cases.append(Case(f"{kind} of itself", [node], lambda x: x @ np.swapaxes(x, 2, 3)))
    return cases


def half_product(x: Array, w: Array, first: bool, second: bool) -> Any:
    return 0.5 * (np.swapaxes(x, 2, 3) if first else x) @ (w.T if second else w)


def norms() -> list[Case]:
    scale, bias = random(63), random(63, seed=5)

    def layer_norm(x: Any) -> Any:
        rows = x.reshape(4, 63).astype(np.float64)
        even = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)
        return (even * scale + bias).reshape(x.shape)

    stats = {name: random(4, seed=i) for i, name in enumerate(("s", "b", "m"))}
    variance = np.abs(random(4, seed=9)) + np.float32(0.5)

    def batch_norm(x: Any) -> Any:
        s, b, m, v = (part[:, None, None] for part in (*stats.values(), variance))
        return (x - m) / np.sqrt(v + 1e-5) * s + b

    outputs = {"Y": "y", "Mean": "m1", "Variance": "v1"}
    soft = op("softmax", {"X": "x"}, {"Out": "y"}, {"axis": 1})
    bn = op(
        "batch_norm",
        {"X": "x", "Scale": "s", "Bias": "b", "Mean": "m", "Variance": "v"},
        {"Y": "y"},
        {"epsilon": 1e-5, "momentum": 0.9, "data_layout": "NCHW", "use_global_stats": False},
    )
    means = [
        Case(
            f"mean over {dim}, {kept=}",
            [op("reduce_mean", {"X": "x"}, {"Out": "y"}, {"dim": ints(*dim), "keep_dim": kept, "reduce_all": False})],
            lambda x, dim=dim, kept=kept: x.astype(np.float64).mean(dim, keepdims=kept),
            declared=(-1, 4, -1, -1),
        )
        for dim, kept in (((2, 3), True), ((2, 3), False), ((-1,), True), ((1,), False))
    ]
    every = {"dim": ints(0), "keep_dim": True, "reduce_all": True}
    whole = Case(
        "mean over all",
        [op("reduce_mean", {"X": "x"}, {"Out": "y"}, every)],
        lambda x: x.astype(np.float64).mean(keepdims=True),
    )
    norm = op("layer_norm", {"X": "x", "Scale": "s", "Bias": "b"}, outputs, {"begin_norm_axis": 2, "epsilon": 1e-5})
    return [
        Case("softmax", [soft], lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
        Case("layer_norm", [norm], layer_norm, {"s": scale, "b": bias}),
        Case("batch_norm", [bn], batch_norm, {**stats, "v": variance}),
        *means,
        whole,
        *dropouts(),
    ]


def dropouts() -> list[Case]:
    """``dropout`` outside training: nothing, or a constant factor."""
    rows = (("upscale_in_train", 1.0), ("downgrade_in_infer", 0.75))
    return [
        Case(
            f"dropout {how}",
            [
                op(
                    "dropout",
                    {"X": "x"},
                    {"Out": "y", "Mask": "m"},
                    {
                        "dropout_implementation": how,
                        "dropout_prob": 0.25,
                        "is_test": True,
                        "fix_seed": False,
                        "seed": 0,
                    },
                )
            ],
            lambda x, factor=factor: x * np.float32(factor),
        )
        for how, factor in rows
    ]


# ---------------------------------------------------------------- shapes


HOST = "def/host/any/any"
OPEN = (-1, 4, 7, -1)


def arrangement(
    kind: str, attrs: dict[str, Any], answer: Callable[[Any], Any], kernel: str = HOST, inputs: Any = None, **more: Any
) -> Case:
    outputs = {"Out": "y", "XShape": "shape"} if kind.endswith("2") else {"Out": "y"}
    node = op(kind, inputs or {"X": "x"}, outputs, attrs, kernel)
    return Case(f"{kind} {sorted(map(str, attrs.values()))}", [node], answer, **more)


def arrangements() -> list[Case]:
    tall: dict[str, Any] = {"shape": (1, 4, 1, 9), "declared": (-1, 4, 1, -1)}
    cases = [
        arrangement("reshape", {"shape": ints(0, -1, 3)}, lambda x: x.reshape(1, -1, 3)),
        arrangement("reshape2", {"shape": ints(0, 2, 14, -1)}, lambda x: x.reshape(1, 2, 14, 9), declared=OPEN),
        arrangement("flatten", {"axis": 1}, lambda x: x.reshape(1, -1)),
        arrangement("flatten2", {"axis": 2}, lambda x: x.reshape(4, -1), declared=OPEN),
        arrangement("flatten_contiguous_range", {"start_axis": 2, "stop_axis": -1}, lambda x: x.reshape(1, 4, 63)),
        arrangement("squeeze", {"axes": ints()}, lambda x: x.reshape(4, 7, 9)),
        arrangement("squeeze2", {"axes": ints(2)}, lambda x: x.reshape(1, 4, 9), **tall),
        arrangement("squeeze2", {"axes": ints(2)}, lambda x: x),
        arrangement("unsqueeze", {"axes": ints(0, -1)}, lambda x: x[None, ..., None]),
        arrangement("unsqueeze2", {"axes": ints(1)}, lambda x: x[:, None], declared=OPEN),
    ]
    for kind in ("transpose", "transpose2"):
        attrs = {"axis": ints(0, 2, 3, 1)}
        cases.append(arrangement(kind, attrs, lambda x: x.transpose(0, 2, 3, 1), "def/arm/any/NCHW", declared=OPEN))
    joined = op("concat", {"X": ["x", "x", "p"]}, {"Out": "y"}, {"axis": 1}, "def/arm/any/NCHW")
    tail = random(1, 2, 7, 9)
    cases.append(Case("concat", [joined], lambda x: np.concatenate([x, x, tail], 1), {"p": tail}))
    for attrs, parts in (({"num": 2, "sections": ints()}, (2, 2)), ({"num": 0, "sections": ints(1, 3)}, (1, 3))):
        cut = op("split", {"X": "x"}, {"Out": ["y", "z"]}, {"axis": 1, **attrs}, "def/host/fp32/NCHW")
        first = np.arange(parts[0])
        cases.append(Case(f"split {parts}", [cut], partial(np.take, indices=first, axis=1), outputs=("y", "z")))
    return [*cases, *slices()]


def slices() -> list[Case]:
    cases = []
    for axes, starts, ends, dropped, answer in (
        ((1, 3), (1, -5), (3, 100), (), lambda x: x[:, 1:3, :, -5:]),
        ((1,), (2,), (3,), (1,), lambda x: x[:, 2]),
        ((3,), (2,), (2**31 - 1,), (), lambda x: x[..., 2:]),
    ):
        attrs = {
            "axes": ints(*axes), "starts": ints(*starts), "ends": ints(*ends), "decrease_axis": ints(*dropped),
            "infer_flags": ints(*(1 for _ in axes)),
        }  # fmt: skip
        cases.append(Case(f"slice {starts}", [op("slice", {"Input": "x"}, {"Out": "y"}, attrs)], answer))
    return cases


def number(name: str, value: int) -> nw.Op:
    attrs = {"shape": ("longs", (1,)), "dtype": 2, "value": float(value), "force_cpu": True}
    return op("fill_constant", {}, {"Out": name}, attrs, "def/host/any/NCHW")


def side(name: str, i: int) -> nw.Op:
    attrs = {"axes": ints(0), "starts": ints(i), "ends": ints(i + 1), "decrease_axis": ints(0), "infer_flags": ints(1)}
    return op("slice", {"Input": "sizes"}, {"Out": name}, attrs, "int32_slice/arm/fp32/NCHW")


def computed_shapes() -> list[Case]:
    """Programs that compute a shape in every way that is known, the width being free."""
    sizes = op("shape", {"Input": "x"}, {"Out": "sizes"}, None, HOST)
    listed = [
        sizes, side("w", 3), number("n28", 28), number("one", 1),
        op("elementwise_mul", {"X": "n28", "Y": "one"}, {"Out": "h"}, {"axis": -1}, "int32/arm/fp32/NCHW"),
        op("cast", {"X": "w"}, {"Out": "w64"}, {"in_dtype": 2, "out_dtype": 3}, "def/host/any/NCHW"),
        op("calib", {"Input": "w64"}, {"Out": "w32"}, None, "int64_to_int32/arm/fp32/NCHW"),
        op("assign", {"X": "w32"}, {"Out": "w2"}, None, HOST),
        op("reshape2", {"X": "x", "ShapeTensor": ["one", "h", "w2"]}, {"Out": "y"}, {"shape": ints(1, 28, -1)}, HOST),
    ]  # fmt: skip
    joined = [
        sizes, side("w", 3), number("n28", 28),
        op("concat", {"X": ["n28", "w"]}, {"Out": "wanted"}, {"axis": 0}, "def/arm/any/NCHW"),
        op("reshape", {"X": "x", "Shape": "wanted"}, {"Out": "y"}, {"shape": ints(1, 1)}, HOST),
    ]  # fmt: skip
    copied = [
        op("io_copy", {"Input": "x"}, {"Out": "gpu"}, {"process_type": 2}, "host_to_device/opencl/any/any"),
        op("layout", {"Input": "gpu"}, {"Out": "image"}, None, "NCHW_to_ImageDefault/opencl/any/ImageDefault"),
        op("relu", {"X": "image"}, {"Out": "x"}, None, f"ImageDefault/{OPENCL}"),
        op("assign", {"X": "x"}, {"Out": "y"}, None, HOST),
    ]  # fmt: skip
    return [
        Case("a shape from a list", listed, lambda x: x.reshape(1, 28, -1), declared=OPEN),
        Case("a shape from a tensor", joined, lambda x: x.reshape(28, -1), declared=OPEN),
        Case("copies, and a name used twice", copied, lambda x: np.maximum(x, 0)),
    ]


CASES = [
    *convolutions(), *pools(), *interpolations(), *elementwise(), *activations(), *products(), *norms(),
    *arrangements(), *computed_shapes(),
]  # fmt: skip

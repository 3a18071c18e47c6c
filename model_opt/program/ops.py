"""Views of operators that passes and shape inference understand; None for any other form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.program.editor import Array, GraphEditor
from model_opt.program.ir import AttrType, Op

Float64Array = NDArray[np.float64]

CONVS = ("conv2d", "depthwise_conv2d")
TRANSPOSED = ("conv2d_transpose", "depthwise_conv2d_transpose")


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution without a fused activation, and the bias that an ``elementwise_add`` right behind it adds.

    ``weight`` is the filter as it is stored: [out, in / groups, kh, kw], for a transposed one [in, out / groups, kh,
    kw]. ``out`` is the value behind the bias. ``bias`` is None where there is none.
    """

    op: Op
    weight: Array
    groups: int
    paddings: tuple[int, ...]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    transposed: bool
    adder: Op | None
    bias: Array | None
    out: str

    @property
    def source(self) -> str:
        """The variable that the convolution reads."""
        return self.op.input("Input")

    @property
    def channels(self) -> int:
        """The number of output channels."""
        return int(self.weight.shape[1] * self.groups if self.transposed else self.weight.shape[0])

    @property
    def padded(self) -> bool:
        """True when the border sees zeros that are not in the input."""
        return any(self.paddings)

    @property
    def pointwise(self) -> bool:
        """True for 1x1, stride 1, no padding, one group, not transposed."""
        return (
            not self.transposed
            and self.groups == 1
            and self.weight.shape[2:] == (1, 1)
            and self.strides == (1, 1)
            and not self.padded
        )


def conv_at(editor: GraphEditor, op: Op) -> Conv | None:
    """Return the convolution that ``op`` is, with its bias; None when it is none or has a form unknown here."""
    if op.type not in (*CONVS, *TRANSPOSED) or not _plain_conv(op):
        return None
    if not _has_one(op, "Input") or not _has_one(op, "Filter") or op.output_names != (op.outputs["Output"][0],):
        return None
    weight = editor.param(op.input("Filter"))
    paddings, strides, dilations = (ints(op, key) for key in ("paddings", "strides", "dilations"))
    groups = op.attr("groups", 1)
    if weight is None or weight.ndim != 4 or weight.dtype != np.float32 or not isinstance(groups, int) or groups < 1:
        return None
    if weight.shape[0] < groups or weight.shape[0] % groups:  # no such convolution, and arrays of groups may be huge
        return None
    if paddings is None or strides is None or len(strides) != 2 or dilations is None or len(dilations) != 2:
        return None
    if str(op.attr("padding_algorithm", "EXPLICIT")) != "EXPLICIT":
        paddings = (0,) if op.attr("padding_algorithm") == "VALID" else (1,)
    transposed = op.type in TRANSPOSED
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    adder, bias = _bias_behind(editor, op.output("Output"), channels)
    out = op.output("Output") if adder is None else adder.output("Out")
    return Conv(
        op,
        weight,
        groups,
        paddings,
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        transposed,
        adder,
        bias,
        out,
    )


def conv_before(editor: GraphEditor, name: str) -> Conv | None:
    """Return the convolution whose value, bias included, ``name`` is."""
    op = editor.producer(name)
    if op is not None and op.type == "elementwise_add":
        sides = [side for key in ("X", "Y") for side in op.inputs.get(key, ()) if editor.param(side) is None]
        op = editor.producer(sides[0]) if len(sides) == 1 else None
    conv = None if op is None else conv_at(editor, op)
    return conv if conv is not None and conv.out == name else None


def _plain_conv(op: Op) -> bool:
    if op.attr("data_format", "NCHW") not in ("NCHW", "AnyLayout"):
        return False
    fused = op.attr("fuse_relu", False) or op.attr("with_act", False) or op.attr("fuse_activation", "")
    residual = any(op.inputs.get(key) for key in ("Bias", "ResidualData", "SecondInput"))
    return not (fused or residual or op.attr("output_size") or op.attr("enable_int8", False) or is_quantised(op))


def _bias_behind(editor: GraphEditor, out: str, channels: int) -> tuple[Op | None, Array | None]:
    adder = editor.only_consumer(out)
    if adder is None or adder.type != "elementwise_add" or adder.inputs.get("X") != (out,) or not plain_binary(adder):
        return None, None
    bias = editor.param(adder.input("Y"))
    if bias is None or bias.dtype != np.float32:
        return None, None
    axis = int(number(adder, "axis", -1))
    each = bias.shape == (channels,) and axis == 1
    spread = channels > 1 and bias.shape in ((channels, 1, 1), (1, channels, 1, 1)) and axis in (-1, 4 - bias.ndim)
    return (adder, bias.reshape(-1)) if each or spread else (None, None)


def plain_binary(op: Op) -> bool:
    """True for an elementwise operator with one X, one Y, one Out and no scales of quantisation."""
    if not (_has_one(op, "X") and _has_one(op, "Y")) or len(op.output_names) != 1 or is_quantised(op):
        return False
    factors = (op.attr(key, 1.0) for key in ("Scale_x", "Scale_y", "Scale_out"))
    return all(factor == 1.0 for factor in factors) and not op.attr("fuse_activation", "")


def is_quantised(op: Op) -> bool:
    """True when the operator carries the marks of quantisation, which folding would make wrong."""
    marks = ("quantization_type", "enable_int8", "Input0_scale", "out_threshold", "weight_scale")
    return any(mark in op.attrs and op.attrs[mark].value not in (None, False, "", 0.0) for mark in marks)


def _has_one(op: Op, parameter: str) -> bool:
    return len(op.inputs.get(parameter, ())) == 1


def ints(op: Op, name: str) -> tuple[int, ...] | None:
    """Return an attribute that is a list of integers; None when it is missing or something else."""
    value = op.attr(name)
    if not isinstance(value, tuple):
        return None
    found = tuple(item for item in value if isinstance(item, int) and not isinstance(item, bool))
    return found if len(found) == len(value) else None


def number(op: Op, name: str, default: float) -> float:
    """Return an attribute that is a number, ``default`` when it is missing."""
    value: Any = op.attr(name, default)
    return float(value)


@dataclass(frozen=True, slots=True)
class Affine:
    """``scale * x + shift``; each is a number (no axes) or one value for each channel at axis 1."""

    scale: Float64Array
    shift: Float64Array

    def then(self, later: Affine) -> Affine:
        """Return this map followed by ``later``."""
        return Affine(self.scale * later.scale, self.shift * later.scale + later.shift)

    @property
    def scales(self) -> bool:
        """True when it multiplies by anything but 1."""
        return bool(np.any(self.scale != 1))

    @property
    def shifts(self) -> bool:
        """True when it adds anything but 0."""
        return bool(np.any(self.shift != 0))

    @property
    def finite(self) -> bool:
        """True when every number is finite in float32."""
        limit = np.finfo(np.float32).max
        return bool(np.all(np.abs(self.scale) < limit) and np.all(np.abs(self.shift) < limit))


def affine(scale: Any = 1.0, shift: Any = 0.0) -> Affine:
    """Return an affine map from numbers or arrays."""
    return Affine(np.asarray(scale, dtype=np.float64), np.asarray(shift, dtype=np.float64))


def affine_at(editor: GraphEditor, op: Op) -> tuple[str, Affine] | None:
    """Return the variable and the map when ``op`` is an affine map with constants on one variable; None otherwise."""
    if op.type == "scale":
        return _scale_op(op)
    kind = op.type.removeprefix("elementwise_")
    if kind not in ("add", "sub", "mul", "div") or kind == op.type or not plain_binary(op):
        return None
    x, y = op.input("X"), op.input("Y")
    if kind in ("add", "mul") and editor.param(x) is not None:
        x, y = y, x
    constant = editor.param(y)
    if constant is None or editor.param(x) is not None or constant.dtype != np.float32:
        return None
    value = _per_channel(constant, editor.dims(x), int(number(op, "axis", -1)))
    if value is None or (kind == "div" and np.any(value == 0)):
        return None
    maps = {"add": affine(1, value), "sub": affine(1, -value), "mul": affine(value)}
    return x, maps[kind] if kind in maps else affine(1 / value)


def _scale_op(op: Op) -> tuple[str, Affine] | None:
    if not _has_one(op, "X") or op.inputs.get("ScaleTensor") or is_quantised(op):
        return None
    scale, shift = number(op, "scale", 1.0), number(op, "bias", 0.0)
    return op.input("X"), affine(scale, shift if op.attr("bias_after_scale", True) else shift * scale)


def _per_channel(constant: Array, dims: tuple[int, ...] | None, axis: int) -> Float64Array | None:
    """Return a constant operand as a number or one value for each channel; None for any other broadcast."""
    if dims is None or constant.ndim > len(dims):
        return None
    wide = constant.astype(np.float64)
    if constant.size == 1:
        return wide.reshape(())
    start = len(dims) - constant.ndim if axis == -1 else axis
    if start < 0 or start + constant.ndim > len(dims):
        return None
    shape = [1] * start + list(constant.shape) + [1] * (len(dims) - start - constant.ndim)
    if len(dims) != 4 or shape[1] != constant.size or dims[1] != constant.size:
        return None
    return wide.reshape(-1)


def add_op(x: str, parameter: str, out: str, axis: int) -> Op:
    """Return ``out = x + parameter``: the activation as X and the parameter as Y, which every backend fuses best."""
    return Op("elementwise_add", {"X": (x,), "Y": (parameter,)}, {"Out": (out,)}).with_attr("axis", axis, AttrType.INT)

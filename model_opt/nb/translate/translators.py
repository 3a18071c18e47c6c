"""The operators and kernels that the translator knows: what each does, and where Paddle Lite says so.

A kernel is written ``alias/target/precision/layout``. The OpenCL kernels are registered as fp16; whether they compute
in fp16 or fp32 is decided on the device (``set_opencl_precision``), and they are translated as fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from model_opt.nb.translate import activation, conv, elementwise, matmul, norm, pool, reshape
from model_opt.nb.translate.state import State
from model_opt.nb.translate.view import OpView

Translate = Callable[[OpView, State], None]


@dataclass(frozen=True)
class Row:
    """One operator: its kernels, its translation, what it computes, and the file of Paddle Lite that says so."""

    op: str
    kernels: tuple[str, ...]
    translate: Translate
    meaning: str
    source: str


_ARM = "def/arm/fp32/NCHW"
_ARM_ANY = "def/arm/any/NCHW"
_HOST = "def/host/any/any"
_HOST_NCHW = "def/host/any/NCHW"
_GPU = "def/opencl/fp16/ImageDefault"
_GPU_NAMED = "ImageDefault/opencl/fp16/ImageDefault"
_GPU_2D = "image2d/opencl/fp16/ImageDefault"
_GPU_FOLDER = "image2d/opencl/fp16/ImageFolder"
_GPU_ANY = "def/opencl/any/NCHW"
_INTEGERS = ("int32/arm/fp32/NCHW", "int64/arm/fp32/NCHW")
_SLICES = (
    _ARM, "int32_slice/arm/fp32/NCHW", "def_int64/arm/fp32/NCHW",
    "def/opencl/fp32/NCHW", "def/opencl/fp16/NCHW", "def/opencl/int32/NCHW", "def/opencl/int64/NCHW",
)  # fmt: skip
_LAYOUTS = tuple(
    f"{alias}/opencl/any/{layout}"
    for alias, layout in (
        ("NCHW_to_ImageDefault", "ImageDefault"),
        ("ImageDefault_to_NCHW", "NCHW"),
        ("NCHW_to_ImageFolder", "ImageFolder"),
        ("ImageFolder_to_NCHW", "NCHW"),
        ("ImageDefault_to_ImageFolder", "ImageFolder"),
        ("ImageFolder_to_ImageDefault", "ImageDefault"),
        ("def", "NCHW"),
    )
)


_SIGNS = (("add", "+"), ("sub", "-"), ("mul", "*"), ("div", "/"), ("max", "max"), ("min", "min"))
_INTERPOLATION = "nearest: floor(i * in / out), rounded when align_corners; bilinear: by align_corners and align_mode"
_CONV = "convolution, then + Bias, then the fused activation"
_ROWS = (
    Row("conv2d", (_ARM, _GPU_2D), conv.conv2d, f"{_CONV}; on OpenCL then + SecondInput", "operators/conv_op.h"),
    Row("depthwise_conv2d", (_ARM, _GPU_2D), conv.conv2d, _CONV, "operators/conv_op.h"),
    Row(
        "conv2d_transpose",
        (_ARM, _GPU_2D),
        conv.conv2d_transpose,
        "transposed convolution, then + Bias, then the fused activation",
        "operators/conv_transpose_op.cc",
    ),
    Row(
        "pool2d",
        (_ARM, _GPU_2D),
        pool.pool2d,
        "maximum or average of windows; exclusive leaves pads out of the count",
        "kernels/arm/pool_compute.cc",
    ),
    Row(
        "fc",
        (_ARM, _GPU_FOLDER),
        matmul.fc,
        "rows of Input times W, + Bias, then activation_type; op_type matmul keeps every side but the last",
        "operators/fc_op.cc",
    ),
    Row("mul", (_ARM,), matmul.mul, "rows of X times Y", "operators/mul_op.cc"),
    Row("matmul", (_ARM, _GPU_FOLDER), matmul.matmul, "alpha * X Y, either transposed", "operators/matmul_op.cc"),
    Row("matmul_v2", (_ARM, _GPU_FOLDER), matmul.matmul, "alpha * X Y, either transposed", "operators/matmul_v2_op.cc"),
    *(
        Row(
            f"elementwise_{kind}",
            (_ARM, *_INTEGERS, _GPU) if kind in ("add", "mul") else (_ARM, _GPU),
            elementwise.elementwise,
            f"X {sign} Y, the smaller one aligned at axis (-1: at the last side)",
            "operators/elementwise_ops.cc",
        )
        for kind, sign in _SIGNS
    ),
    *(
        Row(
            f"fusion_elementwise_{kind}_activation",
            (_ARM, _GPU) if kind not in ("max", "min") else (_ARM,),
            elementwise.fused_elementwise,
            f"X {sign} Y, then act_type",
            "operators/fusion_elementwise_activation_ops.cc",
        )
        for kind, sign in _SIGNS
    ),
    Row(
        "affine_channel",
        (_ARM,),
        elementwise.affine_channel,
        "X * Scale + Bias, one of each for a channel",
        "backends/arm/math/affine_channel.cc",
    ),
    Row(
        "scale",
        (_ARM, _GPU),
        elementwise.scale,
        "x * scale + bias, then activation_type",
        "kernels/arm/scale_compute.cc",
    ),
    *(
        Row(op, (_ARM, kernel), activation.activation, meaning, "backends/arm/math/activation.cc")
        for op, kernel, meaning in (
            ("relu", _GPU_NAMED, "max(x, 0)"),
            ("relu6", _GPU_NAMED, "min(max(x, 0), 6)"),
            ("leaky_relu", _GPU_NAMED, "x > 0 ? x : alpha * x"),
            ("sigmoid", _GPU_NAMED, "1 / (1 + exp(-x))"),
            ("tanh", _GPU_NAMED, "tanh(x)"),
            ("swish", _GPU_NAMED, "x / (1 + exp(-beta * x))"),
            ("hard_sigmoid", _GPU_NAMED, "min(max(slope * x + offset, 0), 1)"),
            ("hard_swish", _GPU, "min(max(x + offset, 0), threshold) * x / scale"),
            ("gelu", _GPU, "x / 2 * (1 + erf(x / sqrt(2))), or by tanh when approximate"),
        )
    ),
    Row(
        "softmax", (_ARM, "def/opencl/fp16/ImageFolder"), norm.softmax, "softmax along axis", "operators/softmax_op.cc"
    ),
    Row(
        "layer_norm",
        (_ARM, _GPU_NAMED),
        norm.layer_norm,
        "(x - mean) / sqrt(variance + epsilon) * Scale + Bias over the sides from begin_norm_axis on",
        "kernels/arm/layer_norm_compute.cc",
    ),
    Row(
        "batch_norm",
        (_ARM,),
        norm.batch_norm,
        "(x - Mean) / sqrt(Variance + epsilon) * Scale + Bias for each channel",
        "kernels/arm/batch_norm_compute.cc",
    ),
    Row(
        "reduce_mean",
        (_ARM, _GPU),
        norm.reduce_mean,
        "the mean over the sides dim, or over all",
        "kernels/arm/reduce_compute.cc",
    ),
    Row(
        "dropout",
        (_ARM,),
        elementwise.dropout,
        "x, or x * (1 - dropout_prob) by dropout_implementation",
        "kernels/arm/dropout_compute.cc",
    ),
    *(
        Row(op, kernels, pool.interpolate, _INTERPOLATION, "backends/arm/math/interpolate.cc")
        for kind, kernels in (("nearest", (_ARM, _GPU_NAMED)), ("bilinear", (_ARM,)))
        for op in (f"{kind}_interp", f"{kind}_interp_v2")
    ),
    Row("concat", (_ARM_ANY, _GPU_NAMED), reshape.concat, "X joined along axis", "operators/concat_op.cc"),
    Row("split", ("def/host/fp32/NCHW",), reshape.split, "X cut along axis", "operators/split_op.cc"),
    *(
        Row(op, kernels, translate, meaning, f"operators/{kind}_op.cc")
        for kind, kernels, translate, meaning in (
            ("reshape", (_HOST, _GPU_2D), reshape.reshape, "0 copies a side, -1 is what is left"),
            ("flatten", (_HOST, _GPU_2D), reshape.flatten, "two sides, split at axis"),
            ("squeeze", (_HOST, _GPU_ANY), reshape.squeeze, "named sides of 1 are dropped"),
            ("unsqueeze", (_HOST, _GPU_ANY), reshape.unsqueeze, "sides of 1 are inserted"),
            ("transpose", (_ARM_ANY, _GPU_2D), reshape.transpose, "the sides in the order of axis"),
        )
        for op in (kind, f"{kind}2")
    ),
    Row("slice", _SLICES, reshape.slice_, "from starts to ends, decrease_axis dropped", "operators/slice_op.cc"),
    Row(
        "flatten_contiguous_range",
        (_HOST,),
        reshape.flatten_contiguous_range,
        "the sides from start_axis to stop_axis become one",
        "operators/flatten_op.cc",
    ),
    Row(
        "shape",
        (_HOST, "def/opencl/any/any"),
        reshape.shape,
        "the sizes of Input; resolved, never a node",
        "operators/shape_op.cc",
    ),
    Row(
        "fill_constant",
        (_HOST_NCHW,),
        reshape.fill_constant,
        "integers for shapes; resolved, never a node",
        "operators/fill_constant_op.cc",
    ),
    Row(
        "cast",
        (_HOST_NCHW,),
        reshape.cast,
        "int32 and int64 into each other, for shapes",
        "kernels/host/cast_compute.cc",
    ),
    Row("assign", (_HOST,), reshape.copy, "the same value", "operators/assign_op.cc"),
    Row(
        "calib",
        ("int32_to_int64/arm/fp32/NCHW", "int64_to_int32/arm/fp32/NCHW"),
        reshape.moved,
        "int32 and int64 into each other, for shapes",
        "kernels/arm/calib_compute.cc",
    ),
    Row(
        "io_copy",
        ("host_to_device/opencl/any/any", "device_to_host/opencl/any/any"),
        reshape.moved,
        "the same value in other memory",
        "operators/io_copy_op.cc",
    ),
    Row("layout", _LAYOUTS, reshape.moved, "the same value in another order in memory", "operators/layout_op.cc"),
)

_ON_X86: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "conv2d", "depthwise_conv2d", "conv2d_transpose", "pool2d", "mul", "matmul", "matmul_v2", "concat", "slice",
            "transpose", "transpose2", "scale", "batch_norm", "layer_norm", "softmax", "relu", "relu6", "leaky_relu",
            "sigmoid", "tanh", "hard_swish", "gelu", "nearest_interp", "nearest_interp_v2", "bilinear_interp",
            "bilinear_interp_v2", *(f"elementwise_{kind}" for kind in ("add", "sub", "mul", "div", "max", "min")),
            *(f"fusion_elementwise_{kind}_activation" for kind in ("add", "sub", "mul")),
        ),
        "def/x86/fp32/NCHW",
    ),
    **dict.fromkeys(("swish", "hard_sigmoid"), "def/host/fp32/NCHW"),
}  # fmt: skip
"""The kernels of a file for x86, which compute the same; those of the host serve every place."""

TRANSLATORS: dict[str, Row] = {
    row.op: replace(
        row, kernels=tuple(dict.fromkeys((*row.kernels, *((_ON_X86[row.op],) if row.op in _ON_X86 else ()))))
    )
    for row in _ROWS
}


def ops_markdown() -> str:
    """Return the table for ``docs/``: one line for each operator, sorted by name."""
    lines = ["| operator | kernels | computes | Paddle Lite, `lite/` |", "|---|---|---|---|"]
    for row in sorted(TRANSLATORS.values(), key=lambda row: row.op):
        kernels = ", ".join(f"`{kernel}`" for kernel in row.kernels)
        meaning = row.meaning.replace("|", "\\|")
        lines.append(f"| `{row.op}` | {kernels} | {meaning} | `{row.source}` |")
    return "\n".join(lines) + "\n"

"""Which kernel runs each operator, by place and release of Paddle Lite.

opt scores all registered kernels (``KernelGrade`` in ``static_kernel_pick_pass.h``); for float tensors the best one
depends on operator and place alone, and this table records opt's choice. A kernel's name is
``alias/target/precision/layout``. An operator without a row, or without a kernel in its row, is refused: the runtime
looks a kernel up by this name and ends the process when there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from model_opt.lower.graph import Graph, LiteOp
from model_opt.lower.target import Target
from model_opt.program import LAYOUTS, PRECISIONS, TARGETS, Kernel

Column = Literal["arm", "half", "x86", "opencl"]

_HOST = "def/host/any/any"
_HOST_FLOAT = "def/host/fp32/NCHW"
_ARM = "def/arm/fp32/NCHW"
_ARM_ANY = "def/arm/any/NCHW"
_HALF = "def/arm/fp16/NCHW"
_HALF_PAIR = "def_fp16/arm/fp16/NCHW"
_X86 = "def/x86/fp32/NCHW"
_IMAGE = "ImageDefault/opencl/fp16/ImageDefault"
_IMAGE_2D = "image2d/opencl/fp16/ImageDefault"
_IMAGE_DEF = "def/opencl/fp16/ImageDefault"
_FOLDER = "def/opencl/fp16/ImageFolder"
_FOLDER_2D = "image2d/opencl/fp16/ImageFolder"
_FOLDER_HOST = "image2d_host/opencl/fp16/ImageFolder"


class Row(NamedTuple):
    """The kernel of an operator on ARM, on ARM in half precision, on x86, and with OpenCL; None where there is none."""

    arm: str | None
    half: str | None
    x86: str | None
    opencl: str | None


def _rows(row: Row, *types: str) -> dict[str, Row]:
    return dict.fromkeys(types, row)


_HOST_ROW = Row(_HOST, _HOST, _HOST, _HOST)
_HOST_FLOAT_ROW = Row(_HOST_FLOAT, _HOST_FLOAT, _HOST_FLOAT, _HOST_FLOAT)
_HOST_WIDE = "def/host/fp32/any"
_PAIRS = tuple(f"elementwise_{kind}" for kind in ("add", "sub", "mul", "div"))
_FUSED_PAIRS = tuple(f"fusion_elementwise_{kind}_activation" for kind in ("add", "sub", "mul"))

KERNELS: Mapping[str, Row] = {
    # Moves and shapes.
    **_rows(_HOST_ROW, "feed", "fetch", "assign", "flatten_contiguous_range"),
    **_rows(Row(_HOST, _HOST, _HOST, _IMAGE_2D), "reshape", "reshape2", "flatten", "flatten2"),
    **_rows(Row(_HOST, _HOST, _HOST, "def/opencl/any/NCHW"), "squeeze", "squeeze2", "unsqueeze", "unsqueeze2"),
    **_rows(Row(_ARM_ANY, _ARM_ANY, _X86, _IMAGE_2D), "transpose", "transpose2"),
    **_rows(Row(_ARM_ANY, _ARM_ANY, _X86, _IMAGE), "concat"),
    **_rows(Row(_HOST_FLOAT, _HOST_FLOAT, _HOST_FLOAT, _IMAGE_DEF), "split"),
    **_rows(Row(_ARM, _ARM, _X86, "def/opencl/fp16/NCHW"), "slice"),
    **_rows(_HOST_FLOAT_ROW, "strided_slice", "pad3d"),
    **_rows(Row(_HOST_WIDE, _HOST_WIDE, _HOST_WIDE, _HOST_WIDE), "stack", "expand_v2"),
    **_rows(Row(_ARM, _HALF, _HOST_FLOAT, _IMAGE), "pad2d"),
    **_rows(Row(_ARM, _ARM, _HOST_FLOAT, _IMAGE_2D), "pixel_shuffle"),
    **_rows(
        Row(_ARM, _HALF, _X86, _IMAGE),
        "nearest_interp", "bilinear_interp", "nearest_interp_v2", "bilinear_interp_v2",
    ),
    # Products.
    **_rows(Row(_ARM, _HALF, _X86, _IMAGE_2D), "conv2d", "depthwise_conv2d", "conv2d_transpose", "pool2d"),
    **_rows(Row(_ARM, _HALF, None, _FOLDER_2D), "fc"),
    **_rows(Row(_ARM, _HALF, _X86, _FOLDER_2D), "matmul", "matmul_v2"),
    **_rows(Row(_ARM, _HALF, _X86, _ARM), "mul"),
    # Pairs of tensors.
    **_rows(Row(_ARM, _HALF_PAIR, _X86, _IMAGE_DEF), *_PAIRS, *_FUSED_PAIRS),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE_DEF), "elementwise_max", "elementwise_min", "elementwise_pow"),
    # Norms, means and sums.
    **_rows(Row(_ARM, _HALF, _X86, _FOLDER), "softmax"),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE), "layer_norm", "instance_norm"),
    **_rows(Row(_ARM, _ARM, _X86, _ARM), "group_norm"),
    **_rows(Row(_ARM, _HALF, _X86, _IMAGE_DEF), "scale", "batch_norm"),
    **_rows(Row(_ARM, _ARM, None, _ARM), "affine_channel"),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE_DEF), "reduce_mean"),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE_2D), "reduce_max"),
    **_rows(Row(_ARM, _ARM, _X86, _ARM), "reduce_sum", "reduce_min"),
    # One value at a time.
    **_rows(Row(_ARM, _HALF, _X86, _IMAGE), "relu", "sigmoid", "tanh"),
    **_rows(Row(_ARM, _HALF, _X86, _IMAGE_DEF), "hard_swish"),
    **_rows(Row(_ARM, _HALF, _HOST_FLOAT, _IMAGE), "hard_sigmoid", "swish"),
    **_rows(Row(_ARM, _HALF, _HOST_FLOAT, _IMAGE_DEF), "prelu"),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE), "relu6", "leaky_relu"),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE_DEF), "gelu", "sqrt", "square", "rsqrt", "clip"),
    **_rows(Row(_ARM, _ARM, _X86, "def/opencl/fp16/NCHW"), "pow"),
    **_rows(Row(_ARM, _ARM, _HOST_FLOAT, _IMAGE_DEF), "abs"),
    **_rows(Row(_ARM, _ARM, _HOST_FLOAT, _IMAGE), "exp", "log"),
    **_rows(Row(_ARM, _ARM, _X86, _ARM), "mish", "erf"),
    **_rows(Row(_ARM, _ARM, _HOST_FLOAT, _ARM), "elu", "silu", "softplus", "reciprocal", "floor"),
    **_rows(Row(_HOST_FLOAT, _HOST_FLOAT, _HOST_FLOAT, _IMAGE_2D), "sin", "cos"),
    **_rows(_HOST_FLOAT_ROW, "log_softmax"),
}  # fmt: skip
"""The kernels of Paddle Lite 2.14rc0."""

_BEFORE: Mapping[str, Mapping[tuple[str, Column], str]] = {
    "2.13rc0": {(op, "half"): _HALF for op, row in KERNELS.items() if row.half == _HALF_PAIR},
}
"""What an older release has instead."""

_NO_PARAM_FIRST = frozenset({*_PAIRS, *_FUSED_PAIRS, "elementwise_pow"})
"""Operators whose GPU kernel takes no parameter as X."""
_MOST_SIDES = 4
"""A tensor in a GPU's image has at most four sides."""
_ON_HOST_BEYOND = frozenset({"reshape", "reshape2", "transpose", "transpose2"})
"""Operators for which opt takes ARM's or the host's kernel where an image has too few sides."""


def pick_kernels(graph: Graph, target: Target) -> None:
    """Give each operator its kernel; raises ``LowerError`` for one that the place has none for."""
    for op in graph.ops:
        op.kernel = _kernel(op.type, _named(graph, op, target))


def _named(graph: Graph, op: LiteOp, target: Target) -> str:
    if "enable_int8" in op.attrs:
        return f"{'int8_out' if _stays_int8(graph, op) else 'fp32_out'}/arm/int8/NCHW"
    if target.place == "opencl":
        return _with_opencl(graph, op, target)
    return _listed(op, "half" if target.fp16 and target.place == "arm" else target.place, target)


def _listed(op: LiteOp, column: Column, target: Target) -> str:
    row = KERNELS.get(op.type)
    if row is None:
        op.refuse(f"no kernel of Paddle Lite {target.runtime} is known for it")
    name = _BEFORE.get(target.runtime, {}).get((op.type, column), getattr(row, column))
    if name is None:
        op.refuse(f"Paddle Lite {target.runtime} has no kernel for it on {target.place}", "choose another target")
    return str(name)


def _with_opencl(graph: Graph, op: LiteOp, target: Target) -> str:
    """Return the GPU's kernel, or ARM's where the GPU has none for these arguments."""
    if target.fp16 and "SecondInput" in op.inputs:
        op.refuse("with ARM's half precision beside OpenCL no kernel takes a second input", "leave fp16 off")
    if op.type in _NO_PARAM_FIRST and graph.is_param(op.input("X")):
        return _ARM
    if op.type in ("matmul", "matmul_v2") and graph.is_param(op.input("Y")):
        return _FOLDER_HOST
    name = _listed(op, "opencl", target)
    if "/opencl/" in name and _sides(graph, op) > _MOST_SIDES:
        if op.type not in _ON_HOST_BEYOND:
            op.refuse("a GPU's image has at most four sides, a tensor here has more", "choose target arm64")
        return _listed(op, "arm", target)
    return name


def _sides(graph: Graph, op: LiteOp) -> int:
    """Return the most sides that a tensor of the operator has, beside those that only repeat a shape."""
    held = (*op.inputs.items(), *op.outputs.items())
    return max((len(graph.dims(name)) for key, names in held if key != "XShape" for name in names), default=0)


def _stays_int8(graph: Graph, op: LiteOp) -> bool:
    """Return whether a convolution in int8 may write int8: all that read it take int8 at one scale.

    opt looks at the kernels of the readers alone; with several scales it takes one of them, and the other readers
    compute with the wrong one.
    """
    readers = graph.readers(op.output("Output"))
    scales = {reader.value("Input0_scale") for reader in readers}
    return all("enable_int8" in reader.attrs for reader in readers) and len(scales) == 1


def _kernel(op: str, name: str) -> Kernel:
    alias, target, precision, layout = name.split("/")
    return Kernel(op, alias, TARGETS.index(target), PRECISIONS.index(precision), LAYOUTS.index(layout))

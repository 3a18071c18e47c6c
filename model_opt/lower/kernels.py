"""Which kernel runs each operator, by place and release of Paddle Lite.

opt scores all registered kernels (``KernelGrade`` in ``static_kernel_pick_pass.h``); for tensors of floats that gives
one answer for an operator and a place, which stands here as opt picked it, one operator at a time. A kernel's name is
``alias/target/precision/layout``. An operator without a row, or without a kernel in its row, is refused: the runtime
looks a kernel up by this name and ends the process when there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from model_opt.lower.graph import Graph, LiteOp
from model_opt.lower.target import Target
from model_opt.nb.types import LAYOUTS, PRECISIONS, TARGETS, Kernel

Column = Literal["arm", "half", "x86", "opencl"]

_HOST = "def/host/any/any"
_HOST_NCHW = "def/host/any/NCHW"
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


_MOVES = Row(_HOST, _HOST, _HOST, _HOST)

TABLE: Mapping[str, Row] = {
    **_rows(_MOVES, "feed", "fetch", "assign", "flatten_contiguous_range"),
    **_rows(Row(_HOST, _HOST, _HOST, _IMAGE_2D), "reshape2"),
    **_rows(Row(_HOST, _HOST, _HOST, "def/opencl/any/NCHW"), "squeeze2", "unsqueeze2"),
    **_rows(Row(_HOST_FLOAT, _HOST_FLOAT, _HOST_FLOAT, _IMAGE_DEF), "split"),
    **_rows(Row(_ARM_ANY, _ARM_ANY, _X86, _IMAGE), "concat"),
    **_rows(Row(_ARM_ANY, _ARM_ANY, _X86, _IMAGE_2D), "transpose2"),
    **_rows(Row(_ARM, _HALF, _X86, _IMAGE_2D), "conv2d", "depthwise_conv2d", "conv2d_transpose", "pool2d"),
    **_rows(
        Row(_ARM, _HALF_PAIR, _X86, _IMAGE_DEF),
        *(f"elementwise_{kind}" for kind in ("add", "sub", "mul", "div")),
        *(f"fusion_elementwise_{kind}_activation" for kind in ("add", "sub", "mul")),
    ),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE_DEF), "elementwise_max", "elementwise_min"),
    **_rows(Row(_ARM, _HALF, None, _FOLDER_2D), "fc"),
    **_rows(Row(_ARM, _HALF, _X86, _FOLDER_2D), "matmul_v2"),
    **_rows(Row(_ARM, _HALF, _X86, _FOLDER), "softmax"),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE), "layer_norm"),
    **_rows(Row(_ARM, _ARM, _X86, "def/opencl/fp16/NCHW"), "slice"),
    **_rows(Row(_ARM, _HALF, _X86, _IMAGE_DEF), "scale", "batch_norm"),
    **_rows(Row(_ARM, _ARM, None, _ARM), "affine_channel"),
    **_rows(Row(_ARM, _HALF, _X86, _IMAGE), "nearest_interp_v2", "bilinear_interp_v2"),
    **_rows(Row(_ARM, _HALF, _X86, _IMAGE), "relu", "sigmoid", "tanh"),
    **_rows(Row(_ARM, _HALF, _HOST_FLOAT, _IMAGE), "hard_sigmoid", "swish"),
    **_rows(Row(_ARM, _HALF, _X86, _IMAGE_DEF), "hard_swish"),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE), "relu6", "leaky_relu"),
    **_rows(Row(_ARM, _ARM, _X86, _IMAGE_DEF), "gelu", "sqrt", "square", "reduce_mean"),
    **_rows(Row(_ARM, _ARM, _HOST_FLOAT, _IMAGE_DEF), "abs"),
    **_rows(Row(_ARM, _ARM, _HOST_FLOAT, _IMAGE), "exp", "log"),
    **_rows(Row(_ARM, _ARM, _X86, _ARM), "mish"),
    **_rows(Row(_ARM, _ARM, _HOST_FLOAT, _ARM), "elu", "silu", "softplus"),
    **_rows(Row(_HOST_FLOAT, _HOST_FLOAT, _HOST_FLOAT, _HOST_FLOAT), "pad3d"),
    **_rows(Row("def/host/fp32/any", "def/host/fp32/any", "def/host/fp32/any", "def/host/fp32/any"), "expand_v2"),
}
"""The kernels of Paddle Lite 2.14rc0."""

_BEFORE: Mapping[str, Mapping[tuple[str, Column], str | None]] = {
    "2.13rc0": {(op, "half"): _HALF for op, row in TABLE.items() if row.half == _HALF_PAIR},
}
"""What an older release has instead."""

_PAIRS = frozenset(op for op, row in TABLE.items() if row.half == _HALF_PAIR)
_MOST_SIDES = 4
"""A tensor in a GPU's image has at most four sides."""
_ON_HOST_BEYOND = frozenset({"reshape2", "transpose2"})
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
    row = TABLE.get(op.type)
    if row is None:
        op.refuse(f"no kernel of Paddle Lite {target.runtime} is known for it")
    name = _BEFORE.get(target.runtime, {}).get((op.type, column), getattr(row, column))
    if name is None:
        op.refuse(f"Paddle Lite {target.runtime} has no kernel for it on {target.place}", "choose another target")
    return str(name)


def _with_opencl(graph: Graph, op: LiteOp, target: Target) -> str:
    """Return the GPU's kernel, or ARM's where the GPU has none for these arguments."""
    if op.type in _PAIRS and graph.is_param(op.input("X")):
        return _ARM
    if op.type == "matmul_v2" and graph.is_param(op.input("Y")):
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
    return max(len(graph.dims(name)) for key, names in held if key != "XShape" for name in names)


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

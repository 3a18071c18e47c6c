"""Add outputs and attributes that Paddle Lite requires and a program may omit.

Newer Paddles prune unread outputs and default attributes when they save a model for inference. Paddle Lite aborts the
process when one is missing or has another type (``AttachImpl`` of each operator, ``lite/operators``).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Final

from model_opt.lower.graph import Graph, LiteOp
from model_opt.lower.target import Target
from model_opt.program import Attr, AttrType, AttrValue, Var, VarType

OUTPUTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("reshape2", "transpose2", "squeeze2", "unsqueeze2", "flatten2"), ("XShape",)),
    "flatten_contiguous_range": ("XShape",),
    "layer_norm": ("Mean", "Variance"),
    "instance_norm": ("SavedMean", "SavedVariance"),
}
"""Outputs that an operator must have, beside those that are its result."""

NEEDED: Final = None
"""Stands where Paddle knows no default either."""

_INT, _FLOAT, _TEXT, _FLAG, _INTS = AttrType.INT, AttrType.FLOAT, AttrType.STRING, AttrType.BOOLEAN, AttrType.INTS
_Row = Mapping[str, tuple[AttrType, AttrValue | None]]
_Convert = Callable[[object], AttrValue | None]

_CONV: _Row = {
    "strides": (_INTS, (1, 1)), "paddings": (_INTS, (0, 0)), "dilations": (_INTS, (1, 1)), "groups": (_INT, 1),
}  # fmt: skip
_AXIS: _Row = {"axis": (_INT, -1)}
_SIDES: _Row = {"axis": (_INTS, NEEDED)}
_SPLIT_AT: _Row = {"axis": (_INT, 1)}
_REDUCE: _Row = {"dim": (_INTS, (0,))}
_INTERP: _Row = {
    "align_corners": (_FLAG, True), "interp_method": (_TEXT, NEEDED), "data_layout": (_TEXT, "NCHW"),
}  # fmt: skip

ATTRIBUTES: Mapping[str, _Row] = {
    "feed": {"col": (_INT, 0)},
    "fetch": {"col": (_INT, 0)},
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "conv2d_transpose"), _CONV),
    **dict.fromkeys((f"elementwise_{kind}" for kind in ("add", "sub", "mul", "div", "max", "min", "pow")), _AXIS),
    "pool2d": {
        "pooling_type": (_TEXT, NEEDED), "ksize": (_INTS, NEEDED), "global_pooling": (_FLAG, False),
        "strides": (_INTS, (1, 1)), "paddings": (_INTS, (0, 0)),
    },
    "matmul_v2": {"trans_x": (_FLAG, False), "trans_y": (_FLAG, False)},
    "layer_norm": {"epsilon": (_FLOAT, 1e-5), "begin_norm_axis": (_INT, 1)},
    "batch_norm": {
        "epsilon": (_FLOAT, 1e-5), "momentum": (_FLOAT, 0.9), "is_test": (_FLAG, True), "data_layout": (_TEXT, "NCHW"),
    },
    "instance_norm": {"epsilon": (_FLOAT, 1e-5)},
    "group_norm": {"epsilon": (_FLOAT, 1e-5), "groups": (_INT, NEEDED)},
    "matmul": {"transpose_X": (_FLAG, False), "transpose_Y": (_FLAG, False), "alpha": (_FLOAT, 1.0)},
    "slice": {"axes": (_INTS, NEEDED)},
    "strided_slice": dict.fromkeys(("axes", "starts", "ends", "strides"), (_INTS, NEEDED)),
    "scale": {"scale": (_FLOAT, 1.0), "bias": (_FLOAT, 0.0), "bias_after_scale": (_FLAG, True)},
    **dict.fromkeys(("nearest_interp", "bilinear_interp", "nearest_interp_v2", "bilinear_interp_v2"), _INTERP),
    "hard_swish": {"threshold": (_FLOAT, 6.0), "scale": (_FLOAT, 6.0), "offset": (_FLOAT, 3.0)},
    "hard_sigmoid": {"slope": (_FLOAT, 0.2), "offset": (_FLOAT, 0.5)},
    "swish": {"beta": (_FLOAT, 1.0)},
    "relu6": {"threshold": (_FLOAT, 6.0)},
    "leaky_relu": {"alpha": (_FLOAT, 0.02)},
    "elu": {"alpha": (_FLOAT, 1.0)},
    "softplus": {"beta": (_FLOAT, 1.0), "threshold": (_FLOAT, 20.0)},
    "mish": {"threshold": (_FLOAT, 20.0)},
    "prelu": {"mode": (_TEXT, "all")},
    "clip": {"min": (_FLOAT, NEEDED), "max": (_FLOAT, NEEDED)},
    "pow": {"factor": (_FLOAT, 1.0)},
    **dict.fromkeys(("reduce_mean", "reduce_sum", "reduce_max", "reduce_min"), _REDUCE),
    "stack": {"axis": (_INT, 0)},
    "concat": {"axis": (_INT, 0)},
    "split": {"axis": (_INT, 0), "num": (_INT, 0), "sections": (_INTS, ())},
    **dict.fromkeys(("transpose", "transpose2"), _SIDES),
    **dict.fromkeys(("flatten", "flatten2"), _SPLIT_AT),
    "flatten_contiguous_range": {"start_axis": (_INT, 1), "stop_axis": (_INT, 1)},
    "pad2d": {"mode": (_TEXT, "constant"), "pad_value": (_FLOAT, 0.0), "data_format": (_TEXT, "NCHW")},
    "pad3d": {
        "paddings": (_INTS, NEEDED), "mode": (_TEXT, "constant"), "value": (_FLOAT, 0.0),
        "data_format": (_TEXT, "NCDHW"),
    },
    "expand_v2": {"shape": (_INTS, NEEDED)},
}  # fmt: skip
"""Attributes that an operator must have: their type, and Paddle's default."""

_FUSED_ACT: Mapping[str, AttrType] = {"with_act": _FLAG, "act_type": _TEXT}
OPTIONAL: Mapping[str, Mapping[str, AttrType]] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "conv2d_transpose"), _FUSED_ACT),
    "pool2d": {"adaptive": _FLAG},
    "matmul_v2": {"alpha": _FLOAT},
    "mul": {"x_num_col_dims": _INT, "y_num_col_dims": _INT},
    "scale": {"activation_type": _TEXT, "fuse_relu": _FLAG},
    "gelu": {"approximate": _FLAG},
    "swish": {"beta": _FLOAT},
}
"""Attributes that an operator may have, with the type that Paddle Lite takes."""

_LEFT_OUT: Mapping[str, frozenset[tuple[str, str]]] = {"2.14rc0": frozenset({("swish", "beta")})}
"""What a release takes as its default when it is left out."""


def complete(graph: Graph, target: Target) -> None:
    """Add the outputs and attributes that Paddle Lite demands and the program lacks.

    Raises ``LowerError`` for an attribute that is missing and has no default, or whose value has a type that cannot be
    turned into the demanded one.
    """
    may_lack = _LEFT_OUT.get(target.runtime, frozenset())
    for op in graph.ops:
        for name in OUTPUTS.get(op.type, ()):
            if not op.outputs.get(name):
                _add_output(graph, op, name)
        for name, kind in OPTIONAL.get(op.type, {}).items():
            if name in op.attrs:
                op.attrs[name] = _as_type(op, name, kind)
        for name, (kind, default) in ATTRIBUTES.get(op.type, {}).items():
            if name in op.attrs:
                op.attrs[name] = _as_type(op, name, kind)
            elif default is NEEDED:
                op.refuse(f"it lacks the attribute {name!r}", "export the model again with all attributes")
            elif (op.type, name) not in may_lack:
                op.attrs[name] = Attr(kind, default)


def _add_output(graph: Graph, op: LiteOp, parameter: str) -> None:
    result = next(name for key in ("Out", "Y") for name in op.outputs.get(key, ()))
    name = f"{result}.{parameter}.pad"
    if name in graph.variables:
        op.refuse(f"its output {parameter} is missing, and the name {name!r} is taken", "export the model again")
    graph.variables[name] = Var(name, data_type=VarType.FP32, dims=())
    graph.data_types[name] = VarType.FP32
    graph.rewire(op, outputs={**op.outputs, parameter: (name,)})


def _as_type(op: LiteOp, name: str, kind: AttrType) -> Attr:
    """Return an attribute in the demanded type, when its value is the same there."""
    attr = op.attrs[name]
    if attr.type == kind:
        return attr
    convert = _CONVERSIONS.get((AttrType(attr.type), kind))
    made = None if convert is None else convert(attr.value)
    if made is None:
        op.refuse(
            f"its attribute {name!r} is a {AttrType(attr.type).name}, and Paddle Lite takes a {kind.name}",
            "export the model again with Paddle 2.4 or 2.6",
        )
    return Attr(kind, made)


def _int32(value: object) -> int | None:
    return value if isinstance(value, int) and -(1 << 31) <= value < 1 << 31 else None


def _ints(value: object) -> tuple[int, ...] | None:
    held = tuple(one for one in map(_int32, value) if one is not None) if isinstance(value, tuple) else None
    return held if held is not None and isinstance(value, tuple) and len(held) == len(value) else None


def _float32(value: object) -> float | None:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > 3.4e38:
        return None
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def _bool(value: object) -> bool | None:
    return bool(value) if value in (0, 1) else None


_CONVERSIONS: Mapping[tuple[AttrType, AttrType], _Convert] = {
    (AttrType.LONG, _INT): _int32,
    (AttrType.LONGS, _INTS): _ints,
    (AttrType.FLOAT64, _FLOAT): _float32,
    (AttrType.INT, _FLOAT): _float32,
    (AttrType.INT, _FLAG): _bool,
}

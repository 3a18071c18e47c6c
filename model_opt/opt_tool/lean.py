"""Leave out of a program what opt would copy into the file though Paddle Lite never asks for it.

opt writes an operator's attributes into the ``.nb`` as they are, about 120 bytes for each (a table of 16 fields, the
empty ones too), and leaves out only five names: ``OpAttrsAnyToCpp`` in ``lite/model_parser/compatible_pb.cc`` drops
``op_callstack``, ``op_namescope``, ``op_role``, ``op_role_var`` and ``workspace_size_MB``. The tables below carry that
on. They follow upstream's ``lite/operators`` (``AttachImpl``, which reads an operator's description when it is loaded)
and its optimiser's passes: a name is in ``_UNREAD`` when nothing there asks for it; an attribute with a value is in
``_ASSUMED`` when it is asked for with ``HasAttr`` first and ``op_params.h`` holds that value otherwise, or when nothing
asks for it at all and the value says what Paddle Lite does anyway. The program that Paddle runs keeps them all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from model_opt.paddle_model import AttrValue, Op, PaddleModel

_UNREAD = frozenset(
    ("op_device", "with_quant_attr", "use_cudnn", "mkldnn_data_type", "exhaustive_search", "use_addto")
    + ("force_fp32_output", "fuse_relu_before_depthwise_conv", "x_data_format", "y_data_format")
)

_CONV: Mapping[str, AttrValue] = {"data_format": "NCHW", "padding_algorithm": "EXPLICIT", "use_mkldnn": False}
_TRANSPOSED: Mapping[str, AttrValue] = {**_CONV, "output_padding": (), "output_size": ()}
_INTERP: Mapping[str, AttrValue] = {"out_d": -1, "out_h": -1, "out_w": -1, "align_mode": 1, "use_mkldnn": False}
_PLAIN: Mapping[str, AttrValue] = {"use_mkldnn": False}

_ASSUMED: Mapping[str, Mapping[str, AttrValue]] = {
    "conv2d": _CONV,
    "depthwise_conv2d": _CONV,
    "conv2d_transpose": _TRANSPOSED,
    "depthwise_conv2d_transpose": _TRANSPOSED,
    "pool2d": {
        "data_format": "NCHW",
        "padding_algorithm": "EXPLICIT",
        "exclusive": True,
        "ceil_mode": False,
        "adaptive": False,
        "use_quantizer": False,
        "use_mkldnn": False,
    },
    "nearest_interp_v2": _INTERP,
    "bilinear_interp_v2": _INTERP,
    "softmax": {"data_format": "AnyLayout", "use_mkldnn": False},
    "transpose2": {"data_format": "AnyLayout", "use_mkldnn": False},
    "reshape2": {"use_quantizer": False, "use_mkldnn": False},
    "slice": {"decrease_axis": (), "use_mkldnn": False},
    "concat": _PLAIN,
    "elementwise_add": _PLAIN,
    "elementwise_mul": _PLAIN,
    "hard_sigmoid": _PLAIN,
    "hard_swish": _PLAIN,
    "layer_norm": _PLAIN,
    "matmul_v2": _PLAIN,
    "relu": _PLAIN,
    "relu6": _PLAIN,
    "sigmoid": _PLAIN,
    "swish": _PLAIN,
}
"""For each operator whose ``AttachImpl`` was read: attributes that say what is assumed without them.

Argument lists without a name are left out of these operators too: all of them look whether a list is there and filled.
"""


def lean(model: PaddleModel) -> PaddleModel:
    """Return the model without attributes and empty argument lists that mean nothing to Paddle Lite; see the module."""
    blocks = tuple(block.with_ops(_lean_op(op) for op in block.ops) for block in model.program.blocks)
    return PaddleModel(dataclasses.replace(model.program, blocks=blocks), model.params)


def _lean_op(op: Op) -> Op:
    assumed = _ASSUMED.get(op.type)
    kept = {
        name: attr
        for name, attr in op.attrs.items()
        if name not in _UNREAD and (assumed is None or name not in assumed or attr.value != assumed[name])
    }
    if op.type == "slice" and set(op.attr("infer_flags") or ()) == {1}:  # type: ignore[arg-type]
        del kept["infer_flags"]
    made = dataclasses.replace(op, attrs=kept)
    if assumed is None:
        return made
    inputs, outputs = ({key: names for key, names in part.items() if names} for part in (op.inputs, op.outputs))
    return dataclasses.replace(made, inputs=inputs, outputs=outputs)

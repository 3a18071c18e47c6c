"""Which function computes which kernel. A kernel is written ``operator alias/target/precision``."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from model_opt.emulator import exp16, exp32, fp16, fp32, int8, moves
from model_opt.emulator.elementwise import binary, relu, unary
from model_opt.emulator.state import Values
from model_opt.nb.translate.view import OpView

Compute = Callable[[OpView, Values], None]

_FP32: dict[str, Compute] = {
    **{
        name: unary(np.float32, compute)
        for name, compute in (
            ("relu", relu), ("sigmoid", exp32.sigmoid), ("swish", exp32.swish), ("gelu", fp32.gelu),
            ("hard_sigmoid", fp32.hard_sigmoid), ("hard_swish", fp32.hard_swish), ("scale", fp32.scale),
            ("relu6", fp32.relu6),
        )
    },
    "elementwise_add": binary(np.float32, operator.add),
    "elementwise_mul": binary(np.float32, operator.mul),
    "fusion_elementwise_add_activation": binary(np.float32, fp32.add_relu),
    "affine_channel": fp32.affine_channel,
    "layer_norm": fp32.layer_norm,
    "conv2d": fp32.conv,
    "depthwise_conv2d": fp32.conv,
    "conv2d_transpose": fp32.conv_transpose,
    "pool2d": fp32.pool2d,
    "reduce_mean": fp32.reduce_mean,
    "nearest_interp_v2": moves.nearest,
    "slice": moves.slice_,
}  # fmt: skip

_FP16: dict[str, Compute] = {
    **{
        name: unary(np.float16, compute)
        for name, compute in (
            ("relu", relu), ("sigmoid", exp16.sigmoid), ("swish", exp16.swish), ("hard_sigmoid", fp16.hard_sigmoid),
            ("hard_swish", fp16.hard_swish), ("scale", fp16.scale),
        )
    },
    "elementwise_add": binary(np.float16, operator.add),
    "elementwise_sub": binary(np.float16, operator.sub),
    "elementwise_mul": binary(np.float16, operator.mul),
    "fusion_elementwise_add_activation": binary(np.float16, fp16.add_relu),
    "conv2d": fp16.conv,
    "depthwise_conv2d": fp16.conv,
    "conv2d_transpose": fp16.conv_transpose,
    "pool2d": fp16.pool2d,
    "softmax": fp16.softmax,
    "matmul_v2": fp16.matmul_v2,
    "fc": fp16.fc,
    "nearest_interp_v2": moves.nearest,
}  # fmt: skip

_CALIB: dict[str, Compute] = {
    "calib fp32_to_fp16/arm/fp16": fp16.to_fp16,
    "calib fp16_to_fp32/arm/fp16": fp16.to_fp32,
}

_INT8: dict[str, Compute] = {
    "calib fp32_to_int8/arm/int8": int8.fp32_to_int8,
    "calib int8_to_fp32/arm/int8": int8.int8_to_fp32,
    "conv2d fp32_out/arm/int8": int8.conv_fp32_out,
    "conv2d int8_out/arm/int8": int8.conv_int8_out,
    "depthwise_conv2d fp32_out/arm/int8": int8.conv_fp32_out,
    "depthwise_conv2d int8_out/arm/int8": int8.conv_int8_out,
}

_MOVES: dict[str, Compute] = {
    "assign def/host/any": moves.assign,
    "concat def/arm/any": moves.concat,
    "fill_constant def/host/any": moves.fill_constant,
    "flatten_contiguous_range def/host/any": moves.flatten_contiguous_range,
    "reshape2 def/host/any": moves.reshape,
    "shape def/host/any": moves.shape,
    "slice int32_slice/arm/fp32": moves.slice_,
    "split def/host/fp32": moves.split,
    "squeeze2 def/host/any": moves.squeeze,
    "transpose2 def/arm/any": moves.transpose,
}

# opt 2.14 calls the elementwise kernels of fp16 by another name than 2.12.
KERNELS: dict[str, Compute] = {
    **{f"{name} def/arm/fp32": compute for name, compute in _FP32.items()},
    **{f"{name} def/arm/fp16": compute for name, compute in _FP16.items()},
    **{f"{name} def_fp16/arm/fp16": compute for name, compute in _FP16.items() if "elementwise" in name},
    **_CALIB,
    **_INT8,
    **_MOVES,
}

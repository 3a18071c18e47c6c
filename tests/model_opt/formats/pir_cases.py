"""Small models of Paddle 3 with the operators of PP-OCR, by name; for tests and damage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.model_opt.formats.pir_writer import I64, PirWriter, attr, tensor

CONV = (
    attr("padding_algorithm", "EXPLICIT"), attr("dilations", [1, 1]), attr("data_format", "NCHW"),
)  # fmt: skip
POOL = (
    attr("ceil_mode", False), attr("exclusive", True), attr("data_format", "NCHW"), attr("pooling_type", "avg"),
    attr("global_pooling", False), attr("padding_algorithm", "EXPLICIT"),
)  # fmt: skip
INTERP = (
    attr("data_format", "NCHW"), attr("out_d", -1), attr("out_h", -1), attr("out_w", -1),
    attr("interp_method", "nearest"), attr("align_corners", False), attr("align_mode", 1),
)  # fmt: skip


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def conv(
    net: PirWriter, x: int, weight: int, dims: list[int], groups: int = 1, padding: int = 1, stride: int = 1
) -> int:
    """Add a convolution."""
    kind = "1.conv2d" if groups == 1 else "1.depthwise_conv2d"
    sizes = attr("strides", [stride, stride]), attr("paddings", [padding, padding]), attr("groups", groups)
    return net.op(kind, [x, weight], [dims], *sizes, *CONV)


def biased(net: PirWriter, x: int, bias: int, dims: list[int]) -> int:
    """Add the bias of a convolution as Paddle 3 does: reshaped, then added."""
    wide = net.op("1.reshape", [bias, net.ints(1, -1, 1, 1)], [[1, dims[1], 1, 1]])
    return net.op("1.add", [x, wide], [dims])


def detector() -> PirWriter:
    """Return a convolution with norm, affine block and gate, a pyramid, and a transposed convolution."""
    net = PirWriter()
    weights = net.param("conv.w_0", _numbers(4, 3, 3, 3)), net.param("depth.w_0", _numbers(4, 1, 3, 3))
    norm = [net.param(f"norm.{key}", np.abs(_numbers(4)) + 0.5) for key in ("w_1", "w_2", "w_0", "b_0")]
    bias, factor = net.param("conv.b_0", _numbers(4)), net.param("affine.w_0", _numbers(1))
    back = net.param("back.w_0", _numbers(8, 1, 2, 2))
    free = [-1, 4, -1, -1]
    x = net.data("x", [-1, 3, -1, -1])
    y = conv(net, x, weights[0], free, stride=2)
    flags = attr("is_test", True), attr("use_global_stats", False), attr("trainable_statistics", False)
    numbers = attr("momentum", 0.9), attr("epsilon", 1e-5), attr("data_format", "NCHW")
    y = net.op("1.batch_norm_", [y, *norm], [free, [4], [4], [4], [4]], *flags, *numbers)
    y = biased(net, conv(net, y, weights[1], free, groups=4), bias, free)
    y = net.op("1.hardswish", [net.op("1.multiply", [factor, y], [free])], [free])
    sizes = attr("strides", [1, 1]), attr("paddings", [0, 0]), attr("adaptive", True)
    pooled = net.op("1.pool2d", [y, net.ints(1, 1)], [[-1, 4, 1, 1]], *sizes, *POOL)
    gate = net.op("1.hardsigmoid", [pooled], [[-1, 4, 1, 1]], attr("slope", 0.2), attr("offset", 0.5))
    y = net.op("1.multiply", [y, gate], [free])
    sizes = attr("strides", [2, 2]), attr("paddings", [0, 0]), attr("adaptive", False)
    small = net.op("1.pool2d", [y, net.ints(2, 2)], [free], *sizes, *POOL)
    large = net.op("1.nearest_interp", [small, 0, 0, 0], [free], attr("scale", [2.0, 2.0]), *INTERP)
    y = net.op("1.concat", [net.combine(y, large), net.full(1, "int32")], [[-1, 8, -1, -1]])
    sizes = attr("strides", [2, 2]), attr("paddings", [0, 0]), attr("groups", 1), attr("output_padding", [])
    y = net.op("1.conv2d_transpose", [y, back, net.ints()], [[-1, 1, -1, -1]], *sizes, *CONV)
    net.fetch(net.op("1.sigmoid", [y], [[-1, 1, -1, -1]]))
    return net


def recogniser() -> PirWriter:
    """Return an attention block over the columns of a line, with a size that is computed while the model runs."""
    net = PirWriter()
    weight, norm = net.param("conv.w_0", _numbers(8, 3, 1, 1)), [net.param(f"norm.{k}", _numbers(8)) for k in "wb"]
    inner, out = net.param("qkv.w_0", _numbers(8, 24)), net.param("out.w_0", _numbers(8, 5))
    x = net.data("x", [-1, 3, 4, -1])
    y = net.op("1.swish", [conv(net, x, weight, [-1, 8, 4, -1], padding=0)], [[-1, 8, 4, -1]])
    sizes = attr("strides", [4, 2]), attr("paddings", [0, 0]), attr("adaptive", False)
    y = net.op("1.pool2d", [y, net.ints(4, 2)], [[-1, 8, 1, -1]], *sizes, *POOL)
    width = _width(net, y)
    y = net.op("1.flatten", [y], [[-1, 8, -1]], attr("start_axis", 2), attr("stop_axis", 3))
    y = net.op("1.transpose", [y], [[-1, -1, 8]], attr("perm", [0, 2, 1]))
    y = net.op("1.layer_norm", [y, *norm], [[-1, -1, 8]], attr("epsilon", 1e-5), attr("begin_norm_axis", 2))
    y = _attention(net, y, inner)
    parts = net.combine(net.full(0, "int64", ()), net.full(1, "int64", ()), width, net.full(8, "int64", ()))
    target = net.op("1.stack", [parts], [tensor([4], I64)], attr("axis", 0))
    y = net.op("1.reshape", [y, target], [[-1, 1, -1, 8]])
    y = net.op("1.squeeze", [y, net.ints(1)], [[-1, -1, 8]])
    flags = attr("transpose_x", False), attr("transpose_y", False)
    y = net.op("1.matmul", [y, out], [[-1, -1, 5]], *flags)
    net.fetch(net.op("1.softmax", [y], [[-1, -1, 5]], attr("axis", 2)))
    return net


def _width(net: PirWriter, x: int) -> int:
    sizes = net.op("1.shape64", [x], [tensor([4], I64)])
    cut = attr("axes", [0], "a_i64"), attr("infer_flags", [1], "a_i64"), attr("decrease_axis", [0], "a_i64")
    return net.op("1.slice", [sizes, net.ints(3), net.ints(4)], [tensor([], I64)], *cut)


def _attention(net: PirWriter, x: int, inner: int) -> int:
    flags = attr("transpose_x", False), attr("transpose_y", False)
    y = net.op("1.matmul", [x, inner], [[-1, -1, 24]], *flags)
    y = net.op("1.reshape", [y, net.ints(0, -1, 3, 2, 4)], [[-1, -1, 3, 2, 4]])
    y = net.op("1.transpose", [y], [[3, -1, 2, -1, 4]], attr("perm", [2, 0, 3, 1, 4]))
    cut = attr("axes", [0], "a_i64"), attr("infer_flags", [1], "a_i64"), attr("decrease_axis", [0], "a_i64")
    heads = [net.op("1.slice", [y, net.ints(i), net.ints(i + 1)], [[-1, 2, -1, 4]], *cut) for i in range(3)]
    query = net.op(
        "1.scale", [heads[0], net.full(0.5)], [[-1, 2, -1, 4]], attr("bias", 0.0), attr("bias_after_scale", True)
    )
    key = net.op("1.transpose", [heads[1]], [[-1, 2, 4, -1]], attr("perm", [0, 1, 3, 2]))
    weights = net.op("1.softmax", [net.op("1.matmul", [query, key], [[-1, 2, -1, -1]], *flags)], [[-1, 2, -1, -1]])
    still = attr("is_test", True), attr("mode", "upscale_in_train")
    weights = net.op("1.dropout", [weights, 0, net.full(0.1)], [[-1, 2, -1, -1], [-1]], *still)
    y = net.op("1.matmul", [weights, heads[2]], [[-1, 2, -1, 4]], *flags)
    y = net.op("1.transpose", [y], [[-1, -1, 2, 4]], attr("perm", [0, 2, 1, 3]))
    return net.op("1.reshape", [y, net.ints(0, -1, 8)], [[-1, -1, 8]])


CASES: dict[str, Callable[[], PirWriter]] = {"detector": detector, "recogniser": recogniser}

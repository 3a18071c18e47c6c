"""A Paddle program in float64 NumPy: what a model says without the rounding of any engine. Slow, and only for tests."""

from __future__ import annotations

import math

import numpy as np

from model_opt.program import Model, Op


def run_float64(model: Model, x: np.ndarray, scope: dict | None = None) -> np.ndarray:
    """Return the first fetched tensor for the input ``x``; all values end up in ``scope`` when one is given."""
    values = {} if scope is None else scope
    values.update({n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in model.params.items()})
    for op in model.program.main.ops:
        if op.type == "feed":
            values[op.output("Out")] = x.astype(np.float64)
        elif op.type == "fetch":
            return values[op.input("X")]
        else:
            _run(op, values)
    raise AssertionError("nothing is fetched")


def _run(op: Op, values: dict) -> None:
    out = op.outputs.get("Out") or op.outputs.get("Output") or op.outputs.get("Y")
    made = RULES[op.type](op, values)
    values.update(zip(out, made, strict=True) if op.type == "split" else [(out[0], made)])


def _conv(op: Op, v: dict) -> np.ndarray:
    x, w = v[op.input("Input")], v[op.input("Filter")]
    (sh, sw), groups = op.attr("strides"), op.attr("groups")
    padded = np.pad(x, ((0, 0), (0, 0), *_pads(op)))
    n, _, height, width = padded.shape
    o, per_group, kh, kw = w.shape
    oh, ow = (height - kh) // sh + 1, (width - kw) // sw + 1
    y = np.zeros((n, groups, o // groups, oh, ow))
    grouped = w.reshape(groups, o // groups, per_group, kh, kw)
    for i in range(kh):
        for j in range(kw):
            part = padded[:, :, i : i + (oh - 1) * sh + 1 : sh, j : j + (ow - 1) * sw + 1 : sw]
            part = part.reshape(n, groups, per_group, oh * ow)
            y += np.matmul(grouped[None, :, :, :, i, j], part).reshape(y.shape)
    return y.reshape(n, o, oh, ow)


def _pads(op: Op) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the rows above and below, and the columns at the left and right."""
    assert op.attr("padding_algorithm", "EXPLICIT") == "EXPLICIT"
    pads = op.attr("paddings")
    return ((pads[0],) * 2, (pads[1],) * 2) if len(pads) == 2 else (tuple(pads[:2]), tuple(pads[2:]))


def _deconv(op: Op, v: dict) -> np.ndarray:
    """Return the transposed convolution of the one kind that occurs: stride equal to the kernel, no padding."""
    x, w = v[op.input("Input")], v[op.input("Filter")]
    assert op.attr("strides") == w.shape[2:]
    assert op.attr("paddings") == (0, 0)
    groups = op.attr("groups", 1)
    n, c, h, width = x.shape
    y = np.einsum(
        "ngchw,gcoyx->ngohywx", x.reshape(n, groups, -1, h, width), w.reshape(groups, c // groups, *w.shape[1:])
    )
    return y.reshape(n, groups * w.shape[1], h * w.shape[2], width * w.shape[3])


def _affine_channel(op: Op, v: dict) -> np.ndarray:
    scale, bias = (v[op.input(key)].reshape(1, -1, 1, 1) for key in ("Scale", "Bias"))
    return v[op.input("X")] * scale + bias


def _split(op: Op, v: dict) -> list[np.ndarray]:
    return np.split(v[op.input("X")], np.cumsum(op.attr("sections"))[:-1], axis=op.attr("axis"))


def _binary(function):
    def run(op: Op, v: dict) -> np.ndarray:
        x, y, axis = v[op.input("X")], v[op.input("Y")], op.attr("axis", -1)
        wide, narrow = max(x.ndim, y.ndim), min(x.ndim, y.ndim)
        start = wide - narrow if axis == -1 else axis
        small = x if x.ndim < y.ndim else y
        shaped = small.reshape((1,) * start + small.shape + (1,) * (wide - start - narrow))
        return function(shaped, y) if small is x and x.ndim < y.ndim else function(x, shaped)

    return run


def _unary(function):
    return lambda op, v: function(v[op.input("X")], op)


def _pool(op: Op, v: dict) -> np.ndarray:
    x = v[op.input("X")]
    reduce = np.max if op.attr("pooling_type") == "max" else np.mean
    if op.attr("global_pooling") or op.attr("adaptive"):
        assert op.attr("global_pooling") or op.attr("ksize") == (1, 1)
        return reduce(x, axis=(2, 3), keepdims=True)
    pads = _pads(op)
    assert reduce is np.max or not any(map(any, pads))
    x = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=-np.inf)
    (kh, kw), (sh, sw) = op.attr("ksize"), op.attr("strides")
    oh, ow = (x.shape[2] - kh) // sh + 1, (x.shape[3] - kw) // sw + 1
    windows = np.stack(
        [x[:, :, i : i + oh * sh : sh, j : j + ow * sw : sw][:, :, :oh, :ow] for i in range(kh) for j in range(kw)]
    )
    return reduce(windows, axis=0)


def _nearest(op: Op, v: dict) -> np.ndarray:
    fy, fx = (int(f) for f in op.attr("scale"))
    return v[op.input("X")].repeat(fy, axis=2).repeat(fx, axis=3)


def _batch_norm(op: Op, v: dict) -> np.ndarray:
    x = v[op.input("X")]
    sides = (1, -1, *(1,) * (x.ndim - 2))
    s, b, m, var = (v[op.input(k)].reshape(sides) for k in ("Scale", "Bias", "Mean", "Variance"))
    return (x - m) / np.sqrt(var + op.attr("epsilon")) * s + b


def _layer_norm(op: Op, v: dict) -> np.ndarray:
    x = v[op.input("X")]
    assert op.attr("begin_norm_axis") == x.ndim - 1
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + op.attr("epsilon")) * v[op.input("Scale")] + v[op.input("Bias")]


def _softmax(op: Op, v: dict) -> np.ndarray:
    x, axis = v[op.input("X")], op.attr("axis")
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _matmul(op: Op, v: dict) -> np.ndarray:
    x, y = v[op.input("X")], v[op.input("Y")]
    return (x.swapaxes(-1, -2) if op.attr("trans_x") else x) @ (y.swapaxes(-1, -2) if op.attr("trans_y") else y)


def _slice(op: Op, v: dict) -> np.ndarray:
    x = v[op.input("Input")]
    for axis, start, end in zip(op.attr("axes"), op.attr("starts"), op.attr("ends"), strict=True):
        x = x[(slice(None),) * axis + (slice(start, end),)]
    gone = op.attr("decrease_axis") or ()
    return x.reshape([side for at, side in enumerate(x.shape) if at not in gone])


def _reshape(op: Op, v: dict) -> np.ndarray:
    x = v[op.input("X")]
    parts = op.inputs.get("ShapeTensor") or ()
    target = [int(np.ravel(v[name])[0]) for name in parts] if parts else list(op.attr("shape"))
    return x.reshape([x.shape[at] if side == 0 else side for at, side in enumerate(target)])


def _flatten(op: Op, v: dict) -> np.ndarray:
    x, start, stop = v[op.input("X")], op.attr("start_axis"), op.attr("stop_axis")
    return x.reshape(*x.shape[:start], math.prod(x.shape[start : stop + 1]), *x.shape[stop + 1 :])


_ERF = np.frompyfunc(math.erf, 1, 1)


def _gelu(x: np.ndarray, op: Op) -> np.ndarray:
    if op.attr("approximate", False):
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + _ERF(x / math.sqrt(2)).astype(np.float64))


RULES = {
    "affine_channel": _affine_channel,
    "split": _split,
    "conv2d": _conv,
    "depthwise_conv2d": _conv,
    "conv2d_transpose": _deconv,
    "elementwise_add": _binary(np.add),
    "elementwise_sub": _binary(np.subtract),
    "elementwise_mul": _binary(np.multiply),
    "elementwise_div": _binary(np.divide),
    "relu": _unary(lambda x, _: np.maximum(x, 0)),
    "relu6": _unary(lambda x, op: np.clip(x, 0, op.attr("threshold"))),
    "hard_swish": _unary(lambda x, _: x * np.clip(x + 3, 0, 6) / 6),
    "hard_sigmoid": _unary(lambda x, op: np.clip(x * op.attr("slope") + op.attr("offset"), 0, 1)),
    "sigmoid": _unary(lambda x, _: 1 / (1 + np.exp(-x))),
    "swish": _unary(lambda x, _: x / (1 + np.exp(-x))),
    "tanh": _unary(lambda x, _: np.tanh(x)),
    "leaky_relu": _unary(lambda x, op: np.where(x < 0, x * op.attr("alpha"), x)),
    "gelu": _unary(_gelu),
    "scale": _unary(
        lambda x, op: x * op.attr("scale") + op.attr("bias") * (1 if op.attr("bias_after_scale") else op.attr("scale"))
    ),
    "assign": _unary(lambda x, _: x),
    "dropout": _unary(
        lambda x, op: x if "upscale" in op.attr("dropout_implementation") else x * (1 - op.attr("dropout_prob"))
    ),
    "pool2d": _pool,
    "reduce_mean": _unary(lambda x, op: x.mean(axis=tuple(op.attr("dim")), keepdims=op.attr("keep_dim"))),
    "nearest_interp_v2": _nearest,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "softmax": _softmax,
    "matmul_v2": _matmul,
    "concat": lambda op, v: np.concatenate([v[name] for name in op.inputs["X"]], axis=op.attr("axis")),
    "transpose2": lambda op, v: v[op.input("X")].transpose(op.attr("axis")),
    "reshape2": _reshape,
    "flatten_contiguous_range": _flatten,
    "squeeze2": lambda op, v: v[op.input("X")].squeeze(op.attr("axes")),
    "unsqueeze2": lambda op, v: np.expand_dims(v[op.input("X")], op.attr("axes")),
    "slice": _slice,
    "shape": lambda op, v: np.array(v[op.input("Input")].shape),
    "fill_constant": lambda op, v: np.full(op.attr("shape"), op.attr("value")),
}
"""What each operator computes."""

"""Small Paddle programs for the writer's tests: made by hand, one for each operator, and by chance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from model_opt.program import Attr, AttrType, Block, Model, Op, Program, Var, VarType, attr_of

Dims = tuple[int, ...]
IMAGE: Dims = (-1, 8, -1, -1)
TOKENS: Dims = (-1, 6, 8)


class Maker:
    """Puts a program together from one input ``x``; variables are named in the order they are made."""

    def __init__(self, dims: Dims = IMAGE, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.ops: list[Op] = []
        self.dims: dict[str, Dims] = {"x": dims}
        self.types: dict[str, VarType] = {}
        self.params: dict[str, np.ndarray] = {}

    def param(self, *shape: int, values: np.ndarray | None = None) -> str:
        """Return the name of a new parameter."""
        name = f"w{len(self.params)}"
        self.params[name] = self.random.standard_normal(shape).astype(np.float32) if values is None else values
        return name

    def op(self, kind: str, inputs: Mapping[str, str | list[str]], dims: Dims | None, key: str = "Out", **attrs) -> str:
        """Add an operator with one result of these sizes (None: those of its first input); return its name."""
        given = {name: tuple(v) if isinstance(v, list) else (v,) for name, v in inputs.items()}
        name = f"v{len(self.dims)}"
        self.dims[name] = self.dims[next(iter(given.values()))[0]] if dims is None else dims
        self.ops.append(Op(kind, given, {key: (name,)}, {name: _attr(value) for name, value in attrs.items()}))
        return name

    def extra(self, parameter: str, kind: VarType = VarType.FP32, dims: Dims = ()) -> None:
        """Add a further output to the last operator."""
        last = self.ops[-1]
        name = f"{last.output_names[0]}.{parameter.lower()}"
        self.dims[name], self.types[name] = dims, kind
        self.ops[-1] = last.with_output(parameter, name)

    def conv(self, x: str, out: int, size: int = 1, kind: str = "conv2d", groups: int = 1, stride: int = 1) -> str:
        """Add a convolution with padding that keeps the sides."""
        batch, channels, *sides = self.dims[x]
        if kind == "conv2d_transpose":
            w, key = self.param(channels, out // groups, size, size), [-1 if s < 0 else s * stride for s in sides]
            pad = 0
        else:
            w, key = self.param(out, channels // groups, size, size), [-1 if s < 0 else -(-s // stride) for s in sides]
            pad = size // 2
        attrs = {
            "strides": (stride, stride), "paddings": (pad, pad), "dilations": (1, 1), "groups": groups,
            "data_format": "NCHW", "padding_algorithm": "EXPLICIT",
        }  # fmt: skip
        return self.op(kind, {"Input": x, "Filter": w}, (batch, out, *key), "Output", **attrs)

    def binary(self, kind: str, x: str, y: str, axis: int = -1, dims: Dims | None = None) -> str:
        """Add an elementwise operator."""
        shape = self.dims.get(x, self.dims.get(y)) if dims is None else dims
        return self.op(f"elementwise_{kind}", {"X": x, "Y": y}, shape, axis=axis)

    def bias(self, x: str) -> str:
        """Add one value to each channel."""
        return self.binary("add", x, self.param(self.dims[x][1]), axis=1)

    def model(self, *outputs: str, version: int = 2004001) -> Model:
        """Return the program that hands out ``outputs``."""
        variables = [
            Var("feed", kind=VarType.FEED_MINIBATCH, persistable=True),
            Var("fetch", kind=VarType.FETCH_LIST, persistable=True),
            *(Var(n, data_type=self.types.get(n, VarType.FP32), dims=d, lod_level=0) for n, d in self.dims.items()),
        ]
        feed = Op("feed", {"X": ("feed",)}, {"Out": ("x",)}, {"col": attr_of(0)})
        ends = [Op("fetch", {"X": (name,)}, {"Out": ("fetch",)}, {"col": attr_of(i)}) for i, name in enumerate(outputs)]
        block = Block(0, -1, tuple(variables), (feed, *self.ops, *ends))
        model = Model(Program((block,), version=version), {})
        for name, values in self.params.items():
            model = model.with_param(name, values)
        return model


def together(models: Iterable[Model]) -> Model:
    """Return one program that does what each of these does, side by side: an input and outputs for each."""
    ops: list[Op] = []
    variables: dict[str, Var] = {}
    params: dict[str, np.ndarray] = {}
    columns = {"feed": 0, "fetch": 0}
    for at, model in enumerate(models):
        names = {var.name: f"m{at}.{var.name}" for var in model.program.main.vars if var.name not in columns}
        for op in model.program.main.ops:
            if op.type in columns:
                op = op.with_attr("col", columns[op.type])
                columns[op.type] += 1
            ops.append(op.renamed(names))
        for var in model.program.main.vars:
            name = names.get(var.name, var.name)
            variables[name] = dataclasses.replace(var, name=name)
        params |= {names[name]: values for name, values in model.params.items()}
    order = sorted(ops, key=lambda op: ("feed", "", "fetch").index(op.type if op.type in columns else ""))
    block = Block(0, -1, tuple(variables.values()), tuple(order))
    return Model(Program((block,), version=2004001), params)


def _attr(value) -> Attr:
    return value if isinstance(value, Attr) else attr_of(value)


def reals(*values: float) -> Attr:
    """Return a FLOATS attribute; empty too."""
    return Attr(AttrType.FLOATS, values)


def ints(*values: int) -> Attr:
    """Return an INTS attribute; empty too."""
    return Attr(AttrType.INTS, values)


def _unary(kind: str, dims: Dims = IMAGE, **attrs) -> Callable[[], Model]:
    def make() -> Model:
        m = Maker(dims)
        return m.model(m.op(kind, {"X": "x"}, None, **attrs))

    return make


def _binary(kind: str, dims: Dims = IMAGE) -> Callable[[], Model]:
    def make() -> Model:
        m = Maker(dims)
        other = m.op("relu", {"X": "x"}, None)
        return m.model(m.binary(kind, "x", other))

    return make


def _with_param(kind: str, key: str, other: str, shape: Dims, dims: Dims = IMAGE, out: Dims | None = None, **attrs):
    def make() -> Model:
        m = Maker(dims)
        return m.model(m.op(kind, {key: "x", other: m.param(*shape)}, out, **attrs))

    return make


def _shaped(kind: str, out: Dims, dims: Dims = IMAGE, xshape: bool = True, **attrs) -> Callable[[], Model]:
    def make() -> Model:
        m = Maker(dims)
        y = m.op(kind, {"X": "x"}, out, **attrs)
        if xshape:
            m.extra("XShape", dims=(0, *dims))
        return m.model(y)

    return make


def _conv(kind: str, **options) -> Callable[[], Model]:
    def make() -> Model:
        m = Maker()
        return m.model(m.conv("x", 8, kind=kind, **options))

    return make


def _behind(first: Callable[[Maker], str], *acts: str) -> Callable[[], Model]:
    def make() -> Model:
        m = Maker()
        y = first(m)
        for kind in acts:
            y = m.op(kind, {"X": y}, None)
        return m.model(y)

    return make


def _fc() -> Model:
    m = Maker(TOKENS)
    y = m.op("matmul_v2", {"X": "x", "Y": m.param(8, 4)}, (-1, 6, 4), trans_x=False, trans_y=False)
    return m.model(m.binary("add", y, m.param(4)))


def _layer_norm() -> Model:
    m = Maker(TOKENS)
    y = m.op(
        "layer_norm", {"X": "x", "Scale": m.param(8), "Bias": m.param(8)}, None, "Y", epsilon=1e-5, begin_norm_axis=2
    )
    m.extra("Mean")
    m.extra("Variance")
    return m.model(y)


def _batch_norm() -> Model:
    m = Maker()
    names = {key: m.param(8) for key in ("Scale", "Bias", "Mean")} | {
        "Variance": m.param(values=np.ones(8, np.float32))
    }
    attrs = {"epsilon": 1e-5, "momentum": 0.9, "is_test": True, "data_layout": "NCHW", "use_global_stats": False}
    y = m.op("batch_norm", {"X": "x", **names}, None, "Y", **attrs)
    m.ops[-1] = m.ops[-1].with_output("MeanOut", names["Mean"]).with_output("VarianceOut", names["Variance"])
    m.extra("SavedMean")
    m.extra("SavedVariance")
    return m.model(y)


def _several(kind: str, key: str, inputs: int, dims: Dims, out: Dims, **attrs) -> Callable[[], Model]:
    def make() -> Model:
        m = Maker(dims)
        names = ["x", *(m.op("relu", {"X": "x"}, None) for _ in range(inputs - 1))]
        return m.model(m.op(kind, {key: names}, out, **attrs))

    return make


def _slice(kind: str, **attrs) -> Callable[[], Model]:
    def make() -> Model:
        m = Maker(TOKENS)
        given = {"axes": (1,), "starts": (0,), "decrease_axis": ints(), "infer_flags": (1,), **attrs}
        return m.model(m.op(kind, {"Input": "x"}, (-1, 2, 8), **given))

    return make


def _stack() -> Model:
    m = Maker(TOKENS)
    other = m.op("relu", {"X": "x"}, None)
    return m.model(m.op("stack", {"X": ["x", other]}, (2, *TOKENS), "Y", axis=0))


def _product(kind: str, **attrs) -> Callable[[], Model]:
    def make() -> Model:
        m = Maker(TOKENS)
        other = m.op("relu", {"X": "x"}, None)
        return m.model(m.op(kind, {"X": "x", "Y": other}, (-1, 6, 6), **attrs))

    return make


def _norm(kind: str, saved: tuple[str, str], **attrs) -> Callable[[], Model]:
    def make() -> Model:
        m = Maker()
        inputs = {"X": "x", "Scale": m.param(8), "Bias": m.param(8)}
        y = m.op(kind, inputs, None, "Y", epsilon=1e-5, **attrs)
        for name in saved:
            m.extra(name)
        return m.model(y)

    return make


def _split() -> Model:
    m = Maker()
    m.op("split", {"X": "x"}, (-1, 4, -1, -1), axis=1, num=2, sections=ints())
    other = "second"
    m.dims[other] = (-1, 4, -1, -1)
    first = m.ops[-1].output_names[0]
    m.ops[-1] = m.ops[-1].with_output("Out", first, other)
    return m.model(first, other)


def _interp(kind: str, method: str) -> Callable[[], Model]:
    attrs = {
        "interp_method": method, "align_corners": False, "align_mode": 1, "data_layout": "NCHW", "out_h": -1,
        "out_w": -1, "out_d": -1, "scale": reals(2.0, 2.0) if kind.endswith("v2") else 2.0,
    }  # fmt: skip
    return _unary(kind, **attrs)


def _affine_channel() -> Model:
    m = Maker()
    inputs = {"X": "x", "Scale": m.param(8), "Bias": m.param(8)}
    return m.model(m.op("affine_channel", inputs, None, data_layout="NCHW"))


def _pool(**attrs) -> Callable[[], Model]:
    given = {
        "pooling_type": "avg", "ksize": (2, 2), "strides": (2, 2), "paddings": (0, 0), "global_pooling": False,
        "exclusive": True, "adaptive": False, "ceil_mode": False, "data_format": "NCHW",
        "padding_algorithm": "EXPLICIT", **attrs,
    }  # fmt: skip
    return _unary("pool2d", **given)


_PLAIN = (
    "relu", "sigmoid", "tanh", "sqrt", "square", "abs", "exp", "log", "silu", "assign", "rsqrt", "reciprocal", "sin",
    "cos", "erf", "floor",
)  # fmt: skip
_PAD = {"paddings": (1, 1, 1, 1, 0, 0), "mode": "constant", "value": 0.0, "data_format": "NCDHW"}
_AS_IT_IS = {"transpose_X": False, "transpose_Y": False, "alpha": 1.0}

ONE_OP: Mapping[str, Callable[[], Model]] = {
    **{kind: _unary(kind) for kind in _PLAIN},
    "hard_sigmoid": _unary("hard_sigmoid", slope=0.2, offset=0.5),
    "hard_swish": _unary("hard_swish", threshold=6.0, scale=6.0, offset=3.0),
    "swish": _unary("swish", beta=1.0),
    "swish without beta": _unary("swish"),
    "relu6": _unary("relu6", threshold=6.0),
    "leaky_relu": _unary("leaky_relu", alpha=0.1),
    "gelu": _unary("gelu", approximate=False),
    "elu": _unary("elu", alpha=1.0),
    "softplus": _unary("softplus", beta=1.0, threshold=20.0),
    "mish": _unary("mish", threshold=20.0),
    "scale": _unary("scale", scale=2.0, bias=1.0, bias_after_scale=True),
    "softmax": _unary("softmax", TOKENS, axis=-1),
    "conv2d": _conv("conv2d"),
    "depthwise_conv2d": _conv("depthwise_conv2d", size=3, groups=8),
    "conv2d_transpose": _conv("conv2d_transpose", size=2, stride=2),
    "pool2d": _pool(),
    "pool2d adaptive": _pool(adaptive=True, ksize=(1, 1)),
    **{f"elementwise_{kind}": _binary(kind) for kind in ("add", "sub", "mul", "div", "max", "min", "pow")},
    "elementwise_mul by a parameter": _with_param("elementwise_mul", "X", "Y", (1,), axis=-1),
    **{
        f"elementwise_{kind} of a parameter": _with_param(f"elementwise_{kind}", "Y", "X", (1, 8, 1, 1), axis=-1)
        for kind in ("add", "sub", "mul", "div", "max", "pow")
    },
    **{
        f"elementwise_{kind} and relu": _behind(
            lambda m, kind=kind: m.binary(kind, "x", m.op("tanh", {"X": "x"}, None)), "relu"
        )
        for kind in ("add", "sub", "mul")
    },
    "conv2d and relu": _behind(lambda m: m.bias(m.conv("x", 8)), "relu"),
    "matmul_v2 and elementwise_add": _fc,
    "matmul_v2 of two": _product("matmul_v2", trans_x=False, trans_y=True),
    "matmul of two": _product("matmul", transpose_X=False, transpose_Y=True, alpha=0.5),
    "matmul": _with_param("matmul", "X", "Y", (8, 4), TOKENS, (-1, 6, 4), **_AS_IT_IS),
    "mul": _with_param("mul", "X", "Y", (8, 4), (-1, 8), (-1, 4), x_num_col_dims=1, y_num_col_dims=1),
    "matmul_v2": _with_param("matmul_v2", "X", "Y", (8, 4), TOKENS, (-1, 6, 4), trans_x=False, trans_y=False),
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "affine_channel": _affine_channel,
    "slice": _slice("slice", ends=(2,)),
    "strided_slice": _slice("strided_slice", ends=(4,), strides=(2,)),
    "stack": _stack,
    "instance_norm": _norm("instance_norm", ("SavedMean", "SavedVariance")),
    "group_norm": _norm("group_norm", ("Mean", "Variance"), groups=2, data_layout="NCHW"),
    "reshape": _shaped("reshape", (-1, 48), TOKENS, False, shape=(-1, 48)),
    "flatten": _shaped("flatten", (-1, 48), TOKENS, False, axis=1),
    "flatten2": _shaped("flatten2", (-1, 48), TOKENS, axis=1),
    "squeeze": _shaped("squeeze", (-1, 8, -1), (-1, 8, 1, -1), False, axes=(2,)),
    "unsqueeze": _shaped("unsqueeze", (-1, 6, 8, 1), TOKENS, False, axes=(3,)),
    "transpose": _shaped("transpose", (-1, -1, -1, 8), IMAGE, False, axis=(0, 2, 3, 1)),
    "pad2d": _unary("pad2d", paddings=(1, 1, 1, 1), mode="constant", pad_value=0.0, data_format="NCHW"),
    "pixel_shuffle": _shaped("pixel_shuffle", (-1, 2, -1, -1), IMAGE, False, upscale_factor=2, data_format="NCHW"),
    "nearest_interp": _interp("nearest_interp", "nearest"),
    "bilinear_interp": _interp("bilinear_interp", "bilinear"),
    "prelu": _with_param("prelu", "X", "Alpha", (8,), mode="channel"),
    "clip": _unary("clip", min=0.0, max=1.0),
    "pow": _unary("pow", factor=2.0),
    "log_softmax": _unary("log_softmax", TOKENS, axis=-1),
    "split": _split,
    "concat": _several("concat", "X", 3, IMAGE, (-1, 24, -1, -1), axis=1),
    "reshape2": _shaped("reshape2", (-1, 48), TOKENS, shape=(-1, 48)),
    "transpose2": _shaped("transpose2", (-1, -1, -1, 8), axis=(0, 2, 3, 1)),
    "squeeze2": _shaped("squeeze2", (-1, 8, -1), (-1, 8, 1, -1), axes=(2,)),
    "unsqueeze2": _shaped("unsqueeze2", (-1, 6, 8, 1), TOKENS, axes=(3,)),
    "flatten_contiguous_range": _shaped("flatten_contiguous_range", (-1, 48), TOKENS, start_axis=1, stop_axis=2),
    **{
        kind: _shaped(kind, (-1, 8, 1, 1), IMAGE, False, dim=(2, 3), keep_dim=True, reduce_all=False)
        for kind in ("reduce_mean", "reduce_sum", "reduce_max", "reduce_min")
    },
    "nearest_interp_v2": _interp("nearest_interp_v2", "nearest"),
    "bilinear_interp_v2": _interp("bilinear_interp_v2", "bilinear"),
    "pad3d": _shaped("pad3d", (-1, 8, -1, -1, -1), (-1, 8, -1, -1, -1), False, **_PAD),
    "expand_v2": _shaped("expand_v2", (2, 6, 8), (1, 6, 8), False, shape=(2, 6, 8)),
}  # fmt: skip
"""Programs of one operator, by name; the first word is the operator."""

"""Paddle programs by chance, for the writer against opt: images through convolutions, rows through attention, int8.

The same seed gives the same program. Forms that opt merges and the writer leaves apart do not occur; ``merged_by_opt``
says which.
"""

from __future__ import annotations

import numpy as np

from model_opt.program import Model, Op
from model_opt.quantize.qdq import CONVOLUTIONS, Int8Layer, with_int8_layers
from tests.model_opt.lower_programs import IMAGE, TOKENS, Maker, ints, reals

FAMILIES = ("image", "rows", "int8")

_ACTIVATIONS = {
    "relu": {}, "relu6": {"threshold": 6.0}, "leaky_relu": {"alpha": 0.1}, "sigmoid": {}, "tanh": {},
    "hard_swish": {"threshold": 6.0, "scale": 6.0, "offset": 3.0}, "hard_sigmoid": {"slope": 0.2, "offset": 0.5},
    "swish": {"beta": 1.0}, "gelu": {"approximate": False}, "abs": {}, "sqrt": {}, "mish": {"threshold": 20.0},
    "square": {}, "exp": {},
}  # fmt: skip
_CONVS = ("conv2d", "depthwise_conv2d", "conv2d_transpose")
_BIASED = (*_CONVS, "matmul_v2")


def random_program(family: str, seed: int, *, fp16: bool = False) -> Model:
    """Return a program of a family; its output depends on all that it computes. ``fp16``: to be compared in fp16."""
    for attempt in range(100):
        model = _MAKERS[family](np.random.default_rng((FAMILIES.index(family), seed, attempt)))
        if not merged_by_opt(model, fp16=fp16):
            return model
    raise AssertionError(f"no program of {family} {seed}")


def merged_by_opt(model: Model, *, fp16: bool = False) -> bool:
    """Return whether the program holds a form that opt merges and the writer leaves as it is.

    A 1x1 convolution, a ``scale`` or a second activation behind a convolution; a ``scale`` behind its activation, which
    opt folds into the weights in front of the activation; a ``scale`` in front of an activation or of another; a
    ``scale`` behind a sum. A hard activation behind a transposed convolution, where opt ends. In fp16
    a relu behind an operator with a constant operand that is no bias.
    """
    ops = model.program.main.ops
    readers: dict[str, list[Op]] = {}
    for op in ops:
        for name in set(op.input_names):
            readers.setdefault(name, []).append(op)
    return any(_merges(model, op, readers) or (fp16 and _is_half_pair(model, op, readers)) for op in ops)


def _is_half_pair(model: Model, op: Op, readers: dict[str, list[Op]]) -> bool:
    after = readers.get(op.output_names[0], []) if op.output_names else []
    constant = any(name in model.params for name in op.input_names)
    if not op.type.startswith("elementwise") or not constant or len(after) != 1 or after[0].type != "relu":
        return False
    products = {name for one in model.program.main.ops if one.type in _BIASED for name in one.output_names}
    return products.isdisjoint(op.input_names)


def _merges(model: Model, op: Op, readers: dict[str, list[Op]]) -> bool:
    after = [readers.get(name, []) for name in op.output_names[:1]]
    if op.type == "feed" or not after or len(after[0]) != 1:
        return False
    reader = after[0][0]
    if op.type in _CONVS:
        pointwise = reader.type == "conv2d" and model.params[reader.input("Filter")].shape[2:] == (1, 1)
        again = _is_bias(model, reader) and _merges(model, _as_conv(op, reader), readers)
        ends = op.type == "conv2d_transpose" and reader.type.startswith("hard_")
        folded = reader.type in _ACTIVATIONS and {one.type for one in readers.get(reader.output("Out"), [])} == {
            "scale"
        }
        return pointwise or reader.type == "scale" or folded or again or ends or _two_activations(reader, readers)
    if op.type == "scale":
        return reader.type == "scale" or reader.type in _ACTIVATIONS
    return op.type.startswith("elementwise") and reader.type == "scale"


def _is_bias(model: Model, op: Op) -> bool:
    return op.type == "elementwise_add" and op.input("Y") in model.params


def _as_conv(conv: Op, add: Op) -> Op:
    return Op(conv.type, conv.inputs, {"Output": add.outputs["Out"]}, conv.attrs)


def _two_activations(op: Op, readers: dict[str, list[Op]]) -> bool:
    """Return whether an activation follows another; ``x * sigmoid(x)`` becomes one."""
    after = readers.get(op.output_names[0], [])
    kinds = {one.type for one in after}
    swish = len(after) == 2 and kinds == {"sigmoid", "elementwise_mul"}
    return op.type in _ACTIVATIONS and (swish or (len(after) == 1 and after[0].type in _ACTIVATIONS))


class _Image:
    """A program of images: values by their number of halvings, so that pairs fit."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        sides = (-1, -1) if random.random() < 0.7 else (32, 48)
        self.m = Maker((-1, 8, *sides), int(random.integers(1 << 30)))
        self.values: list[tuple[str, int]] = [("x", 0)]

    def pick(self) -> tuple[str, int]:
        return self.values[int(self.random.integers(max(0, len(self.values) - 4), len(self.values)))]

    def step(self) -> None:
        """Add one block; the choice is by chance."""
        blocks = (
            self.conv, self.conv, self.conv, self.depthwise, self.gate, self.pair, self.pair, self.concat, self.factor,
            self.activation, self.resize, self.pool, self.scale, self.self_gate,
        )  # fmt: skip
        blocks[int(self.random.integers(len(blocks)))]()

    def act(self, x: str, chance: float = 0.7) -> str:
        if self.random.random() > chance:
            return x
        kind = list(_ACTIVATIONS)[int(self.random.integers(len(_ACTIVATIONS)))]
        return self.m.op(kind, {"X": x}, None, **_ACTIVATIONS[kind])

    def conv(self) -> None:
        x, level = self.pick()
        y = self.m.conv(x, 8, int(self.random.choice([1, 1, 3, 5])))
        self.values.append((self.act(self.m.bias(y) if self.random.random() < 0.7 else y), level))

    def depthwise(self) -> None:
        x, level = self.pick()
        stride = int(self.random.choice([1, 1, 2]))
        y = self.m.conv(x, 8, 3, "depthwise_conv2d", 8, stride)
        self.values.append((self.act(self.m.bias(y)), level + (stride == 2)))

    def gate(self) -> None:
        x, level = self.pick()
        mean = self.m.op("pool2d", {"X": x}, (-1, 8, 1, 1), **_pool("avg", (1, 1), adaptive=True))
        inner = self.m.op("relu", {"X": self.m.bias(self.m.conv(mean, 8))}, None)
        gate = self.m.op("hard_sigmoid", {"X": self.m.bias(self.m.conv(inner, 8))}, None, slope=0.2, offset=0.5)
        y = self.m.binary("mul", x, gate)
        self.values.append((self.m.binary("add", x, y) if self.random.random() < 0.5 else y, level))

    def pair(self) -> None:
        x, level = self.pick()
        others = [name for name, other in self.values if other == level]
        y = others[int(self.random.integers(len(others)))]
        kind = str(self.random.choice(["add", "add", "mul", "sub", "div", "max"]))
        self.values.append((self.act(self.m.binary(kind, x, y), 0.4), level))

    def concat(self) -> None:
        x, level = self.pick()
        others = [name for name, other in self.values if other == level]
        names = [x, *(others[int(self.random.integers(len(others)))] for _ in range(int(self.random.integers(1, 3))))]
        joined = self.m.op("concat", {"X": names}, (-1, 8 * len(names), *self.m.dims[x][2:]), axis=1)
        self.values.append((self.act(self.m.bias(self.m.conv(joined, 8))), level))

    def factor(self) -> None:
        x, level = self.pick()
        shape = [(1,), (8,), (1, 8, 1, 1)][int(self.random.integers(3))]
        w, kind = self.m.param(*shape), str(self.random.choice(["add", "mul", "sub"]))
        first = kind != "sub" and shape != (8,) and self.random.random() < 0.3
        ends, axis = ((w, x) if first else (x, w)), (1 if shape == (8,) else -1)
        self.values.append((self.m.binary(kind, *ends, axis=axis, dims=self.m.dims[x]), level))

    def activation(self) -> None:
        x, level = self.pick()
        self.values.append((self.act(x, 1.0), level))

    def resize(self) -> None:
        x, level = self.pick()
        sides = [-1 if side < 0 else side * 2 for side in self.m.dims[x][2:]]
        if self.random.random() < 0.5:
            attrs = {
                "interp_method": "nearest", "align_corners": False, "align_mode": 1, "data_layout": "NCHW",
                "out_h": -1, "out_w": -1, "scale": reals(2.0, 2.0),
            }  # fmt: skip
            y = self.m.op("nearest_interp_v2", {"X": x}, (-1, 8, *sides), **attrs)
        else:
            y = self.m.conv(x, 8, 2, "conv2d_transpose", stride=2)
            y = self.act(self.m.bias(y) if self.random.random() < 0.7 else y, 0.4)
        self.values.append((y, level - 1))

    def pool(self) -> None:
        x, level = self.pick()
        sides = [-1 if side < 0 else side // 2 for side in self.m.dims[x][2:]]
        kind = str(self.random.choice(["avg", "max"]))
        self.values.append((self.m.op("pool2d", {"X": x}, (-1, 8, *sides), **_pool(kind, (2, 2))), level + 1))

    def scale(self) -> None:
        x, level = self.pick()
        factor = float(self.random.choice([1.0, 1.0, 2.0]))
        y = self.m.op("scale", {"X": x}, None, scale=factor, bias=0.0, bias_after_scale=True)
        self.values.append((self.m.binary("add", y, y), level))

    def self_gate(self) -> None:
        x, level = self.pick()
        gate = self.m.op("sigmoid", {"X": x}, None)
        self.values.append((self.m.binary("mul", x, gate), level))


def _pool(kind: str, ksize: tuple[int, int], adaptive: bool = False) -> dict:
    return {
        "pooling_type": kind, "ksize": ksize, "strides": ksize, "paddings": (0, 0), "global_pooling": False,
        "exclusive": True, "adaptive": adaptive, "ceil_mode": False, "data_format": "NCHW",
        "padding_algorithm": "EXPLICIT",
    }  # fmt: skip


def _unread(m: Maker) -> list[str]:
    read = {name for op in m.ops for name in op.input_names}
    return [name for op in m.ops for name in op.output_names[:1] if name not in read]


def _image(random: np.random.Generator, least: int = 8, most: int = 30) -> Model:
    made = _Image(random)
    for _ in range(int(random.integers(least, most))):
        made.step()
    return made.m.model(*_unread(made.m))


class _Rows:
    """A program of rows: [batch, 6, channels] through products, norms and attention."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.m = Maker(TOKENS, int(random.integers(1 << 30)))
        self.values = ["x"]

    def pick(self) -> str:
        return self.values[int(self.random.integers(max(0, len(self.values) - 3), len(self.values)))]

    def step(self) -> None:
        blocks = (
            self.product, self.product, self.norm, self.attention, self.pair, self.unary, self.cut, self.columns,
        )  # fmt: skip
        self.values.append(blocks[int(self.random.integers(len(blocks)))]())

    def fc(self, x: str, columns: int) -> str:
        m, shape = self.m, (*self.m.dims[x][:-1], columns)
        w = m.param(m.dims[x][-1], columns)
        y = m.op("matmul_v2", {"X": x, "Y": w}, shape, trans_x=False, trans_y=False)
        if self.random.random() < 0.2:
            return y
        bias = m.param(columns) if self.random.random() < 0.7 else m.param(1, columns)
        return m.binary("add", y, bias)

    def product(self) -> str:
        y = self.fc(self.pick(), 8)
        kind = str(self.random.choice(["relu", "relu6", "swish", "gelu", ""]))
        return self.m.op(kind, {"X": y}, None, **_ACTIVATIONS[kind]) if kind else y

    def norm(self) -> str:
        m, x = self.m, self.pick()
        inputs = {"X": x, "Scale": m.param(8), "Bias": m.param(8)}
        y = m.op("layer_norm", inputs, None, "Y", epsilon=1e-5, begin_norm_axis=2)
        m.extra("Mean")
        m.extra("Variance")
        return y

    def moved(self, kind: str, x: str, dims: tuple[int, ...], **attrs) -> str:
        y = self.m.op(kind, {"X": x}, dims, **attrs)
        self.m.extra("XShape", dims=(0, *self.m.dims[x]))
        return y

    def attention(self) -> str:
        m, x = self.m, self.pick()
        parts = []
        for _ in range(3):
            heads = self.moved("reshape2", self.fc(x, 8), (-1, 6, 2, 4), shape=(0, -1, 2, 4))
            parts.append(self.moved("transpose2", heads, (-1, 2, 6, 4), axis=(0, 2, 1, 3)))
        q, k, v = parts
        weights = m.op("matmul_v2", {"X": q, "Y": k}, (-1, 2, 6, 6), trans_x=False, trans_y=True)
        weights = m.binary("mul", weights, m.param(1))
        weights = m.op("softmax", {"X": weights}, None, axis=-1)
        mixed = m.op("matmul_v2", {"X": weights, "Y": v}, (-1, 2, 6, 4), trans_x=False, trans_y=False)
        rows = self.moved("transpose2", mixed, (-1, 6, 2, 4), axis=(0, 2, 1, 3))
        return m.binary("add", x, self.fc(self.moved("reshape2", rows, (-1, 6, 8), shape=(0, -1, 8)), 8))

    def pair(self) -> str:
        return self.m.binary(str(self.random.choice(["add", "mul", "sub"])), self.pick(), self.pick())

    def unary(self) -> str:
        kind = str(self.random.choice(["gelu", "relu", "sigmoid", "tanh", "swish", "hard_swish"]))
        return self.m.op(kind, {"X": self.pick()}, None, **_ACTIVATIONS[kind])

    def cut(self) -> str:
        m, x = self.m, self.pick()
        attrs = {"axes": (1,), "decrease_axis": ints(), "infer_flags": (1,)}
        first = m.op("slice", {"Input": x}, (-1, 3, 8), starts=(0,), ends=(3,), **attrs)
        second = m.op("slice", {"Input": x}, (-1, 3, 8), starts=(3,), ends=(6,), **attrs)
        return m.op("concat", {"X": [second, first]}, TOKENS, axis=1)

    def columns(self) -> str:
        wide = self.moved("unsqueeze2", self.pick(), (-1, 6, 8, 1), axes=(3,))
        return self.moved("squeeze2", wide, TOKENS, axes=(3,))


def _rows(random: np.random.Generator) -> Model:
    made = _Rows(random)
    for _ in range(int(random.integers(3, 12))):
        made.step()
    return made.m.model(*_unread(made.m))


def _int8(random: np.random.Generator) -> Model:
    return in_int8(_image(random, 5, 16), random, float(random.choice([0.3, 0.6, 1.0])))


def in_int8(model: Model, random: np.random.Generator, share: float) -> Model:
    """Return the model with a random share of its convolutions in int8, one limit for all readers of a tensor."""
    limits: dict[str, float] = {}
    layers = {}
    for op in model.program.main.ops:
        if op.type not in CONVOLUTIONS or random.random() > share:
            continue
        weights = model.params[op.input("Filter")]
        limit = limits.setdefault(op.input("Input"), float(random.uniform(0.5, 8)))
        scales = (np.abs(weights).max(axis=(1, 2, 3)) / 127).astype(np.float32)
        integers = np.clip(np.rint(weights / scales[:, None, None, None]), -127, 127).astype(np.int8)
        layers[op.input("Filter")] = Int8Layer(integers, scales, limit)
    return with_int8_layers(model, layers)


_MAKERS = {"image": _image, "rows": _rows, "int8": _int8}
assert IMAGE[1] == TOKENS[2] == 8

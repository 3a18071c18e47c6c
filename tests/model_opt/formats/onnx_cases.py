"""Small ONNX graphs, one for each operator and form that the reader knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model_opt.nb.translate.proto import Node
from tests.model_opt.formats.onnx_graphs import node, onnx_file

RNG = np.random.default_rng(7)
IMAGE = (None, 4, None, None)
LINE = (None, None, 6)


def weight(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def gelu(*product: Node) -> tuple[Node, ...]:
    """The nodes of a gelu; ``product`` are the multiplications."""
    return (node("Div", "x root", "a"), node("Erf", "a", "b"), node("Add", "b one", "c"), *product)


GELU = {"root": np.float32(math.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5)}


def layer_norm(square: Node) -> tuple[Node, ...]:
    """The nodes of a layer_norm; ``square`` makes ``q`` of ``d``."""
    return (
        node("ReduceMean", "x", "m", axes=(-1,)),
        node("Sub", "x m", "d"),
        square,
        node("ReduceMean", "q", "v", axes=(-1,)),
        node("Add", "v eps", "w"),
        node("Sqrt", "w", "r"),
        node("Div", "d r", "n"),
        node("Mul", "n scale", "s"),
        node("Add", "s bias", "y"),
    )


NORM = {"eps": np.float32(1e-5), "two": np.float32(2), "scale": weight(6), "bias": weight(6)}
STATISTICS = {"s": weight(4), "b": weight(4), "m": weight(4), "v": np.abs(weight(4)) + 0.5}


class Case(NamedTuple):
    """A graph from ``x`` to ``y``; None for an open side of ``x``; the operators of Paddle that come out of it."""

    nodes: Sequence[Node]
    constants: dict
    shape: tuple[int | None, ...]
    opset: int
    expected: str

    @property
    def file(self) -> bytes:
        return onnx_file(self.nodes, self.constants, self.shape, self.opset)


_ROWS = {
    "conv": (
        [node("Conv", "x w b", "y", pads=(1, 1, 1, 1), kernel_shape=(3, 3))],
        {"w": weight(8, 4, 3, 3), "b": weight(8)},
        IMAGE,
        13,
        "conv2d elementwise_add",
    ),
    "depthwise conv": (
        [node("Conv", "x w", "y", group=4, strides=(2, 1), pads=(1, 1, 1, 1))],
        {"w": weight(4, 1, 3, 3)},
        IMAGE,
        13,
        "depthwise_conv2d",
    ),
    "grouped conv": ([node("Conv", "x w", "y", group=2)], {"w": weight(6, 2, 1, 1)}, IMAGE, 13, "conv2d"),
    "uneven pads": ([node("Conv", "x w", "y", pads=(0, 2, 1, 0))], {"w": weight(5, 4, 3, 3)}, IMAGE, 13, "conv2d"),
    "same upper": ([node("Conv", "x w", "y", auto_pad="SAME_UPPER")], {"w": weight(5, 4, 2, 2)}, IMAGE, 13, "conv2d"),
    "same lower": ([node("Conv", "x w", "y", auto_pad="SAME_LOWER")], {"w": weight(5, 4, 2, 3)}, IMAGE, 13, "conv2d"),
    "valid": ([node("Conv", "x w", "y", auto_pad="VALID")], {"w": weight(5, 4, 2, 2)}, IMAGE, 13, "conv2d"),
    "transposed conv": (
        [node("ConvTranspose", "x w b", "y", strides=(2, 2))],
        {"w": weight(4, 3, 2, 2), "b": weight(3)},
        IMAGE,
        13,
        "conv2d_transpose elementwise_add",
    ),
    "max pool": ([node("MaxPool", "x", "y", kernel_shape=(2, 2), auto_pad="SAME_UPPER")], {}, IMAGE, 13, "pool2d"),
    "average pool": ([node("AveragePool", "x", "y", kernel_shape=(3, 2), strides=(3, 2))], {}, IMAGE, 13, "pool2d"),
    "global pool": ([node("GlobalAveragePool", "x", "y")], {}, IMAGE, 13, "pool2d"),
    "resize": (
        [
            node(
                "Resize",
                "x - f",
                "y",
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        ],
        {"f": [1.0, 1.0, 2.0, 4.0]},
        IMAGE,
        13,
        "nearest_interp_v2",
    ),
    "resize by half pixels": (
        [node("Resize", "x - f", "y", mode="nearest")],
        {"f": [1.0, 1.0, 3.0, 2.0]},
        IMAGE,
        13,
        "nearest_interp_v2",
    ),
    "upsample": (
        [node("Upsample", "x f", "y", mode="nearest")],
        {"f": [1.0, 1.0, 2.0, 2.0]},
        IMAGE,
        9,
        "nearest_interp_v2",
    ),
    "resize to computed sizes": (
        [
            node("Shape", "x", "s"),
            node("Slice", "s a b", "hw"),
            node("Mul", "hw f", "big"),
            node("Slice", "s zero a", "nc"),
            node("Concat", "nc big", "all", axis=0),
            node(
                "Resize",
                "x - - all",
                "y",
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            ),
        ],
        {"zero": [0], "a": [2], "b": [4], "f": [2]},
        IMAGE,
        13,
        "nearest_interp_v2",
    ),
    "one number added": ([node("Add", "x c", "y")], {"c": np.float32(1.5)}, IMAGE, 13, "elementwise_add"),
    "one number in front": ([node("Mul", "c x", "y")], {"c": [1.5]}, IMAGE, 13, "elementwise_mul"),
    "one number taken away": ([node("Sub", "x c", "y")], {"c": [1.5]}, IMAGE, 13, "elementwise_sub"),
    "divided by one number": ([node("Div", "x c", "y")], {"c": [3.0]}, IMAGE, 13, "elementwise_div"),
    "channels added": ([node("Add", "c x", "y")], {"c": weight(1, 4, 1, 1)}, IMAGE, 13, "elementwise_add"),
    "channels multiplied": ([node("Mul", "x c", "y")], {"c": weight(4, 1, 1)}, IMAGE, 13, "elementwise_mul"),
    "last side added": ([node("Add", "x c", "y")], {"c": weight(6)}, LINE, 13, "elementwise_add"),
    "one channel added": (
        [node("Add", "x c", "y")],
        {"c": weight(1, 1, 1, 1)},
        (None, 1, None, None),
        13,
        "elementwise_add",
    ),
    "tensors of other ranks": (
        [node("ReduceMean", "x", "m", axes=(1,), keepdims=0), node("Add", "m x", "y")],
        {},
        (1, 6, 6),
        13,
        "reduce_mean elementwise_add",
    ),
    "gate": (
        [node("GlobalAveragePool", "x", "p"), node("Sigmoid", "p", "g"), node("Mul", "x g", "y")],
        {},
        IMAGE,
        13,
        "pool2d sigmoid elementwise_mul",
    ),
    "gelu": (gelu(node("Mul", "x c", "d"), node("Mul", "d half", "y")), GELU, IMAGE, 13, "gelu"),
    "gelu, half first": (gelu(node("Mul", "c half", "d"), node("Mul", "x d", "y")), GELU, IMAGE, 13, "gelu"),
    "gelu, half of x": (gelu(node("Mul", "x half", "d"), node("Mul", "d c", "y")), GELU, IMAGE, 13, "gelu"),
    "gelu by a product": (
        (node("Mul", "root x", "a"), *gelu(node("Mul", "x c", "d"), node("Mul", "half d", "y"))[1:]),
        GELU | {"root": np.float32(math.sqrt(0.5))},
        IMAGE,
        13,
        "gelu",
    ),
    "swish": ([node("Sigmoid", "x", "s"), node("Mul", "x s", "y")], {}, IMAGE, 13, "swish"),
    "hard swish": (
        [node("HardSigmoid", "x", "s", alpha=1 / 6, beta=0.5), node("Mul", "s x", "y")],
        {},
        IMAGE,
        13,
        "hard_swish",
    ),
    "hard swish written out": (
        [
            node("Add", "x three", "a"),
            node("Clip", "a zero six", "b"),
            node("Mul", "x b", "c"),
            node("Div", "c six", "y"),
        ],
        {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)},
        IMAGE,
        13,
        "hard_swish",
    ),
    "hard sigmoid": ([node("HardSigmoid", "x", "y", alpha=0.3)], {}, IMAGE, 13, "hard_sigmoid"),
    "hard sigmoid times x, another slope": (
        [node("HardSigmoid", "x", "s", alpha=0.2), node("Mul", "s x", "y")],
        {},
        IMAGE,
        13,
        "hard_sigmoid elementwise_mul",
    ),
    "relu6": ([node("Clip", "x", "y", min=0.0, max=6.0)], {}, IMAGE, 10, "relu6"),
    "tanh": ([node("Tanh", "x", "y")], {}, IMAGE, 13, "tanh"),
    "leaky relu": ([node("LeakyRelu", "x", "y", alpha=0.1)], {}, IMAGE, 13, "leaky_relu"),
    "layer norm": (layer_norm(node("Pow", "d two", "q")), NORM, LINE, 13, "layer_norm"),
    "layer norm by a product": (layer_norm(node("Mul", "d d", "q")), NORM, LINE, 13, "layer_norm"),
    "layer norm as one": (
        [node("LayerNormalization", "x s b", "y", epsilon=1e-3)],
        {"s": weight(6), "b": weight(6)},
        LINE,
        17,
        "layer_norm",
    ),
    "batch norm": ([node("BatchNormalization", "x s b m v", "y", epsilon=1e-3)], STATISTICS, IMAGE, 13, "batch_norm"),
    "batch norm of a line": (
        [node("BatchNormalization", "x s b m v", "y")],
        STATISTICS,
        (None, 4, None),
        13,
        "batch_norm",
    ),
    "softmax": ([node("Softmax", "x", "y")], {}, LINE, 13, "softmax"),
    "softmax of old": ([node("Softmax", "x", "y", axis=2)], {}, LINE, 11, "softmax"),
    "product": ([node("MatMul", "x w", "y")], {"w": weight(6, 5)}, LINE, 13, "matmul_v2"),
    "product of tensors": (
        [node("Transpose", "x", "t", perm=(0, 2, 1)), node("MatMul", "x t", "y")],
        {},
        LINE,
        13,
        "transpose2 matmul_v2",
    ),
    "gemm": (
        [node("Gemm", "x w b", "y", transB=1)],
        {"w": weight(5, 6), "b": weight(5)},
        (None, 6),
        13,
        "matmul_v2 elementwise_add",
    ),
    "mean": ([node("ReduceMean", "x", "y", axes=(2, 3), keepdims=1)], {}, IMAGE, 13, "reduce_mean"),
    "mean by an input": ([node("ReduceMean", "x a", "y", keepdims=0)], {"a": [-1]}, LINE, 18, "reduce_mean"),
    "reshape": ([node("Reshape", "x t", "y")], {"t": [0, -1, 2, 3]}, LINE, 13, "reshape2"),
    "reshape to a computed target": (
        [
            node("Shape", "x", "s"),
            node("Slice", "s zero two zero", "front"),
            node("Concat", "front less", "t", axis=0),
            node("Reshape", "x t", "y"),
        ],
        {"zero": [0], "two": [2], "less": [-1]},
        (None, 4, 1, None),
        13,
        "reshape2",
    ),
    "reshape to gathered sides": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s one", "w"),
            node("Cast", "w", "v", to=7),
            node("Unsqueeze", "v axis", "u"),
            node("Concat", "zero u two three", "t", axis=0),
            node("Reshape", "x t", "y"),
        ],
        {"one": np.int64(1), "axis": [0], "zero": [0], "two": [2], "three": [3]},
        LINE,
        13,
        "reshape2",
    ),
    "reshape to the shape that is there": (
        [node("Mul", "x c", "a"), node("Shape", "x", "s"), node("Reshape", "a s", "b"), node("Relu", "b", "y")],
        {"c": [2.0]},
        LINE,
        13,
        "elementwise_mul relu",
    ),
    "flatten": ([node("Flatten", "x", "y", axis=2)], {}, (None, 4, 5), 13, "reshape2"),
    "squeeze": ([node("Squeeze", "x", "y", axes=(2,))], {}, (None, 4, 1, None), 11, "squeeze2"),
    "unsqueeze": ([node("Unsqueeze", "x a", "y")], {"a": [2, -1]}, LINE, 13, "unsqueeze2"),
    "a side that comes and goes": (
        [
            node("Unsqueeze", "x first", "a"),
            node("Add", "nothing a", "b"),
            node("Squeeze", "b first", "c"),
            node("Relu", "c", "y"),
        ],
        {"first": [0], "nothing": [0.0]},
        LINE,
        13,
        "relu",
    ),
    "concat": ([node("Relu", "x", "r"), node("Concat", "x r", "y", axis=-2)], {}, LINE, 13, "relu concat"),
    "slice": ([node("Slice", "x a b c", "y")], {"a": [1], "b": [-1], "c": [2]}, LINE, 13, "slice"),
    "slice of old": ([node("Slice", "x", "y", starts=(1,), ends=(100,), axes=(1,))], {}, IMAGE, 9, "slice"),
    "slice and squeeze": (
        [node("Slice", "x a b a", "s"), node("Squeeze", "s", "y", axes=(1,))],
        {"a": [1], "b": [2]},
        IMAGE,
        11,
        "slice",
    ),
    "gather": ([node("Gather", "x at", "y", axis=1)], {"at": np.int64(-1)}, IMAGE, 13, "slice"),
    "split": (
        [node("Split", "x", "a b", axis=1), node("Sub", "b a", "y")],
        {},
        IMAGE,
        13,
        "slice slice elementwise_sub",
    ),
    "constants are computed": (
        [
            node("Unsqueeze", "w axis", "v"),
            node("Transpose", "v", "u", perm=(1, 0, 2, 3)),
            node("Identity", "u", "t"),
            node("Conv", "x t", "y"),
        ],
        {"w": weight(4, 5, 1), "axis": [-1]},
        IMAGE,
        13,
        "conv2d",
    ),
    "names for the same": (
        [node("Identity", "x", "a"), node("Dropout", "a", "b"), node("Cast", "b", "c", to=1), node("Relu", "c", "y")],
        {},
        IMAGE,
        11,
        "relu",
    ),
    "a name for the output": ([node("Relu", "x", "a"), node("Identity", "a", "y")], {}, IMAGE, 13, "relu assign"),
    "what nothing reads": ([node("Relu", "x", "y"), node("Erf", "x", "z")], {}, IMAGE, 13, "relu"),
}


CASES = {name: Case(*row) for name, row in _ROWS.items()}


def sample(shape: Sequence[int | None]) -> np.ndarray:
    """Return random values of a declared shape."""
    open_sides = iter((1, 6, 7) if len(shape) == 4 else (1, 5))
    return RNG.standard_normal([next(open_sides) if side is None else side for side in shape]).astype(np.float32) * 3

"""Small models of the patterns that OCR models are made of, to be damaged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from model_opt.program import Model
from tests.model_opt.test_passes_small import STATISTICS, batch_norm, binary, conv, made, op, weight

IMAGE = (-1, 3, -1, -1)


def gate() -> Model:
    """Squeeze and excitation with scalar factors around it, as PP-LCNetV3 has it."""
    ops = [
        conv("x", "w0", "a", pad=1),
        binary("add", "a", "b0", "b", 1),
        op("hard_swish", {"X": "b"}, "c", threshold=6.0, scale=6.0, offset=3.0),
        binary("mul", "s", "c", "d"),
        op("pool2d", {"X": "d"}, "p", adaptive=True, ksize=(1, 1), pooling_type="avg", global_pooling=False,
           strides=(1, 1), paddings=(0, 0), data_format="NCHW", exclusive=True, ceil_mode=False),
        conv("p", "w1", "q"),
        op("hard_sigmoid", {"X": "q"}, "h", slope=0.2, offset=0.5),
        binary("mul", "d", "h", "e"),
        conv("e", "w2", "y"),
    ]  # fmt: skip
    params = {"w0": weight(4, 3, 3, 3), "b0": weight(4), "s": [1.5], "w1": weight(4, 4, 1, 1), "w2": weight(1, 4, 1, 1)}
    return made(ops, params, "y", {"p": (-1, 4, 1, 1), "q": (-1, 4, 1, 1), "y": (-1, 1, -1, -1)}, given=IMAGE)


def branches() -> Model:
    """RepVGG's branches with a norm behind, and a residual."""
    ops = [
        conv("x", "w0", "r", pad=1),
        conv("r", "w3", "a", pad=1, groups=4),
        conv("r", "w1", "k", groups=4),
        binary("add", "a", "k", "c"),
        binary("add", "c", "r", "d"),
        batch_norm("d", "e", is_test=True),
        op("relu", {"X": "e"}, "f"),
        binary("add", "f", "r", "h"),
        conv("h", "w2", "y"),
    ]
    params = {"w0": weight(4, 3, 3, 3), "w3": weight(4, 1, 3, 3), "w1": weight(4, 1, 1, 1), "w2": weight(1, 4, 1, 1)}
    return made(ops, {**params, **STATISTICS}, "y", {"y": (-1, 1, -1, -1)}, given=IMAGE)


def pyramid() -> Model:
    """A detector's end: enlarged maps joined, a transposed convolution, sigmoid."""
    ops = [
        conv("x", "w0", "a", stride=2),
        op("nearest_interp_v2", {"X": "a"}, "up", scale=(2.0, 2.0), out_d=-1, out_h=-1, out_w=-1,
           align_corners=False, align_mode=1, data_layout="NCHW", interp_method="nearest"),
        op("concat", {"X": ["up", "up"]}, "c", axis=1),
        conv("c", "w1", "d", pad=1),
        batch_norm("d", "e", is_test=True),
        op("conv2d_transpose", {"Input": "e", "Filter": "w2"}, "f", "Output", strides=(2, 2), paddings=(0, 0),
           dilations=(1, 1), groups=1, data_format="NCHW", padding_algorithm="EXPLICIT"),
        binary("add", "f", "b2", "h", 1),
        op("sigmoid", {"X": "h"}, "y"),
    ]  # fmt: skip
    params = {"w0": weight(4, 3, 1, 1), "w1": weight(4, 8, 3, 3), "w2": weight(4, 1, 2, 2), "b2": weight(1)}
    dims = {"c": (-1, 8, -1, -1), "f": (-1, 1, -1, -1), "h": (-1, 1, -1, -1), "y": (-1, 1, -1, -1)}
    return made(ops, {**params, **STATISTICS}, "y", dims, given=IMAGE)


def recogniser() -> Model:
    """Rows of an image with one head of attention and classes: the shapes that SVTR computes while it runs."""
    ops = [
        conv("x", "w0", "a", stride=48),
        op("swish", {"X": "a"}, "s"),
        op("shape", {"Input": "s"}, "shape"),
        op("slice", {"Input": "shape"}, "w", axes=(0,), starts=(3,), ends=(4,), decrease_axis=(0,)),
        op("flatten_contiguous_range", {"X": "s"}, "f", start_axis=2, stop_axis=3),
        op("transpose2", {"X": "f"}, "t", axis=(0, 2, 1)),
        op("layer_norm", {"X": "t", "Scale": "g1", "Bias": "b1"}, "n", "Y", begin_norm_axis=2, epsilon=1e-6),
        op("matmul_v2", {"X": "n", "Y": "wq"}, "q0", trans_x=False, trans_y=False),
        binary("add", "q0", "bq", "q1"),
        op("reshape2", {"X": "q1"}, "r", shape=(0, -1, 3, 2, 2)),
        op("transpose2", {"X": "r"}, "u", axis=(2, 0, 3, 1, 4)),
        *(
            op("slice", {"Input": "u"}, f"s{i}", axes=(0,), starts=(i,), ends=(i + 1,), decrease_axis=(0,))
            for i in range(3)
        ),
        op("transpose2", {"X": "s1"}, "k", axis=(0, 1, 3, 2)),
        op("matmul_v2", {"X": "s0", "Y": "k"}, "m", trans_x=False, trans_y=False),
        op("scale", {"X": "m"}, "ms", scale=0.25, bias=0.0, bias_after_scale=True),
        op("softmax", {"X": "ms"}, "p", axis=-1),
        op("dropout", {"X": "p"}, "pd", is_test=True, dropout_prob=0.1, dropout_implementation="upscale_in_train"),
        op("matmul_v2", {"X": "pd", "Y": "s2"}, "v", trans_x=False, trans_y=False),
        op("transpose2", {"X": "v"}, "vt", axis=(0, 2, 1, 3)),
        op("reshape2", {"X": "vt"}, "vr", shape=(0, -1, 4)),
        *(op("fill_constant", {}, f"c{v}", shape=(1,), value=float(v), dtype=2) for v in (0, 1, 4)),
        op("reshape2", {"X": "vr", "ShapeTensor": ["c0", "c1", "w", "c4"]}, "i", shape=(0, 1, -1, 4)),
        op("transpose2", {"X": "i"}, "it", axis=(0, 3, 1, 2)),
        op("squeeze2", {"X": "it"}, "z", axes=(2,)),
        op("transpose2", {"X": "z"}, "zt", axis=(0, 2, 1)),
        op("matmul_v2", {"X": "zt", "Y": "wc"}, "l", trans_x=False, trans_y=False),
        op("softmax", {"X": "l"}, "y", axis=2),
    ]
    rows, heads = (-1, -1, 4), (-1, 2, -1, 2)
    dims = {
        "shape": (4,), "w": (), "f": (-1, 4, -1), "t": rows, "n": rows, "q0": (-1, -1, 12), "q1": (-1, -1, 12),
        "r": (-1, -1, 3, 2, 2), "u": (3, *heads), "s0": heads, "s1": heads, "s2": heads, "k": heads, "m": heads,
        "ms": heads, "p": heads, "pd": heads, "v": heads, "vt": (-1, -1, 2, 2), "vr": rows, "c0": (1,), "c1": (1,),
        "c4": (1,), "i": (-1, 1, -1, 4), "it": (-1, 4, 1, -1), "z": (-1, 4, -1), "zt": rows, "l": (-1, -1, 6),
        "y": (-1, -1, 6), "a": (-1, 4, 1, -1), "s": (-1, 4, 1, -1),
    }  # fmt: skip
    params = {
        "w0": weight(4, 3, 48, 4), "g1": weight(4), "b1": weight(4), "wq": weight(4, 12), "bq": weight(12),
        "wc": weight(4, 6),
    }  # fmt: skip
    return made(ops, params, "y", dims, given=(-1, 3, 48, -1))


def classifier() -> Model:
    """Norms of training, a mean over the image, constants and casts that folding takes."""
    ops = [
        conv("x", "w0", "a", pad=1),
        batch_norm("a", "n", is_test=True),
        op("reduce_mean", {"X": "n"}, "m1", dim=(2, 3), keep_dim=True, reduce_all=False),
        op("assign", {"X": "m1"}, "m2"),
        op("fill_constant", {}, "two", shape=(1,), value=2.0, dtype=5),
        binary("mul", "m2", "two", "m3"),
        op("squeeze2", {"X": "m3"}, "f", axes=(2, 3)),
        op("matmul_v2", {"X": "f", "Y": "w1"}, "l", trans_x=False, trans_y=False),
        op("softmax", {"X": "l"}, "y", axis=-1),
        op("fetch", {"X": "l"}, "fetch", col=1),
    ]
    dims = {"m1": (-1, 4, 1, 1), "m2": (-1, 4, 1, 1), "m3": (-1, 4, 1, 1), "two": (1,), "f": (-1, 4), "l": (-1, 2)}
    params = {"w0": weight(4, 3, 3, 3), "w1": weight(4, 2), **STATISTICS}
    model = made(ops[:-1], params, "y", {**dims, "y": (-1, 2)}, given=IMAGE)
    return model.with_program(model.program.with_ops([*model.program.main.ops, ops[-1]]))


def integers() -> Model:
    """Weights held as integers, as PaddleSlim's weight quantisation leaves them."""
    model = made([op("matmul_v2", {"X": "x", "Y": "w"}, "y")], {"w": weight(8, 4)}, "y", given=IMAGE)
    product = model.program.main.ops[1].with_attr("quantize_weight_bits", 8)
    product = product.with_attr("w_quant_scale", (0.5,) * 4)
    ops = (model.program.main.ops[0], product, model.program.main.ops[2])
    return Model(model.program.with_ops(ops), {"w": np.ones((8, 4), np.int8)})


CASES: dict[str, Callable[[], Model]] = {
    "gate": gate,
    "branches": branches,
    "pyramid": pyramid,
    "recogniser": recogniser,
    "classifier": classifier,
    "integers": integers,
}

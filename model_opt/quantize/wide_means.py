"""Compute global averages in fp32.

The fp16 kernel of a global average adds up in eight lanes and rounds after each value: over thousands of pixels that
costs more than everything else in front of a squeeze-and-excitation block, and the result scales all of a channel.
Paddle Lite's ``reduce_mean`` has no fp16 kernel, so opt widens its input and rounds the mean once. It costs a pass over
the channels: ten bytes moved for each value instead of two.
"""

from __future__ import annotations

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor


def wide_means(model: Model) -> tuple[Model, int]:
    """Return the model whose global averages are means in fp32, and how many they are. Outputs in fp32 stay."""
    editor, done = GraphEditor(model, "wide_means"), 0
    for op in editor.each("pool2d"):
        is_global = op.attr("global_pooling", False) or (op.attr("adaptive", False) and op.attr("ksize") == (1, 1))
        if (
            op.attr("pooling_type") != "avg"
            or not is_global
            or op.attr("data_format", "NCHW") not in ("NCHW", "AnyLayout")
        ):
            continue
        mean = Op("reduce_mean", {"X": (op.input("X"),)}, {"Out": (op.output("Out"),)}, {})
        mean = mean.with_attr("dim", (2, 3), AttrType.INTS).with_attr("keep_dim", True, AttrType.BOOLEAN)
        editor.replace(op, mean.with_attr("reduce_all", False, AttrType.BOOLEAN))
        editor.note("mean")
        done += 1
    return editor.finish()[0], done

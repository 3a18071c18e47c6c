"""Write the mean over height and width as a global average pool, which every backend has kernels and fusions for."""

from __future__ import annotations

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import ints
from model_opt.program.report import PassReport


def pooled_means(model: Model) -> tuple[Model, PassReport]:
    """Turn ``reduce_mean`` over the last two of four sides, which stay as 1, into ``pool2d``; others stay."""
    editor = GraphEditor(model, "pooled_means")
    for op in editor.each("reduce_mean"):
        dims = editor.dims(op.input("X"))
        if dims is None or len(dims) != 4 or not op.attr("keep_dim", False) or op.attr("reduce_all", False):
            editor.leave(op.output("Out"), "it is no mean over height and width with keep_dim")
        elif {axis % 4 for axis in ints(op, "dim") or () if -4 <= axis < 4} != {2, 3}:
            editor.leave(op.output("Out"), "it is a mean over other dimensions than height and width")
        else:
            editor.replace(op, _pool(op))
            editor.note("mean as pool2d")
    return editor.finish()


def _pool(op: Op) -> Op:
    made = Op("pool2d", {"X": op.inputs["X"]}, {"Out": op.outputs["Out"]})
    for name, sizes in (("ksize", (1, 1)), ("strides", (1, 1)), ("paddings", (0, 0))):
        made = made.with_attr(name, sizes, AttrType.INTS)
    for flag, value in (
        ("adaptive", True),
        ("ceil_mode", False),
        ("exclusive", True),
        ("global_pooling", False),
    ):
        made = made.with_attr(flag, value)
    made = made.with_attr("pooling_type", "avg").with_attr("data_format", "NCHW")
    return made.with_attr("padding_algorithm", "EXPLICIT")

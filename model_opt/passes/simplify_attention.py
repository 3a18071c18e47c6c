"""Attention heads: cut query, key and value out of four sides instead of five, without extra work on them.

[n, w, 3 * h * d] is reshaped to [n, w, 3, h, d], turned to [3, n, h, w, d] and cut along the first side. Reshaped to
[n, w, 3 * h, d], turned to [n, 3 * h, w, d] and cut along the second side it gives the same three tensors; four sides
are what GPU kernels take. The factor on the queries goes into the columns of the matrix that makes them, and a key
turned only for the product of queries and keys is turned by that product itself.
"""

from __future__ import annotations

import numpy as np

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import affine_at, ints, is_quantised, plain_binary
from model_opt.program.report import PassReport
from model_opt.program.shapes import encode, infer_shapes
from model_opt.program.sizes import Shape

_TENSORS = ("StartsTensor", "EndsTensor", "StartsTensorList", "EndsTensorList")


def simplify_attention(model: Model) -> tuple[Model, PassReport]:
    """Simplify the cutting of heads, the factor on them, and turned operands of matrix products."""
    editor = GraphEditor(model, "simplify_attention")
    while any(_four_sides(editor, op) or _factor(editor, op) or _turned(editor, op) for op in editor.ops):
        pass
    return editor.finish()


# ---- five sides to four


def _four_sides(editor: GraphEditor, op: Op) -> bool:
    if op.type != "transpose2" or ints(op, "axis") != (2, 0, 3, 1, 4):
        return False
    reshape = editor.producer(op.input("X"))
    cuts = editor.consumers(op.output("Out"))
    if reshape is None or reshape.type != "reshape2" or editor.only_consumer(op.input("X")) is not op or not cuts:
        return False
    if reshape.inputs.get("ShapeTensor") or reshape.inputs.get("Shape"):
        return False
    shapes = infer_shapes(editor)
    x, five = shapes.get(reshape.input("X")), shapes.get(op.input("X"))
    if x is None or five is None or not isinstance(five[2], int) or not isinstance(five[3], int):
        return False
    groups, count = five[2], five[3]
    starts = [_cut(cut, groups) for cut in cuts]
    four: Shape = (five[0], five[1], groups * count, five[4])
    target = encode(four, x)
    if target is None or any(start is None for start in starts):
        return False
    _rewrite(editor, reshape, op, target, [(cut, start) for cut, start in zip(cuts, starts, strict=True)], count)
    editor.note("heads in four dimensions")
    return True


def _cut(op: Op, groups: int) -> int | None:
    """Return which group a slice takes; None when it is no slice of one group."""
    starts, ends = ints(op, "starts"), ints(op, "ends")
    if op.type != "slice" or any(op.inputs.get(key) for key in _TENSORS) or is_quantised(op):
        return None
    if ints(op, "axes") != (0,) or ints(op, "decrease_axis") != (0,) or starts is None or ends is None:
        return None
    start = starts[0] + groups if starts[0] < 0 else starts[0]
    end = ends[0] + groups if ends[0] < 0 else min(ends[0], groups)
    return start if 0 <= start < groups and end == start + 1 else None


def _rewrite(
    editor: GraphEditor, reshape: Op, turn: Op, target: tuple[int, ...], cuts: list[tuple[Op, int | None]], count: int
) -> None:
    shown = tuple(-1 if side <= 0 else side for side in target)
    editor.set_dims(reshape.output("Out"), shown)
    editor.set_dims(turn.output("Out"), tuple(shown[at] for at in (0, 2, 1, 3)))
    editor.replace(reshape, reshape.with_attr("shape", target, AttrType.INTS))
    editor.replace(turn, turn.with_attr("axis", (0, 2, 1, 3), AttrType.INTS))
    for cut, start in cuts:
        begin = (start or 0) * count
        made = cut.with_attr("axes", (1,), AttrType.INTS).with_attr("starts", (begin,), AttrType.INTS)
        made = made.with_attr("ends", (begin + count,), AttrType.INTS)
        editor.replace(cut, made.with_attr("decrease_axis", (), AttrType.INTS))


# ---- the factor on one group


def _factor(editor: GraphEditor, op: Op) -> bool:
    """Move a factor on one cut, or on its product with another, into the columns that make the cut."""
    found = affine_at(editor, op)
    if found is None or found[1].shifts or found[1].scale.ndim:
        return False
    source, value = found[0], float(found[1].scale)
    cut = _cut_behind(editor, op, source)
    if cut is None:
        return False
    turn = editor.producer(cut.input("Input"))
    reshape = None if turn is None else editor.producer(turn.input("X"))
    if turn is None or reshape is None or turn.type != "transpose2" or ints(turn, "axis") != (0, 2, 1, 3):
        return False
    if reshape.type != "reshape2" or editor.only_consumer(reshape.output("Out")) is not turn:
        return False
    four = infer_shapes(editor).get(reshape.output("Out"))
    columns = None if four is None else _columns(editor, cut, turn, four)
    if editor.is_output(op.output("Out")) or editor.consumers(op.output("Out")) is None:
        return False
    if columns is None or not _scale_columns(editor, reshape, columns, value):
        return False
    if editor.bypass(op, source, op.output("Out")):
        editor.note("factor into the matrix")
    return True


def _cut_behind(editor: GraphEditor, op: Op, name: str) -> Op | None:
    """Return the slice whose value ``op`` multiplies: right in front of it, or a factor of the product in front."""
    source = editor.producer(name)
    if source is None or editor.only_consumer(name) is not op:
        return None
    if source.type != "matmul_v2" or is_quantised(source):
        return source if source.type == "slice" else None
    for slot in ("X", "Y"):
        cut = editor.producer(source.input(slot))
        if cut is not None and cut.type == "slice" and editor.only_consumer(source.input(slot)) is source:
            return cut
    return None


def _columns(editor: GraphEditor, cut: Op, turn: Op, four: Shape) -> range | None:
    """Return the columns of the last side in front of the reshape that only ``cut`` reads."""
    if len(four) != 4 or not isinstance(four[2], int) or not isinstance(four[3], int):
        return None
    taken: list[range] = []
    for other in editor.consumers(turn.output("Out")) or ():
        starts, ends = ints(other, "starts"), ints(other, "ends")
        if other.type != "slice" or any(other.inputs.get(key) for key in _TENSORS) or ints(other, "axes") != (1,):
            return None
        if starts is None or ends is None or not 0 <= starts[0] < ends[0] <= four[2]:
            return None
        taken.append(range(starts[0] * four[3], ends[0] * four[3]))
        if other is cut:
            mine = taken[-1]
    overlaps = [one for one in taken if one.start < mine.stop and mine.start < one.stop]
    return mine if len(overlaps) == 1 else None


def _scale_columns(editor: GraphEditor, reshape: Op, columns: range, value: float) -> bool:
    source = reshape.input("X")
    adder = editor.producer(source)
    product = adder
    if adder is not None and adder.type == "elementwise_add" and plain_binary(adder):
        product = editor.producer(adder.input("X"))
    if product is None or product.type != "matmul_v2" or is_quantised(product) or product.attr("trans_y", False):
        return False
    names = [product.output("Out")] + ([] if adder is product or adder is None else [adder.output("Out")])
    if any(len(editor.consumers(name) or ()) != 1 for name in names):
        return False
    weight = editor.param(product.input("Y"))
    bias = None if adder is product or adder is None else editor.param(adder.input("Y"))
    if weight is None or weight.ndim != 2 or columns.stop > weight.shape[1] or weight.dtype != np.float32:
        return False
    if adder is not product and (bias is None or bias.shape != (weight.shape[1],)):
        return False
    factors = np.ones(weight.shape[1])
    factors[columns.start : columns.stop] = value
    held = editor.changed_param(product, product.input("Y"), (weight * factors).astype(np.float32))
    editor.replace(product, product.with_input("Y", held))
    if adder is not None and adder is not product and bias is not None:
        held = editor.changed_param(adder, adder.input("Y"), (bias * factors).astype(np.float32))
        editor.replace(adder, adder.with_input("Y", held))
    return True


# ---- operands turned for a product


def _turned(editor: GraphEditor, op: Op) -> bool:
    """Let a matrix product turn its second operand itself."""
    if op.type != "matmul_v2" or not all(len(op.inputs.get(key, ())) == 1 for key in ("X", "Y")):
        return False
    turn = editor.producer(op.input("Y"))
    if turn is None or turn.type != "transpose2" or editor.only_consumer(op.input("Y")) is not op:
        return False
    axis = ints(turn, "axis")
    if axis is None or len(axis) < 2 or axis != (*range(len(axis) - 2), len(axis) - 1, len(axis) - 2):
        return False
    made = op.with_input("Y", turn.input("X")).with_attr("trans_y", not op.attr("trans_y", False), AttrType.BOOLEAN)
    editor.replace(op, made)
    editor.replace(turn)
    editor.note("transpose into matmul")
    return True

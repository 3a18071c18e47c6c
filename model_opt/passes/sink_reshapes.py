"""Move a reshape behind what a convolution can take in.

A network that reads lines drops the height of 1 (squeeze) between a convolution and its normalisation or activation.
Those work channel by channel or value by value, so the order makes no difference to them, but a fusion needs them right
behind the convolution. Where a side of 1 comes back in front of the next convolution, the two reshapes are none.
"""

from __future__ import annotations

from model_opt.program import Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import conv_before, is_quantised
from model_opt.program.report import PassReport
from model_opt.program.shapes import InferredShapes, infer_shapes

_EACH = frozenset(
    ("relu", "relu6", "leaky_relu", "hard_swish", "hard_sigmoid", "swish", "sigmoid", "tanh", "gelu", "batch_norm")
)


def sink_reshapes(model: Model) -> tuple[Model, PassReport]:
    """Let batch_norm and activations stand in front of the reshape between them and their convolution."""
    editor = GraphEditor(model, "sink_reshapes")
    while _sink_one(editor):
        pass
    return editor.finish()


def _sink_one(editor: GraphEditor) -> bool:
    candidates = [op for op in editor.ops if op.type in _EACH and _reshape_before(editor, op) is not None]
    if not candidates:
        return False
    shapes = infer_shapes(editor)
    return any(_sink(editor, op, shapes) for op in candidates)


def _reshape_before(editor: GraphEditor, op: Op) -> Op | None:
    """Return the reshape that ``op`` alone reads, when it alone reads a convolution."""
    names = op.inputs.get("X", ())
    before = editor.producer(names[0]) if len(names) == 1 else None
    if before is None or before.type != "reshape2" or before.inputs.get("ShapeTensor") or before.inputs.get("Shape"):
        return None
    source = before.input("X")
    alone = editor.only_consumer(names[0]) is op and editor.only_consumer(source) is before
    return before if alone and not is_quantised(op) and _is_conv(editor, source) else None


def _is_conv(editor: GraphEditor, name: str) -> bool:
    """Return whether a convolution makes ``name``, perhaps with a batch_norm behind it."""
    maker = editor.producer(name)
    if maker is not None and maker.type == "batch_norm":
        name = maker.input("X")
    return conv_before(editor, name) is not None


def _sink(editor: GraphEditor, op: Op, shapes: InferredShapes) -> bool:
    before = _reshape_before(editor, op)
    if before is None:
        return False
    source, key = before.input("X"), "Y" if op.type == "batch_norm" else "Out"
    wide, narrow = shapes.get(source), shapes.get(op.input("X"))
    if wide is None or narrow is None or len(narrow) < 2 or wide[:2] != narrow[:2]:
        return False
    out = op.output(key)
    inner = editor.new_var(out, editor.dims(source), source)
    editor.replace(before, op.with_input("X", source).with_output(key, inner))
    editor.replace(op, before.with_input("X", inner).with_output("Out", out))
    editor.note(f"reshape behind {op.type}")
    return True

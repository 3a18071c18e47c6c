"""Remove operators that change nothing, and join reshapes and transposes that follow one another."""

from __future__ import annotations

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import affine_at, ints
from model_opt.program.report import PassReport
from model_opt.program.shapes import encode, infer_shapes


def identity(model: Model) -> tuple[Model, PassReport]:
    """Remove assign, maps by 1 and 0, casts to the same type, empty reshapes and transposes; join what can be one."""
    editor = GraphEditor(model, "identity")
    while _one(editor):
        pass
    return editor.finish()


def _one(editor: GraphEditor) -> bool:
    return any(_same_value(editor, op) or _join(editor, op) for op in editor.ops) or _one_reshape(editor)


def _same_value(editor: GraphEditor, op: Op) -> bool:
    source = _unchanged(editor, op)
    if source is None or len(op.outputs.get("Out", ())) != 1:
        return False
    if not _hand_over_name(editor, op, source) and not editor.bypass(op, source, op.output("Out")):
        return False
    editor.note(op.type)
    return True


def _hand_over_name(editor: GraphEditor, op: Op, source: str) -> bool:
    """Let the operator in front write the model's output under the name that callers know, in place of ``op``."""
    out, writer = op.output("Out"), editor.producer(source)
    if not editor.is_output(out) or editor.consumers(out) is None or writer is None or writer.type == "feed":
        return False
    if editor.only_consumer(source) is not op or editor.dims(source) != editor.dims(out):
        return False
    editor.replace(op)
    editor.replace(writer, writer.renamed({source: out}))
    return True


def _unchanged(editor: GraphEditor, op: Op) -> str | None:
    """Return the variable whose value ``op`` hands on; None when it does more."""
    inputs = op.inputs.get("X", ())
    if op.type == "assign" or (op.type == "concat" and len(inputs) == 1 and not op.inputs.get("AxisTensor")):
        return inputs[0]
    if op.type == "cast":
        same = op.attr("in_dtype") == op.attr("out_dtype") and op.attr("in_dtype") is not None
        return inputs[0] if same else None
    if op.type == "transpose2":
        axis = ints(op, "axis")
        return inputs[0] if axis is not None and axis == tuple(range(len(axis))) else None
    found = affine_at(editor, op)
    if found is None or found[1].scales or found[1].shifts:
        return None
    return found[0]


def _join(editor: GraphEditor, op: Op) -> bool:
    """Join a transpose with the one that feeds it."""
    before = editor.producer(op.input("X")) if op.type == "transpose2" else None
    if before is None or before.type != "transpose2" or editor.only_consumer(op.input("X")) is not op:
        return False
    first, second = ints(before, "axis"), ints(op, "axis")
    if first is None or second is None or len(first) != len(second):
        return False
    joined = tuple(first[at] for at in second)
    editor.replace(op, op.with_input("X", before.input("X")).with_attr("axis", joined, AttrType.INTS))
    editor.replace(before)
    editor.note("transpose2 joined")
    return True


def _one_reshape(editor: GraphEditor) -> bool:
    """Take out one reshape to the shape that is there, or join it with the one that feeds it."""
    shapes = infer_shapes(editor)
    for op in editor.ops:
        if op.type != "reshape2" or op.inputs.get("ShapeTensor") or op.inputs.get("Shape"):
            continue
        x, target = shapes.get(op.input("X")), shapes.get(op.output("Out"))
        if x is None or target is None:
            continue
        if x == target and editor.bypass(op, op.input("X"), op.output("Out")):
            editor.note("reshape2")
            return True
        before = editor.producer(op.input("X"))
        if before is None or before.type != "reshape2" or editor.only_consumer(op.input("X")) is not op:
            continue
        origin = shapes.get(before.input("X"))
        constant = None if origin is None else encode(target, origin)
        if constant is not None:
            editor.replace(op, op.with_input("X", before.input("X")).with_attr("shape", constant, AttrType.INTS))
            editor.replace(before)
            editor.note("reshape2 joined")
            return True
    return False

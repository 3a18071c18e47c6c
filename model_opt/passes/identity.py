"""Take out operators that change nothing, and join reshapes and transposes that follow one another."""

from __future__ import annotations

from model_opt.passes.draft import Draft
from model_opt.passes.ops import affine_at, ints
from model_opt.passes.report import PassReport
from model_opt.passes.shapes import encode, infer_shapes
from model_opt.program import AttrType, Model, Op


def identity(model: Model) -> tuple[Model, PassReport]:
    """Remove assign, maps by 1 and 0, casts to the same type, empty reshapes and transposes; join what can be one."""
    draft = Draft(model, "identity")
    while _one(draft):
        pass
    return draft.finish()


def _one(draft: Draft) -> bool:
    return any(_same_value(draft, op) or _join(draft, op) for op in draft.ops) or _one_reshape(draft)


def _same_value(draft: Draft, op: Op) -> bool:
    source = _unchanged(draft, op)
    if source is None or len(op.outputs.get("Out", ())) != 1:
        return False
    if not _hand_over_name(draft, op, source) and not draft.bypass(op, source, op.output("Out")):
        return False
    draft.note(op.type)
    return True


def _hand_over_name(draft: Draft, op: Op, source: str) -> bool:
    """Let the operator in front write the model's output under the name that callers know, in place of ``op``."""
    out, writer = op.output("Out"), draft.producer(source)
    if not draft.is_output(out) or draft.consumers(out) is None or writer is None or writer.type == "feed":
        return False
    if draft.only_consumer(source) is not op or draft.dims(source) != draft.dims(out):
        return False
    draft.replace(op)
    draft.replace(writer, writer.renamed({source: out}))
    return True


def _unchanged(draft: Draft, op: Op) -> str | None:
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
    found = affine_at(draft, op)
    if found is None or found[1].scales or found[1].shifts:
        return None
    return found[0]


def _join(draft: Draft, op: Op) -> bool:
    """Join a transpose with the one that feeds it."""
    before = draft.producer(op.input("X")) if op.type == "transpose2" else None
    if before is None or before.type != "transpose2" or draft.only_consumer(op.input("X")) is not op:
        return False
    first, second = ints(before, "axis"), ints(op, "axis")
    if first is None or second is None or len(first) != len(second):
        return False
    joined = tuple(first[at] for at in second)
    draft.replace(op, op.with_input("X", before.input("X")).with_attr("axis", joined, AttrType.INTS))
    draft.replace(before)
    draft.note("transpose2 joined")
    return True


def _one_reshape(draft: Draft) -> bool:
    """Take out one reshape to the shape that is there, or join it with the one that feeds it."""
    shapes = infer_shapes(draft)
    for op in draft.ops:
        if op.type != "reshape2" or op.inputs.get("ShapeTensor") or op.inputs.get("Shape"):
            continue
        x, target = shapes.get(op.input("X")), shapes.get(op.output("Out"))
        if x is None or target is None:
            continue
        if x == target and draft.bypass(op, op.input("X"), op.output("Out")):
            draft.note("reshape2")
            return True
        before = draft.producer(op.input("X"))
        if before is None or before.type != "reshape2" or draft.only_consumer(op.input("X")) is not op:
            continue
        origin = shapes.get(before.input("X"))
        constant = None if origin is None else encode(target, origin)
        if constant is not None:
            draft.replace(op, op.with_input("X", before.input("X")).with_attr("shape", constant, AttrType.INTS))
            draft.replace(before)
            draft.note("reshape2 joined")
            return True
    return False

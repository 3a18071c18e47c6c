"""Turn targets of reshapes that are computed while the model runs into constants, where one holds for every input.

The recogniser asks for the width of a tensor and puts it into the target of a reshape. Since that width is the side
the tensor has anyway, 0 (copy) and -1 (what is left) say the same without computing anything.
"""

from __future__ import annotations

import dataclasses

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import ints, number
from model_opt.program.report import PassReport
from model_opt.program.shapes import InferredShapes, encode, infer_shapes
from model_opt.program.sizes import Shape, Size, SizeError

_INTEGERS = (2, 3)
"""Paddle's numbers of the element types int32 and int64."""

_MOST_SIZES = 64
"""A tensor with more elements than this is no shape."""

_RESHAPES = ("squeeze2", "unsqueeze2", "flatten_contiguous_range")


def shape_constants(model: Model) -> tuple[Model, PassReport]:
    """Make reshapes constant; write ``squeeze2``, ``unsqueeze2`` and ``flatten_contiguous_range`` as reshapes too."""
    editor = GraphEditor(model, "shape_constants")
    while _one(editor):
        pass
    return editor.finish()


def _one(editor: GraphEditor) -> bool:
    shapes = infer_shapes(editor)
    for op in editor.ops:
        if op.type == "reshape2" and (op.inputs.get("ShapeTensor") or op.inputs.get("Shape")):
            target = _target(editor, op, shapes)
        elif op.type in _RESHAPES and len(op.inputs.get("X", ())) == 1:
            target = shapes.get(op.output("Out"))
        else:
            continue
        x = shapes.get(op.input("X"))
        constant = None if target is None or x is None else encode(target, x)
        if constant is None:
            editor.leave(op.output("Out"), "no constant is right for every input, or the shape is not known")
            continue
        editor.replace(op, _reshape(op, constant))
        editor.note(f"{op.type} constant" if op.type == "reshape2" else f"{op.type} as reshape2")
        return True
    return False


def _reshape(op: Op, target: tuple[int, ...]) -> Op:
    made = dataclasses.replace(op, type="reshape2", inputs={"X": op.inputs["X"]})
    for name in ("axes", "start_axis", "stop_axis"):
        made = made.without_attr(name)
    return made.with_attr("shape", target, AttrType.INTS)


def _target(editor: GraphEditor, op: Op, shapes: InferredShapes) -> Shape | None:
    x = shapes.get(op.input("X"))
    if x is None:
        return None
    if op.inputs.get("ShapeTensor"):
        parts = [_value(editor, name, shapes) for name in op.inputs["ShapeTensor"]]
        if any(part is None or len(part) != 1 for part in parts):
            return None
        sides: Shape = tuple(part[0] for part in parts if part is not None)
    else:
        values = _value(editor, op.input("Shape"), shapes)
        if values is None:
            return None
        sides = values
    try:
        return shapes.sizes.reshaped(x, sides)
    except SizeError:
        return None


def _value(editor: GraphEditor, name: str, shapes: InferredShapes) -> Shape | None:
    """Return the elements of a tensor that holds sizes, symbols where they are free."""
    constant = editor.param(name)
    if constant is not None:
        return tuple(int(item) for item in constant.reshape(-1)) if constant.dtype.kind in "iu" else None
    op = editor.producer(name)
    if op is None:
        return None
    if op.type == "shape":
        return shapes.get(op.input("Input"))
    if op.type in ("cast", "assign"):
        return _value(editor, op.input("X"), shapes)
    if op.type == "fill_constant":
        return _filled(op)
    if op.type == "concat":
        parts = [_value(editor, part, shapes) for part in op.inputs.get("X", ())]
        known = [part for part in parts if part is not None]
        return tuple(side for part in known for side in part) if len(known) == len(parts) else None
    if op.type == "slice":
        return _sliced(op, _value(editor, op.input("Input"), shapes))
    return None


def _filled(op: Op) -> Shape | None:
    shape = ints(op, "shape")
    if any(op.inputs.values()) or shape is None or len(shape) > 1 or op.attr("dtype") not in _INTEGERS:
        return None
    count = shape[0] if shape else 1
    return (int(number(op, "value", 0.0)),) * count if count <= _MOST_SIZES else None


def _sliced(op: Op, values: Shape | None) -> Shape | None:
    axes, starts, ends = (ints(op, key) for key in ("axes", "starts", "ends"))
    tensors = ("StartsTensor", "EndsTensor", "StartsTensorList", "EndsTensorList")
    if values is None or axes != (0,) or starts is None or ends is None or any(op.inputs.get(key) for key in tensors):
        return None
    part: tuple[Size, ...] = values[starts[0] : ends[0]]
    return part

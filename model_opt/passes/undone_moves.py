"""Add two values where one of them is, when both would be moved there again behind the sum.

A block that mixes along the line works on [N, W, C], the convolutions around it on [N, C, 1, W]. Its result is turned,
added to a convolution's, and turned back for the next product. Turning only the convolution's result says the same:
move(a) + b, undone behind, is a + undo(b).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from model_opt.program import Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import ints, plain_binary
from model_opt.program.report import PassReport
from model_opt.program.shapes import InferredShapes, infer_shapes
from model_opt.program.sizes import Shape

_BINARY = ("elementwise_add", "elementwise_mul")
_MOVES = ("reshape2", "transpose2")


def undone_moves(model: Model) -> tuple[Model, PassReport]:
    """Take out reshapes and transposes of one operand that the ones behind the sum or product undo."""
    editor = GraphEditor(model, "undone_moves")
    while any(_take_out(editor, op) for op in editor.ops if op.type in _BINARY and plain_binary(op)):
        pass
    return editor.finish()


def _take_out(editor: GraphEditor, op: Op) -> bool:
    behind = _moves_behind(editor, op.output("Out"))
    if not behind or editor.param(op.input("X")) is not None or editor.param(op.input("Y")) is not None:
        return False
    for side, other in (("X", "Y"), ("Y", "X")):
        before = _moves_before(editor, op, op.input(side))
        if not before:
            continue
        shapes = infer_shapes(editor)
        shape = shapes.get(op.input(side))
        if shape is None or shape != shapes.get(op.input(other)):
            return False
        for count in range(len(before), 0, -1):
            for after in range(1, len(behind) + 1):
                if _undo(shapes, [*reversed(before[:count]), *behind[:after]]):
                    _rewrite(editor, op, side, other, before[:count], behind[:after])
                    return True
    return False


def _is_move(op: Op | None) -> bool:
    return op is not None and op.type in _MOVES and not op.inputs.get("ShapeTensor") and not op.inputs.get("Shape")


def _moves_before(editor: GraphEditor, reader: Op, name: str) -> list[Op]:
    """Return the moves that end in ``name``, the last first; each is read by the next alone."""
    found: list[Op] = []
    while True:
        maker = editor.producer(name)
        if maker is None or not _is_move(maker) or editor.only_consumer(name) is not reader:
            return found
        found.append(maker)
        reader, name = maker, maker.input("X")


def _moves_behind(editor: GraphEditor, name: str) -> list[Op]:
    """Return the moves that begin with ``name``, in order; each value is read by the next alone."""
    found: list[Op] = []
    while True:
        reader = editor.only_consumer(name)
        if reader is None or not _is_move(reader):
            return found
        found.append(reader)
        name = reader.output("Out")


def _undo(shapes: InferredShapes, moves: Sequence[Op]) -> bool:
    """Return whether moves in a row give back what they take. Reshapes may only add and drop sides of 1."""
    start = shapes.get(moves[0].input("X"))
    shape, order = start, None if start is None else [at for at, side in enumerate(start) if side != 1]
    for move in moves:
        target = shapes.get(move.output("Out"))
        if shape is None or order is None or target is None:
            return False
        order = _turned(move, shape, order) if move.type == "transpose2" else _reshaped(shape, target, order)
        shape = target
    return order is not None and shape == start and order == sorted(order)


def _turned(move: Op, shape: Shape, order: list[int]) -> list[int] | None:
    """Return which side of the start each side but those of 1 is, behind a transpose."""
    axis = ints(move, "axis")
    if axis is None or sorted(axis) != list(range(len(shape))):
        return None
    rest = iter(order)
    at = {place: next(rest) for place, side in enumerate(shape) if side != 1}
    return [at[place] for place in axis if place in at]


def _reshaped(shape: Shape, target: Shape, order: list[int]) -> list[int] | None:
    """Return the same behind a reshape, None when it changes more than sides of 1."""
    same = [side for side in shape if side != 1] == [side for side in target if side != 1]
    return order if same else None


def _rewrite(editor: GraphEditor, op: Op, side: str, other: str, before: Sequence[Op], behind: Sequence[Op]) -> None:
    moved = op.input(other)
    made: list[Op] = []
    for move in behind:
        out = move.output("Out")
        fresh = editor.new_var(out, editor.dims(out), out)
        made.append(dataclasses.replace(move, inputs={"X": (moved,)}, outputs={"Out": (fresh,)}))
        moved = fresh
    result = op.with_input(side, before[-1].input("X")).with_input(other, moved)
    editor.replace(op, *made, result.with_output("Out", behind[-1].output("Out")))
    for move in (*before, *behind):
        editor.replace(move)
    editor.note(f"{op.type} where its operand is")

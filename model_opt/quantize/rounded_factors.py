"""Compensate constants that a kernel rounds to fp16 in the weights next to it.

The fp16 kernels of ``hard_swish`` multiply by fp16(1/scale), those of ``hard_sigmoid`` by fp16(slope). For 1/6 and 1/5
these are 2.4e-4 too small, in every value, as much as the largest error of one rounding. The products behind a
``hard_swish`` and in front of a ``hard_sigmoid`` take up the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import conv_at, conv_before, number, plain_binary

_SCALE, _SLOPE = 6.0, 0.2
"""Paddle's defaults."""
_WIDER = 4 / 3
"""Makes the sixth of a ``hard_swish`` an eighth."""
_LINEAR = frozenset({"pool2d", "relu", "nearest_interp_v2"})


@dataclass(frozen=True)
class _Reach:
    """What takes up a factor: ``behind`` are products, ``shifts`` additions of constants that must have it too."""

    behind: dict[str, Op] = field(default_factory=dict)
    shifts: dict[str, Op] = field(default_factory=dict)


def undo_rounded_factors(model: Model, gated: int) -> tuple[Model, int]:
    """Return the model whose weights make good what fp16 does to its activations' factors, and how many they are.

    The first ``gated`` of the ``hard_swish`` become a gate and a product. In fp32 the outputs are off by the factors
    made good. An activation stays as it is where something else than constant products reads it.
    """
    editor, done = GraphEditor(model, "undo_rounded_factors"), 0
    for op in editor.each("hard_swish"):
        reach = _Reach()
        if not _follow(editor, op.output("Out"), reach):
            continue
        if done < gated and _gate(editor, op):
            _take_up(editor, reach, _WIDER)
        else:
            _take_up(editor, reach, _of(1 / number(op, "scale", _SCALE)))
        done += 1
    for op in editor.each("hard_sigmoid"):
        done += _before(editor, op, _of(number(op, "slope", _SLOPE)))
    if done:
        editor.note("factor")
    return editor.finish()[0], done


def _gate(editor: GraphEditor, op: Op) -> bool:
    """Write a ``hard_swish`` of x as z * hard_sigmoid(z) for z = 4/3 x, which is 4/3 of it; False where that cannot be.

    The gate is min(max(z / 8 + 1/2, 0), 1): one rounding, and none where it is 1 or 0; so in all at most two instead of
    three, and none for x above 3.
    """
    source, out = op.input("X"), op.output("Out")
    conv = conv_before(editor, source)
    plain = (number(op, "scale", _SCALE), number(op, "offset", 3.0), number(op, "threshold", 6.0)) == (6.0, 3.0, 6.0)
    if conv is None or conv.adder is None or editor.only_consumer(source) is not op or not plain:
        return False
    _multiply(editor, "Filter", {conv.op.input("Filter"): conv.op}, _WIDER)
    _multiply(editor, "Y", {conv.adder.input("Y"): conv.adder}, _WIDER)
    gate = editor.new_var(out, editor.dims(out), like=out)
    bend = Op("hard_sigmoid", {"X": (source,)}, {"Out": (gate,)}, {})
    for key, value in (("slope", 0.125), ("offset", 0.5)):
        bend = bend.with_attr(key, value, AttrType.FLOAT)
    product = Op("elementwise_mul", {"X": (source,), "Y": (gate,)}, {"Out": (out,)}, {})
    editor.replace(op, bend, product.with_attr("axis", -1, AttrType.INT))
    return True


def _of(factor: float) -> float:
    """Return by how much fp16 makes a factor too large."""
    return float(np.float16(factor)) / factor


def _follow(editor: GraphEditor, name: str, reach: _Reach) -> bool:
    """Find all that reads a value and what is linear in it; False when something else does."""
    readers = editor.consumers(name)
    return readers is not None and all(_enter(editor, reader, name, reach) for reader in readers)


def _enter(editor: GraphEditor, op: Op, name: str, reach: _Reach) -> bool:
    conv = conv_at(editor, op)
    if conv is not None:
        reach.behind[op.input("Filter")] = op
        return True
    if op.type in _LINEAR:
        return _follow(editor, op.output("Out"), reach)
    if op.type not in ("elementwise_add", "elementwise_mul") or not plain_binary(op) or op.input_names.count(name) > 1:
        return False
    constant = editor.param(op.input("Y")) is not None
    if op.type == "elementwise_add" and not constant:
        return False
    if op.type == "elementwise_add":
        reach.shifts[op.input("Y")] = op
    return _follow(editor, op.output("Out"), reach)


def _take_up(editor: GraphEditor, reach: _Reach, factor: float) -> None:
    for key, held, change in (("Y", reach.shifts, factor), ("Filter", reach.behind, 1 / factor)):
        _multiply(editor, key, held, change)


def _multiply(editor: GraphEditor, key: str, held: Mapping[str, Op], factor: float) -> None:
    for name, op in held.items():
        array = editor.param(name)
        if array is not None:
            changed = (array.astype(np.float64) * factor).astype(array.dtype)
            editor.replace(op, op.with_input(key, editor.changed_param(op, name, changed)))


def _before(editor: GraphEditor, op: Op, factor: float) -> int:
    """Let the convolution in front of ``op`` make good its factor."""
    conv = conv_before(editor, op.input("X"))
    if conv is None or editor.only_consumer(conv.out) is not op:
        return 0
    _multiply(editor, "Filter", {conv.op.input("Filter"): conv.op}, 1 / factor)
    if conv.adder is not None:
        _multiply(editor, "Y", {conv.adder.input("Y"): conv.adder}, 1 / factor)
    return 1

"""Compute now what only depends on parameters and constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from model_opt.program import DTYPES, Model, Op
from model_opt.program.editor import Array, GraphEditor
from model_opt.program.ops import ints, is_quantised, number
from model_opt.program.report import PassReport

_LARGEST = 1 << 20
"""A constant with more elements than this is left to be made when the model runs, so that files stay small."""


def constant_folding(model: Model) -> tuple[Model, PassReport]:
    """Replace operators on constants by their result; integers that only describe shapes are not touched."""
    editor = GraphEditor(model, "constant_folding")
    while _fold_one(editor):
        pass
    return editor.finish()


def _fold_one(editor: GraphEditor) -> bool:
    for op in editor.ops:
        names = op.outputs.get("Out", ())
        if len(names) != 1 or op.type not in _RULES or is_quantised(op) or editor.producer(names[0]) is not op:
            continue
        found = _value(editor, op)
        if found is None or editor.is_output(names[0]) or found.dtype.kind != "f" or found.size > _LARGEST:
            continue
        held = editor.set_param(names[0], found)
        editor.replace(op)
        editor.move_reads(names[0], held)
        editor.note(op.type)
        return True
    return False


def _value(editor: GraphEditor, op: Op) -> Array | None:
    """Return what ``op`` gives when all it reads is constant; None when it is not, or in a form not known here."""
    known = {"X", "Y"}
    if any(names and key not in known for key, names in op.inputs.items()):
        return None
    arrays = [editor.param(name) for name in op.input_names]
    present = [array for array in arrays if array is not None]
    if len(present) != len(arrays) or any(array.dtype != np.float32 for array in present):
        return None
    try:
        return _RULES[op.type](op, present)
    except ValueError:
        return None


def _fill(op: Op, _: list[Array]) -> Array | None:
    shape, text = ints(op, "shape"), str(op.attr("str_value", "") or "")
    dtype = DTYPES.get(int(number(op, "dtype", 5)))
    if shape is None or any(side < 0 for side in shape) or dtype is None or int(np.prod(shape)) > _LARGEST:
        return None
    return np.full(shape, float(text) if text else number(op, "value", 0.0), dtype)


def _given(op: Op, _: list[Array]) -> Array | None:
    shape, values = ints(op, "shape"), op.attr("fp32_values")
    if shape is None or not isinstance(values, tuple) or not values:
        return None
    return np.asarray(values, dtype=np.float32).reshape(shape)


def _binary(function: Callable[[Array, Array], Array]) -> Callable[[Op, list[Array]], Array | None]:
    def compute(op: Op, arrays: list[Array]) -> Array | None:
        factors = (op.attr(key, 1.0) for key in ("Scale_x", "Scale_y", "Scale_out"))
        if len(arrays) != 2 or number(op, "axis", -1) != -1 or any(factor != 1.0 for factor in factors):
            return None
        with np.errstate(all="ignore"):
            found = function(arrays[0].astype(np.float64), arrays[1].astype(np.float64)).astype(np.float32)
        return found if np.all(np.isfinite(found)) else None

    return compute


def _scale(op: Op, arrays: list[Array]) -> Array:
    factor, shift = number(op, "scale", 1.0), number(op, "bias", 0.0)
    wide = arrays[0].astype(np.float64)
    made = wide * factor + shift if op.attr("bias_after_scale", True) else (wide + shift) * factor
    return made.astype(np.float32)


def _reshape(op: Op, arrays: list[Array]) -> Array | None:
    target = ints(op, "shape")
    if target is None:
        return None
    return arrays[0].reshape([arrays[0].shape[at] if side == 0 else side for at, side in enumerate(target)])


def _transpose(op: Op, arrays: list[Array]) -> Array | None:
    axis = ints(op, "axis")
    return None if axis is None else arrays[0].transpose(axis)


_RULES: Mapping[str, Callable[[Op, list[Array]], Array | None]] = {
    "fill_constant": _fill,
    "assign_value": _given,
    "assign": lambda _, arrays: arrays[0],
    "elementwise_add": _binary(np.add),
    "elementwise_sub": _binary(np.subtract),
    "elementwise_mul": _binary(np.multiply),
    "elementwise_div": _binary(np.divide),
    "scale": _scale,
    "reshape2": _reshape,
    "transpose2": _transpose,
}

"""Powers of two between neighbouring layers: which values of a program may carry one, and how to write them in.

Every variable of a program may hold 2^e times what it held, as long as each operator still computes what it did. A
product with constant weights takes any factor at its input and gives any at its output. ``relu`` and everything that
moves, pools or joins values passes a factor on; a product of two values adds up their exponents. What is not positively
homogeneous (``hard_swish``, ``sigmoid``, ``softmax``, …) holds its input and output at e = 0. ``layer_norm`` divides
the factor of its input out again, once its epsilon has the square of the factor.

Variables that must have the same exponent are one group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from model_opt.program import Model, Op
from model_opt.program.editor import Array, GraphEditor
from model_opt.program.ops import is_quantised, number, plain_binary
from model_opt.quantize.union_find import UnionFind

PRODUCTS: Mapping[str, tuple[str, str, str]] = {
    "conv2d": ("Input", "Filter", "Output"),
    "depthwise_conv2d": ("Input", "Filter", "Output"),
    "conv2d_transpose": ("Input", "Filter", "Output"),
    "matmul_v2": ("X", "Y", "Out"),
}
"""Products with constant weights: the names of input, weights and output."""

_PASSES = frozenset(
    {"relu", "leaky_relu", "pool2d", "nearest_interp_v2", "bilinear_interp_v2", "concat", "reshape2", "transpose2"}
) | frozenset({"slice", "squeeze2", "unsqueeze2", "flatten_contiguous_range", "split", "assign"})
_SIDE_OUTPUTS = frozenset({"XShape", "Mean", "Variance"})


@dataclass(frozen=True)
class FactorGroups:
    """``group`` names the group of each variable that may carry a factor; all others stay as they are."""

    group: Mapping[str, str]

    def of(self, exponents: Mapping[str, int], name: str) -> int:
        """Return the exponent of a variable, given those of the groups."""
        return exponents.get(self.group.get(name, ""), 0)


def factor_groups(model: Model) -> FactorGroups:
    """Return which variables of the main block may carry a factor, and which of them must carry the same."""
    editor, union = GraphEditor(model, "factor_groups"), UnionFind()
    pairs: list[tuple[str, str, str]] = []
    for op in editor.ops:
        pair = _join(editor, op, union)
        if pair is not None:
            pairs.append(pair)
    _settle(union, pairs)
    names = sorted({name for op in editor.ops for name in (*op.input_names, *op.output_names)})
    safe = [name for name in names if editor.param(name) is None and editor.producer(name) is not None]
    unsafe = {union.find(name) for name in names if editor.param(name) is None} - {union.find(name) for name in safe}
    return FactorGroups(
        {name: union.find(name) for name in safe if not union.fixed(name) and union.find(name) not in unsafe}
    )


def _join(editor: GraphEditor, op: Op, union: UnionFind) -> tuple[str, str, str] | None:
    """Join what ``op`` binds; return (x, y, out) where the exponents of x and y add up to that of out."""
    values = [name for name in op.input_names if editor.param(name) is None]
    outs = [name for key, names in op.outputs.items() if key not in _SIDE_OUTPUTS for name in names]
    if editor.consumers(outs[0] if outs else "") is None or is_quantised(op):
        union.fix(*values, *outs)
    elif _is_product(editor, op) or _is_norm(editor, op):
        pass
    elif op.type in ("elementwise_add", "elementwise_mul", "matmul_v2") and len(values) == 2:
        return _two_values(op, values, outs, union)
    elif _is_constant_binary(op, values) or op.type in _PASSES or _is_scale(op):
        union.join(*values, *outs)
    else:
        union.fix(*values, *outs)
    return None


def _two_values(op: Op, values: list[str], outs: list[str], union: UnionFind) -> tuple[str, str, str] | None:
    if op.type == "elementwise_add" and plain_binary(op):
        union.join(*values, *outs)
    elif op.type == "matmul_v2" or plain_binary(op):
        return values[0], values[1], outs[0]
    else:
        union.fix(*values, *outs)
    return None


def _settle(union: UnionFind, pairs: list[tuple[str, str, str]]) -> None:
    """Make sums of exponents into equalities: one factor of each product holds e = 0, the first if none does yet."""
    left = list(pairs)
    while left:
        held = next((pair for pair in left if union.fixed(pair[0]) or union.fixed(pair[1])), None)
        if held is None:
            union.fix(left[0][1])
            continue
        left.remove(held)
        x, y, out = held
        union.join(y if union.fixed(x) else x, out)


def _is_product(editor: GraphEditor, op: Op) -> bool:
    slots = PRODUCTS.get(op.type)
    if slots is None or any(op.inputs.get(key) for key in ("ResidualData", "SecondInput")):
        return False
    if op.attr("with_act", False) or op.attr("fuse_activation", "") or op.attr("fuse_relu", False):
        return False
    held = [name for name in op.input_names if editor.param(name) is not None]
    return held == [op.inputs[slots[1]][0], *op.inputs.get("Bias", ())] and len(op.input_names) == len(held) + 1


def _is_norm(editor: GraphEditor, op: Op) -> bool:
    return op.type == "layer_norm" and all(editor.param(n) is not None for k in ("Scale", "Bias") for n in op.inputs[k])


def _is_constant_binary(op: Op, values: list[str]) -> bool:
    return op.type in ("elementwise_add", "elementwise_mul") and len(values) == 1 and plain_binary(op)


def _is_scale(op: Op) -> bool:
    return op.type == "scale" and len(op.input_names) == 1 and number(op, "bias", 0.0) == 0.0


def with_exponents(model: Model, groups: FactorGroups, exponents: Mapping[str, int]) -> Model:
    """Return the model whose groups carry 2^e, every constant changed so that the outputs stay as they are."""
    editor = GraphEditor(model, "with_exponents")
    for op in editor.ops:
        changed = _scaled(editor, op, groups, exponents)
        if changed is not op:
            editor.replace(op, changed)
            editor.note(op.type)
    return editor.finish()[0]


def _scaled(editor: GraphEditor, op: Op, groups: FactorGroups, exponents: Mapping[str, int]) -> Op:
    """Return the operator with its constants for the exponents of its input and output."""
    values = [name for name in op.input_names if editor.param(name) is None]
    outs = [name for key, names in op.outputs.items() if key not in _SIDE_OUTPUTS for name in names]
    if not values or not outs:
        return op
    before, behind = groups.of(exponents, values[0]), groups.of(exponents, outs[0])
    powers: dict[str, int] = {}
    new = op
    if _is_product(editor, op):
        powers = {PRODUCTS[op.type][1]: behind - before, "Bias": behind}
    elif op.type == "layer_norm":
        powers = {"Scale": behind, "Bias": behind}
        new = op.with_attr("epsilon", number(op, "epsilon", 1e-5) * 4.0**before) if before else op
    elif op.type == "elementwise_add" and len(values) == 1:
        powers = {"X": behind, "Y": behind}
    for key, power in powers.items():
        for name in op.inputs.get(key, ()):
            array = editor.param(name)
            if array is not None and power:
                new = new.with_input(key, editor.changed_param(op, name, shifted(array, power)))
    return new


def shifted(array: Array, power: int) -> Array:
    """Return array * 2^power in its own type."""
    return np.ldexp(array, power).astype(array.dtype)

"""Put activations first and parameters second, and give additions for each channel the form that opt fuses.

Paddle Lite's OpenCL kernels only take a parameter as the second operand: in the other order opt copies the tensor to
the host and back. A [1, C, 1, 1] addition is fused into a convolution's bias when it is a [C] parameter at axis 1.
"""

from __future__ import annotations

from model_opt.passes.draft import Draft
from model_opt.passes.ops import number, plain_binary
from model_opt.passes.report import PassReport
from model_opt.program import AttrType, Model, Op


def operand_order(model: Model) -> tuple[Model, PassReport]:
    """Swap operands of additions and multiplications, and flatten the parameters of additions for each channel."""
    draft = Draft(model, "operand_order")
    for op in draft.each("elementwise_add", "elementwise_mul"):
        if plain_binary(op):
            _flatten(draft, _swap(draft, op))
    return draft.finish()


def _swap(draft: Draft, op: Op) -> Op:
    x, y = op.input("X"), op.input("Y")
    constant, dims = draft.param(x), draft.dims(y)
    if constant is None or draft.param(y) is not None:
        return op
    if dims is None or constant.ndim > len(dims):
        draft.leave(op.output("Out"), "the parameter has more sides than the activation")
        return op
    swapped = op.with_input("X", y).with_input("Y", x)
    draft.replace(op, swapped)
    draft.note("operands swapped")
    return swapped


def _flatten(draft: Draft, op: Op) -> None:
    if op.type != "elementwise_add":
        return
    constant, dims = draft.param(op.input("Y")), draft.dims(op.input("X"))
    if constant is None or dims is None or len(dims) != 4 or constant.size == 1 or dims[1] != constant.size:
        return
    axis = int(number(op, "axis", -1))
    start = 4 - constant.ndim if axis == -1 else axis
    if not 0 <= start <= 4 - constant.ndim:
        return
    sides = (1,) * start + constant.shape + (1,) * (4 - start - constant.ndim)
    if sides != (1, constant.size, 1, 1) or (constant.ndim == 1 and axis == 1):
        return
    name = draft.changed_param(op, op.input("Y"), constant.reshape(-1))
    draft.replace(op, op.with_input("Y", name).with_attr("axis", 1, AttrType.INT))
    draft.note("addition for each channel at axis 1")

"""Put activations first and parameters second, and give additions for each channel the form that opt fuses.

Paddle Lite's OpenCL kernels only take a parameter as the second operand: in the other order opt copies the tensor to
the host and back. A [1, C, 1, 1] addition is fused into a convolution's bias when it is a [C] parameter at axis 1.
"""

from __future__ import annotations

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import number, plain_binary
from model_opt.program.report import PassReport


def operand_order(model: Model) -> tuple[Model, PassReport]:
    """Swap operands of additions and multiplications, and flatten the parameters of additions for each channel."""
    editor = GraphEditor(model, "operand_order")
    for op in editor.each("elementwise_add", "elementwise_mul"):
        if plain_binary(op):
            _flatten(editor, _swap(editor, op))
    return editor.finish()


def _swap(editor: GraphEditor, op: Op) -> Op:
    x, y = op.input("X"), op.input("Y")
    constant, dims = editor.param(x), editor.dims(y)
    if constant is None or editor.param(y) is not None:
        return op
    if dims is None or constant.ndim > len(dims):
        editor.leave(op.output("Out"), "the parameter has more dimensions than the activation")
        return op
    swapped = op.with_input("X", y).with_input("Y", x)
    editor.replace(op, swapped)
    editor.note("operands swapped")
    return swapped


def _flatten(editor: GraphEditor, op: Op) -> None:
    if op.type != "elementwise_add":
        return
    constant, dims = editor.param(op.input("Y")), editor.dims(op.input("X"))
    if constant is None or dims is None or len(dims) != 4 or constant.size == 1 or dims[1] != constant.size:
        return
    axis = int(number(op, "axis", -1))
    start = 4 - constant.ndim if axis == -1 else axis
    if not 0 <= start <= 4 - constant.ndim:
        return
    sides = (1,) * start + constant.shape + (1,) * (4 - start - constant.ndim)
    if sides != (1, constant.size, 1, 1) or (constant.ndim == 1 and axis == 1):
        return
    name = editor.changed_param(op, op.input("Y"), constant.reshape(-1))
    editor.replace(op, op.with_input("Y", name).with_attr("axis", 1, AttrType.INT))
    editor.note("addition for each channel at axis 1")

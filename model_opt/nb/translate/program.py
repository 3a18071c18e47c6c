"""Walk over a program and translate it operator by operator."""

from __future__ import annotations

from typing import NoReturn

from model_opt.nb.errors import NbError
from model_opt.nb.translate.proto import Graph
from model_opt.nb.translate.state import State, Tensor
from model_opt.nb.translate.translators import TRANSLATORS
from model_opt.nb.translate.view import OpView
from model_opt.nb.translate.weights import restore
from model_opt.nb.types import NbModel
from model_opt.program import Op, VarType
from model_opt.program.sizes import Size

_SIDES = ("n", "c", "h", "w")
_EXACT = (
    "this translation holds for fp32 arithmetic: run the file with the exact emulation, or convert the model without "
    "fp16 and static int8"
)
_FOREIGN = "convert the model for ARM (or OpenCL and ARM), as the device runs it, or for x86"


def translate(model: NbModel, *, free_batch: bool = False) -> Graph:
    """Return the ONNX graph of a model, one node or a few for each operator.

    The batch is 1, or free where the file leaves it free and ``free_batch`` asks for that; height and width are free
    where the file leaves them free. Raises ``NbError`` for an operator, kernel, attribute or shape that is not known,
    and for arithmetic other than fp32.
    """
    if len(model.blocks) != 1:
        raise NbError(
            f"the program has {len(model.blocks)} blocks; loops and branches are not known",
            path=model.path,
            hint=_EXACT,
        )
    views = [_checked(model, position, op) for position, op in enumerate(model.ops)]
    state = State(restore(model))
    inputs: dict[int, Tensor] = {}
    outputs: dict[int, Tensor] = {}
    for op in views:
        if op.desc.type == "feed":
            column = _column(op, inputs)
            inputs[column] = _feed(op, state, model, free_batch)
        elif op.desc.type == "fetch":
            column = _column(op, outputs)
            outputs[column] = _fetch(op, state, {tensor.name for tensor in inputs.values()})
        else:
            TRANSLATORS[op.desc.type].translate(op, state)
            op.finish()
    if not inputs or not outputs:
        raise NbError(f"the program has {len(inputs)} inputs and {len(outputs)} outputs", path=model.path, hint=_EXACT)
    return state.graph([inputs[i] for i in sorted(inputs)], [outputs[i] for i in sorted(outputs)])


def _checked(model: NbModel, position: int, desc: Op) -> OpView:
    """Return the view of an operator whose kernel is in the table."""
    op = OpView(desc, position, model)
    kernel = desc.kernel
    if kernel is None:
        op.fail("no kernel was chosen for it: the file was not made by opt")
    if desc.type in ("feed", "fetch"):
        return op
    row = TRANSLATORS.get(desc.type)
    name = f"{kernel.alias}/{kernel.target_name}/{kernel.precision_name}/{kernel.layout_name}"
    if row is None or name not in row.kernels:
        _unknown_kernel(op, name, row is not None)
    return op


def _unknown_kernel(op: OpView, name: str, known_op: bool) -> NoReturn:
    alias, target, precision, _ = name.split("/")
    if target not in ("arm", "host", "opencl", "x86"):
        op.fail(f"the kernel {name} is for {target}, which nothing here knows", hint=_FOREIGN)
    if target != "opencl" and (precision in ("fp16", "int8") or "fp16" in alias or "int8" in alias):
        kind = "fp16" if "fp16" in name else "int8"
        op.fail(f"the kernel {name} computes in {kind}", hint=_EXACT)
    op.fail(f"the kernel {name} is not known" if known_op else f"the operator is not known (kernel {name})")


def _column(op: OpView, taken: dict[int, Tensor]) -> int:
    column = op.integer("col", 0)
    if column in taken or column < 0:
        op.fail(f"column {column} is used twice or below zero")
    return column


def _feed(op: OpView, state: State, model: NbModel, free_batch: bool) -> Tensor:
    """Declare an input: a side that the file leaves open is a symbol, but for the batch, which is 1 unless free."""
    name = op.output("Out")
    op.arguments("X")
    var = model.var(name)
    if var.data_type != VarType.FP32 or not var.dims:
        op.fail(f"the input {name!r} is of type {var.data_type and VarType(var.data_type).name} and shape {var.dims}")
    sides: list[Size] = []
    for i, size in enumerate(var.dims):
        if size >= 0:
            sides.append(size)
        elif i == 0 and not free_batch:
            sides.append(1)
        else:
            sides.append(state.symbols.named(_SIDES[i] if len(var.dims) == len(_SIDES) else f"x{i}"))
    tensor = state.feed(op, name, tuple(sides))
    state.bind(op, "Out", tensor)
    op.finish()
    return tensor


def _fetch(op: OpView, state: State, inputs: set[str]) -> Tensor:
    """Return an output; what no node has computed passes through an Identity."""
    x = state.tensor(op, "X")
    op.outputs("Out")
    op.ignore("data_type")
    op.finish()
    if x.data is not None or x.name in inputs:
        return state.emit(op, "Identity", [x.name], x.shape, f"{x.name}/out")
    return x

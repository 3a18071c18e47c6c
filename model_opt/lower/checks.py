"""Checks of a program before it is lowered, and of the resulting operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from model_opt.lower.errors import LowerError, refuse
from model_opt.lower.graph import CONVOLUTIONS, Graph
from model_opt.program import Model, Op, Var, VarType

_REPEATS_SHAPE = frozenset({"XShape"})
"""Outputs that hold no values, whatever type they declare."""
_UPDATES = frozenset({"MeanOut", "VarianceOut"})
"""Outputs of training, which name the parameter that they would change."""
_TRAINING = frozenset({"dropout"})
_SHAPES = frozenset({"shape", "fill_constant", "assign_value", "range", "cast", "fill_constant_batch_size_like"})
_LAYOUTS = frozenset({"NCHW", "AnyLayout", "NCDHW", "", None})
"""What ``data_format`` and ``data_layout`` may say: the kernels take no other order of sides, whatever stands there."""
_PLAIN_RELU6 = 6.0
_LINEAR = frozenset({"quantize_linear", "dequantize_linear"})
_IN_FLOAT32 = "export the model in float32 with fixed dimensions, or try --converter opt"


def check_forms(model: Model) -> None:
    """Raise ``LowerError`` unless each variable is written once and is float32, and each operator is of a known form.

    Parameters may be integers that their operators declare so. Operators that ``optimise`` takes away are refused by
    name, with the reason why they may be left.
    """
    for index, op in enumerate(model.program.ops):
        _check_known(op.type, index)
        _check_form(op, index)
    written = Counter(name for op in model.program.ops for names in op.outputs.values() for name in set(names))
    variables = model.program.main.var_map()
    for index, op in enumerate(model.program.ops):
        _check_written(model, variables, op, index, written)
        _check_types(model, variables, op, index)


def _check_form(op: Op, index: int) -> None:
    if not any(op.inputs.values()) or not any(op.outputs.values()):
        refuse(op.type, index, "it reads or writes nothing", "export the model again")
    if "enable_int8" in op.attrs:
        refuse(op.type, index, "it is marked as int8 already", "give the model as it was before quantisation")
    for name in ("data_format", "data_layout"):
        given = op.attrs.get(name)
        if given is not None and given.value not in _LAYOUTS:
            refuse(op.type, index, f"its layout is {given.value}", "export the model with images as NCHW")


def _check_written(model: Model, variables: Mapping[str, Var], op: Op, index: int, written: Mapping[str, int]) -> None:
    for key, names in op.outputs.items():
        for name in names if key not in _UPDATES else ():
            if name in model.params:
                refuse(op.type, index, f"it writes the parameter {name!r}", "export the model for inference")
            if written[name] > 1 and variables[name].kind == VarType.LOD_TENSOR:
                what = f"it writes {name!r}, which another operator writes too"
                refuse(op.type, index, what, "export the model for inference")


def _check_known(op_type: str, index: int) -> None:
    if op_type.startswith("fake_"):
        what, hint = "the program was quantised by an old PaddleSlim", "give the model as it was before quantisation"
    elif op_type in _TRAINING:
        what, hint = "it is a training operator", "export the model with model.eval(), and let the passes run"
    elif op_type in _SHAPES:
        what, hint = "it computes a shape, which the passes could not make constant", "export with fixed dimensions"
    else:
        return
    raise LowerError(what, index=index, op_type=op_type, hint=f"{hint}; --converter opt may take it as it is")


def _check_types(model: Model, variables: Mapping[str, Var], op: Op, index: int) -> None:
    for key, names in (*op.inputs.items(), *op.outputs.items()):
        for name in names:
            if name in model.params:
                _check_param(model.params[name].dtype.name, op, index, name)
            elif variables[name].kind == VarType.LOD_TENSOR and key not in _REPEATS_SHAPE:
                data_type = variables[name].data_type
                if data_type != VarType.FP32:
                    found = "no type" if data_type is None else VarType(data_type).name
                    what = f"its argument {name!r} is of {found}, and only float32 tensors are supported"
                    refuse(op.type, index, what, _IN_FLOAT32)


def _check_param(dtype: str, op: Op, index: int, name: str) -> None:
    """Take float32, and integers that the operator says are weights with scales."""
    stored = dtype in ("int8", "int16") and (f"{name}_quant_scale" in op.attrs or op.type in _LINEAR)
    if dtype != "float32" and not stored:
        what = f"its parameter {name!r} is of {dtype}, and only float32 ones are supported"
        refuse(op.type, index, what, _IN_FLOAT32)


def check_filters(graph: Graph) -> None:
    """Raise ``LowerError`` for a convolution whose filter is no parameter with four dimensions."""
    for op in graph.of_type(*CONVOLUTIONS):
        name = op.input("Filter")
        if not graph.is_param(name) or graph.params[name].ndim != 4:
            op.refuse(f"its filter {name!r} is no parameter with four dimensions", "export the model for inference")


def check_lowered(graph: Graph) -> None:
    """Raise ``LowerError`` for what Paddle Lite's kernels are known to compute otherwise than the program says."""
    for op in graph.of_type("relu6"):
        if op.need("threshold") != _PLAIN_RELU6:
            op.refuse(f"the kernel clips at 6, not at {op.need('threshold')}", "use relu6 with a threshold of 6")
    for op in graph.of_type("matmul", "matmul_v2"):
        x, y = graph.dims(op.input("X"))[:-2], graph.dims(op.input("Y"))[:-2]
        if len(x) == len(y) and any(min(a, b) > 0 and a != b for a, b in zip(x, y, strict=True)):
            op.refuse(f"its leading dimensions {list(x)} and {list(y)} differ, and the kernel does not broadcast them")

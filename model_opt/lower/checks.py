"""What must hold of a program before it is lowered, and of the operators that come of it."""

from __future__ import annotations

from collections import Counter

from model_opt.lower.errors import LowerError
from model_opt.lower.graph import Graph
from model_opt.lower.source import Source
from model_opt.nb.types import VarType

_REPEATS_SHAPE = frozenset({"XShape"})
"""Outputs that hold no values, whatever type they declare."""
_UPDATES = frozenset({"MeanOut", "VarianceOut"})
"""Outputs of training, which name the parameter that they would change."""
_TRAINING = frozenset({"dropout"})
_SHAPES = frozenset({"shape", "fill_constant", "assign_value", "range", "cast", "fill_constant_batch_size_like"})
_LAYOUTS = frozenset({"NCHW", "AnyLayout", "NCDHW", "", None})
"""What ``data_format`` and ``data_layout`` may say: the kernels take no other order of sides, whatever stands there."""
_PLAIN_RELU6 = 6.0


def check_source(source: Source) -> None:
    """Raise ``LowerError`` unless each variable is written once, by an operator, and is float32.

    Parameters may be integers that their operators declare so. Operators that ``optimise`` takes away are refused by
    name, with the reason why they may be left.
    """
    for index, op in enumerate(source.ops):
        _check_known(op.type, index)
    written = Counter(name for op in source.ops for key, names in op.outputs.items() for name in set(names))
    for index, op in enumerate(source.ops):
        for key, names in op.outputs.items():
            for name in names:
                if written[name] > 1 and key not in _UPDATES and source.variables[name].kind is VarType.LOD_TENSOR:
                    raise LowerError(
                        f"it writes {name!r}, which another operator writes too", index=index, op_type=op.type,
                        hint="export the model for inference",
                    )  # fmt: skip
        _check_types(source, index)
        for name in ("data_format", "data_layout"):
            given = op.attrs.get(name)
            if given is not None and given.value not in _LAYOUTS:
                raise LowerError(
                    f"its sides stand in the order {given.value}", index=index, op_type=op.type,
                    hint="export the model with images as NCHW",
                )  # fmt: skip


def _check_known(op_type: str, index: int) -> None:
    if op_type.startswith("fake_"):
        what, hint = "the program was quantised by an old PaddleSlim", "give the model before its quantisation"
    elif op_type in _TRAINING:
        what, hint = "it is of training", "export the model with model.eval(), and let the passes run"
    elif op_type in _SHAPES:
        what, hint = "it computes a shape, which the passes could not make constant", "export with fixed sides"
    else:
        return
    raise LowerError(what, index=index, op_type=op_type, hint=f"{hint}; --converter opt may take it as it is")


def _check_types(source: Source, index: int) -> None:
    op = source.ops[index]
    for key, names in (*op.inputs.items(), *op.outputs.items()):
        for name in names:
            variable = source.variables[name]
            tensor = variable.kind is VarType.LOD_TENSOR and name not in source.params
            if tensor and variable.data_type is not VarType.FP32 and key not in _REPEATS_SHAPE:
                found = "no type" if variable.data_type is None else variable.data_type.name
                raise LowerError(
                    f"its argument {name!r} is of {found}, and only float32 tensors are supported", index=index,
                    op_type=op.type, hint="export the model in float32 with fixed sides, or try --converter opt",
                )  # fmt: skip


def check_lowered(graph: Graph) -> None:
    """Raise ``LowerError`` for what Paddle Lite's kernels are known to compute otherwise than the program says."""
    for op in graph.of_type("relu6"):
        if op.need("threshold") != _PLAIN_RELU6:
            op.refuse(f"the kernel clips at 6, not at {op.need('threshold')}", "use relu6 with a threshold of 6")
    for op in graph.of_type("matmul", "matmul_v2"):
        x, y = graph.dims(op.input("X"))[:-2], graph.dims(op.input("Y"))[:-2]
        if len(x) == len(y) and any(min(a, b) > 0 and a != b for a, b in zip(x, y, strict=True)):
            op.refuse(f"its leading sides {list(x)} and {list(y)} differ, and the kernel repeats neither")

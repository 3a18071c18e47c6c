"""ONNX to the operators of Paddle, node by node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from model_opt.formats.errors import FormatError
from model_opt.formats.onnx_model import arithmetic, moves, windows
from model_opt.formats.onnx_model.builder import Builder
from model_opt.formats.onnx_model.constants import plain
from model_opt.formats.onnx_model.graph import DAMAGED, EXPORT, Graph, Node, decode_graph
from model_opt.formats.onnx_model.patterns import fused
from model_opt.formats.onnx_model.size_lists import sizes_of
from model_opt.program import Model

OPERATORS: Mapping[str, Callable[[Node, Builder], None]] = {
    "Conv": windows.conv,
    "ConvTranspose": windows.conv_transpose,
    **dict.fromkeys(("MaxPool", "AveragePool"), windows.pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), windows.global_pool),
    **dict.fromkeys(("Resize", "Upsample"), windows.resize),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), arithmetic.binary),
    **arithmetic.UNARY,
    "BatchNormalization": arithmetic.batch_norm,
    "LayerNormalization": arithmetic.layer_norm,
    "Softmax": arithmetic.softmax,
    "MatMul": arithmetic.matmul,
    "Gemm": arithmetic.gemm,
    "ReduceMean": arithmetic.mean,
    "Reshape": moves.reshape,
    "Flatten": moves.flatten,
    "Transpose": moves.transpose,
    "Squeeze": moves.squeeze,
    "Unsqueeze": moves.unsqueeze,
    "Concat": moves.concat,
    "Slice": moves.cut,
    "Gather": moves.gather,
    "Split": moves.split,
    "Cast": moves.cast,
    **dict.fromkeys(("Identity", "Dropout"), moves.same),
}
"""What maps each operator of ONNX; those that exporters write out in several nodes are found by ``patterns``."""

_UNFUSED: Mapping[str, str] = {
    "Erf": "it is not part of a gelu, x / 2 * (1 + erf(x / sqrt(2)))",
    "Sqrt": "it is not part of a layer_norm with factors and summands over the last side",
    "Pow": "it is not part of a layer_norm over the last side",
}


def read_onnx(data: bytes, path: Path | None) -> Model:
    """Read an ONNX file into the program that Paddle itself would save, and its parameters.

    Inputs and outputs keep their names, weights theirs. Sides that the file names or leaves open are -1. Raises
    ``FormatError`` for a damaged file, for one that holds no float32 model, and for operators that cannot be mapped.
    """
    try:
        return _model(decode_graph(data, path), path)
    except FormatError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise FormatError(f"the ONNX graph cannot be followed: {error}", path=path, hint=DAMAGED) from error


def _model(graph: Graph, path: Path | None) -> Model:
    _check_order(graph, path)
    graph = fused(plain(graph))
    made = Builder(graph, path)
    for column, value in enumerate(graph.inputs):
        made.feed(value, column)
    for node in graph.nodes:
        try:
            _read(node, made)
        except FormatError:
            raise
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise FormatError(f"{node.label} cannot be followed: {error}", path=path, hint=DAMAGED) from error
    return made.finish()


def _read(node: Node, made: Builder) -> None:
    found = sizes_of(node, made)
    if found is not None:
        made.set_list(node.outputs[0], found)
        return
    rule = OPERATORS.get(node.op)
    if rule is None:
        made.refuse(node, _UNFUSED.get(node.op, "no operator of Paddle is known for it"))
    rule(node, made)


def _check_order(graph: Graph, path: Path | None) -> None:
    """Raise ``FormatError`` for a node that reads what only it or a later one makes, or a name made twice."""
    known = {*graph.constants, *(value.name for value in graph.inputs), ""}
    if len(known) != len(graph.constants) + len(graph.inputs) + 1:
        raise FormatError("the ONNX graph has an input or a weight without a name, or twice", path=path, hint=DAMAGED)
    for node in graph.nodes:
        for name in node.inputs:
            if name not in known:
                what = f"{node.label} reads {name!r}, which nothing in front of it makes"
                raise FormatError(what, path=path, hint=DAMAGED)
        for name in node.outputs:
            if name and name in known:
                raise FormatError(f"{node.label} makes {name!r} a second time", path=path, hint=DAMAGED)
            known.add(name)
    if not graph.outputs:
        raise FormatError("the ONNX graph has no output", path=path, hint=EXPORT)

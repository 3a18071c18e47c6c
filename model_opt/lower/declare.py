"""Make the ``.nb`` model of a lowered graph; variables are declared in the order in which operators use them."""

from __future__ import annotations

from collections.abc import Mapping

from model_opt.lower.graph import Graph, LiteOp
from model_opt.lower.target import RUNTIMES, Target
from model_opt.nb.types import NbModel
from model_opt.program import Block, Op, Program, Var, VarType

_NO_PARENT = -1
_WITHOUT_SIZES: Mapping[str, tuple[int, ...]] = {"2.13rc0": (), "2.14rc0": (1,)}
"""What is declared of a variable that the program declares without sizes (``support_0_dim_tensor_pass``)."""


def to_nb(graph: Graph, target: Target) -> NbModel:
    """Return the graph, whose operators have kernels, as a model for ``target``'s release."""
    ops = graph.ops
    variables = tuple(_variables(graph, _WITHOUT_SIZES[target.runtime]))
    read = {name for op in ops for name in op.reads}
    params = {name: graph.params[name] for name in sorted(graph.params, key=str.encode) if name in read}
    block = Block(0, _NO_PARENT, variables, tuple(_op(op) for op in ops), _NO_PARENT)
    return NbModel(2, RUNTIMES[target.runtime], Program((block,), graph.version), params)


def _variables(graph: Graph, without_sizes: tuple[int, ...]) -> list[Var]:
    found: dict[str, Var] = {}
    for op in graph.ops:
        for name in sorted({*op.reads, *op.writes}, key=str.encode):
            if name not in found:
                found[name] = _variable(graph, name, without_sizes)
    return list(found.values())


def _variable(graph: Graph, name: str, without_sizes: tuple[int, ...]) -> Var:
    declared = graph.variables.get(name)
    if declared is not None and declared.kind != VarType.LOD_TENSOR:
        return Var(name, declared.kind, persistable=True, need_check_feed=False)
    if graph.is_param(name):
        data_type = declared.data_type if declared is not None else None
        return _tensor_var(name, data_type, graph.dims(name), persistable=True)
    dims = graph.dims(name)
    if declared is not None and not dims:
        dims = without_sizes
    return _tensor_var(name, graph.data_types[name], dims, persistable=False)


def _tensor_var(name: str, data_type: int | None, dims: tuple[int, ...], *, persistable: bool) -> Var:
    return Var(name, VarType.LOD_TENSOR, data_type, dims, 0, persistable=persistable, need_check_feed=False)


def _op(op: LiteOp) -> Op:
    return Op(op.type, op.inputs, op.outputs, op.attrs, False, op.kernel)

"""A lowered graph as the values of a ``.nb`` file: variables in the order in which operators meet them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.lower.graph import Graph, LiteOp
from model_opt.lower.target import RUNTIMES, Target
from model_opt.nb.types import DTYPES, KERNEL_ATTR, AttrType, BlockDesc, NbModel, NbTensor, OpDesc, VarDesc, VarType

_NO_PARENT = -1
_WITHOUT_SIZES: Mapping[str, tuple[int, ...]] = {"2.13rc0": (), "2.14rc0": (1,)}
"""What is declared of a variable that the program declares without sizes (``support_0_dim_tensor_pass``)."""
_DATA_TYPES: Mapping[np.dtype[Any], VarType] = {dtype: kind for kind, dtype in DTYPES.items()}


def to_nb(graph: Graph, target: Target) -> NbModel:
    """Return the graph, whose operators have kernels, as a model for ``target``'s release."""
    ops = graph.ops
    variables = tuple(_variables(graph, _WITHOUT_SIZES[target.runtime]))
    read = {name for op in ops for name in op.reads}
    params = {name: _tensor(name, graph.params[name]) for name in sorted(graph.params, key=str.encode) if name in read}
    block = BlockDesc(0, _NO_PARENT, _NO_PARENT, variables, tuple(_op(op) for op in ops))
    return NbModel(2, RUNTIMES[target.runtime], graph.version, (block,), params)


def _variables(graph: Graph, without_sizes: tuple[int, ...]) -> list[VarDesc]:
    found: dict[str, VarDesc] = {}
    for op in graph.ops:
        for name in sorted({*op.reads, *op.writes}, key=str.encode):
            if name not in found:
                found[name] = _variable(graph, name, without_sizes)
    return list(found.values())


def _variable(graph: Graph, name: str, without_sizes: tuple[int, ...]) -> VarDesc:
    declared = graph.variables.get(name)
    if declared is not None and declared.kind is not VarType.LOD_TENSOR:
        return VarDesc(name, declared.kind, True, False, None, None)
    if graph.is_param(name):
        data_type = declared.data_type if declared is not None else None
        return VarDesc(name, VarType.LOD_TENSOR, True, False, data_type, graph.dims(name))
    dims = graph.dims(name)
    if declared is not None and not dims:
        dims = without_sizes
    return VarDesc(name, VarType.LOD_TENSOR, False, False, graph.data_types[name], dims)


def _op(op: LiteOp) -> OpDesc:
    attrs = {name: attr.value for name, attr in op.attrs.items()}
    types = {name: attr.type for name, attr in op.attrs.items()}
    if op.kernel is not None:
        kernel = op.kernel
        attrs[KERNEL_ATTR] = f"{op.type}/{kernel.alias}/{kernel.target}/{kernel.precision}/{kernel.layout}"
        types[KERNEL_ATTR] = AttrType.STRING
    return OpDesc(op.type, op.inputs, op.outputs, attrs, types, op.kernel)


def _tensor(name: str, values: NDArray[Any]) -> NbTensor:
    return NbTensor(name, tuple(values.shape), _DATA_TYPES[values.dtype], values)

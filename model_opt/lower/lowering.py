"""Lower a program to Paddle Lite's operators, in the steps and the order of opt (``optimizer.cc``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from model_opt.lower import fusions
from model_opt.lower.checks import check_filters, check_forms, check_lowered
from model_opt.lower.copies import Side, insert_copies
from model_opt.lower.declare import to_nb
from model_opt.lower.demanded import complete
from model_opt.lower.graph import Graph, integer
from model_opt.lower.int8 import set_output_scales, take_out_pairs
from model_opt.lower.kernels import pick_kernels
from model_opt.lower.names import mark_in_place, rename, shared_names
from model_opt.lower.order import arrange
from model_opt.lower.precision import insert_casts
from model_opt.lower.readable import carried_attrs, check_readable
from model_opt.lower.target import OPT_ROUNDS, Target
from model_opt.lower.weights import mark_halves, round_weights
from model_opt.nb.types import NbModel
from model_opt.program import Model, VarType

Fusion = Callable[[Graph, Target], None]

FUSIONS: tuple[Fusion, ...] = (
    fusions.make_pools_global,
    fusions.drop_scales_before_readers,
    fusions.fuse_conv_bias,
    fusions.fuse_conv_bias,
    fusions.fuse_swish,
    fusions.fuse_conv_activation,
    fusions.fuse_fc,
    fusions.drop_identity_scales,
    fusions.fuse_elementwise_activation,
    fusions.fuse_second_input,
)
"""In opt's order, which decides the numbers of operators and with them their order in the file; biases twice, as opt
looks for them before and behind its batch norms. The same for the releases of ``RUNTIMES``."""

_PRECISION_NUMBERS: Mapping[VarType, int] = {VarType.FP32: 1}
"""``fetch``'s name for what it hands out."""


def lower(model: Model, target: Target) -> NbModel:
    """Return ``model`` as operators of Paddle Lite with the kernels of ``target``, ready to be written.

    Equal inputs give equal models. Raises ``LowerError`` for an operator that has no kernel there, for a form that is
    not known, and for a program that is not one of float32 tensors each written once.
    """
    check_readable(model.program)
    check_forms(model)
    graph = _graph(model)
    complete(graph, target)
    int8 = take_out_pairs(graph)
    check_filters(graph)
    for fuse in FUSIONS:
        fuse(graph, target)
    check_lowered(graph)
    pick_kernels(graph, target)
    _declare_shapes(graph)
    set_output_scales(graph)
    arrange(graph)
    sides: Mapping[str, Side] = {}
    held: Mapping[str, VarType] = {}
    if target.place == "opencl":
        sides = insert_copies(graph)
    elif target.fp16 or int8:
        held = insert_casts(graph)
    mark_in_place(graph)
    names = shared_names(graph, target, sides)
    _note_held(graph, held, names)
    if target.weight_bits is not None:
        round_weights(graph, target.weight_bits, target.rounded & OPT_ROUNDS)
    if target.fp16:
        mark_halves(graph)
    rename(graph, names)
    return to_nb(graph, target)


def _graph(model: Model) -> Graph:
    variables = model.program.main.var_map()
    tensors = {n: v for n, v in variables.items() if v.kind == VarType.LOD_TENSOR and n not in model.params}
    types = {name: VarType(variable.data_type or VarType.FP32) for name, variable in tensors.items()}
    graph = Graph(model.program.version or 0, variables, dict(model.params), types)
    for index, op in enumerate(model.program.ops):
        made = graph.add(op.type, op.inputs, op.outputs, carried_attrs(op), index)
        if op.type == "fetch":
            made.attrs["data_type"] = integer(_PRECISION_NUMBERS[VarType.FP32])
    return graph


def _declare_shapes(graph: Graph) -> None:
    """Declare the repeated shapes that the host's flattening kernels register as int64."""
    for op in graph.of_type("flatten2", "flatten_contiguous_range"):
        if op.kernel is not None and op.kernel.target_name == "host":
            graph.data_types |= dict.fromkeys(op.outputs.get("XShape", ()), VarType.INT64)


def _note_held(graph: Graph, held: Mapping[str, VarType], names: Mapping[str, str]) -> None:
    """Declare what variables that keep their names hold, where an operator reads them as a value."""
    for op in graph.ops:
        if op.type in ("feed", "fetch"):
            continue
        for name in op.reads:
            if name in held and names.get(name, name) == name:
                graph.data_types[name] = held[name]

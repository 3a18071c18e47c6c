"""Insert ``calib`` where a kernel takes another precision than its input has (``type_precision_cast_pass``)."""

from __future__ import annotations

from collections.abc import Mapping

from model_opt.lower.graph import Graph, LiteOp, real, renamed
from model_opt.lower.order import arrange
from model_opt.program import PRECISIONS, TARGETS, Kernel, VarType

_HOLDS: Mapping[int, VarType] = {
    PRECISIONS.index("fp32"): VarType.FP32,
    PRECISIONS.index("fp16"): VarType.FP16,
    PRECISIONS.index("int8"): VarType.INT8,
}
"""What a kernel of each precision takes and writes; one of precision "any" takes all and writes what it took."""

_CALIBS: Mapping[VarType, tuple[str, str]] = {
    VarType.FP32: ("fp16_to_fp32", "fp16"),
    VarType.FP16: ("fp32_to_fp16", "fp16"),
    VarType.INT8: ("fp32_to_int8", "int8"),
}
"""For what is wanted: alias and precision of the kernel that makes it."""


def insert_casts(graph: Graph) -> Mapping[str, VarType]:
    """Put a ``calib`` in front of each operator whose kernel takes another precision; return what variables hold.

    Readers that want one variable in one precision share its ``calib``, but each int8 reader has its own, with its
    scale; these are counted over the file. The operators must be in order and have kernels.
    """
    held = _held(graph)
    shared: dict[tuple[str, VarType], str] = {}
    count = 0
    for op in graph.ops:
        wanted = _wanted(op)
        for name in op.reads:
            if wanted is None or name not in held or held[name] == wanted:
                continue
            made = shared.get((name, wanted))
            if made is None:
                made = f"{name}/precision_trans{count if wanted is VarType.INT8 else ''}"
                _add_calib(graph, op, name, made, wanted)
                held[made] = wanted
            if wanted is VarType.INT8:
                count += 1
            else:
                shared[name, wanted] = made
            graph.rewire(op, inputs=renamed(op.inputs, {name: made}))
    arrange(graph)
    return held


def _held(graph: Graph) -> dict[str, VarType]:
    """Return what each variable holds by the kernels that write them, and note it where a kernel takes any."""
    held: dict[str, VarType] = {}
    for op in graph.ops:
        if op.type == "feed":
            held[op.output("Out")] = graph.data_types.get(op.output("Out"), VarType.FP32)
        elif op.type != "fetch":
            written = _written(op)
            if written is None:
                written = held.get(op.reads[0], VarType.FP32)
                graph.data_types[op.output("Out")] = written
                graph.data_types |= {name: held[name] for name in op.reads if name in held}
            held |= dict.fromkeys(op.writes, written)
    return held


def _written(op: LiteOp) -> VarType | None:
    kernel = op.kernel
    if kernel is None:
        return None
    return VarType.FP32 if kernel.alias == "fp32_out" else _HOLDS.get(kernel.precision)


def _wanted(op: LiteOp) -> VarType | None:
    """Return what an operator takes: ``fetch`` hands out floats; None for one that takes anything."""
    if op.type == "fetch":
        return VarType.FP32
    return None if op.kernel is None else _HOLDS.get(op.kernel.precision)


def _add_calib(graph: Graph, reader: LiteOp, name: str, made: str, wanted: VarType) -> None:
    attrs = {"scale": real(reader.need("Input0_scale")[0])} if wanted is VarType.INT8 else {}
    alias, precision = _CALIBS[wanted]
    kernel = Kernel("calib", alias, TARGETS.index("arm"), PRECISIONS.index(precision), 1)
    graph.put_between(name, made, reader, kernel, wanted, attrs)

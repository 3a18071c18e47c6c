"""Poolings of everything and scales by one (``adaptive_1x1_pool2d_convert_global_pass``, ``remove_scale1_pass``,
``identity_scale_eliminate_pass``).
"""

from __future__ import annotations

from model_opt.lower.graph import Graph, LiteOp, flag, renamed
from model_opt.lower.target import Target

_NEAR = 1e-5


def make_pools_global(graph: Graph, target: Target) -> None:
    """Say of an adaptive pooling to 1 x 1 that it is global, for which there are kernels. Not on x86."""
    if target.place == "x86":
        return
    for op in graph.of_type("pool2d"):
        if op.value("adaptive", False) and tuple(op.need("ksize")) == (1, 1) and not op.need("global_pooling"):
            op.attrs |= {"global_pooling": flag(True), "adaptive": flag(False)}


def drop_scales_before_readers(graph: Graph, target: Target) -> None:
    """With OpenCL, let the only reader of a scale by one read what the scale reads.

    Only for a reader with one parameter of inputs, as ``fetch``; at the first other reader the pass ends, so the later
    scales are left to ``drop_identity_scales``.
    """
    if target.place != "opencl":
        return
    for op in graph.of_type("scale"):
        before = graph.writer(op.input("X"))
        after = graph.only_reader(op.output("Out"))
        if not _is_identity(op) or before is None or len(before.writes) != 1 or after is None:
            continue
        if len(after.inputs) != 1:
            return
        graph.rewire(after, inputs=dict.fromkeys(after.inputs, (op.input("X"),)))
        graph.remove(op)


def drop_identity_scales(graph: Graph, target: Target) -> None:
    """Let the operator in front of a scale by one write the scale's output, where nothing else reads its own."""
    found = [(op, graph.writer(op.input("X"))) for op in graph.of_type("scale") if _is_identity(op)]
    for op, before in found:
        x = op.input("X")
        if before is not None and before.type != "scale" and graph.only_reader(x) is op:
            graph.remove(op)
            graph.rewire(before, outputs=renamed(before.outputs, {x: op.output("Out")}))


def _is_identity(op: LiteOp) -> bool:
    plain = (
        not op.value("activation_type", "") and not op.value("fuse_relu", False) and not op.inputs.get("ScaleTensor")
    )
    return plain and abs(op.need("scale") - 1) <= _NEAR and abs(op.need("bias")) <= _NEAR

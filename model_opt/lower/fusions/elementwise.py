"""Fusions of elementwise operators: with an activation, to swish, and as second input of a convolution."""

from __future__ import annotations

from collections.abc import Mapping

from model_opt.lower.graph import Graph, LiteOp, real, text
from model_opt.lower.target import Place, Target

_ACTIVATIONS: Mapping[Place, tuple[str, ...]] = {
    "arm": ("relu",),
    "x86": ("relu", "abs", "tanh"),
    "opencl": ("relu", "relu6", "gelu"),
}
_FUSED = "fusion_elementwise_{}_activation"


def fuse_swish(graph: Graph, target: Target) -> None:
    """Make ``x * sigmoid(x)`` one ``swish`` (``lite_sigmoid_elementmul_fuse_pass``)."""
    for product in graph.of_type("elementwise_mul"):
        sides = product.input("X"), product.input("Y")
        for x, y in (sides, sides[::-1]):
            sigmoid = graph.writer(y)
            if sigmoid is None or sigmoid.type != "sigmoid" or sigmoid.input("X") != x:
                continue
            if graph.only_reader(y) is product:
                graph.remove(sigmoid, product)
                graph.add("swish", {"X": (x,)}, {"Out": product.outputs["Out"]}, {"beta": real(1.0)}, sigmoid.index)
                break


def fuse_elementwise_activation(graph: Graph, target: Target) -> None:
    """Make a sum, difference or product and the only activation that reads it one new operator.

    (``lite_elementwise_activation_fuse_pass``.) Not for ``op(x, x)``: a pattern's variables are different ones. opt
    keeps no parameter of an activation; the kernels take a relu6's threshold for 6 and a gelu for the exact one, so
    others stay apart here. So does a constant operand in half precision: the runtime turns those of the plain operators
    into halves when it loads a file (``WeightFP32ToFP16``), not those of the fused ones.
    """
    for kind in ("add", "sub", "mul"):
        for act_type in _ACTIVATIONS[target.place]:
            for act in graph.of_type(act_type):
                _fuse_activation(graph, kind, act, target)


def _fuse_activation(graph: Graph, kind: str, act: LiteOp, target: Target) -> None:
    x = act.input("X")
    before = graph.writer(x)
    if before is None or before.type != f"elementwise_{kind}" or graph.only_reader(x) is not act:
        return
    if before.inputs["X"] == before.inputs["Y"] or not _is_plain(act):
        return
    if target.fp16 and any(map(graph.is_param, before.reads)):
        return
    attrs = {**before.attrs, "act_type": text(act.type)}
    graph.remove(before, act)
    graph.add(_FUSED.format(kind), before.inputs, {"Out": act.outputs["Out"]}, attrs, before.index)


def _is_plain(act: LiteOp) -> bool:
    return bool(act.value("threshold", 6.0) == 6.0 and not act.value("approximate", False))


def fuse_second_input(graph: Graph, target: Target) -> None:
    """With OpenCL, make ``x + conv1x1(y)`` one convolution with x as ``SecondInput``.

    (``lite_conv_elementwise_tree_fuse_pass``.) Also where a relu follows the sum. x is neither y nor the product, both
    sides have the sizes of the sum, and the sum has no axis. opt takes a convolution with an activation too, whose
    kernel then adds behind that activation, as the program does.
    """
    if target.place != "opencl":
        return
    for has_bias in (True, False):
        for kind in ("elementwise_add", _FUSED.format("add")):
            for add in graph.of_type(kind):
                conv = graph.writer(add.input("Y"))
                if conv is not None and _takes_second(graph, conv, add, has_bias):
                    _add_second(graph, conv, add)


def _takes_second(graph: Graph, conv: LiteOp, add: LiteOp, has_bias: bool) -> bool:
    y, out = add.input("Y"), add.output("Out")
    if conv.type != "conv2d" or "fuse_elementwise_op_type" in conv.attrs or graph.only_reader(y) is not add:
        return False
    if add.input("X") in (y, conv.input("Input")) or (has_bias and not conv.inputs.get("Bias")):
        return False
    if add.need("axis") != -1 or add.value("act_type", "relu") != "relu":
        return False
    return graph.dims(y) == graph.dims(out) and graph.dims(conv.input("Filter"))[2:] == (1, 1)


def _add_second(graph: Graph, conv: LiteOp, add: LiteOp) -> None:
    attrs = {**conv.attrs, "fuse_elementwise_op_type": text(add.type)}
    graph.remove(conv, add)
    inputs = {**conv.inputs, "SecondInput": add.inputs["X"]}
    graph.add("conv2d", inputs, {"Output": add.outputs["Out"]}, attrs, conv.index)

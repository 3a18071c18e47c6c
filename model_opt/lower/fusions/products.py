"""A product with a matrix and the sum behind it become a fully connected layer (``lite_fc_fuse_pass``)."""

from __future__ import annotations

from collections.abc import Mapping

from model_opt.lower.graph import Graph, LiteOp, integer, real, text
from model_opt.lower.target import Target
from model_opt.program import Attr

_TRANSPOSED: Mapping[str, tuple[str, ...]] = {"mul": (), "matmul_v2": ("trans_x", "trans_y")}
_ACTIVATIONS = ("relu", "relu6", None)
_NEAR = 1e-8


def fuse_fc(graph: Graph, target: Target) -> None:
    """Fuse a product, the sum with a bias, and a relu or relu6 that is its only reader into ``fc``. Not on x86.

    opt asks neither that the matrix is a parameter (``fc`` prepares its weights once) nor what side the sum's
    ``axis`` names; where either is not so, the operators stay apart here.
    """
    if target.place == "x86":
        return
    for kind in _TRANSPOSED:
        for act_type in _ACTIVATIONS:
            for add in graph.of_type("elementwise_add"):
                _fuse(graph, kind, act_type, add)


def _fuse(graph: Graph, kind: str, act_type: str | None, add: LiteOp) -> None:
    x, bias = add.input("X"), add.input("Y")
    if not graph.is_param(bias):
        x, bias = bias, x
    product = graph.writer(x)
    if product is None or product.type != kind or not _fits(graph, product, add, x, bias):
        return
    parts, out, attrs = [product, add], add.output("Out"), _attrs(product)
    if act_type is not None:
        act = graph.only_reader(out)
        if act is None or act.type != act_type:
            return
        parts, out = [*parts, act], act.output("Out")
        attrs["activation_type"] = text(act_type)
        if act_type == "relu6":
            attrs["alpha"] = real(act.need("threshold"))
    inputs = {"Input": (product.input("X"),), "W": (product.input("Y"),), "Bias": (bias,)}
    graph.remove(*parts)
    graph.add("fc", inputs, {"Out": (out,)}, attrs, product.index)


def _fits(graph: Graph, product: LiteOp, add: LiteOp, x: str, bias: str) -> bool:
    if graph.only_reader(x) is not add or not graph.is_param(bias):
        return False
    matrix = product.input("Y")
    if not graph.is_param(matrix) or len(graph.dims(matrix)) != 2 or any(map(product.value, _TRANSPOSED[product.type])):
        return False
    if abs(product.value("alpha", 1.0) - 1) > _NEAR:
        return False
    # The pattern looks at the sum's Y: a bias in X fits only a product of one or two sides.
    if add.input("Y") == x and len(graph.dims(x)) not in (1, 2):
        return False
    return _is_bias(graph.dims(bias), graph.dims(matrix)[1], len(graph.dims(x)), add)


def _is_bias(sizes: tuple[int, ...], columns: int, sides: int, add: LiteOp) -> bool:
    """Return whether the sum adds one value to each column: of sizes (columns) or (1, columns), at the last side."""
    at_the_end = add.need("axis") in (-1, sides - len(sizes))
    return at_the_end and sizes in ((columns,), (1, columns))


def _attrs(product: LiteOp) -> dict[str, Attr]:
    columns = product.need("x_num_col_dims") if product.type == "mul" else 1
    return {**product.attrs, "op_type": text(product.type), "in_num_col_dims": integer(columns)}

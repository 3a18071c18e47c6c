"""Split a convolution into a sum of several, each over a part of the input channels.

The fp16 kernels round after every product, to the spacing of numbers as large as the sum so far; with n channels in k
parts each sum has n / k products and grows to about sqrt(1 / k) of what it was, so the errors of all roundings together
fall by about sqrt(k). Multiplications stay as many as they were. It costs one pass over the output for each further
part, and what cuts the input: opt knows ``split`` in fp32 only, so the input is widened, cut and rounded back, which
changes no value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import CONVS, Conv, Float64Array, conv_at
from model_opt.quantize.patches import Seen

_FEW = 32
"""Products of a sum, at most, whose sides are chosen one by one."""


def split_sums(model: Model, parts: Mapping[str, int]) -> Model:
    """Return the model whose convolutions in ``parts``, by the name of their weights, are sums of so many.

    Each part has equally many channels. The bias stays with the first one.
    """
    editor = GraphEditor(model, "split_sums")
    for op in editor.each("conv2d"):
        conv = conv_at(editor, op)
        count = parts.get(op.input("Filter"), 1)
        if conv is None or count < 2 or conv.groups != 1 or conv.weight.shape[1] % count:
            continue
        _write(editor, conv, count)
        editor.note("split")
    return editor.finish()[0]


def _write(editor: GraphEditor, conv: Conv, count: int) -> None:
    """Write ``count`` convolutions of equal shares of the channels in the place of one."""
    filters = conv.op.input("Filter")
    sources, cut = _cut(editor, conv.source, 1, conv.weight.shape[1], count)
    weights = np.split(conv.weight, count, axis=1)
    names = [editor.changed_param(conv.op, filters, weights[0]), *(editor.set_param(filters, w) for w in weights[1:])]
    made = [conv.op.with_input("Input", s).with_input("Filter", n) for s, n in zip(sources, names, strict=True)]
    put_sum(editor, conv, made, before=(cut,))


def _cut(editor: GraphEditor, source: str, axis: int, size: int, count: int) -> tuple[list[str], Op]:
    """Return names for ``count`` equal parts of a variable along ``axis``, of ``size``, and what cuts it."""
    dims = editor.dims(source)
    shape = None if dims is None else (*dims[:axis], size // count, *dims[axis + 1 :])
    parts = [editor.new_var(source, shape, like=source) for _ in range(count)]
    cut = Op("split", {"X": (source,)}, {"Out": tuple(parts)}, {})
    for key, number in (("axis", axis), ("num", 0)):
        cut = cut.with_attr(key, number, AttrType.INT)
    return parts, cut.with_attr("sections", (size // count,) * count, AttrType.INTS)


def split_last_matrix(model: Model, count: int) -> tuple[Model, str | None]:
    """Return the model whose last matrix product, the one of the classes, is a sum of ``count``, and its weights' name.

    Its rounding errors go straight into the classes. None, and the model as it is, where no softmax alone reads a
    product with a bias, or its rows are no multiple of ``count``.
    """
    editor = GraphEditor(model, "split_last_matrix")
    for op in editor.each("matmul_v2"):
        weights, dims = editor.param(op.input("Y")), editor.dims(op.input("X"))
        adder = editor.only_consumer(op.output("Out"))
        reader = None if adder is None or adder.type != "elementwise_add" else editor.only_consumer(adder.output("Out"))
        bias = None if adder is None or reader is None else editor.param(adder.input("Y"))
        if weights is None or weights.ndim != 2 or dims is None or bias is None or adder is None:
            continue
        transposed = op.attr("trans_x", False) or op.attr("trans_y", False)
        last = reader is not None and reader.type == "softmax" and editor.is_output(reader.output("Out"))
        if count < 2 or transposed or not last or weights.shape[0] % count:
            continue
        name = op.input("Y")
        _write_matrix(editor, op, adder, count)
        editor.note("matrix")
        return editor.finish()[0], name
    return model, None


def _write_matrix(editor: GraphEditor, op: Op, adder: Op, count: int) -> None:
    """Write ``count`` products with equal shares of the rows in the place of one, each with a bias: opt makes ``fc``
    of such a pair, and of a product alone what reads matrices of one rank.
    """
    source, name, out, dims = op.input("X"), op.input("Y"), adder.output("Out"), editor.dims(adder.output("Out"))
    weights, bias = editor.param(name), editor.param(adder.input("Y"))
    if weights is None or bias is None:
        return
    rank = len(editor.dims(source) or ())
    parts, cut = _cut(editor, source, rank - 1, weights.shape[0], count)
    made: list[Op] = [cut]
    totals: list[str] = []
    for number, (part, share) in enumerate(zip(parts, np.split(weights, count), strict=True)):
        product, total = editor.new_var(out, dims, like=out), editor.new_var(out, dims, like=out)
        held = editor.changed_param(op, name, share) if number == 0 else editor.set_param(name, share)
        made.append(op.with_input("X", part).with_input("Y", held).with_output("Out", product))
        added = adder.with_input("X", product).with_output("Out", total)
        zeros = editor.set_param(adder.input("Y"), np.zeros_like(bias)) if number else adder.input("Y")
        made.append(added.with_input("Y", zeros))
        totals.append(total)
    editor.replace(op, *made)
    editor.replace(adder, *sums(editor, totals[0], totals[1:], out))


def put_sum(editor: GraphEditor, conv: Conv, made: list[Op], before: Iterable[Op] = ()) -> None:
    """Put the convolutions ``made`` and their sum in the place of ``conv``, whose bias stays behind the first."""
    dims, adder = editor.dims(conv.out), conv.adder
    outs = [editor.new_var(conv.out, dims, like=conv.out) for _ in made]
    made = [op.with_output("Output", out) for op, out in zip(made, outs, strict=True)]
    if adder is None:
        editor.replace(conv.op, *before, *made, *sums(editor, outs[0], outs[1:], conv.out))
        return
    start = editor.new_var(conv.out, dims, like=conv.out)
    totals = sums(editor, start, outs[1:], conv.out)
    editor.replace(conv.op, *before, *made)
    editor.replace(adder, adder.with_input("X", outs[0]).with_output("Out", start), *totals)


def sums(editor: GraphEditor, start: str, others: Sequence[str], out: str) -> list[Op]:
    """Return additions of ``others``, one after the other, to ``start``; the last one writes ``out``."""
    totals: list[Op] = []
    for number, other in enumerate(others, 1):
        total = out if number == len(others) else editor.new_var(out, editor.dims(out), like=out)
        added = Op("elementwise_add", {"X": (start,), "Y": (other,)}, {"Out": (total,)}, {})
        totals.append(added.with_attr("axis", -1, AttrType.INT))
        start = total
    return totals


def halve_sums(model: Model, seen: Mapping[str, Seen], layers: int) -> tuple[Model, dict[str, float]]:
    """Return the model whose first convolutions are sums of two that share out the products, and the gains.

    Each of the two reads all inputs and has zeros where the other has weights; a product with zero rounds nothing.
    Which product goes where is chosen for each output, so that the partial sums on the windows in ``seen`` stay small.
    The figure is their root mean square before divided by after, by the name of the weights.
    """
    editor, gains = GraphEditor(model, "halve_sums"), dict[str, float]()
    for op in editor.each(*CONVS):
        conv = conv_at(editor, op)
        name = op.input("Filter")
        if len(gains) == layers:
            break
        if conv is None or name not in seen or conv.weight[0].size > _FEW or conv.adder is None:
            continue
        mask, gains[name] = _shared(conv, seen[name].gram)
        kept = [np.where(mask, conv.weight, 0), np.where(mask, 0, conv.weight)]
        names = [editor.changed_param(op, name, kept[0]), editor.set_param(name, kept[1])]
        put_sum(editor, conv, [op.with_input("Filter", held) for held in names])
        editor.note("halved")
    return editor.finish()[0], gains


def _shared(conv: Conv, gram: Float64Array) -> tuple[NDArray[np.bool_], float]:
    """Return which weights go to the first convolution, and how much smaller the partial sums become."""
    order = tap_order(conv)
    outputs = len(conv.weight)
    weights = conv.weight.reshape(outputs, -1)[:, order].astype(np.float64)
    mask = np.ones(weights.shape, bool)
    before = after = 0.0
    for o in range(outputs):
        inner = gram[o * len(gram) // outputs][1:, 1:][np.ix_(order, order)]
        products = inner * np.outer(weights[o], weights[o])
        mask[o], first, last = _share(products)
        before, after = before + first, after + last
    back = np.empty_like(mask)
    back[:, order] = mask
    return back.reshape(conv.weight.shape), math.sqrt(before / max(after, 1e-30))


def _share(products: Float64Array) -> tuple[NDArray[np.bool_], float, float]:
    """Return which products (k, k; the mean of each times each) the first sum takes, and the sums' mean squares of
    all steps before and after. Beginning with every other one, each changes sides where that helps, until none does.
    """
    mask = np.arange(len(products)) % 2 == 0
    best = _steps(products, mask)
    for _ in range(10):
        start = best
        for k in range(len(products)):
            mask[k] = not mask[k]
            length = _steps(products, mask)
            if length < best:
                best = length
            else:
                mask[k] = not mask[k]
        if best == start:
            break
    return mask, _steps(products, np.ones(len(products), bool)), best


def _steps(products: Float64Array, mask: NDArray[np.bool_]) -> float:
    total = 0.0
    for half in (mask, ~mask):
        inner = products[np.ix_(half, half)]
        total += float(np.cumsum(np.tril(inner).sum(axis=1) * 2 - np.diagonal(inner)).sum())
    return total


def tap_order(conv: Conv) -> NDArray[np.intp]:
    """Return the order in which the kernel adds the products of a filter."""
    order = np.arange(conv.weight[0].size).reshape(conv.weight.shape[1:])
    direct = conv.weight.shape[1:] == (3, 3, 3) and conv.strides == (2, 2)
    return np.asarray(order.transpose(1, 2, 0) if direct else order, dtype=np.intp).reshape(-1)

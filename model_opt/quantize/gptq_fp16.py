"""GPTQ for fp16: round the weights of a layer together, so that later ones compensate the errors of earlier ones.

A layer's inputs are alike: on a page most windows are blank, so every weight sees the same value and the rounding
errors of a filter add up to a constant, which moves everything behind it. Rounding one weight after the other and
spreading each error over those that are still free keeps the layer's outputs on the calibration inputs (the scheme of
GPTQ, Frantar et al. 2022, with the numbers of fp16 as its grid). The bias goes first, as the weight of a constant 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from model_opt.program import Model
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import CONVS, Conv, Float64Array, conv_at
from model_opt.quantize.observe import Float32Array
from model_opt.quantize.parallel import in_order
from model_opt.quantize.patches import Seen

_DAMPING = 0.01
_PANEL, _WIDTH = 64, 256
"""Columns of a panel, and of a block beside it."""


def round_weights(model: Model, seen: Mapping[str, Seen]) -> tuple[Model, dict[str, float]]:
    """Return the model whose convolutions in ``seen`` hold fp16 numbers, and how much smaller their error became.

    The figure is the error of the layer's outputs on the calibration inputs, root mean square, with plain rounding
    divided by that of the rounding chosen. Layers where plain rounding is no worse keep their weights.
    """
    editor, gains = GraphEditor(model, "round_weights"), dict[str, float]()
    found = (conv_at(editor, op) for op in editor.each(*CONVS, "conv2d_transpose"))
    convs = [conv for conv in found if conv is not None and conv.op.input("Filter") in seen]
    held = in_order(lambda conv: _rounded(conv, seen[conv.op.input("Filter")]), convs)
    for conv, (weights, bias, gain) in zip(convs, held, strict=True):
        name = conv.op.input("Filter")
        gains[name] = gain
        if gain <= 1:
            continue
        if conv.adder is not None and bias is not None:
            shift = editor.changed_param(conv.adder, conv.adder.input("Y"), bias)
            editor.replace(conv.adder, conv.adder.with_input("Y", shift))
        editor.replace(conv.op, conv.op.with_input("Filter", editor.changed_param(conv.op, name, weights)))
        editor.note("layer")
    return editor.finish()[0], gains


def _rounded(conv: Conv, seen: Seen) -> tuple[Float32Array, Float32Array | None, float]:
    """Return the weights and bias of one convolution in fp16 numbers (as float32), and the gain."""
    rows = _rows(conv)
    with_bias = conv.bias is not None and not conv.transposed
    if with_bias and conv.bias is not None:
        rows = np.concatenate([conv.bias.astype(np.float64).reshape(conv.groups, -1, 1), rows], axis=2)
    start = 0 if with_bias else 1
    grams = seen.gram[:, start:, start:]
    # Few windows say little about weights that many of them share.
    chosen = gptq_round(rows, grams, _DAMPING + grams.shape[1] / seen.count)
    plain, best = (_error(rows - held, grams) for held in (half(rows), chosen))
    bias = chosen[..., 0].reshape(-1).astype(np.float32) if with_bias else None
    weights = _shaped(conv, chosen[..., 1:] if with_bias else chosen)
    return weights, bias, plain / best if best > 0 else 1.0


def gptq_round(rows: Float64Array, gram: Float64Array, damping: float) -> Float64Array:
    """Round ``rows`` (groups, outputs, k) to fp16 from left to right, each error spread over the columns to its right.

    ``gram`` (groups, k, k) is the mean of x x' over the inputs x; ``damping`` times the mean of its diagonal is added
    to the diagonal. With gram = U D U', U upper triangular with ones on its diagonal, the squared error of the outputs
    is the sum over k of D_k ((w - q) U)_k^2, so each number is rounded where the errors to its left have put the zero
    of its term.
    """
    added = damping * np.diagonal(gram, axis1=1, axis2=2).mean(axis=1) + 1e-12
    upper = _upper(gram + added[:, None, None] * np.eye(gram.shape[1]))
    held, errors = np.empty_like(rows), np.zeros_like(rows)
    for k in range(rows.shape[2]):
        # Not a matrix product: those run in threads, which wait for each other longer than the sum takes.
        wanted = rows[:, :, k] + np.einsum("goj,gj->go", errors[:, :, :k], upper[:, :k, k])
        held[:, :, k] = half(wanted)
        errors[:, :, k] = rows[:, :, k] - held[:, :, k]
    return held


def _upper(gram: Float64Array) -> Float64Array:
    """Return U of gram = U D U' (groups, k, k).

    A panel of columns at a time, then what it takes off the columns to its left, block by block: each number sees the
    same subtractions in the same order as without panels, but from the cache. Below the diagonal nothing is read.
    """
    size = gram.shape[1]
    rest, upper = gram.copy(), np.zeros_like(gram)
    for last in range(size, 0, -_PANEL):
        first = max(last - _PANEL, 0)
        for k in range(last - 1, first - 1, -1):
            column = rest[:, :k, k] / rest[:, k, k][:, None]
            upper[:, :k, k] = column
            rest[:, :k, first:k] -= column[:, :, None] * rest[:, None, first:k, k]
        for right in range(first, 0, -_WIDTH):
            left = max(right - _WIDTH, 0)
            for top in range(0, right, _PANEL):
                _take_off(rest, upper, slice(top, min(top + _PANEL, right)), slice(left, right), slice(first, last))
    return upper


def _take_off(rest: Float64Array, upper: Float64Array, rows: slice, columns: slice, panel: slice) -> None:
    """Subtract the products of a panel's columns, the last one first, from one block of ``rest``."""
    block = np.ascontiguousarray(rest[:, rows, columns])
    step = np.empty_like(block)
    down = np.ascontiguousarray(upper[:, rows, panel].transpose(2, 0, 1))[..., None]
    along = np.ascontiguousarray(rest[:, columns, panel].transpose(2, 0, 1))[:, :, None, :]
    for k in range(len(down) - 1, -1, -1):
        np.multiply(down[k], along[k], out=step)
        np.subtract(block, step, out=block)
    rest[:, rows, columns] = block


def half(values: Float64Array) -> Float64Array:
    """Return the nearest fp16 numbers."""
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float64)


def _error(errors: Float64Array, grams: Float64Array) -> float:
    return float(np.sqrt(max(float(((errors @ grams) * errors).sum()), 0.0)))


def _rows(conv: Conv) -> Float64Array:
    """Return the weights as (groups, outputs of a group, k), k in the order of the windows."""
    weights = conv.weight.astype(np.float64)
    if conv.transposed:
        return weights.transpose(1, 2, 3, 0).reshape(1, -1, len(weights))
    return weights.reshape(conv.groups, len(weights) // conv.groups, -1)


def _shaped(conv: Conv, rows: Float64Array) -> Float32Array:
    held = conv.weight
    if not conv.transposed:
        return rows.reshape(held.shape).astype(np.float32)
    outs = (held.shape[1], held.shape[2], held.shape[3], held.shape[0])
    return np.ascontiguousarray(rows.reshape(outs).transpose(3, 0, 1, 2)).astype(np.float32)

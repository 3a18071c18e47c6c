"""Quantise one convolution to int8: the limit of its input, the scale of each filter, the rounding of each weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_opt.program.ops import Float64Array
from model_opt.quantize.observe import Float32Array
from model_opt.quantize.qdq import MOST

_BINS = 2048
_SHRINKS = np.linspace(0.3, 1, 36)
_WEIGHT_SHRINKS = np.linspace(0.7, 1, 13)
_DAMPING = 0.01


def round_input(x: Float32Array, limit: float) -> Float32Array:
    """Return ``x`` as int8 with this limit holds it."""
    scale = np.float32(limit) / np.float32(MOST)
    return np.asarray(np.clip(np.rint(x / scale), -MOST, MOST) * scale, np.float32)


def limits(x: Float32Array, largest: float) -> dict[str, float]:
    """Return candidates for the limit of a layer's input by the name of the rule.

    ``min_max``; the magnitude that 99.9 and 99.99 % of the values keep to; the least squared error; the least
    Kullback-Leibler divergence between the histograms of the values and of 128 steps (Migacz, 8-bit inference with
    TensorRT, GTC 2017).
    """
    values: Float32Array = np.abs(x).ravel()
    values = values[:: max(1, values.size // 200_000)]
    found = {
        "min_max": largest,
        "percentile_99_9": float(np.quantile(values, 0.999)),
        "percentile_99_99": float(np.quantile(values, 0.9999)),
        "mse": min((f * largest for f in _SHRINKS), key=lambda limit: _squared(values, float(limit))),
        "kl": _kullback_leibler(values),
    }
    return {name: min(float(limit), largest) for name, limit in found.items() if limit > 0}


def _squared(values: Float32Array, limit: float) -> float:
    return float(np.square(round_input(values, limit) - values, dtype=np.float64).mean())


def _kullback_leibler(values: Float32Array) -> float:
    top = float(values.max())
    if top == 0:
        return 0.0
    counts = np.histogram(values, bins=_BINS, range=(0, top))[0].astype(np.float64)
    best = min(range(MOST + 1, _BINS + 1, 32), key=lambda kept: _divergence(counts, kept))
    return best / _BINS * top


def _divergence(counts: Float64Array, kept: int) -> float:
    """Return KL(p || q): p the first ``kept`` bins with the rest in the last, q the same in 128 even steps."""
    p = counts[:kept].copy()
    step = np.arange(kept) * (MOST + 1) // kept
    filled = (p > 0).astype(np.float64)
    sums, members = np.bincount(step, p), np.bincount(step, filled)
    q = (sums / np.maximum(members, 1))[step] * filled
    p[-1] += counts[kept:].sum()
    p, q = p / p.sum(), np.maximum(q / max(q.sum(), 1e-30), 1e-12)
    held = p > 0
    return float((p[held] * np.log(p[held] / q[held])).sum())


@dataclass(frozen=True, eq=False)
class Rounded:
    """int8 weights (outputs x rows) with one scale per output."""

    weights: NDArray[np.int8]
    scales: Float32Array


def round_nearest(weights: Float32Array) -> Rounded:
    """Round each row to the nearest of 255 steps over its own largest magnitude."""
    flat = weights.reshape(len(weights), -1)
    scales = _scales(flat, 1.0)
    return Rounded(_whole(flat, scales), scales)


def round_by_error(weights: Float32Array, columns: Float32Array, *, centred: bool) -> Rounded:
    """Round so that the outputs on ``columns`` [rows, samples] move least.

    One weight after the other, and what rounding it adds is taken from those not yet rounded (GPTQ, Frantar et al.
    2022, arXiv 2210.17323), after choosing for each row the scale with the least error. ``centred``: only the spread of
    the outputs counts, because a bias makes up for their mean.
    """
    flat = weights.reshape(len(weights), -1)
    wide = columns.astype(np.float64)
    if centred:
        wide = wide - wide.mean(axis=1, keepdims=True)
    gram = damped(wide @ wide.T / wide.shape[1], _DAMPING)
    return round_by_gram(flat, gram)


def round_by_gram(flat: Float32Array, gram: Float64Array) -> Rounded:
    """Round rows of weights as ``round_by_error`` does; ``gram`` is the damped mean of x x' over the inputs x that the
    rows are multiplied with.
    """
    scales = _best_scales(flat, gram)
    return Rounded(_gptq(flat, scales, gram), scales)


def damped(gram: Float64Array, damping: float) -> Float64Array:
    """Return ``gram`` with ``damping`` times its mean diagonal added to the diagonal, so that it can be inverted."""
    gram = gram.copy()
    gram[np.diag_indices_from(gram)] += damping * float(np.trace(gram)) / len(gram) + 1e-12
    return gram


def _scales(flat: Float32Array, shrink: float) -> Float32Array:
    return np.asarray(np.maximum(np.abs(flat).max(axis=1) * np.float32(shrink / MOST), np.float32(1e-12)), np.float32)


def _whole(flat: NDArray[np.float32], scales: Float32Array) -> NDArray[np.int8]:
    return np.asarray(np.clip(np.rint(flat / scales[:, None]), -MOST, MOST), np.int8)


def _best_scales(flat: Float32Array, gram: Float64Array) -> Float32Array:
    best: Float32Array = _scales(flat, 1.0)
    least: Float64Array = np.full(len(flat), np.inf)
    for shrink in _WEIGHT_SHRINKS[::-1]:
        scales = _scales(flat, float(shrink))
        moved = (_whole(flat, scales) * scales[:, None].astype(np.float64)) - flat
        error = np.einsum("ij,ij->i", moved @ gram, moved)
        better = error < least
        best, least = np.where(better, scales, best), np.where(better, error, least)
    return np.asarray(best, np.float32)


def _gptq(flat: Float32Array, scales: Float32Array, gram: Float64Array) -> NDArray[np.int8]:
    """Round column by column, those with the largest inputs first."""
    order = np.argsort(-np.diag(gram), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(gram[np.ix_(order, order)])).T
    left = flat[:, order].astype(np.float64)
    steps = np.zeros(flat.shape, np.int8)
    for j, column in enumerate(order):
        steps[:, column] = np.clip(np.rint(left[:, j] / scales), -MOST, MOST)
        error = (left[:, j] - steps[:, column] * scales.astype(np.float64)) / upper[j, j]
        left[:, j + 1 :] -= error[:, None] * upper[j, j + 1 :]
    return steps

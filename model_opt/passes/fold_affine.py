"""Fold multiplications by and additions of constants into the convolutions around them.

Backwards: conv -> affine maps becomes one conv with a bias. Forwards: act -> affine maps goes into the weights and
biases of everything that reads the value, when all of it can take it exactly. A constant in front of a padded
convolution cannot (the border sees zeros), so there the factor goes and one addition stays; behind an average pool it
is added to fewer pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_opt.passes.propagate_affine import apply_affine, plan_affine, rewrite_conv
from model_opt.program import Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import Affine, Conv, add_op, affine, affine_at, conv_before, ints
from model_opt.program.report import PassReport

_SMALLEST = 1e-6
"""A factor below this is not divided by: the constant behind it would grow without bound."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """Affine operators that read one another and nothing else: from ``source`` to ``out``, ``change`` in all."""

    ops: tuple[Op, ...]
    source: str
    out: str
    change: Affine


def fold_affine(model: Model) -> tuple[Model, PassReport]:
    """Fold affine maps with constants into convolutions; see the module."""
    editor = GraphEditor(model, "fold_affine")
    while _fold_one(editor):
        pass
    for chain in _chains(editor):
        _explain(editor, chain)
    return editor.finish()


def _fold_one(editor: GraphEditor) -> bool:
    for chain in _chains(editor):
        conv = conv_before(editor, chain.source)
        if conv is not None and editor.only_consumer(chain.source) is chain.ops[0]:
            _fold_back(editor, conv, chain)
            return True
        if _fold_forward(editor, chain) or _sink_below_pool(editor, chain):
            return True
    return False


def _chains(editor: GraphEditor) -> list[_Chain]:
    """Return the longest chains of affine operators, in order. A convolution's own bias is none."""
    taken: set[int] = set()
    chains = []
    for op in editor.ops:
        if id(op) in taken or _is_bias(editor, op):
            continue
        found = affine_at(editor, op)
        ops: list[Op] = []
        source, change, at = "", affine(), op
        while found is not None and found[1].finite:
            source = source or found[0]
            change = change.then(found[1])
            ops.append(at)
            follower = editor.only_consumer(at.output("Out"))
            if follower is None:
                break
            at, found = follower, affine_at(editor, follower)
        known = bool(ops) and editor.consumers(source) is not None and editor.producer(source) is not None
        if known and not editor.is_output(ops[-1].output("Out")):
            taken.update(id(one) for one in ops)
            chains.append(_Chain(tuple(ops), source, ops[-1].output("Out"), change))
    return chains


def _is_bias(editor: GraphEditor, op: Op) -> bool:
    if op.type != "elementwise_add":
        return False
    conv = conv_before(editor, op.output_names[0])
    return conv is not None and conv.adder is op


def _fold_back(editor: GraphEditor, conv: Conv, chain: _Chain) -> None:
    scale = np.broadcast_to(chain.change.scale, conv.channels)
    shift = np.broadcast_to(chain.change.shift, conv.channels)
    bias = np.zeros(conv.channels) if conv.bias is None else conv.bias.astype(np.float64)
    weight = conv.weight.astype(np.float64)
    if conv.transposed:
        rows = scale.reshape(conv.groups, -1)[:, None, :]
        grouped = weight.reshape(conv.groups, -1, *weight.shape[1:]) * rows[..., None, None]
        weight = grouped.reshape(conv.weight.shape)
    else:
        weight = weight * scale[:, None, None, None]
    _drop(editor, chain)
    rewrite_conv(editor, conv, weight, bias * scale + shift)
    editor.note("conv takes the map behind it")


def _drop(editor: GraphEditor, chain: _Chain) -> None:
    """Take the chain's operators out: its readers read its source."""
    gone = {name for op in chain.ops for name in op.output_names}
    editor.move_reads(chain.out, chain.source)
    for op in editor.ops:
        if op.output_names and set(op.output_names) <= gone:
            editor.replace(op)


def _fold_forward(editor: GraphEditor, chain: _Chain) -> bool:
    behind = plan_affine(editor, chain.out, chain.change)
    if behind.possible:
        _drop(editor, chain)
        apply_affine(editor, behind)
        editor.note("readers take scale and shift")
        return True
    if not chain.change.scales or np.any(np.abs(chain.change.scale) < _SMALLEST):
        return False
    factors = plan_affine(editor, chain.out, Affine(chain.change.scale, np.float64(0) * chain.change.scale))
    if not factors.possible:
        return False
    apply_affine(editor, factors)
    if chain.change.shifts:
        _keep_only_shift(editor, chain, Affine(np.ones(()), chain.change.shift / chain.change.scale))
    else:
        _drop(editor, chain)
    editor.note("readers take the scale")
    return True


def _keep_only_shift(editor: GraphEditor, chain: _Chain, kept: Affine) -> None:
    """Put one addition in the place of the chain's last operator and take the others out."""
    outs = [op.output_names for op in chain.ops]
    *before, last = (op for op in editor.ops if op.output_names in outs)
    value = kept.shift.reshape(-1).astype(np.float32)
    held = editor.set_param(f"{chain.out}.shift", value)
    editor.replace(last, add_op(chain.source, held, chain.out, -1 if value.size == 1 else 1))
    for op in before:
        editor.replace(op)


def _sink_below_pool(editor: GraphEditor, chain: _Chain) -> bool:
    """Move an addition behind the average pool that alone reads it."""
    pool = editor.only_consumer(chain.out)
    if pool is None or pool.type != "pool2d" or pool.attr("pooling_type") != "avg":
        return False
    if any(ints(pool, "paddings") or ()) or pool.attr("padding_algorithm", "EXPLICIT") == "SAME":
        return False
    if pool.attr("ceil_mode", False) or pool.attr("data_format", "NCHW") != "NCHW":
        return False
    out = pool.output("Out")
    pooled = editor.new_var(out, editor.dims(out), out)
    moved = [op.renamed({chain.source: pooled}) if op is chain.ops[0] else op for op in chain.ops]
    moved[-1] = moved[-1].with_output("Out", out)
    for op in chain.ops:
        editor.replace(op)
    for op in moved:
        for name in op.output_names:
            if name != out:
                editor.set_dims(name, editor.dims(pooled))
    editor.replace(pool, pool.with_input("X", chain.source).with_output("Out", pooled), *moved)
    editor.note("addition moved behind a pool")
    return True


def _explain(editor: GraphEditor, chain: _Chain) -> None:
    reasons = dict.fromkeys(plan_affine(editor, chain.out, chain.change).reasons)
    editor.leave(chain.out, "; ".join(reasons))

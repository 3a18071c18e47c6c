"""A model as newer Paddle saves it: without the outputs that nothing reads and without attributes at their default."""

from __future__ import annotations

import dataclasses
from collections import Counter

from model_opt.program import Model, Op

OPTIONAL = frozenset({"XShape", "Mask", "Mean", "Variance", "SavedMean", "SavedVariance", "ReserveSpace"})


def saved_by_newer_paddle(model: Model) -> Model:
    """Return ``model`` with what Paddle from 2.5 on leaves out taken out; it computes the same."""
    reads = Counter(name for op in model.program.main.ops for name in op.input_names)
    ops = [_pruned(op, reads) for op in model.program.main.ops]
    used = {name for op in ops for name in (*op.input_names, *op.output_names)}
    main = model.program.main
    block = dataclasses.replace(main.with_ops(ops), vars=tuple(var for var in main.vars if var.name in used))
    return model.with_program(model.program.with_main(block))


def _pruned(op: Op, reads: Counter[str]) -> Op:
    outputs = {
        slot: names for slot, names in op.outputs.items() if slot not in OPTIONAL or any(reads[name] for name in names)
    }
    made = dataclasses.replace(op, outputs=outputs)
    return made.without_attr("beta") if op.type == "swish" and op.attr("beta") == 1.0 else made

"""The order of a program's operators."""

from __future__ import annotations

from collections.abc import Collection

from model_opt.program.ir import Block, Op


def read_too_early(block: Block, params: Collection[str]) -> tuple[int, Op, str] | None:
    """Return the first operator that reads what only it or a later operator writes: its index, it, the variable.

    None for a block whose operators can run in their order. ``params`` have a value before anything runs. In a block
    that passes this check every chain from a written variable to its readers ends.
    """
    first: dict[str, int] = {}
    for index, op in enumerate(block.ops):
        for name in op.output_names:
            first.setdefault(name, index)
    for index, op in enumerate(block.ops):
        for name in op.input_names:
            if first.get(name, -1) >= index and name not in params:
                return index, op, name
    return None

"""The order of operators in a file (``SSAGraph::StmtTopologicalOrder``)."""

from __future__ import annotations

from collections.abc import Iterator

from model_opt.lower.errors import LowerError
from model_opt.lower.graph import Graph, LiteOp


def arrange(graph: Graph) -> None:
    """Order the operators: by rising number, each behind those that write its inputs, these by rising number too.

    Raises ``LowerError`` for operators that wait for each other.
    """
    done: dict[int, LiteOp] = {}
    open_ones: set[int] = set()
    for start in sorted(graph.ops, key=lambda op: op.number):
        stack = [] if start.number in done else [(start, _before(graph, start))]
        while stack:
            op, waiting = stack[-1]
            open_ones.add(op.number)
            following = next((one for one in waiting if one.number not in done), None)
            if following is None:
                done[op.number] = op
                open_ones.discard(op.number)
                stack.pop()
            elif following.number in open_ones:
                raise LowerError(
                    "it depends on its own output", index=following.index, op_type=following.type,
                    hint="export the model again",
                )  # fmt: skip
            else:
                stack.append((following, _before(graph, following)))
    graph.arrange(done.values())


def _before(graph: Graph, op: LiteOp) -> Iterator[LiteOp]:
    """Yield the operators that write the inputs of ``op``, by rising number."""
    writers = {one.number: one for one in map(graph.writer, op.reads) if one is not None}
    return iter([writers[number] for number in sorted(writers)])

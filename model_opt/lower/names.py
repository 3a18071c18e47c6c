"""Which operators work in place (``lite_inplace_fuse_pass``), and which variables share a name
(``memory_optimize_pass``): variables with disjoint lifetimes share memory.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Mapping

from model_opt.lower.copies import Side
from model_opt.lower.graph import Graph, flag, renamed
from model_opt.lower.target import Target

_RESHAPING = frozenset({"reshape", "reshape2", "flatten", "flatten2", "squeeze", "squeeze2", "unsqueeze", "unsqueeze2"})
_NEVER = frozenset({"feed", "fetch", "cast", "expand", "share_data"})
"""Operators whose variables keep their own names."""
_NEVER_WITH_OPENCL = frozenset({"layout", "fc", "shape", "slice"})

Life = tuple[int, int]
"""The places of the first and of the last operator that touches a variable."""


def mark_in_place(graph: Graph) -> None:
    """Let operators that only change a shape write where they read, when both variables have one reader each."""
    for op in graph.ops:
        if op.type not in _RESHAPING or graph.is_param(op.input("X")):
            continue
        if graph.only_reader(op.input("X")) is op and graph.only_reader(op.output("Out")) is not None:
            op.attrs["inplace"] = flag(True)


def shared_names(graph: Graph, target: Target, sides: Mapping[str, Side]) -> dict[str, str]:
    """Return the name that each variable takes over, by variable; for those that keep theirs, their own.

    In rising order of names each variable that has no group yet starts one and gives it its name; every later one
    whose life overlaps none in it joins. The GPU's and the host's variables have groups of their own. On x86 all keep
    their names.
    """
    if target.place == "x86":
        return {}
    lives = _lives(graph, _kept(graph, target))
    taken: dict[str, str] = {}
    names = sorted(lives, key=str.encode)
    for at, name in enumerate(names):
        if name in taken:
            continue
        taken[name], group = name, [lives[name]]
        for other in names[at + 1 :]:
            if other not in taken and sides.get(other) == sides.get(name) and _join(group, lives[other]):
                taken[other] = name
    return taken


def rename(graph: Graph, names: Mapping[str, str]) -> None:
    """Put the shared names into every operator; from here on a name is written more than once."""
    for op in graph.ops:
        graph.rewire(op, inputs=renamed(op.inputs, names), outputs=renamed(op.outputs, names))


def _join(group: list[Life], life: Life) -> bool:
    """Put a life into a group of lives in rising order, unless it overlaps one; say whether it did."""
    at = bisect.bisect(group, life)
    free = (at == 0 or group[at - 1][1] < life[0]) and (at == len(group) or life[1] < group[at][0])
    if free:
        group.insert(at, life)
    return free


def _kept(graph: Graph, target: Target) -> set[str]:
    never = _NEVER | _NEVER_WITH_OPENCL if target.place == "opencl" else _NEVER
    kept: set[str] = set()
    for op in graph.ops:
        if op.type in never:
            kept.update(op.reads, op.writes)
        if op.value("inplace", False):
            kept.update(op.inputs["X"], op.outputs["Out"])
            if op.type in ("squeeze2", "unsqueeze2"):
                kept.update(op.outputs.get("XShape", ()))
    return kept


def _lives(graph: Graph, kept: Collection[str]) -> dict[str, Life]:
    lives: dict[str, Life] = {}
    for at, op in enumerate(graph.ops):
        for name in (*op.reads, *op.writes):
            if name not in kept and not graph.is_param(name):
                lives[name] = (lives.get(name, (at, at))[0], at)
    return lives

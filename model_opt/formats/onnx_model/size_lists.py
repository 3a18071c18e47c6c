"""Nodes on sizes: what a graph computes from the shapes of its tensors, as numbers and symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from model_opt.formats.onnx_model.builder import Builder, SizeList
from model_opt.formats.onnx_model.graph import Node
from model_opt.formats.onnx_model.moves import bounds
from model_opt.program.sizes import Size


def sizes_of(node: Node, made: Builder) -> SizeList | None:
    """Return the sizes that a node gives; None when it is no node on sizes."""
    if node.op == "Shape":
        found = made.shape(node, node.given(0))
        return SizeList(found[node.number("start", 0) : node.number("end", len(found))])
    rule = _RULES.get(node.op)
    if rule is None or not any(made.constant(name) is None and made.integers(name) for name in node.inputs):
        return None
    # A second operand such as the axes of a squeeze is a list too; what counts is the first that is no constant.
    lists = [made.integers(name) for name in node.inputs]
    if node.op in ("Reshape", "Squeeze", "Unsqueeze", "Slice", "Gather", "Cast", "Identity"):
        lists = lists[:1] if node.op != "Gather" else lists[:2]
    known = [each for each in lists if each is not None]
    if len(known) != len(lists) or (made.constant(node.given(0)) is not None and node.op == "Reshape"):
        return None
    return rule(node, made, known)


def _concat(node: Node, made: Builder, lists: list[SizeList]) -> SizeList:
    if any(each.scalar for each in lists) or node.number("axis", 0) not in (0, -1):
        made.refuse(node, "a join of single numbers")
    return SizeList(tuple(size for each in lists for size in each.sizes))


def _slice(node: Node, made: Builder, lists: list[SizeList]) -> SizeList:
    starts, ends, axes = bounds(node, made)
    if lists[0].scalar or axes not in ((0,), (-1,)) or len(starts) != 1 or len(ends) != 1:
        made.refuse(node, "a cut of sizes along other sides than the first")
    return SizeList(lists[0].sizes[starts[0] : ends[0]])


def _gather(node: Node, made: Builder, lists: list[SizeList]) -> SizeList:
    sizes, places = lists
    if sizes.scalar or node.number("axis", 0) not in (0, -1):
        made.refuse(node, "a place along other sides than the first")
    found: list[Size] = []
    for place in places.sizes:
        if not isinstance(place, int) or not -len(sizes.sizes) <= place < len(sizes.sizes):
            made.refuse(node, f"place {place} of {len(sizes.sizes)}")
        found.append(sizes.sizes[place])
    return SizeList(tuple(found), places.scalar)


def _squeeze(node: Node, made: Builder, lists: list[SizeList]) -> SizeList:
    if len(lists[0].sizes) != 1 or made.axes(node) not in (None, (0,), (-1,)):
        made.refuse(node, f"{len(lists[0].sizes)} sizes as one number")
    return SizeList(lists[0].sizes, scalar=True)


def _unsqueeze(node: Node, made: Builder, lists: list[SizeList]) -> SizeList:
    if not lists[0].scalar or made.axes(node) not in ((0,), (-1,)):
        made.refuse(node, "sizes in more than one side")
    return SizeList(lists[0].sizes)


def _reshape(node: Node, made: Builder, lists: list[SizeList]) -> SizeList:
    target = made.numbers(node, node.given(1))
    if target is None or len(target) > 1 or (not target and len(lists[0].sizes) != 1):
        made.refuse(node, "sizes in more than one side")
    return SizeList(lists[0].sizes, scalar=not target)


def _arithmetic(node: Node, made: Builder, lists: list[SizeList]) -> SizeList:
    """Return sums, differences, products and quotients, one pair after another."""
    a, b = (each.sizes for each in lists)
    count = max(len(a), len(b))
    if any(len(part) not in (1, count) for part in (a, b)):
        made.refuse(node, f"{len(a)} and {len(b)} sizes")
    pairs = zip(a * (count // len(a)), b * (count // len(b)), strict=True)
    return SizeList(tuple(_pair(node, made, *pair) for pair in pairs), all(each.scalar for each in lists))


def _pair(node: Node, made: Builder, a: Size, b: Size) -> Size:
    if node.op == "Mul":
        return made.sizes.product((a, b))
    if node.op == "Add":
        return made.sizes.plus(a, b) if isinstance(b, int) else made.sizes.total((a, b))
    if not isinstance(b, int) or (node.op == "Div" and b < 1):
        made.refuse(node, "a difference from or a quotient by what depends on the input")
    return made.sizes.plus(a, -b) if node.op == "Sub" else made.sizes.windows(a, -b, b)


_RULES: Mapping[str, Callable[[Node, Builder, list[SizeList]], SizeList]] = {
    "Identity": lambda _node, _made, lists: lists[0],
    "Cast": lambda _node, _made, lists: lists[0],
    "Concat": _concat,
    "Slice": _slice,
    "Gather": _gather,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _arithmetic),
}

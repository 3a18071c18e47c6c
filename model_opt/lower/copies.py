"""OpenCL: ``io_copy`` between host and GPU (``type_target_cast_pass``), then ``layout`` between the ways in which
kernels lay out an image (``type_layout_cast_pass``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from model_opt.lower.graph import Graph, LiteOp, integer, renamed
from model_opt.lower.order import arrange
from model_opt.program import LAYOUTS, PRECISIONS, TARGETS, Kernel, VarType

Side = Literal["host", "gpu"]

_GPU = TARGETS.index("opencl")
_ANY = PRECISIONS.index("any")
_NCHW, _DEFAULT, _FOLDER = (LAYOUTS.index(name) for name in ("NCHW", "ImageDefault", "ImageFolder"))
_IMAGES = frozenset({_DEFAULT, _FOLDER})
_ON_HOST = frozenset({"XShape", "Mean", "Variance", "SavedMean", "SavedVariance"})
"""Outputs that a GPU's kernels leave on the host, but for those of ``_ALL_ON_GPU``."""
_ALL_ON_GPU = frozenset({"squeeze2", "unsqueeze2"})
_THROUGH_A_COPY = 2
"""``process_type`` of a copy and a layout that follow each other."""


def insert_copies(graph: Graph) -> Mapping[str, Side]:
    """Insert ``io_copy`` and ``layout`` operators where kernels need them; return the side of each variable.

    All readers of a variable share its copy and its layout. Parameters lie where their readers take them. The
    operators must be in order and have kernels.
    """
    sides = {name: _side(op, key) for op in graph.ops for key, names in op.outputs.items() for name in names}
    _insert_io_copies(graph, sides)
    arrange(graph)
    _insert_layouts(graph, sides)
    arrange(graph)
    return sides


def _side(op: LiteOp, parameter: str) -> Side:
    left = parameter in _ON_HOST and op.type not in _ALL_ON_GPU
    return "gpu" if _on_gpu(op) and not left else "host"


def _on_gpu(op: LiteOp) -> bool:
    return op.kernel is not None and op.kernel.target == _GPU


def _insert_io_copies(graph: Graph, sides: dict[str, Side]) -> None:
    made: set[str] = set()
    for op in graph.ops:
        wanted: Side = "gpu" if _on_gpu(op) else "host"
        for name in op.reads:
            if sides.get(name, wanted) == wanted:
                continue
            copy = f"{name}/target_trans"
            if copy not in made:
                made.add(copy)
                alias = "device_to_host" if wanted == "host" else "host_to_device"
                kernel = Kernel("io_copy", alias, _GPU, _ANY, LAYOUTS.index("any"))
                graph.put_between(name, copy, op, kernel, VarType.FP32, {})
                sides[copy] = wanted
            graph.rewire(op, inputs=renamed(op.inputs, {name: copy}))


def _insert_layouts(graph: Graph, sides: dict[str, Side]) -> None:
    layouts = {name: _layout(op) if sides[name] == "gpu" else _NCHW for op in graph.ops for name in op.writes}
    made: set[str] = set()
    for op in graph.ops:
        for name in op.reads if _on_gpu(op) else ():
            if name not in layouts or not _differ(graph, name, layouts[name], _layout(op)):
                continue
            laid = f"{name}/layout_trans"
            if laid not in made:
                made.add(laid)
                _add_layout(graph, op, name, laid, layouts[name])
                sides[laid] = "gpu"
            graph.rewire(op, inputs=renamed(op.inputs, {name: laid}))


def _layout(op: LiteOp) -> int:
    """Return the layout that a kernel takes and writes; "any" counts as NCHW."""
    layout = _NCHW if op.kernel is None else op.kernel.layout
    return layout if layout in _IMAGES else _NCHW


def _differ(graph: Graph, name: str, has: int, wants: int) -> bool:
    """Return whether a layout is needed; an image of more than two sides lies the same way in both kinds."""
    if {has, wants} == _IMAGES and name in graph.variables and len(graph.dims(name)) > 2:
        return False
    return has != wants


def _add_layout(graph: Graph, reader: LiteOp, name: str, laid: str, has: int) -> None:
    wants = _layout(reader)
    alias = f"{LAYOUTS[has]}_to_{LAYOUTS[wants]}"
    before = graph.writer(name)
    layout = graph.put_between(name, laid, reader, Kernel("layout", alias, _GPU, _ANY, wants), VarType.FP32, {})
    for op in (reader, before):
        if op is not None and op.type == "io_copy":
            layout.attrs["process_type"] = op.attrs["process_type"] = integer(_THROUGH_A_COPY)
            break

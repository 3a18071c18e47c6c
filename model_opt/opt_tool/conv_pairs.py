"""A fault of opt's fusion of two convolutions, and how a program keeps clear of it.

``conv_conv_fuser.cc`` looks for a convolution behind which a 1x1 one stands, and once it has found a pair it merges
*every* convolution that only another one reads, whatever that one's window: it ends opt where the second pads its
input, and gives a wrong file without a word where it does not. opt leaves all of them alone in a program with an
operator that bears ``quantization_type``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from model_opt.program import Model, Op, Program

_MARK = "quantization_type"


def kept_apart(model: Model) -> Model:
    """Return the model so that opt merges no convolutions, if it would merge wrong ones; else the model itself."""
    pairs = list(_pairs(model))
    if not any(_found(model, *pair) for pair in pairs) or all(_right(model, *pair) for pair in pairs):
        return model
    first, *rest = model.program.main.ops
    return model.with_program(model.program.with_ops([first.with_attr(_MARK, ""), *rest]))


def _pairs(model: Model) -> Iterator[tuple[Op, Op]]:
    """Yield each convolution, with or without a bias behind it, with the convolution that alone reads it."""
    readers = _readers(model.program)
    for op in model.program.main.ops:
        if op.type != "conv2d" or not op.outputs.get("Output"):
            continue
        reader = _only(readers, op.outputs["Output"][0])
        if reader is not None and reader.type == "elementwise_add" and reader.input_names[-1] in model.params:
            reader = _only(readers, reader.output_names[0])
        if reader is not None and reader.type == "conv2d" and reader.attr("groups", 1) == 1:
            yield op, reader


def _readers(program: Program) -> dict[str, list[Op]]:
    readers: dict[str, list[Op]] = {}
    for op in program.main.ops:
        for name in Counter(op.input_names).elements():
            readers.setdefault(name, []).append(op)
    return readers


def _only(readers: dict[str, list[Op]], name: str) -> Op | None:
    found = readers.get(name, [])
    return found[0] if len(found) == 1 else None


def _sizes(model: Model, op: Op) -> tuple[int, ...]:
    """Return the filter's sizes: out, in / groups, height, width."""
    names = op.inputs.get("Filter", ())
    array = model.params.get(names[0]) if len(names) == 1 else None
    return (0, 0, 0, 0) if array is None or array.ndim != 4 else array.shape


def _found(model: Model, first: Op, second: Op) -> bool:
    """Return whether the fuser takes this pair as its reason to merge."""
    (out0, in0, *_), (out1, _, *window) = _sizes(model, first), _sizes(model, second)
    return window == [1, 1] and first.attr("groups", 1) == 1 and 0 < in0 * (out1 - out0) <= out0 * out1


def _right(model: Model, first: Op, second: Op) -> bool:
    """Return whether the two are what one convolution can be."""
    plain = all(
        value == expected
        for name, expected in (("strides", 1), ("paddings", 0), ("dilations", 1))
        for value in _numbers(second, name)
    )
    return plain and _sizes(model, second)[2:] == (1, 1) and first.attr("groups", 1) == 1


def _numbers(op: Op, name: str) -> tuple[object, ...]:
    value = op.attr(name, ())
    return value if isinstance(value, tuple) else ()

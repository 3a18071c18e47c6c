"""Split a Winograd convolution of a concatenation into the sum of two, where the parts cancel each other.

One convolution adds all its input channels into one fp16 sum. Where parts of a concatenation cancel each other,
the sum grows large in between and every later product is rounded to its spacing. Two convolutions, each of some of the
parts, hold smaller sums; their results meet in one addition. The order of the parts is free as well.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model_opt.program import Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import Conv, Float64Array, conv_at
from model_opt.quantize.channel_order import Way, winograd_way
from model_opt.quantize.sum_split import sums

_PARTS = 5
"""Concatenations of more parts have too many orders to try."""
_LEAST = 9
"""Winograd's kernel takes no fewer input channels."""

Split = tuple[tuple[int, ...], ...]


def split_concats(
    model: Model, tiles: Mapping[str, Float64Array], gain: float
) -> tuple[Model, dict[str, Float64Array], dict[str, float]]:
    """Return the model with split convolutions, ``tiles`` (see ``tile_grams``) for what it has now, and the gains.

    A convolution is split where the root mean square of its partial sums falls by ``gain`` or more against the best
    order of parts in one convolution, and its parts are put in order where that helps at all. The figure is that root
    mean square before divided by after, by the name of the weights.
    """
    editor, held, gains = GraphEditor(model, "split_concats"), dict(tiles), dict[str, float]()
    for op in editor.each("conv2d"):
        conv = conv_at(editor, op)
        name = op.input("Filter")
        concat = None if conv is None else editor.producer(conv.source)
        if conv is None or name not in tiles or concat is None or not _splittable(editor, conv, concat):
            continue
        channels = [_channels(editor, part) for part in concat.inputs["X"]]
        way = winograd_way(conv, tiles[name])
        split = best_split(way, channels, gain)
        plain = (tuple(range(len(channels))),)
        if split == plain:
            continue
        gains[name] = split_length(way, channels, plain) / split_length(way, channels, split)
        held |= _write(editor, conv, concat, channels, split, tiles[name])
    return editor.finish()[0], held, gains


def best_split(way: Way, channels: Sequence[int], gain: float) -> Split:
    """Return which parts, in which order, go to one convolution or to two."""
    count = len(channels)
    one = min(
        ((order,) for order in itertools.permutations(range(count))), key=lambda s: split_length(way, channels, s)
    )
    more = min((*_pairs(channels), *_singles(channels)), key=lambda s: split_length(way, channels, s), default=one)
    return more if split_length(way, channels, one) >= gain * split_length(way, channels, more) else one


def split_length(way: Way, channels: Sequence[int], split: Split) -> float:
    """Return the root of the sum of the mean squares of all partial sums."""
    edges = np.concatenate([[0], np.cumsum(channels)])
    total = 0.0
    for parts in split:
        order = np.concatenate([np.arange(edges[part], edges[part + 1]) for part in parts])
        total += float(Way(way.products, np.zeros(len(way.start))).squares(order).sum())
    return math.sqrt(max(total, 1e-30))


def _pairs(channels: Sequence[int]) -> Iterator[Split]:
    """Yield every way to give the parts to two convolutions; the first part stays in the first of them."""
    count = len(channels)
    for size in range(1, count):
        for first in itertools.permutations(range(count), size):
            if 0 not in first:
                continue
            rest = [part for part in range(count) if part not in first]
            for second in itertools.permutations(rest):
                if min(sum(channels[part] for part in parts) for parts in (first, second)) >= _LEAST:
                    yield first, second


def _singles(channels: Sequence[int]) -> tuple[Split, ...]:
    """Return the split that gives each part its own convolution, which needs no concatenation any more."""
    return (tuple((part,) for part in range(len(channels))),) if min(channels) >= _LEAST else ()


def _splittable(editor: GraphEditor, conv: Conv, concat: Op) -> bool:
    if concat.type != "concat" or concat.attr("axis") != 1 or concat.inputs.get("AxisTensor"):
        return False
    parts = concat.inputs["X"]
    known = all(_channels(editor, part) > 0 for part in parts) and len(set(parts)) == len(parts) <= _PARTS
    return known and editor.only_consumer(conv.source) is conv.op and conv.adder is not None


def _channels(editor: GraphEditor, name: str) -> int:
    dims = editor.dims(name)
    return dims[1] if dims is not None and len(dims) == 4 else -1


def _write(
    editor: GraphEditor, conv: Conv, concat: Op, channels: Sequence[int], split: Split, tiles: Float64Array
) -> dict[str, Float64Array]:
    """Write the convolutions of ``split`` in the place of one; return their tiles."""
    edges = np.concatenate([[0], np.cumsum(channels)])
    orders = [np.concatenate([np.arange(edges[part], edges[part + 1]) for part in parts]) for parts in split]
    dims, filters = editor.dims(conv.source), conv.op.input("Filter")
    shape = None if dims is None else (dims[0], -1, *dims[2:])
    names: list[str] = []
    made: list[Op] = []
    for number, (parts, order) in enumerate(zip(split, orders, strict=True)):
        weights = np.ascontiguousarray(conv.weight[:, order])
        first = number == 0
        names.append(editor.changed_param(conv.op, filters, weights) if first else editor.set_param(filters, weights))
        source = concat.inputs["X"][parts[0]]
        if len(parts) > 1:
            wide = None if shape is None else (shape[0], len(order), *shape[2:])
            source = editor.new_var(conv.source, wide, like=conv.source)
            joined = concat.with_input("X", *(concat.inputs["X"][part] for part in parts)).with_output("Out", source)
            made.append(joined)
        out = conv.op.output("Output") if first else editor.new_var(conv.out, editor.dims(conv.out), like=conv.out)
        made.append(conv.op.with_input("Input", source).with_input("Filter", names[-1]).with_output("Output", out))
    _put(editor, conv, made)
    return {name: tiles[:, :, order][:, :, :, order] for name, order in zip(names, orders, strict=True)}


def _put(editor: GraphEditor, conv: Conv, made: list[Op]) -> None:
    adder = conv.adder
    outs = [op.output("Output") for op in made if op.type == conv.op.type]
    editor.replace(conv.op, *made)
    if adder is not None and len(outs) > 1:
        start = editor.new_var(conv.out, editor.dims(conv.out), like=conv.out)
        totals = sums(editor, start, outs[1:], conv.out)
        editor.replace(adder, adder.with_output("Out", start), *totals)
    editor.note("split")

"""Feed the first convolution integers that fp16 represents exactly.

A picture has 256 levels in each channel; normalised, hardly one of them is an fp16 number, and on a ground of one
colour every pixel is rounded the same way. Counted in levels from a number near the zero of the normalised image, all
are fp16 numbers. ``affine_channel`` counts them: Paddle Lite has no fp16 kernel for it, so it runs in fp32, before the
image becomes fp16. The first convolution's weights take back what it did.

The zeros around the image would have to be the number of levels at which the normalised image is zero. That is rounded
to a part of a level (an eighth for 256 levels around the middle) that fp16 still holds in every value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_opt.program import AttrType, Model, Op
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import Conv, Float64Array, conv_at
from model_opt.quantize.observe import Float32Array

_DIGITS = 2048
"""fp16 holds every integer up to this."""
_MOST = 1024
"""More levels than a picture can have."""
_NOISE = 0.01
"""How far from an integer number of levels float32 may have put a value."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Values are ``step * (k - zero)`` for integers k; ``origin`` is near ``zero`` and k - origin an fp16 number.
    Each is (channels).
    """

    step: Float64Array
    zero: Float64Array
    origin: Float64Array


def levels_of(inputs: Sequence[Float32Array]) -> Levels | None:
    """Return the levels of images (NCHW), or None when the values of a channel do not lie on even steps."""
    found = [
        _levels(np.concatenate([np.unique(x[:, channel]) for x in inputs])) for channel in range(inputs[0].shape[1])
    ]
    steps = [levels for levels in found if levels is not None]
    return Levels(*np.array(steps).T) if steps and len(steps) == len(found) else None


def _levels(values: Float32Array) -> tuple[float, float, float] | None:
    """Return step, zero and origin of one channel."""
    held = np.unique(values).astype(np.float64)
    if not 2 < len(held) <= _MOST:
        return None
    step = float(np.diff(held).min())
    counts = np.round((held - held[0]) / step)
    if counts[-1] > _MOST:
        return None
    step, first = (float(number) for number in np.polyfit(counts, held, 1))
    if np.abs((held - first) / step - counts).max() > _NOISE:
        return None
    zero = -first / step
    reach = max(abs(zero), abs(counts[-1] - zero)) + 1
    part = 2.0 ** math.floor(math.log2(_DIGITS / reach))
    return step, zero, round(zero * part) / part


def integer_input(model: Model, inputs: Sequence[Float32Array]) -> tuple[Model, bool]:
    """Return the model with its image counted in levels, and whether that could be.

    It can when every channel of ``inputs`` lies on even steps and one convolution alone reads the image. Outputs in
    fp32 stay but for the border, which is the zero of the normalised image to half a part of a level.
    """
    editor = GraphEditor(model, "integer_input")
    levels = levels_of(inputs)
    conv = _first(editor)
    if levels is None or conv is None or len(levels.step) != conv.weight.shape[1]:
        return model, False
    _write(editor, conv, levels)
    editor.note("image")
    return editor.finish()[0], True


def _first(editor: GraphEditor) -> Conv | None:
    """Return the convolution that alone reads the model's one image."""
    feeds = [op for op in editor.ops if op.type == "feed"]
    reader = editor.only_consumer(feeds[0].output("Out")) if len(feeds) == 1 else None
    conv = None if reader is None else conv_at(editor, reader)
    return conv if conv is not None and conv.groups == 1 and not conv.transposed and conv.adder is not None else None


def _write(editor: GraphEditor, conv: Conv, levels: Levels) -> None:
    # A power of two near the step keeps weights and image as large as they were.
    unit = 2.0 ** np.round(np.log2(levels.step))
    factor = levels.step / unit
    shift = levels.step * (levels.zero - levels.origin)
    weights = conv.weight.astype(np.float64)
    name, adder = conv.op.input("Filter"), conv.adder
    counted = editor.new_var(conv.source, editor.dims(conv.source), like=conv.source)
    scale = editor.set_param(f"{conv.source}.scale", (unit / levels.step).astype(np.float32))
    start = editor.set_param(f"{conv.source}.start", (unit * (levels.zero - levels.origin)).astype(np.float32))
    count = Op("affine_channel", {"X": (conv.source,), "Scale": (scale,), "Bias": (start,)}, {"Out": (counted,)}, {})
    editor.insert_before(conv.op, count.with_attr("data_layout", "NCHW", AttrType.STRING))
    held = editor.changed_param(conv.op, name, (weights * factor[:, None, None]).astype(np.float32))
    editor.replace(conv.op, conv.op.with_input("Input", counted).with_input("Filter", held))
    if adder is not None and conv.bias is not None:
        bias = conv.bias - (weights.sum(axis=(2, 3)) @ shift)
        moved = editor.changed_param(adder, adder.input("Y"), bias.astype(np.float32))
        editor.replace(adder, adder.with_input("Y", moved))

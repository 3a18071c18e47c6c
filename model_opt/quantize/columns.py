"""The inputs of convolutions on calibration images as im2col columns: a few windows of each image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_opt.errors import KitError
from model_opt.program import Model, Op
from model_opt.quantize.augment import augmented
from model_opt.quantize.observe import Float32Array, LayerView, Observer
from model_opt.quantize.qdq import filter_of
from model_opt.quantize.report import QuantizeProgress

_PER_IMAGE = 200
_NUMBERS_PER_IMAGE = 100_000


class CalibrationError(KitError):
    """The calibration inputs cannot teach anything."""


@dataclass(frozen=True)
class ConvLayer:
    """A convolution that int8 kernels can run: its ``filter``, the bias added behind it (None: none) and its window."""

    filter: str
    op: str
    bias: str | None
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]

    @property
    def depthwise(self) -> bool:
        """True for a depthwise convolution."""
        return self.op == "depthwise_conv2d"


@dataclass(frozen=True, eq=False)
class Columns:
    """What one convolution read: ``parts`` of windows, one for each input that was sampled ([groups, rows of the
    filter, samples], float32), the size of its output on the largest input seen (``positions``, pixels), and the ends
    of what each channel held on each input of the model (``ends`` [inputs, 2, channels]: least and largest).
    """

    parts: tuple[Float32Array, ...]
    positions: int
    ends: Float32Array

    def values(self) -> Float32Array:
        """Join the parts: [groups, rows of the filter, samples]. Keep it no longer than the layer is worked on."""
        return np.concatenate(self.parts, axis=2)

    @property
    def largest(self) -> float:
        """The largest magnitude on all inputs of the model."""
        return float(np.abs(self.ends).max())


def conv_layers(model: Model) -> tuple[ConvLayer, ...]:
    """Return the convolutions that int8 kernels can run, in program order.

    Left out: dilated and grouped ones, paddings by name, filters that are shared or no constants.
    """
    ops = model.program.main.ops
    filters = [filter_of(op, model) for op in ops]
    found = []
    for op, name in zip(ops, filters, strict=True):
        pads = _pads(op)
        if name is None or pads is None or filters.count(name) != 1 or not _plain(op, model.params[name].shape):
            continue
        strides = op.attr("strides", (1, 1))
        found.append(ConvLayer(name, op.type, _bias(op, model), _two(strides), pads))
    return tuple(found)


def _two(value: object) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple) and len(value) == 2 else (1, 1)


def _plain(op: Op, shape: tuple[int, ...]) -> bool:
    groups = op.attr("groups", 1)
    supported = groups == shape[0] and shape[1] == 1 if op.type == "depthwise_conv2d" else groups == 1
    return supported and _two(op.attr("dilations", (1, 1))) == (1, 1) and len(shape) == 4


def _pads(op: Op) -> tuple[int, int, int, int] | None:
    pads = op.attr("paddings", (0, 0))
    if op.attr("padding_algorithm", "EXPLICIT") != "EXPLICIT" or not isinstance(pads, tuple):
        return None
    sides = tuple(int(side) for side in pads)
    if len(sides) == 2:
        return sides[0], sides[0], sides[1], sides[1]
    return (sides[0], sides[1], sides[2], sides[3]) if len(sides) == 4 else None


def _bias(op: Op, model: Model) -> str | None:
    """Return the parameter that the only reader of a convolution adds per channel."""
    found = added_behind(model, op.output("Output"), model.params[op.input("Filter")].shape[0])
    return found[0] if found is not None and found[1] == 1 else None


def added_behind(model: Model, made: str, outputs: int) -> tuple[str, int] | None:
    """Return the parameter of ``outputs`` values that the only reader of the variable ``made`` adds, and its axis.

    None when something else reads the variable or the parameter.
    """
    ops = model.program.main.ops
    readers = [op for op in ops if made in op.input_names]
    if len(readers) != 1 or readers[0].type != "elementwise_add":
        return None
    name = readers[0].input("Y")
    fits = name in model.params and model.params[name].shape == (outputs,)
    alone = sum(name in op.input_names for op in ops) == 1
    axis = readers[0].attr("axis", -1)
    return (name, axis) if fits and alone and isinstance(axis, int) else None


def check_inputs(inputs: Sequence[Float32Array]) -> None:
    """Raise ``CalibrationError`` for no inputs, for values that are not finite and when every input is blank."""
    hint = "give photographs or renderings like those the model will see, with text on them"
    if not inputs:
        raise CalibrationError("there are no calibration inputs", hint=hint)
    for index, x in enumerate(inputs):
        if x.ndim != 4 or x.dtype != np.float32 or not x.size:
            what = f"calibration input {index} is {x.dtype} of shape {x.shape}, float32 NCHW is expected"
            raise CalibrationError(what, hint="prepare images by the model's specification")
        if not np.isfinite(x).all():
            raise CalibrationError(f"calibration input {index} holds values that are not finite", hint=hint)
    if all((np.ptp(x, axis=(2, 3)) == 0).all() for x in inputs):
        raise CalibrationError("every calibration input is blank", hint=hint)


def sample_columns(
    observer: Observer,
    layers: Sequence[ConvLayer],
    inputs: Sequence[Float32Array],
    kernels: dict[str, tuple[int, ...]],
    looks: int,
    progress: QuantizeProgress,
) -> dict[str, Columns]:
    """Return what each layer reads, by its filter. The windows are chosen with a fixed seed.

    Every input is shown as it is and in ``looks`` augmentations. Windows are taken from the inputs and the first one
    of each, ends from all. ``kernels`` are the shapes of the filters. Raises ``CalibrationError`` when a layer sees
    nothing but zeros.
    """
    parts: dict[str, list[Float32Array]] = {layer.filter: [] for layer in layers}
    ends: dict[str, list[Float32Array]] = {layer.filter: [] for layer in layers}
    positions = dict.fromkeys(parts, 0)
    count, sampled = len(inputs) * (1 + looks), len(inputs) * 2
    for index, x in enumerate(itertools.chain(inputs, augmented(inputs, looks))):
        seen = observer.run(x)
        random = np.random.default_rng(index)
        for layer in layers:
            view = seen.layers[layer.filter]
            kernel = kernels[layer.filter]
            ends[layer.filter].append(np.array([view.input.min(axis=(0, 2, 3)), view.input.max(axis=(0, 2, 3))]))
            positions[layer.filter] = max(positions[layer.filter], math.prod(view.output.shape[2:]))
            if index >= sampled:
                continue
            most = min(_PER_IMAGE, max(16, _NUMBERS_PER_IMAGE // (view.input.shape[1] * math.prod(kernel[2:]))))
            parts[layer.filter].append(sample_windows(view, layer, kernel, most, random))
        progress((index + 1) / count, f"watch layers, input {index + 1} of {count}")
    dead = [name for name, found in ends.items() if not any(map(np.any, found))]
    if dead:
        what = f"the layer {dead[0]!r} sees only zeros on the calibration inputs"
        raise CalibrationError(what, hint="give more and other calibration images")
    return {name: Columns(tuple(parts[name]), positions[name], np.array(ends[name])) for name in parts}


def sample_windows(
    view: LayerView, layer: ConvLayer, kernel: tuple[int, ...], most: int, random: np.random.Generator
) -> Float32Array:
    """Return up to ``most`` windows of what a layer reads: [groups, rows of the filter, samples].

    ``kernel`` is the shape of the filter; ``random`` chooses the places.
    """
    top, bottom, left, right = layer.pads
    padded = np.pad(view.input[0], ((0, 0), (top, bottom), (left, right)))
    high, wide = kernel[2:]
    made = view.output.shape
    count = min(most, made[2] * made[3])
    places = np.sort(random.choice(made[2] * made[3], count, replace=False))
    rows, columns = places // made[3] * layer.strides[0], places % made[3] * layer.strides[1]
    # [channels, high, wide, samples]
    taps = padded[:, rows[None, None, :] + np.arange(high)[:, None, None], columns + np.arange(wide)[None, :, None]]
    groups = len(padded) if layer.depthwise else 1
    return np.ascontiguousarray(taps, np.float32).reshape(groups, -1, count)

"""Better 8-bit weights for Paddle Lite's weight-only files.

opt rounds each output's weights to 255 steps over their largest magnitude, and the runtime makes them floats again when
it loads them: which integers a file holds costs nothing. Here they are chosen by what they do to the outputs, and given
to opt as floats that lie on the grid it will find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_opt.errors import KitError
from model_opt.opt_tool import ConvertOptions, ToolEnv
from model_opt.paddle_model import Op, PaddleModel
from model_opt.passes.ops import Float64Array
from model_opt.quantize.columns import ConvLayer, added_behind, check_inputs, conv_layers, sample_windows
from model_opt.quantize.int8_rounding import damped, round_nearest, round_to_full_range
from model_opt.quantize.observe import Float32Array, LayerView, Observer, convert_in_memory
from model_opt.quantize.report import LayerNote, Progress, QuantReport

_PLACES = 1200
"""Places of a layer's input that are looked at in one run."""


@dataclass(frozen=True)
class WeightOptions:
    """``groups``: into how many parts the layers are cut; each is rounded on what the parts before it, already rounded,
    feed it. ``follow``: the share of the error in its input that a layer makes good (0..1). ``damping``: how much the
    calibration inputs are mistrusted, in shares of their mean energy.
    """

    groups: int = 8
    follow: float = 0.5
    damping: float = 0.05

    def __post_init__(self) -> None:
        if self.groups < 1 or not 0 <= self.follow <= 1 or self.damping <= 0:
            raise KitError(
                f"groups {self.groups}, follow {self.follow} and damping {self.damping} make no sense",
                hint="take at least one group, follow in [0, 1] and a positive damping",
            )


@dataclass(frozen=True)
class _Layer:
    """A product with weights that opt rounds: a convolution, or a matrix product when ``conv`` is None."""

    weight: str
    op: str
    bias: str | None
    conv: ConvLayer | None

    def rows(self, weights: Float32Array) -> Float32Array:
        """Return the weights as one row for each output."""
        return weights.T if self.conv is None else weights.reshape(len(weights), -1)

    def shaped(self, rows: Float32Array, like: Float32Array) -> Float32Array:
        """Return rows in the shape of the weights."""
        return np.ascontiguousarray(rows.T if self.conv is None else rows.reshape(like.shape), np.float32)


@dataclass(eq=False)
class _Seen:
    """Sums over inputs of a layer, x of the float model and y of the one rounded so far: x, y, y y' and (x - y) y'."""

    x: Float64Array
    y: Float64Array
    yy: Float64Array
    xy: Float64Array
    count: int = 0

    def add(self, x: Float32Array, y: Float32Array) -> None:
        """Add inputs [rows, samples] at the same places of both models."""
        self.x += x.sum(axis=1, dtype=np.float64)
        self.y += y.sum(axis=1, dtype=np.float64)
        self.yy += y @ y.T
        self.xy += (x - y) @ y.T
        self.count += x.shape[1]


def quantise_weights(
    model: PaddleModel, inputs: Sequence[Float32Array], options: WeightOptions, env: ToolEnv, progress: Progress
) -> tuple[PaddleModel, QuantReport]:
    """Return the model with weights on 8-bit grids, to be converted with ``ConvertOptions(weight_bits=8)``.

    Layer by layer, in groups: the scale of each output by least error, then one weight after the other, and what
    rounding it adds is taken from those not yet rounded (GPTQ, Frantar et al. 2022, arXiv 2210.17323). Inputs are
    those of the model as rounded so far, targets those of the float model. A bias takes up the mean of what is left.
    Weights that opt leaves in floats (depthwise and transposed convolutions) stay.

    ``inputs``: float32 NCHW, batch 1. Raises ``CalibrationError`` for inputs that teach nothing and ``KitError`` for
    a model without such layers.
    """
    check_inputs(inputs)
    layers = _layers(model)
    if not layers:
        raise KitError("the model has no convolution or matrix product whose weights can be rounded")
    floats = Observer(convert_in_memory(model, ConvertOptions(), env), [layer.weight for layer in layers])
    made, notes = model, list[LayerNote]()
    size = -(-len(layers) // options.groups)
    for start in range(0, len(layers), size):
        part = layers[start : start + size]
        names = [layer.weight for layer in part]
        rounded = floats if start == 0 else Observer(convert_in_memory(made, ConvertOptions(), env), names)
        progress(start / len(layers), f"rounding {names[0]} and {len(part) - 1} more")
        for layer, seen in zip(part, _watch(floats, rounded, part, model, inputs), strict=True):
            made, note = _round(made, model, layer, seen, options)
            notes.append(note)
    gains = sorted(float(str(note.facts["gain"])) for note in notes)
    totals = {"layers": len(notes), "median_gain": gains[len(gains) // 2], "biases": sum(1 for x in layers if x.bias)}
    return made, QuantReport("weight_int8", totals, tuple(notes))


def _layers(model: PaddleModel) -> tuple[_Layer, ...]:
    """Return the layers that opt's weight-only rounding changes, in program order."""
    convs = {layer.filter: layer for layer in conv_layers(model) if not layer.depthwise}
    readers = [name for op in model.program.main.ops for name in op.input_names]
    found = []
    for op in model.program.main.ops:
        name = op.input("Filter") if op.type == "conv2d" else op.input("Y") if _is_product(op, model) else None
        if name is None or readers.count(name) != 1:
            continue
        if op.type == "conv2d" and name in convs:
            found.append(_Layer(name, op.type, convs[name].bias, convs[name]))
        elif op.type != "conv2d":
            bias = added_behind(model, op.output("Out"), model.params[name].shape[1])
            found.append(_Layer(name, op.type, bias[0] if bias else None, None))
    return tuple(found)


def _is_product(op: Op, model: PaddleModel) -> bool:
    if op.type != "matmul_v2" or op.attr("trans_x", False) or op.attr("trans_y", False):
        return False
    weights = model.params.get(op.input("Y"))
    return weights is not None and weights.ndim == 2


def _watch(
    floats: Observer, rounded: Observer, layers: Sequence[_Layer], model: PaddleModel, inputs: Sequence[Float32Array]
) -> list[_Seen]:
    """Return what each layer sees in both models, at the same places."""
    seen = []
    for layer in layers:
        width = layer.rows(model.params[layer.weight]).shape[1]
        seen.append(_Seen(np.zeros(width), np.zeros(width), np.zeros((width, width)), np.zeros((width, width))))
    for index, x in enumerate(inputs):
        there = floats.run(x).layers
        here = there if rounded is floats else rounded.run(x).layers
        for layer, sums in zip(layers, seen, strict=True):
            kernel = model.params[layer.weight].shape
            pair = [_columns(views[layer.weight], layer, kernel, index) for views in (there, here)]
            sums.add(*pair)
    return seen


def _columns(view: LayerView, layer: _Layer, kernel: tuple[int, ...], seed: int) -> Float32Array:
    """Return inputs of a layer, [rows of its weights, samples]; the same seed takes them from the same places."""
    random = np.random.default_rng(seed)
    if layer.conv is not None:
        window: Float32Array = sample_windows(view, layer.conv, kernel, _PLACES, random)[0]
        return window
    flat = view.input.reshape(-1, view.input.shape[-1])
    if len(flat) > _PLACES:
        flat = flat[np.sort(random.choice(len(flat), _PLACES, replace=False))]
    columns: Float32Array = np.asarray(flat.T, np.float32, order="C")
    return columns


def _round(
    made: PaddleModel, model: PaddleModel, layer: _Layer, seen: _Seen, options: WeightOptions
) -> tuple[PaddleModel, LayerNote]:
    """Return the model with one layer rounded, and by what factor its output error fell against plain rounding."""
    weights = model.params[layer.weight]
    rows = layer.rows(weights).astype(np.float64)
    x, y = seen.x / seen.count, seen.y / seen.count
    yy, xy = seen.yy / seen.count, seen.xy / seen.count
    if layer.bias is not None:
        yy, xy = yy - np.outer(y, y), xy - np.outer(x - y, y)
    gram = damped(yy, options.damping)
    wanted = rows + options.follow * rows @ np.linalg.solve(gram, xy.T).T
    found = round_to_full_range(wanted.astype(np.float32), gram)
    grid = found.weights * found.scales[:, None]
    made = made.with_param(layer.weight, layer.shaped(grid, weights))
    if layer.bias is not None:
        bias = model.params[layer.bias]
        shift = rows @ x - grid.astype(np.float64) @ y
        made = made.with_param(layer.bias, (bias + shift.reshape(bias.shape)).astype(np.float32))
    plain = round_nearest(rows.astype(np.float32))
    before, after = _error(plain.weights * plain.scales[:, None] - rows, gram), _error(grid - wanted, gram)
    return made, LayerNote(layer.weight, layer.op, {"gain": round(float(np.sqrt(before / max(after, 1e-30))), 3)})


def _error(moved: Float64Array, gram: Float64Array) -> float:
    """Return the mean squared error of the outputs when the weights moved so."""
    return float(np.einsum("ij,ij->", moved @ gram, moved))

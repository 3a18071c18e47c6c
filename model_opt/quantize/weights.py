"""Choose the integers of weight-only files by their effect on the outputs.

The runtime makes weights floats again when it loads them: which integers a file holds costs nothing. Here they are
chosen by what they do to the outputs, and the few layers that an 8-bit rounding hurts most get 16 bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_opt.convert import Converter, ConvertOptions
from model_opt.errors import KitError
from model_opt.nb import NbModel
from model_opt.program import Model, Op
from model_opt.program.ops import Float64Array
from model_opt.quantize.augment import augmented
from model_opt.quantize.columns import ConvLayer, added_behind, check_inputs, conv_layers, sample_windows
from model_opt.quantize.int8_rounding import damped, round_by_gram
from model_opt.quantize.observe import Float32Array, LayerView, Observer
from model_opt.quantize.parallel import in_order
from model_opt.quantize.qdq import filter_of
from model_opt.quantize.report import LayerNote, QuantizeProgress, QuantReport
from model_opt.quantize.sensitivity import output_moves
from model_opt.quantize.stored import (
    Bits,
    StoredWeights,
    from_rows,
    store,
    store_nearest,
    to_rows,
    with_stored_weights,
)

_PLACES = 1200
"""Positions of a layer's input that are sampled in one run."""
_PROBES = 40
_PROBE_SIDE = 640
"""How much a layer matters is measured on at most so many inputs, every fourth or fewer, and on no more than a square
of this many pixels of each.
"""


@dataclass(frozen=True)
class WeightOptions:
    """``damping``: how much the calibration inputs are mistrusted, in shares of their mean energy. ``wide_bytes``: how
    many bytes the file may grow by for layers in 16 bits. ``augmentations``: how many augmented
    copies of each calibration input are added (``model_opt.quantize.augment``): for inputs that are all of one kind.
    """

    damping: float = 0.05
    wide_bytes: int = 0
    augmentations: int = 0

    def __post_init__(self) -> None:
        if self.damping <= 0 or self.wide_bytes < 0 or self.augmentations < 0:
            raise KitError(
                f"damping {self.damping}, wide_bytes {self.wide_bytes} and augmentations {self.augmentations} "
                "are not valid",
                hint="take a positive damping, and wide_bytes and augmentations of 0 or more",
            )


@dataclass(frozen=True)
class _Layer:
    """A product with constant weights of its own: a convolution, or a matrix product when ``conv`` is None."""

    weight: str
    op: str
    bias: str | None
    conv: ConvLayer | None


@dataclass(eq=False)
class _Seen:
    """Sums over the inputs x [rows, samples] of a layer: x and x x'."""

    x: Float64Array
    xx: Float64Array
    count: int = 0

    def add(self, x: Float32Array) -> None:
        """Add samples."""
        self.x += x.sum(axis=1, dtype=np.float64)
        self.xx += x @ x.T
        self.count += x.shape[1]

    @property
    def mean(self) -> Float64Array:
        """The mean of x."""
        return self.x / self.count

    def gram(self, *, centred: bool) -> Float64Array:
        """Return the mean of x x', of x less its mean when ``centred``.

        With fewer samples than rows it says more of the samples than of the layer (behind a global pool each input
        gives one), so it is drawn towards its own diagonal, the more the fewer there are.
        """
        found = self.xx / self.count
        if centred:
            found = found - np.outer(self.mean, self.mean)
        trusted = self.count / (self.count + len(found))
        return trusted * found + (1 - trusted) * np.diag(np.diag(found))


@dataclass(frozen=True, eq=False)
class _Rounded:
    """A layer's integers, its new bias (None: it has none) and by what factor its output error fell against plain
    rounding to 8 bits.
    """

    stored: StoredWeights
    bias: Float32Array | None
    gain: float


def quantise_weights(
    model: Model,
    inputs: Sequence[Float32Array],
    options: WeightOptions,
    converter: Converter,
    progress: QuantizeProgress,
) -> tuple[Model, QuantReport]:
    """Return the model with its weights stored as integers (``with_stored_weights``), ready to be converted.

    Depthwise filters and layers that cannot be watched get 16 bits, the others 8: the scale of each output by least
    error, then one weight after the other, and what rounding it adds is taken from those not yet rounded (GPTQ, Frantar
    et al. 2022, arXiv 2210.17323). A bias takes up the mean of what is left. The layers that then still move the output
    most for each byte get 16 bits instead, until ``wide_bytes`` are spent. The calibration inputs are
    used as they are and with ``options.augmentations`` augmented copies of each.

    ``inputs``: float32 NCHW, batch 1. Raises ``CalibrationError`` for inputs that teach nothing and ``KitError`` for
    a model without such layers.
    """
    check_inputs(inputs)
    layers = _layers(model)
    if not layers:
        raise KitError("the model has no convolution or matrix product whose weights can be rounded")
    plain = converter.in_memory(model, ConvertOptions())
    shown = itertools.chain(inputs, augmented(inputs, options.augmentations))
    count = len(inputs) * (1 + options.augmentations)
    seen = _watch(plain, layers, model, shown, count, lambda done, what: progress(done / 3, what))
    rounded = {}
    for position, (layer, sums) in enumerate(zip(layers, seen, strict=True)):
        progress((1 + position / len(layers)) / 3, f"rounding {layer.weight}")
        rounded[layer.weight] = _rounded(model, layer, sums, 8, options.damping)
    wide = _sensitive(plain, model, layers, rounded, inputs, options, lambda done, what: progress((2 + done) / 3, what))
    for layer, sums in zip(layers, seen, strict=True):
        if layer.weight in wide:
            rounded[layer.weight] = _rounded(model, layer, sums, 16, options.damping)
    stored = _unwatched(model, layers) | {name: one.stored for name, one in rounded.items()}
    for layer in layers:
        bias = rounded[layer.weight].bias
        if layer.bias is not None and bias is not None:
            model = model.with_param(layer.bias, bias)
    return with_stored_weights(model, stored), _report(layers, rounded, stored)


def _report(
    layers: Sequence[_Layer], rounded: Mapping[str, _Rounded], stored: Mapping[str, StoredWeights]
) -> QuantReport:
    notes = tuple(
        LayerNote(layer.weight, layer.op, {"bits": one.stored.bits, "gain": round(one.gain, 3)})
        for layer, one in zip(layers, rounded.values(), strict=True)
    )
    gains = sorted(one.gain for one in rounded.values() if one.stored.bits == 8)
    totals = {
        "layers": len(notes),
        "median_gain": round(gains[len(gains) // 2], 3) if gains else None,
        "biases": sum(1 for layer in layers if layer.bias),
        "wide_layers": len(notes) - len(gains),
        "bytes": sum(one.rows.nbytes for one in stored.values()),
    }
    return QuantReport("weight_int8", totals, notes)


def _sensitive(
    plain: NbModel,
    model: Model,
    layers: Sequence[_Layer],
    rounded: Mapping[str, _Rounded],
    inputs: Sequence[Float32Array],
    options: WeightOptions,
    progress: QuantizeProgress,
) -> frozenset[str]:
    """Return the layers that need 16 bits most: the largest move of the output for each byte, within the bytes."""
    if options.wide_bytes == 0:
        return frozenset()
    changes = {}
    for layer in layers:
        one, shape = rounded[layer.weight], model.params[layer.weight].shape
        if one.stored.rows.size > options.wide_bytes:
            continue
        changes[layer.weight] = {layer.weight: from_rows(one.stored.floats(), shape)}
        if layer.bias is not None and one.bias is not None:
            changes[layer.weight][layer.bias] = one.bias
    if sum(model.params[name].size for name in changes) <= options.wide_bytes:
        return frozenset(changes)  # all fit: nothing to choose
    step = max(4, len(inputs) // _PROBES)
    probes = [x[:, :, :_PROBE_SIDE, :_PROBE_SIDE] for x in inputs[::step]]
    moves = output_moves(plain, changes, probes, progress)
    size = {name: model.params[name].size for name in moves}
    chosen, left = set[str](), options.wide_bytes
    for name in sorted(moves, key=lambda name: (-moves[name] / size[name], name)):
        if size[name] <= left:
            chosen.add(name)
            left -= size[name]
    return frozenset(chosen)


def _unwatched(model: Model, layers: Sequence[_Layer]) -> dict[str, StoredWeights]:
    """Return the 16-bit weights of the other convolutions: depthwise ones (9 to 25 weights an output), odd ones."""
    known = {layer.weight for layer in layers}
    names = [filter_of(op, model) for op in model.program.main.ops]
    readers = [name for op in model.program.main.ops for name in op.input_names]
    free = [name for name in names if name is not None and name not in known and readers.count(name) == 1]
    return {name: store_nearest(to_rows(model.params[name]), 16) for name in free}


def _layers(model: Model) -> tuple[_Layer, ...]:
    """Return the layers whose inputs can be watched, depthwise ones left out, in program order."""
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


def _is_product(op: Op, model: Model) -> bool:
    if op.type != "matmul_v2" or op.attr("trans_x", False) or op.attr("trans_y", False):
        return False
    weights = model.params.get(op.input("Y"))
    return weights is not None and weights.ndim == 2


def _watch(
    plain: NbModel,
    layers: Sequence[_Layer],
    model: Model,
    inputs: Iterable[Float32Array],
    count: int,
    progress: QuantizeProgress,
) -> list[_Seen]:
    """Return what each layer sees on ``inputs``, of which there are ``count``."""
    seen = []
    for layer in layers:
        width = to_rows(model.params[layer.weight]).shape[1]
        seen.append(_Seen(np.zeros(width), np.zeros((width, width))))
    observer = Observer(plain, [layer.weight for layer in layers])

    def look(numbered: tuple[int, Float32Array]) -> list[Float32Array]:
        index, x = numbered
        views = observer.run(x).layers
        shapes = [model.params[layer.weight].shape for layer in layers]
        return [_columns(views[layer.weight], layer, shape, index) for layer, shape in zip(layers, shapes, strict=True)]

    for index, read in enumerate(in_order(look, enumerate(inputs))):
        progress(index / count, f"watch layers, input {index + 1} of {count}")
        for sums, columns in zip(seen, read, strict=True):
            sums.add(columns)
    return seen


def _columns(view: LayerView, layer: _Layer, kernel: tuple[int, ...], seed: int) -> Float32Array:
    """Return inputs of a layer, [rows of its weights, samples], from places that the seed chooses."""
    random = np.random.default_rng(seed)
    if layer.conv is not None:
        window: Float32Array = sample_windows(view, layer.conv, kernel, _PLACES, random)[0]
        return window
    flat: Float32Array = view.input.reshape(-1, view.input.shape[-1])
    if len(flat) > _PLACES:
        flat = flat[np.sort(random.choice(len(flat), _PLACES, replace=False))]
    columns: Float32Array = np.asarray(flat.T, np.float32, order="C")
    return columns


def _rounded(model: Model, layer: _Layer, seen: _Seen, bits: Bits, damping: float) -> _Rounded:
    rows = to_rows(model.params[layer.weight]).astype(np.float64)
    gram = damped(seen.gram(centred=layer.bias is not None), damping)
    if bits == 8:
        found = round_by_gram(rows.astype(np.float32), gram)
        stored = store(found.weights, found.scales, 8)
    else:
        stored = store_nearest(rows, 16)
    moved = stored.floats() - rows
    bias = None
    if layer.bias is not None:
        bias = model.params[layer.bias]
        bias = (bias - (moved @ seen.mean).reshape(bias.shape)).astype(np.float32)
    before = _error(store_nearest(rows, 8).floats() - rows, gram)
    return _Rounded(stored, bias, float(np.sqrt(before / max(_error(moved, gram), 1e-30))))


def _error(moved: Float64Array, gram: Float64Array) -> float:
    """Return the mean squared error of the outputs when the weights moved so."""
    return float(np.einsum("ij,ij->", moved @ gram, moved))

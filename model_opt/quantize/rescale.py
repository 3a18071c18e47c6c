"""Rescale layers by powers of two so that no fp16 kernel overflows.

The ARM kernels hold every value and every partial sum in fp16, Winograd's transformed inputs included, which grow a
value up to a hundredfold. A power of two in the weights of a layer and its inverse in those behind it moves the values
between them without changing a single digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from model_opt.convert import Converter, ConvertOptions
from model_opt.emulator import FP16_MAX, overflow_check
from model_opt.errors import KitError
from model_opt.nb import NbModel
from model_opt.program import Model
from model_opt.program.editor import GraphEditor
from model_opt.program.ops import Conv, Float64Array, conv_at
from model_opt.quantize.channel_order import order_channels
from model_opt.quantize.concat_split import split_concats
from model_opt.quantize.exponents import PRODUCTS, FactorGroups, factor_groups, with_exponents
from model_opt.quantize.gptq_fp16 import round_weights
from model_opt.quantize.integer_input import integer_input
from model_opt.quantize.late_bias import can_be_late, late_bias
from model_opt.quantize.observe import Float32Array, Observer
from model_opt.quantize.patches import Seen, grounds, layer_inputs, tile_grams
from model_opt.quantize.report import LayerNote, QuantizeProgress, QuantReport
from model_opt.quantize.rounded_factors import undo_rounded_factors
from model_opt.quantize.sum_split import halve_sums, split_last_matrix, split_sums
from model_opt.quantize.value_ranges import LayerRange, ValueRange, layer_ranges, range_of
from model_opt.quantize.wide_means import wide_means

_SMALLEST = -14
"""Numbers below 2^-14 are subnormal in fp16: they lose digits."""
_REACH = 12
_WIDEST = 4
"""Pixels of a kernel that is cut, but Winograd's: a larger one would make too many operators."""
_WORTH = 0.002
"""A share of values that is worth another exponent."""


class RescaleError(KitError):
    """A model that no power of two brings into fp16's range."""


@dataclass(frozen=True)
class RescaleOptions:
    """``headroom``: how many times larger than on the calibration inputs a value may become before it overflows.
    ``checked``: how many calibration inputs the emulation of the fp16 kernels runs at the end. ``windows_of``: how many
    of them the refinement looks at; with 0 there are powers of two and nothing else. ``late_bias``: a bias is added
    behind its sum where that makes the sum so many times more exact. ``halved``: so many of the first convolutions with
    few products in a sum become sums of two. ``gated``: so many of the first ``hard_swish`` become a gate and a
    product. ``parts``: into so many equal parts are cut the sums of Winograd's layers with ``winograd_from`` input
    channels or more, of 1x1 convolutions with ``pointwise_from`` or more, and of the product of a recogniser's
    classes; a wider kernel of as many products is cut into so many times its area. 1 cuts none. ``wide_means``:
    averages of channels are computed in fp32.
    """

    headroom: float = 8.0
    checked: int = 2
    windows_of: int = 10
    late_bias: float = 1.2
    halved: int = 5
    gated: int = 8
    parts: int = 4
    winograd_from: int = 96
    pointwise_from: int = 192
    wide_means: bool = False


@dataclass(frozen=True, eq=False)
class _Layer:
    """A product: the groups of its input and output (None where no factor may stand), its weights, what it saw."""

    name: str
    op: str
    before: str | None
    behind: str | None
    weights: ValueRange
    seen: LayerRange


def rescale_fp16(
    model: Model,
    inputs: Sequence[Float32Array],
    options: RescaleOptions,
    converter: Converter,
    progress: QuantizeProgress,
) -> tuple[Model, QuantReport]:
    """Return the model with powers of two between its layers so that it runs in fp16, and what was done.

    On every calibration input each layer's input (transformed, where its kernel does so) and output stays below
    65,504 / headroom; where there is a choice, as few activations and weights as can be are subnormal. All this leaves
    the outputs in fp32 as they are, bit for bit but for subnormals. Then weights become fp16 numbers that fit together,
    which moves the outputs in fp32 by less than fp16 does, and some biases are added late. Raises ``RescaleError`` when
    there is no input, or when a layer overflows where no factor may pass.
    """
    if not inputs:
        raise RescaleError("there is no calibration input", hint="give images with text")
    if options.headroom < 1:
        raise RescaleError(f"a headroom of {options.headroom:g} lets values overflow", hint="give 1 or more")
    counted, factors = False, 0
    if options.windows_of:
        model, counted = integer_input(model, inputs)
        model, factors = undo_rounded_factors(model, options.gated)
    groups = factor_groups(model)
    observer = Observer(converter.in_memory(model, ConvertOptions()))
    ranges = layer_ranges(observer, _convs(model), inputs, lambda done, what: progress(0.5 * done, what))
    layers = _layers(model, groups, ranges)
    exponents = choose_exponents(layers, FP16_MAX / options.headroom)
    _refuse_overflow(layers, exponents)
    made = with_exponents(model, groups, exponents)
    made, gains = _refined(made, inputs, options, converter, lambda done, what: progress(0.5 + 0.35 * done, what))
    progress(0.85, "checking with the fp16 kernels' arithmetic")
    _check(converter.in_memory(made, ConvertOptions(fp16=True)), _smallest(inputs, options.checked))
    progress(1.0, "rescaled")
    report = _report(layers, exponents, gains, len(inputs))
    return made, replace(report, totals={**report.totals, "image_exact": counted, "factors_undone": factors})


@dataclass(frozen=True)
class _Gains:
    """How many times smaller errors became, by the name of the weights; for ``parts``, how many there are. ``means``
    counts averages in fp32.
    """

    split: Mapping[str, float] = field(default_factory=dict)
    order: Mapping[str, float] = field(default_factory=dict)
    rounding: Mapping[str, float] = field(default_factory=dict)
    late_bias: Mapping[str, float] = field(default_factory=dict)
    halved: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    means: int = 0


def _refined(
    model: Model,
    inputs: Sequence[Float32Array],
    options: RescaleOptions,
    converter: Converter,
    progress: QuantizeProgress,
) -> tuple[Model, _Gains]:
    """Return the model with shorter sums in a better order, weights of fp16 chosen together and late biases."""
    if options.windows_of < 1:
        return model, _Gains()
    few = [*inputs[:: -(-len(inputs) // options.windows_of)], *grounds(inputs)]
    model, tiles, splitting = split_concats(model, _tiles(model, few, converter), options.late_bias)
    seen = _seen(model, few, converter, lambda done, what: progress(0.5 * done, what), sampled=False)
    parts = _parts(model, seen, options)
    model, ordering = order_channels(model, seen, tiles, options.late_bias, parts)
    del seen, tiles  # hundreds of megabytes, and of another order
    seen = _seen(model, few, converter, lambda done, what: progress(0.5 + 0.5 * done, what), sampled=True)
    made, rounding = round_weights(model, seen)
    made, late = late_bias(made, seen, options.late_bias, parts)
    made, halved = halve_sums(made, seen, options.halved)
    made = split_sums(made, parts)
    made, last = split_last_matrix(made, options.parts)
    parts |= {last: options.parts} if last else {}
    means = 0
    if options.wide_means:
        made, means = wide_means(made)
    return made, _Gains(splitting, ordering, rounding, late, halved, parts, means)


def _parts(model: Model, seen: Mapping[str, Seen], options: RescaleOptions) -> dict[str, int]:
    """Return the layers whose sums are cut, by the name of their weights; those of one pixel gain nothing."""
    parts = {}
    for name, conv in _convs(model).items():
        channels, area = conv.weight.shape[1], math.prod(conv.weight.shape[2:])
        winograd = _goes_to_winograd(conv)
        by_gemm = area <= _WIDEST and channels * area >= options.pointwise_from
        long = channels >= options.winograd_from if winograd else by_gemm
        wide = winograd or (name in seen and seen[name].area > 1)
        count = options.parts if winograd else options.parts * area
        if options.parts > 1 and long and wide and conv.groups == 1 and not conv.transposed and channels % count == 0:
            parts[name] = count
    return parts


def _seen(
    model: Model, inputs: Sequence[Float32Array], converter: Converter, progress: QuantizeProgress, *, sampled: bool
) -> dict[str, Seen]:
    """Return what the convolutions that can be refined see on ``inputs``; windows are kept for late biases alone."""
    convs = {name: conv for name, conv in _convs(model).items() if _can_be_refined(conv)}
    plain = converter.in_memory(model, ConvertOptions())
    observer = Observer(plain, [name for name in Observer(plain).weights if name in convs])
    wanted = [name for name, conv in convs.items() if sampled and can_be_late(conv)]
    return layer_inputs(observer, convs, inputs, progress, wanted)


def _tiles(model: Model, inputs: Sequence[Float32Array], converter: Converter) -> dict[str, Float64Array]:
    """Return what Winograd's layers multiply on ``inputs``."""
    convs = {name: conv for name, conv in _convs(model).items() if _goes_to_winograd(conv)}
    if not convs:
        return {}
    plain = converter.in_memory(model, ConvertOptions())
    return tile_grams(Observer(plain, sorted(convs)), convs, inputs, lambda _done, _what: None)


def _goes_to_winograd(conv: Conv) -> bool:
    if conv.transposed or conv.dilations != (1, 1) or len(conv.paddings) not in (2, 4):
        return False
    return (
        conv.groups == 1
        and conv.weight.shape[2:] == (3, 3)
        and conv.strides == (1, 1)
        and min(conv.weight.shape[:2]) > 8
    )


def _can_be_refined(conv: Conv) -> bool:
    """Return whether the rows of weights meet windows of the input, as they are written and as the kernel sees them."""
    if conv.transposed:
        return conv.groups == 1
    plain = conv.dilations == (1, 1) and len(conv.paddings) in (2, 4)
    # Winograd's kernel transforms the weights first: rounding them would be for nothing.
    return plain and not (conv.groups == 1 and conv.weight.shape[2:] == (3, 3) and conv.strides == (1, 1))


def _convs(model: Model) -> dict[str, Conv]:
    editor = GraphEditor(model, "rescale_fp16")
    found = (conv_at(editor, op) for op in editor.ops)
    return {conv.op.input("Filter"): conv for conv in found if conv is not None}


def _layers(model: Model, groups: FactorGroups, ranges: Mapping[str, LayerRange]) -> tuple[_Layer, ...]:
    layers: list[_Layer] = []
    for op in model.program.main.ops:
        slots = PRODUCTS.get(op.type)
        weights = op.inputs.get(slots[1], ("",))[0] if slots is not None else ""
        if slots is None or weights not in ranges:
            continue
        before, behind = (groups.group.get(name) for name in (op.input(slots[0]), op.output(slots[2])))
        held = range_of(np.asarray(model.params[weights], dtype=np.float32))
        layers.append(_Layer(weights, op.type, before, behind, held, ranges[weights]))
    return tuple(layers)


def choose_exponents(layers: Sequence[_Layer], limit: float) -> dict[str, int]:
    """Return an exponent for each group: values below ``limit``, then the fewest subnormals, then the least change.

    One group after the other takes its best exponent, the others as they stand, until none changes.
    """
    names = list(dict.fromkeys(group for layer in layers for group in (layer.before, layer.behind) if group))
    highest = {name: _highest(layers, name, limit) for name in names}
    chosen = {name: min(0, highest[name]) for name in names}
    for _ in range(10):
        before = dict(chosen)
        for name in names:
            chosen[name] = _best(layers, name, chosen, highest[name])
        if chosen == before:
            break
    return chosen


def _highest(layers: Iterable[_Layer], group: str, limit: float) -> int:
    """Return the largest exponent under which no value of the group passes ``limit``."""
    tops = [layer.seen.transformed for layer in layers if layer.before == group]
    tops += [layer.seen.output.largest for layer in layers if layer.behind == group]
    top = max(tops)
    return math.floor(math.log2(limit / top)) if top > 0 else 0


def _best(layers: Sequence[_Layer], group: str, chosen: Mapping[str, int], highest: int) -> int:
    near = [layer for layer in layers if group in (layer.before, layer.behind)]
    base = min(0, highest)

    def cost(exponent: int) -> tuple[int, int]:
        lost = sum(_lost(layer, {**chosen, group: exponent}) for layer in near)
        return round(lost / _WORTH), abs(exponent - base)

    return min(range(base - _REACH, min(highest, base + _REACH) + 1), key=cost)


def _lost(layer: _Layer, exponents: Mapping[str, int]) -> float:
    """Return the shares of input, output and weights that are subnormal, added up."""
    before, behind = exponents.get(layer.before or "", 0), exponents.get(layer.behind or "", 0)
    shares = (
        layer.seen.input.below(_SMALLEST - before),
        layer.seen.output.below(_SMALLEST - behind),
        layer.weights.below(_SMALLEST - behind + before),
    )
    return sum(shares)


def _refuse_overflow(layers: Iterable[_Layer], exponents: Mapping[str, int]) -> None:
    for layer in layers:
        before, behind = exponents.get(layer.before or "", 0), exponents.get(layer.behind or "", 0)
        largest = max(layer.seen.transformed * 2.0**before, layer.seen.output.largest * 2.0**behind)
        if largest > FP16_MAX:
            raise RescaleError(
                f"the layer of {layer.name!r} ({layer.op}) reaches {largest:,.0f}, "
                "the largest fp16 number is 65,504, and no factor can pass its neighbours",
                hint="choose a recipe that computes in fp32",
            )


def _smallest(inputs: Sequence[Float32Array], count: int) -> list[Float32Array]:
    """Return the ``count`` inputs with the fewest values: the emulation is slow."""
    return sorted(inputs, key=lambda x: x.size)[:count]


def _check(model: NbModel, inputs: Sequence[Float32Array]) -> None:
    feed = next(op for op in model.ops if op.type == "feed")
    name = feed.outputs["Out"][0]
    for x in inputs:
        found = overflow_check(model, {name: x})
        if found:
            raise RescaleError(
                f"the layer of {found[0].filter!r} still overflows in fp16: its input reaches "
                f"{found[0].max_transformed:,.0f} behind {found[0].algorithm}, its sums {found[0].max_output:,.0f}",
                hint="choose a recipe that computes in fp32",
            )


def _report(layers: Sequence[_Layer], exponents: Mapping[str, int], gains: _Gains, inputs: int) -> QuantReport:
    notes = tuple(
        LayerNote(
            layer.name,
            layer.op,
            {
                "input_exponent": exponents.get(layer.before or "", 0),
                "output_exponent": exponents.get(layer.behind or "", 0),
                "max_input": layer.seen.input.largest,
                "max_transformed": layer.seen.transformed,
                "max_output": layer.seen.output.largest,
                "split_gain": gains.split.get(layer.name),
                "order_gain": gains.order.get(layer.name),
                "rounding_gain": gains.rounding.get(layer.name),
                "late_bias_gain": gains.late_bias.get(layer.name),
                "halved_gain": gains.halved.get(layer.name),
                "parts": gains.parts.get(layer.name),
            },
        )
        for layer in layers
    )
    moved = sum(1 for note in notes if note.facts["input_exponent"] or note.facts["output_exponent"])
    tops = [layer.seen.transformed for layer in layers]
    behind = [layer.seen.transformed * 2.0 ** exponents.get(layer.before or "", 0) for layer in layers]
    totals = {
        "inputs": inputs,
        "layers": len(layers),
        "layers_rescaled": moved,
        "max_before": max(tops, default=0.0),
        "max_behind": max(behind, default=0.0),
        "layers_split": len(gains.split),
        "layers_ordered": len(gains.order),
        "layers_rounded": sum(1 for gain in gains.rounding.values() if gain > 1),
        "late_biases": len(gains.late_bias),
        "sums_halved": len(gains.halved),
        "sums_in_parts": len(gains.parts),
        "means_in_fp32": gains.means,
    }
    return QuantReport("rescale_fp16", totals, notes)

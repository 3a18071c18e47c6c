"""Static int8 for cores before ARMv8.2: convolutions in int8, the sensitive ones left in fp32."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_opt.errors import KitError
from model_opt.opt_tool import ConvertOptions, ToolEnv
from model_opt.paddle_model import PaddleModel
from model_opt.quantize.columns import Columns, ConvLayer, check_inputs, conv_layers, sample_columns
from model_opt.quantize.int8_rounding import limits, round_by_error, round_input, round_nearest, unclipped_limits
from model_opt.quantize.linear_ops import Int8Layer, with_int8_layers
from model_opt.quantize.observe import Float32Array, Observer, convert_in_memory
from model_opt.quantize.report import LayerNote, Progress, QuantReport
from model_opt.quantize.simulate import Simulator

_TRIAL_SIDE = 320
_HEAVY = 0.05
_WASHED = np.float32(0.1)


@dataclass(frozen=True)
class StaticOptions:
    """``int8_share``: the share of multiply-accumulates that at least run in int8 (0..1). ``trials``: how many inputs
    (their upper left 320 x 320, as they are and washed out) judge each layer's sensitivity. ``exclude``: filters that
    stay in fp32.
    """

    int8_share: float = 0.78
    trials: int = 6
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.int8_share <= 1 or self.trials < 1:
            raise KitError(
                f"int8_share {self.int8_share} with {self.trials} trials makes no sense",
                hint="take an int8_share in (0, 1] and at least one trial",
            )


@dataclass(frozen=True, eq=False)
class _Candidate:
    """One layer as it would be in int8: its new bias (None: it has none), the rule of its limit and its cost."""

    layer: ConvLayer
    int8: Int8Layer
    bias: Float32Array | None
    rule: str
    macs: int
    sensitivity: float = 0.0


def quantise_static(
    model: PaddleModel, inputs: Sequence[Float32Array], options: StaticOptions, env: ToolEnv, progress: Progress
) -> tuple[PaddleModel, QuantReport]:
    """Return the model with convolutions in int8, and what was done to each.

    Each convolution alone is turned into int8 and run: those that move the output least for what they cost in
    multiply-accumulates go first, until ``options.int8_share`` of all of them is in int8. The bias of each takes up
    what rounding does to the mean. Convert the result with ``ConvertOptions()``.

    Raises ``CalibrationError`` for inputs that teach nothing, ``KitError`` for a model without a convolution that
    int8 kernels run, for unknown names in ``options.exclude`` and for a share that cannot be reached.
    """
    check_inputs(inputs)
    layers = _eligible(model, options)
    plain = convert_in_memory(model, ConvertOptions(), env)
    observer = Observer(plain)
    shapes = {layer.filter: model.params[layer.filter].shape for layer in layers}
    shown = [*inputs, *varied(inputs)]
    columns = sample_columns(observer, layers, shown, shapes, lambda part, what: progress(part * 0.5, what))
    sizes = _all_macs(observer, model, inputs[0])
    # Behind a global pool a convolution costs nothing, and its scale follows the whole image.
    layers = tuple(layer for layer in layers if columns[layer.filter].positions > 1)
    made: list[_Candidate] = []
    for index, layer in enumerate(layers):
        heavy = sizes[layer.filter] >= _HEAVY * sum(sizes.values())
        made += _candidates(model, layer, columns[layer.filter], len(inputs), sizes[layer.filter], heavy=heavy)
        progress(0.5 + 0.2 * (index + 1) / len(layers), f"round {layer.filter}")
    simulator = Simulator(plain)
    crops = [x[:, :, :_TRIAL_SIDE, :_TRIAL_SIDE] for x in _spread(inputs, options.trials)]
    trials = [*crops, *map(washed_out, crops), *inverted(crops)]
    judged = _judged(simulator, made, trials, lambda part, what: progress(0.7 + 0.3 * part, what))
    chosen = _chosen(judged, sum(sizes.values()), options.int8_share)
    return _applied(model, chosen), _report(judged, chosen, sum(sizes.values()), len(inputs))


def washed_out(x: Float32Array) -> Float32Array:
    """Return an input with a tenth of its contrast around its mean colour: what rounding hurts first."""
    mean = x.mean(axis=(2, 3), keepdims=True)
    return np.asarray(mean + (x - mean) * _WASHED, np.float32)


def inverted(inputs: Sequence[Float32Array]) -> list[Float32Array]:
    """Return inputs with light and dark exchanged, within the range of all of them together."""
    ends = [np.array([x.min(axis=(0, 2, 3)), x.max(axis=(0, 2, 3))]) for x in inputs]
    both = np.min([low for low, _ in ends], axis=0) + np.max([high for _, high in ends], axis=0)
    return [np.asarray(both.reshape(1, -1, 1, 1) - x, np.float32) for x in inputs]


def varied(inputs: Sequence[Float32Array]) -> list[Float32Array]:
    """Return every input once in another guise, in turns washed out and inverted: calibration pages are mostly dark
    on light, and on light on dark the deep layers hold values up to ten times as large.
    """
    return [
        washed_out(x) if index % 2 else y for index, (x, y) in enumerate(zip(inputs, inverted(inputs), strict=True))
    ]


def _eligible(model: PaddleModel, options: StaticOptions) -> tuple[ConvLayer, ...]:
    layers = conv_layers(model)
    unknown = sorted(set(options.exclude) - {layer.filter for layer in layers})
    if unknown:
        raise KitError(f"no convolution has the filter {unknown[0]!r}", hint="mend the names in 'exclude'")
    layers = tuple(layer for layer in layers if layer.filter not in options.exclude)
    if not layers:
        raise KitError(
            "the model has no convolution that int8 kernels can run", hint="choose weight_int8 for this model"
        )
    return layers


def _all_macs(observer: Observer, model: PaddleModel, x: Float32Array) -> dict[str, int]:
    """Return the multiply-accumulates of every product on one input, by its weights."""
    found = {}
    for name, view in observer.run(x).layers.items():
        transposed = any(op.type == "conv2d_transpose" and name in op.input_names for op in model.program.main.ops)
        shape = view.input.shape if transposed else view.output.shape
        positions = math.prod(shape[2:]) if len(shape) == 4 else math.prod(shape[:-1])
        found[name] = positions * (model.params[name].size if name in model.params else 0)
    return found


def _spread(inputs: Sequence[Float32Array], count: int) -> list[Float32Array]:
    picks = np.linspace(0, len(inputs) - 1, min(count, len(inputs))).round().astype(int)
    return [inputs[index] for index in dict.fromkeys(picks.tolist())]


def _candidates(
    model: PaddleModel, layer: ConvLayer, columns: Columns, plain: int, macs: int, *, heavy: bool
) -> list[_Candidate]:
    """Return the layer in int8 by every rule for its limit, for the model's output to choose. The first ``plain``
    inputs are calibration inputs as they are.
    """
    rules = unclipped_limits(max(columns.largest[:plain]), max(columns.largest))
    if heavy:
        # Where a rule gives a limit that is there already, it need not be run once more.
        found = limits(columns.values, max(columns.largest))
        rules |= {rule: limit for rule, limit in found.items() if limit not in rules.values()}
    return [_candidate(model, layer, columns, macs, rule, limit) for rule, limit in rules.items()]


def _candidate(
    model: PaddleModel, layer: ConvLayer, columns: Columns, macs: int, rule: str, limit: float
) -> _Candidate:
    weights = model.params[layer.filter]
    flat = weights.reshape(len(weights), -1)
    rounded_input = round_input(columns.values, limit)
    if layer.depthwise:
        rounded = round_nearest(weights)
    else:
        rounded = round_by_error(weights, rounded_input[0], centred=layer.bias is not None)
    int8 = Int8Layer(rounded.weights.reshape(weights.shape), rounded.scales, limit)
    bias = None
    if layer.bias is not None:
        real = rounded.weights * rounded.scales[:, None]
        lost = _means(flat, columns.values, layer) - _means(real, rounded_input, layer)
        bias = np.asarray(model.params[layer.bias] + lost, np.float32)
    return _Candidate(layer, int8, bias, rule, macs)


def _means(flat: Float32Array, columns: Float32Array, layer: ConvLayer) -> NDArray[np.float64]:
    means = columns.mean(axis=2, dtype=np.float64)
    return np.asarray((flat * means).sum(axis=1) if layer.depthwise else flat @ means[0], np.float64)


def _judged(
    simulator: Simulator, made: Sequence[_Candidate], trials: Sequence[Float32Array], progress: Progress
) -> list[_Candidate]:
    """Return the candidates with their sensitivity: the mean |output difference| of an input when each alone is in
    int8, squared and averaged over the inputs, so that one input that loses much counts. Its root is kept.

    Of several for one layer the least sensitive stays.
    """
    plain = simulator.compile({})
    want = [plain.run(x) for x in trials]
    found = []
    for index, one in enumerate(made):
        runner = simulator.compile({one.layer.filter: one.int8}, _biases([one]))
        moves = [float(np.abs(runner.run(x) - y).mean()) for x, y in zip(trials, want, strict=True)]
        moved = float(np.sqrt(np.mean(np.square(moves))))
        found.append(_Candidate(one.layer, one.int8, one.bias, one.rule, one.macs, moved))
        progress((index + 1) / len(made), f"judge {one.layer.filter}")
    best: dict[str, _Candidate] = {}
    for one in sorted(found, key=lambda one: one.sensitivity):
        best.setdefault(one.layer.filter, one)
    return [best[name] for name in dict.fromkeys(one.layer.filter for one in found)]


def _biases(chosen: Sequence[_Candidate]) -> dict[str, Float32Array]:
    return {one.layer.bias: one.bias for one in chosen if one.layer.bias is not None and one.bias is not None}


def _chosen(judged: Sequence[_Candidate], total: int, share: float) -> list[_Candidate]:
    """Return the layers with the least squared movement per multiply-accumulate that reach the share together."""
    ranked = sorted(judged, key=lambda one: (one.sensitivity**2 / max(one.macs, 1), one.layer.filter))
    chosen: list[_Candidate] = []
    covered = 0
    for one in ranked:
        if covered >= share * total:
            break
        chosen.append(one)
        covered += one.macs
    if covered < share * total:
        raise KitError(
            f"at most {covered / max(total, 1):.1%} of the multiply-accumulates can run in int8, {share:.1%} is asked",
            hint="lower int8_share, or exclude fewer layers",
        )
    # A layer that is not needed for the share goes again, the worst first.
    for one in sorted(chosen, key=lambda one: (-one.sensitivity, one.layer.filter)):
        if covered - one.macs >= share * total:
            chosen.remove(one)
            covered -= one.macs
    return chosen


def _applied(model: PaddleModel, chosen: Sequence[_Candidate]) -> PaddleModel:
    for name, bias in _biases(chosen).items():
        model = model.with_param(name, bias)
    return with_int8_layers(model, {one.layer.filter: one.int8 for one in chosen})


def _report(judged: Sequence[_Candidate], chosen: Sequence[_Candidate], total: int, inputs: int) -> QuantReport:
    inside = {one.layer.filter for one in chosen}
    covered = sum(one.macs for one in chosen)
    notes = tuple(
        LayerNote(
            one.layer.filter,
            one.layer.op,
            {
                "int8": one.layer.filter in inside,
                "macs_share": one.macs / max(total, 1),
                "input_limit": one.int8.limit,
                "limit_rule": one.rule,
                "sensitivity": one.sensitivity,
            },
        )
        for one in judged
    )
    totals: Mapping[str, int | float | str | bool | None] = {
        "inputs": inputs,
        "int8_layers": len(chosen),
        "fp32_layers": len(judged) - len(chosen),
        "macs": total,
        "int8_macs_share": covered / max(total, 1),
    }
    return QuantReport("static_int8", totals, notes)

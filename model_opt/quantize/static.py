"""Static int8 for cores before ARMv8.2: convolutions in int8, the sensitive ones left in fp32."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_opt.convert import Converter, ConvertOptions
from model_opt.errors import KitError
from model_opt.program import Model
from model_opt.quantize.augment import ends_of, inverted, washed_out
from model_opt.quantize.candidates import Candidate, biases_of, candidates, preferred, without_needless_scalings
from model_opt.quantize.columns import ConvLayer, check_inputs, conv_layers, sample_columns
from model_opt.quantize.observe import Float32Array, Observer
from model_opt.quantize.qdq import with_int8_layers
from model_opt.quantize.report import LayerNote, QuantizeProgress, QuantReport
from model_opt.quantize.simulate import Simulator

_TRIAL_SIDE = 320
_HEAVY = 0.05
_LOOKS = 3


@dataclass(frozen=True)
class StaticOptions:
    """``int8_share``: the share of multiply-accumulates that at least run in int8 (0..1). ``trials``: how many inputs
    (their upper left 320 x 320, as they are and washed out) judge each layer's sensitivity. ``exclude``: filters that
    stay in fp32.
    """

    int8_share: float = 0.72
    trials: int = 6
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.int8_share <= 1 or self.trials < 1:
            raise KitError(
                f"int8_share {self.int8_share} with {self.trials} trials is not valid",
                hint="take an int8_share in (0, 1] and at least one trial",
            )


def quantise_static(
    model: Model,
    inputs: Sequence[Float32Array],
    options: StaticOptions,
    converter: Converter,
    progress: QuantizeProgress,
) -> tuple[Model, QuantReport]:
    """Return the model with convolutions in int8, and what was done to each.

    Each convolution alone is turned into int8 and run: those that move the output least for what they cost in
    multiply-accumulates go first, until ``options.int8_share`` of all of them is in int8. The bias of each takes up
    what rounding does to the mean. Convert the result with ``ConvertOptions()``.

    Raises ``CalibrationError`` for inputs that teach nothing, ``KitError`` for a model without a convolution that
    int8 kernels run, for unknown names in ``options.exclude`` and for a share that cannot be reached.
    """
    check_inputs(inputs)
    layers = _eligible(model, options)
    plain = converter.in_memory(model, ConvertOptions())
    observer = Observer(plain)
    shapes = {layer.filter: model.params[layer.filter].shape for layer in layers}
    columns = sample_columns(observer, layers, inputs, shapes, _LOOKS, lambda part, what: progress(part * 0.5, what))
    sizes = _all_macs(observer, model, inputs[0])
    # Behind a global pool a convolution costs nothing, and its scale follows the whole image.
    layers = tuple(layer for layer in layers if columns[layer.filter].positions > 1)
    made: list[Candidate] = []
    for index, layer in enumerate(layers):
        heavy = sizes[layer.filter] >= _HEAVY * sum(sizes.values())
        made += candidates(model, layer, columns[layer.filter], len(inputs), sizes[layer.filter], heavy=heavy)
        progress(0.5 + 0.2 * (index + 1) / len(layers), f"round {layer.filter}")
    simulator = Simulator(plain)
    crops = [x[:, :, :_TRIAL_SIDE, :_TRIAL_SIDE] for x in _spread(inputs, options.trials)]
    ends = ends_of(inputs)
    trials = [*crops, *(washed_out(x) for x in crops), *(inverted(x, ends) for x in crops)]
    judged = _judged(simulator, made, trials, lambda part, what: progress(0.7 + 0.3 * part, what))
    names = dict.fromkeys(one.layer.filter for one in judged)
    best = [preferred(one for one in judged if one.layer.filter == name) for name in names]
    chosen = without_needless_scalings(_chosen(best, sum(sizes.values()), options.int8_share), judged)
    return _applied(model, chosen), _report(best, chosen, sum(sizes.values()), len(inputs))


def _eligible(model: Model, options: StaticOptions) -> tuple[ConvLayer, ...]:
    layers = conv_layers(model)
    unknown = sorted(set(options.exclude) - {layer.filter for layer in layers})
    if unknown:
        raise KitError(f"no convolution has the filter {unknown[0]!r}", hint="correct the names in 'exclude'")
    layers = tuple(layer for layer in layers if layer.filter not in options.exclude)
    if not layers:
        raise KitError(
            "the model has no convolution that int8 kernels can run", hint="choose weight_int8 for this model"
        )
    return layers


def _all_macs(observer: Observer, model: Model, x: Float32Array) -> dict[str, int]:
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


def _judged(
    simulator: Simulator, made: Sequence[Candidate], trials: Sequence[Float32Array], progress: QuantizeProgress
) -> list[Candidate]:
    """Return the candidates with their sensitivity: the mean |output difference| of an input when each alone is in
    int8, squared and averaged over the inputs, so that one input that loses much counts. Its root is kept.
    """
    plain = simulator.compile({})
    want = [plain.run(x) for x in trials]
    found = []
    for index, one in enumerate(made):
        runner = simulator.compile({one.layer.filter: one.int8}, biases_of([one]))
        moves = [float(np.abs(runner.run(x) - y).mean()) for x, y in zip(trials, want, strict=True)]
        moved = float(np.sqrt(np.mean(np.square(moves))))
        found.append(one.judged(moved))
        progress((index + 1) / len(made), f"judge {one.layer.filter}")
    return found


def _chosen(best: Sequence[Candidate], total: int, share: float) -> list[Candidate]:
    """Return the layers with the least squared movement per multiply-accumulate that reach the share together."""
    ranked = sorted(best, key=lambda one: (one.sensitivity**2 / max(one.macs, 1), one.layer.filter))
    chosen: list[Candidate] = []
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


def _applied(model: Model, chosen: Sequence[Candidate]) -> Model:
    for name, bias in biases_of(chosen).items():
        model = model.with_param(name, bias)
    return with_int8_layers(model, {one.layer.filter: one.int8 for one in chosen})


def _report(best: Sequence[Candidate], chosen: Sequence[Candidate], total: int, inputs: int) -> QuantReport:
    taken = {one.layer.filter: one for one in chosen}
    notes = tuple(_note(taken.get(one.layer.filter, one), one.layer.filter in taken, total) for one in best)
    totals: Mapping[str, int | float | str | bool | None] = {
        "inputs": inputs,
        "int8_layers": len(chosen),
        "equalized_inputs": sum(one.int8.scaling is not None for one in chosen),
        "fp32_layers": len(best) - len(chosen),
        "macs": total,
        "int8_macs_share": sum(one.macs for one in chosen) / max(total, 1),
    }
    return QuantReport("static_int8", totals, notes)


def _note(one: Candidate, taken: bool, total: int) -> LayerNote:
    facts: Mapping[str, int | float | str | bool | None] = {
        "int8": taken,
        "macs_share": one.macs / max(total, 1),
        "input_limit": one.int8.limit,
        "input_equalized": one.int8.scaling is not None,
        "limit_rule": one.rule,
        "sensitivity": one.sensitivity,
    }
    return LayerNote(one.layer.filter, one.layer.op, facts)

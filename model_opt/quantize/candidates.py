"""The int8 candidates of a convolution, and which of them is preferred.

Limits come from three places. ``largest``: the largest value on the calibration pages as they are. ``largest_varied``:
on augmented pages too, plus a quarter. Limits that clip, in layers with many multiply-accumulates, by five
rules (``int8_rounding.limits``). The first two also come with equalized
channels (``equalize_channels.py``).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_opt.program import Model
from model_opt.quantize.columns import Columns, ConvLayer
from model_opt.quantize.equalize_channels import equalization, equalize_columns
from model_opt.quantize.int8_rounding import limits, round_by_error, round_input, round_nearest
from model_opt.quantize.observe import Float32Array
from model_opt.quantize.qdq import ChannelScaling, Int8Layer

_HEADROOM = 1.25
_TIGHT = 5.0
_CLIPPED = 2.0
_SPARE = 0.05
_PLAIN_RULES = ("largest", "equalized")
_VARIED_RULES = ("largest_varied", "equalized_varied")


@dataclass(frozen=True, eq=False)
class Candidate:
    """One layer as it would be in int8: its new bias (None: it has none), the rule of its limit, its cost, and how far
    it alone moves the model's output.
    """

    layer: ConvLayer
    int8: Int8Layer
    bias: Float32Array | None
    rule: str
    macs: int
    sensitivity: float = 0.0

    @property
    def reads(self) -> int:
        """About how many values the layer reads."""
        return self.macs // (len(self.int8.weights) * math.prod(self.int8.weights.shape[2:]))

    def judged(self, sensitivity: float) -> Candidate:
        """Return it with what was measured."""
        return dataclasses.replace(self, sensitivity=sensitivity)


@dataclass(frozen=True, eq=False)
class _Input:
    """How a layer's input becomes int8: by its limit, after its channels were scaled (None: as they are)."""

    limit: float
    scaling: ChannelScaling | None = None


def candidates(
    model: Model, layer: ConvLayer, columns: Columns, plain: int, macs: int, *, heavy: bool
) -> list[Candidate]:
    """Return the layer in int8 by every rule for its input; ``heavy`` ones by the rules that clip too. The first
    ``plain`` inputs are calibration inputs as they are.
    """
    values = columns.values()
    rules = _rules(layer, columns.ends[:plain], "largest", "equalized")
    rules |= _rules(layer, columns.ends * np.float32(_HEADROOM), "largest_varied", "equalized_varied")
    if heavy:
        rules |= {rule: _Input(limit) for rule, limit in limits(values, columns.largest).items()}
    return [_candidate(model, layer, values, macs, rule, how) for rule, how in rules.items()]


def _rules(layer: ConvLayer, ends: Float32Array, plain: str, equalized: str) -> dict[str, _Input]:
    low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    largest = float(max(high.max(), -low.min()))
    if largest == 0:
        return {}
    found = {plain: _Input(largest)}
    if not layer.depthwise:
        shifted = layer.bias is not None and not any(layer.pads)
        even = equalization(low, high, shifted=shifted)
        found[equalized] = _Input(even.limit, even.scaling)
    return found


def _candidate(model: Model, layer: ConvLayer, values: Float32Array, macs: int, rule: str, how: _Input) -> Candidate:
    weights = model.params[layer.filter]
    scaling = how.scaling
    wide: Float32Array = (
        weights if scaling is None else np.asarray(weights / scaling.factors[:, None, None], np.float32)
    )
    read = round_input(values if scaling is None else equalize_columns(values, scaling), how.limit)
    rounded = round_nearest(wide) if layer.depthwise else round_by_error(wide, read[0], centred=layer.bias is not None)
    int8 = Int8Layer(rounded.weights.reshape(weights.shape), rounded.scales, how.limit, scaling)
    bias = None
    if layer.bias is not None:
        real = rounded.weights * rounded.scales[:, None]
        lost = _means(weights.reshape(len(weights), -1), values, layer) - _means(real, read, layer)
        bias = np.asarray(model.params[layer.bias] + lost, np.float32)
    return Candidate(layer, int8, bias, rule, macs)


def _means(flat: Float32Array, columns: Float32Array, layer: ConvLayer) -> NDArray[np.float64]:
    means = columns.mean(axis=2, dtype=np.float64)
    return np.asarray((flat * means).sum(axis=1) if layer.depthwise else flat @ means[0], np.float64)


def preferred(judged: Iterable[Candidate]) -> Candidate:
    """Return the best of one layer's candidates. Raises ``ValueError`` when there are none.

    The inputs that judge them do not hold what unseen pages hold, so wide limits go first: limits of the pages as they
    are must move the output a fifth as much, limits that clip again half as much. In between there is nothing to
    decide for PP-OCRv4's detector: the factor is 3 at most in the backbone, where clipped values lose areas of
    unseen pages, and above 7 in the neck and the head, where large values only say more surely what is text.
    """
    found = list(judged)
    plain = _best([one for one in found if one.rule in _PLAIN_RULES])
    varied = _best([one for one in found if one.rule in _VARIED_RULES])
    clipped = _best([one for one in found if one.rule not in (*_PLAIN_RULES, *_VARIED_RULES)])
    best = varied
    for one, factor in ((plain, _TIGHT), (clipped, _CLIPPED)):
        if one is not None and (best is None or one.sensitivity * factor < best.sensitivity):
            best = one
    if best is None:
        raise ValueError("there are no candidates")
    return best


def _best(found: Sequence[Candidate]) -> Candidate | None:
    return min(found, key=lambda one: one.sensitivity, default=None)


def without_needless_scalings(chosen: Sequence[Candidate], judged: Sequence[Candidate]) -> list[Candidate]:
    """Return the chosen candidates without the channel scalings that gain little.

    Each scaling is a pass over what its layer reads. Scalings are dropped where that costs least for the values they
    pass over, until the squared sensitivities have grown by a twentieth together.
    """
    kept = {one.layer.filter: one for one in chosen}
    spare = _SPARE * sum(one.sensitivity**2 for one in chosen)
    plain = {one.layer.filter: _unscaled(one, judged) for one in chosen if one.int8.scaling is not None}
    added = {name: other.sensitivity**2 - kept[name].sensitivity ** 2 for name, other in plain.items()}
    for name in sorted(added, key=lambda name: (added[name] / kept[name].reads, name)):
        if added[name] <= spare:
            kept[name] = plain[name]
            spare -= max(added[name], 0)
    return list(kept.values())


def _unscaled(chosen: Candidate, judged: Sequence[Candidate]) -> Candidate:
    same = [one for one in judged if one.layer.filter == chosen.layer.filter]
    return preferred(one for one in same if one.int8.scaling is None)


def biases_of(chosen: Iterable[Candidate]) -> Mapping[str, Float32Array]:
    """Return the new biases of layers in int8, by name."""
    return {one.layer.bias: one.bias for one in chosen if one.layer.bias is not None and one.bias is not None}

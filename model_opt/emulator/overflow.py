"""Which fp16 convolutions can overflow on given images: a check that needs one run and names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from model_opt.emulator import winograd
from model_opt.emulator.fp16 import uses_winograd
from model_opt.emulator.run import run_watched
from model_opt.emulator.state import Array, Values
from model_opt.emulator.window import exact_sums, padded, read_window
from model_opt.nb.translate.view import OpView
from model_opt.nb.types import NbModel

FP16_MAX = 65504.0
_CONVS = frozenset({"conv2d", "depthwise_conv2d"})


@dataclass(frozen=True)
class Overflow:
    """A convolution that leaves fp16's range: ``position`` in the program, ``filter`` names its weights.

    ``max_input`` and ``max_transformed`` are the largest absolute finite values of its input before and behind the
    transform of ``algorithm`` (``F(2,3)``, ``F(4,3)`` or ``direct``, which has none); ``max_output`` bounds its sums.
    ``non_finite_inputs`` counts values that were lost further up.
    """

    position: int
    filter: str
    algorithm: str
    max_input: float
    max_transformed: float
    max_output: float
    non_finite_inputs: int


def overflow_check(model: NbModel, inputs: Mapping[str, Array]) -> tuple[Overflow, ...]:
    """Return every fp16 convolution whose transformed input or whose output exceeds 65,504 on these inputs, in order.

    The transform and the products are computed without fp16's limit, so the figures say by how much. Values that are
    not finite any more count as zero: one broken layer does not accuse all behind it. Raises ``NbError`` as
    ``emulate`` does.
    """
    found: list[Overflow] = []
    positions = {id(desc): position for position, desc in enumerate(model.ops)}

    def watch(op: OpView, values: Values) -> None:
        if op.desc.type in _CONVS and op.desc.kernel is not None and op.desc.kernel.precision_name == "fp16":
            one = _measure(op, values, positions[id(op.desc)])
            if max(one.max_transformed, one.max_output) > FP16_MAX:
                found.append(one)

    run_watched(model, inputs, watch)
    return tuple(found)


def _measure(op: OpView, values: Values, position: int) -> Overflow:
    held, weights = values.one(op, "Input", np.float16), values.one(op, "Filter", np.float16).astype(np.float64)
    finite = np.isfinite(held)
    x = np.where(finite, held, 0).astype(np.float64)
    window = read_window(op, x, weights)
    largest = float(np.abs(x).max(initial=0))
    algorithm, transformed = "direct", largest
    image = padded(x, window.pads)
    if uses_winograd(x, weights, window):
        scheme = winograd.scheme_of(image.shape[2] - 2, image.shape[3] - 2)
        algorithm = scheme.name
        transformed = max(winograd.largest_transformed(one, scheme) for one in image)
    # No sum can exceed the largest input times the largest sum of |weights|: cheap, and far above for most layers,
    # so it is checked closely only where it matters.
    bound = largest * float(np.abs(weights).reshape(len(weights), -1).sum(axis=1).max(initial=0))
    output = bound if bound <= FP16_MAX else float(np.abs(exact_sums(op, x, weights)).max(initial=0))
    lost = int(finite.size - np.count_nonzero(finite))
    return Overflow(position, op.argument("Filter"), algorithm, largest, transformed, output, lost)

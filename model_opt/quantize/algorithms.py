"""The quantisation algorithms by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_opt.convert import Converter
from model_opt.errors import KitError
from model_opt.program import Model
from model_opt.quantize.observe import Float32Array
from model_opt.quantize.report import QuantizeProgress, QuantReport
from model_opt.quantize.rescale import RescaleOptions, rescale_fp16
from model_opt.quantize.static import StaticOptions, quantise_static
from model_opt.quantize.weights import WeightOptions, quantise_weights

Quantise = Callable[[Model, Sequence[Float32Array], Any, Converter, QuantizeProgress], tuple[Model, QuantReport]]


@dataclass(frozen=True)
class Algorithm:
    """A function ``(model, inputs, options, converter, progress) -> (model, report)`` and the class of its options.

    ``max_lines``: how many lines a recogniser is calibrated on; of more, as many at equal steps.
    """

    run: Quantise
    options_class: type[Any]
    max_lines: int = 160

    def options(self, given: Mapping[str, Any]) -> Any:
        """Return the options with ``given`` ones by name; raises ``KitError`` for an unknown name or a wrong type."""
        known = {field.name: field.default for field in dataclasses.fields(self.options_class)}
        for name, value in given.items():
            if name not in known:
                raise KitError(f"there is no option {name!r}", hint=f"known are: {', '.join(known)}")
            if not isinstance(value, type(known[name])) and not (isinstance(known[name], float) and type(value) is int):
                raise KitError(
                    f"option {name!r} is {value!r}, a {type(known[name]).__name__} is expected",
                    hint=f"the default is {known[name]!r}",
                )
        return self.options_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})


ALGORITHMS: Mapping[str, Algorithm] = {
    "rescale_fp16": Algorithm(rescale_fp16, RescaleOptions),
    "static_int8": Algorithm(quantise_static, StaticOptions),
    "weight_int8": Algorithm(quantise_weights, WeightOptions, max_lines=480),
}

"""Checks of a converted file: it is what the options ask for, and nothing that the runtime is known to load wrongly."""

from __future__ import annotations

from collections.abc import Iterator

from model_opt.convert.errors import ConvertError
from model_opt.convert.options import PLACE_IN_FILE, ConvertOptions
from model_opt.nb import NbModel, normalise_version, place_of, precision_of
from model_opt.nb.translate.weights import RESTORED
from model_opt.paddle_model import SCALES_OF


def differences(found: NbModel, options: ConvertOptions, held: frozenset[int], opt_version: str) -> Iterator[str]:
    """Yield how a file differs from what was asked for; ``held``: the widths of integers that the model came with."""
    place, parts = place_of(found), set(precision_of(found).split("+"))
    if normalise_version(found.opt_version) != normalise_version(opt_version):
        yield f"version {found.opt_version} instead of {opt_version}"
    if place not in (PLACE_IN_FILE[options.place], "host"):
        yield f"kernels for {place} instead of {PLACE_IN_FILE[options.place]}"
    if options.place != "opencl,arm" and options.fp16 != ("fp16" in parts):
        yield "no fp16 kernel" if options.fp16 else "fp16 kernels"
    wanted = {f"weight_int{bits}" for bits in (held or {options.weight_bits} - {None})}
    if {part for part in parts if part.startswith("weight_")} != wanted:
        yield f"weights as {'+'.join(sorted(parts))} instead of {'+'.join(wanted) or 'floats'}"


def check_restored(found: NbModel) -> None:
    """Raise ``ConvertError`` for integer weights that the runtime would compute with as if they were floats."""
    for at, op in enumerate(found.ops):
        names = [name for names in op.inputs.values() for name in names if f"{name}{SCALES_OF}" in op.attrs]
        if names and op.type not in RESTORED:
            raise ConvertError(
                f"operator {at} ({op.type}) holds its weights {names[0]!r} as integers, which Paddle Lite "
                f"dequantises for {', '.join(sorted(RESTORED))} only: its output would be NaN or noise",
                hint="keep the weights of this operator in floats (recipe fp32), or convert for arm64",
            )

"""Summarise a ``.nb`` file with warnings, and refuse files for another engine or version."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.errors import NbError
from model_opt.nb.types import NbModel
from model_opt.program import ELEMENT_TYPES, LAYOUTS, PRECISIONS, TARGETS, Op, VarType

_ANYWHERE = frozenset({"unk", "host", "any"})
_WEIGHT_ONLY = "post_weight_channel_wise_abs_max"
# The official PP-OCRv4 recogniser needs 13 copies between host and GPU once its scalar operands stand in the order
# that the GPU kernels know, 125 before: more than this is worth a look.
_MANY_COPIES = 16

_RUNS_ON: Mapping[str, frozenset[str]] = {
    "arm": frozenset({"arm", "host"}),
    "opencl": frozenset({"opencl", "arm", "host"}),
    "x86": frozenset({"x86", "host"}),
}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: its name, its shape as the file states it (-1 for any, None if not stated), its type."""

    name: str
    shape: tuple[int, ...] | None
    type: str | None


@dataclass(frozen=True, slots=True)
class ParamInfo:
    """The parameters of one element type: how many, how many bytes."""

    type: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class NbWarning:
    """A fact the reader should know: a stable ``code`` for programs and a sentence for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class NbSummary:
    """What ``inspect_nb`` found. ``op_histogram`` and ``kernels`` are sorted by falling count, then by name."""

    path: str | None
    bytes: int
    meta_version: int
    opt_version: str
    program_version: int
    canonical: bool
    place: str
    precision: str
    targets: Mapping[str, int]
    ops: int
    op_histogram: Mapping[str, int]
    kernels: Mapping[str, int]
    io_copy: int
    calib: int
    layout: int
    params: tuple[ParamInfo, ...]
    param_bytes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    warnings: tuple[NbWarning, ...]

    def to_json(self) -> dict[str, object]:
        """Return the summary as plain dicts, sequences, strings and numbers."""
        return dataclasses.asdict(self)


def inspect_nb(model: NbModel, *, pinned_opt: str | None = None) -> NbSummary:
    """Return what a model holds.

    ``pinned_opt`` is the version of opt the kit uses (``2.14rc0`` or ``v2.14-rc``); another one in the file gives
    a warning. Counts are over all blocks; ``feed`` and ``fetch`` count as operators. ``io_copy``, ``calib`` and
    ``layout`` count what every run pays for, not the ``_once`` kinds that only prepare weights.
    """
    ops = tuple(model.program.all_ops())
    histogram = _by_count(op.type for op in ops)
    return NbSummary(
        path=model.path,
        bytes=model.nbytes,
        meta_version=model.meta_version,
        opt_version=model.opt_version,
        program_version=model.program.version or 0,
        canonical=model.is_canonical,
        place=place_of(model),
        precision=precision_of(model),
        targets=_by_count(op.kernel.target_name for op in ops if op.kernel is not None),
        ops=len(ops),
        op_histogram=histogram,
        kernels=_by_count(str(op.kernel) for op in ops if op.kernel is not None),
        io_copy=histogram.get("io_copy", 0),
        calib=histogram.get("calib", 0),
        layout=histogram.get("layout", 0),
        params=_param_types(model.params.values()),
        param_bytes=sum(array.nbytes for array in model.params.values()),
        inputs=_ends(model, "feed", "Out"),
        outputs=_ends(model, "fetch", "X"),
        warnings=tuple(_warnings(model, ops, histogram, pinned_opt)),
    )


def place_of(model: NbModel) -> str:
    """Return where the kernels of a model run: ``arm``, ``opencl`` (with ARM or alone), ``x86``, ``host`` (anywhere).

    Other targets, and mixtures that no engine has, are given by their names joined with ``+``.
    """
    named = {op.kernel.target_name for op in model.program.all_ops() if op.kernel is not None} - _ANYWHERE
    if not named:
        return "host"
    for place in ("arm", "opencl", "x86"):
        if named <= _RUNS_ON[place]:
            return place
    return "+".join(sorted(named))


def precision_of(model: NbModel) -> str:
    """Return ``fp32``, ``fp16`` or ``static_int8`` by the kernels, ``weight_int8`` or ``weight_int16`` by the weights.

    ``weight_int8`` alone means fp32 arithmetic on weights that are stored as int8; ``fp16+weight_int8`` both.
    """
    kinds = {op.kernel.precision_name for op in model.program.all_ops() if op.kernel is not None and op.type != "calib"}
    parts = [name for kind, name in (("int8", "static_int8"), ("fp16", "fp16")) if kind in kinds]
    bits = {op.attr("quantize_weight_bits") for op in model.program.all_ops() if _is_weight_only(op)}
    parts += [f"weight_int{number}" for number in (8, 16) if number in bits]
    return "+".join(parts) or "fp32"


def needs_emulation(model: NbModel) -> bool:
    """Return whether ARM kernels of the file compute in fp16 or int8; those of OpenCL are only named fp16."""
    return place_of(model) == "arm" and not {"fp16", "static_int8"}.isdisjoint(precision_of(model).split("+"))


def guard_place(model: NbModel, wanted: str) -> None:
    """Raise ``NbError`` unless an engine for ``wanted`` (``arm``, ``opencl`` or ``x86``) has the kernels of the model.

    The engines do not check this: an ARM file on the x86 engine runs and returns garbage without an error.
    """
    runs = _RUNS_ON.get(wanted)
    if runs is None:
        raise ValueError(f"wanted must be one of {sorted(_RUNS_ON)}, not {wanted!r}")
    has = runs | _ANYWHERE
    foreign = [op for op in model.program.all_ops() if op.kernel is not None and op.kernel.target_name not in has]
    if not foreign:
        return
    place = place_of(model)
    example = foreign[0].kernel
    raise NbError(
        f"the model was converted for {place}, the engine runs {wanted}: {len(foreign)} operators use kernels it does "
        f"not have, such as {example}",
        path=model.path,
        hint=f"convert the model for {wanted}, or run this file on an engine for {place}",
        expected=wanted,
        found=place,
    )


def guard_version(model: NbModel, pinned_opt: str) -> None:
    """Raise ``NbError`` unless the file comes from the pinned version of opt.

    The runtime only warns when versions differ, and may crash later on a kernel that it does not have.
    """
    if normalise_version(model.opt_version) != normalise_version(pinned_opt):
        raise NbError(
            f"the model was converted by opt {model.opt_version}, the kit is pinned to {pinned_opt}",
            path=model.path,
            hint=f"convert the model again with opt {pinned_opt}",
            section="header",
            offset=2,
            expected=pinned_opt,
            found=model.opt_version,
        )


def normalise_version(text: str) -> str:
    """Return a version in one spelling: ``v2.14-rc`` (opt's own) and ``2.14rc0`` (of its wheel) agree."""
    match = re.fullmatch(r"v?(\d+(?:\.\d+)*)(?:[-.]?rc\.?(\d*))?", text)
    if match is None:
        return text
    number, candidate = match.groups()
    return str(number) if candidate is None else f"{number}rc{candidate or 0}"


def _by_count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


def _param_types(arrays: Iterable[NDArray[Any]]) -> tuple[ParamInfo, ...]:
    found: dict[str, list[int]] = {}
    for array in arrays:
        found.setdefault(ELEMENT_TYPES[array.dtype].name.lower(), []).append(array.nbytes)
    return tuple(ParamInfo(name, len(sizes), sum(sizes)) for name, sizes in sorted(found.items()))


def _ends(model: NbModel, op_type: str, parameter: str) -> tuple[TensorInfo, ...]:
    """Return the inputs or outputs in the order of their columns, as the runtime numbers them."""
    ends = [op for op in model.ops if op.type == op_type]
    columns = sorted(ends, key=_column)
    arguments = [op.inputs if parameter == "X" else op.outputs for op in columns]
    return tuple(_tensor_info(model, name) for by_name in arguments for name in by_name.get(parameter, ()))


def _column(op: Op) -> int:
    column = op.attr("col", 0)
    return column if isinstance(column, int) else 0


def _tensor_info(model: NbModel, name: str) -> TensorInfo:
    var = model.var(name)
    data_type = None if var.data_type is None else VarType(var.data_type).name.lower()
    return TensorInfo(name, var.dims or None, data_type)


def _is_weight_only(op: Op) -> bool:
    return op.attr("quantization_type") == _WEIGHT_ONLY


def _warnings(
    model: NbModel, ops: tuple[Op, ...], histogram: Mapping[str, int], pinned_opt: str | None
) -> Iterator[NbWarning]:
    yield from _version_warnings(model, pinned_opt)
    yield from _place_warnings(place_of(model), precision_of(model))
    yield from _kernel_warnings(ops)
    copies = histogram.get("io_copy", 0)
    if copies > _MANY_COPIES:
        text = f"{copies} copies between host and GPU on every run: operators in between have no GPU kernel"
        yield NbWarning("io_copy", text)
    bad = [name for name, array in model.params.items() if not _is_finite(array)]
    if bad:
        text = f"{len(bad)} parameters hold NaN or infinity, the first is {bad[0]}"
        yield NbWarning("non_finite_parameters", text)


def _version_warnings(model: NbModel, pinned_opt: str | None) -> Iterator[NbWarning]:
    if pinned_opt is not None and normalise_version(model.opt_version) != normalise_version(pinned_opt):
        text = f"converted by opt {model.opt_version}, not by the pinned {pinned_opt}: the runtime must be of the same"
        yield NbWarning("opt_version", f"{text} version as opt")
    if not model.is_canonical:
        text = "not canonical: uninitialised memory of opt stands behind the version, so two builds differ"
        yield NbWarning("not_canonical", text)


def _place_warnings(place: str, precision: str) -> Iterator[NbWarning]:
    parts = precision.split("+")
    weight_only = [part for part in parts if part.startswith("weight_")]
    if place == "x86":
        yield NbWarning("place_x86", "made for x86: a host can run it, a phone cannot")
    elif place not in _RUNS_ON and place != "host":
        yield NbWarning("place", f"made for {place}: none of the kit's engines has these kernels")
    if "fp16" in parts and place == "arm":
        text = "fp16 kernels need a core with fp16 arithmetic (ARMv8.2); others stop with an illegal instruction"
        yield NbWarning("fp16_needs_armv82", text)
        if weight_only:
            text = f"fp16 kernels on {weight_only[0]} weights: the ARM engine was seen to return NaN everywhere"
            yield NbWarning("fp16_weight_only", text)
    if "static_int8" in parts:
        text = "activations are quantised to int8: compare the results on low-contrast text before shipping"
        yield NbWarning("int8_activations", text)


def _kernel_warnings(ops: tuple[Op, ...]) -> Iterator[NbWarning]:
    from model_opt.nb.translate.weights import RESTORED

    kept = _by_count(op.type for op in ops if "quantize_weight_bits" in op.attrs and op.type not in RESTORED)
    if kept:
        text = f"weights of {next(iter(kept))} are integers, which the runtime does not dequantise: the output is NaN"
        yield NbWarning("weights_stay_integers", text)
    missing = _by_count(op.type for op in ops if op.kernel is None)
    if missing:
        text = f"{sum(missing.values())} operators name no kernel, such as {next(iter(missing))}"
        yield NbWarning("no_kernel", text)
    strange = _by_count(str(op.kernel) for op in ops if op.kernel is not None and not _is_known(op))
    if strange:
        text = f"{sum(strange.values())} kernels with an unknown target, precision or layout, such as"
        yield NbWarning("unknown_kernel", f"{text} {next(iter(strange))}")


def _is_known(op: Op) -> bool:
    kernel = op.kernel
    if kernel is None:
        return False
    return kernel.target < len(TARGETS) and kernel.precision < len(PRECISIONS) and kernel.layout < len(LAYOUTS)


def _is_finite(array: NDArray[Any]) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())

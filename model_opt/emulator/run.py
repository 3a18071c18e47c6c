"""Run a program operator by operator with the arithmetic of the kernels that opt chose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from model_opt.emulator.engine_build import EngineBuild
from model_opt.emulator.kernels import KERNELS, Compute
from model_opt.emulator.state import Array, Values
from model_opt.nb.errors import NbError
from model_opt.nb.translate.view import OpView
from model_opt.nb.types import NbModel
from model_opt.program import VarType

Watch = Callable[[OpView, Values], None]
_INPUT_HINT = "give one float32 array for each input of the model, of the shape the model takes"
# What quantisation and the fp16 pass note down for themselves.
_NOTES = frozenset({"out_threshold", "Out0_threshold", "Output0_threshold"})


def emulate(
    model: NbModel, inputs: Mapping[str, Array], build: EngineBuild = EngineBuild.RELEASE
) -> Mapping[str, Array]:
    """Return the outputs of ``model`` by variable name, as float32, computed as Paddle Lite's ARM kernels do.

    ``inputs`` maps the names of the input variables to float32 arrays; ``build`` says whose sums are computed. An fp16
    overflow gives inf or NaN, as on the phone. Raises ``NbError`` for an operator, kernel, attribute or shape that is
    not known, and for missing inputs.
    """
    return run_watched(model, inputs, lambda _op, _values: None, build)


def run_watched(
    model: NbModel, inputs: Mapping[str, Array], watch: Watch, build: EngineBuild = EngineBuild.RELEASE
) -> Mapping[str, Array]:
    """Run as ``emulate`` does and call ``watch`` before every operator."""
    if len(model.blocks) != 1:
        raise NbError(f"the program has {len(model.blocks)} blocks; loops and branches are not known", path=model.path)
    values = Values(model, build)
    _feed(model, inputs, values)
    with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
        for op, compute in _steps(model):
            watch(op, values)
            compute(op, values)
            op.finish()
    return {name: array.astype(np.float32, copy=False) for name, array in values.outputs.items()}


def _steps(model: NbModel) -> Iterator[tuple[OpView, Compute]]:
    """Yield the operators that compute; unknown kernels are refused before anything runs."""
    steps: list[tuple[OpView, Compute]] = []
    for position, desc in enumerate(model.ops):
        op = OpView(desc, position, model)
        op.ignore(*(name for name in desc.attrs if name in _NOTES or name.endswith("_fp16")))
        if desc.type == "feed":
            continue
        if desc.type == "fetch":
            steps.append((op, _fetch))
            continue
        if desc.kernel is None:
            op.fail("no kernel was chosen for it: the file was not made by opt")
        kernel = f"{desc.kernel.alias}/{desc.kernel.target_name}/{desc.kernel.precision_name}"
        compute = KERNELS.get(f"{desc.type} {kernel}")
        if compute is None:
            op.fail(f"the kernel {kernel} is not known")
        steps.append((op, compute))
    yield from steps


def _fetch(op: OpView, values: Values) -> None:
    values.outputs[op.argument("X")] = values.one(op, "X")
    op.outputs("Out")
    op.ignore("col", "data_type")


def _feed(model: NbModel, inputs: Mapping[str, Array], values: Values) -> None:
    names = [op.outputs["Out"][0] for op in model.ops if op.type == "feed"]
    if set(names) != set(inputs):
        what = f"the model has the inputs {sorted(names)}, given are {sorted(inputs)}"
        raise NbError(what, path=model.path, hint=_INPUT_HINT)
    for name in names:
        array, var = np.asarray(inputs[name]), model.var(name)
        dims = var.dims or ()
        fits = len(dims) == array.ndim and all(side in (-1, size) for side, size in zip(dims, array.shape, strict=True))
        if var.data_type != VarType.FP32 or array.dtype != np.float32 or not fits or not array.size:
            what = f"the input {name!r} takes float32 of shape {list(dims)}, given is {array.dtype} {array.shape}"
            raise NbError(what, path=model.path, hint=_INPUT_HINT)
        values.feed(name, array)

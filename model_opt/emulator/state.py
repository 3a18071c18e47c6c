"""The values of a run by variable name. Names are not single-assignment: an operator sees the current value."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.emulator.engine_build import EngineBuild
from model_opt.nb.translate.view import OpView
from model_opt.nb.types import NbModel

Array = NDArray[Any]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


_HALF = "_fp16"  # an attribute "<parameter>_fp16": the loader rounds this float32 parameter to fp16


class Values:
    """The tensors that exist at one point of a run, parameters included."""

    __slots__ = ("_arrays", "build", "opt_version", "outputs")

    def __init__(self, model: NbModel, build: EngineBuild) -> None:
        self.build = build
        self.opt_version = tuple(map(int, re.findall(r"\d+", model.opt_version)[:2]))
        """Major and minor number of the opt that made the file; the engine that runs it is of the same version."""
        halves = {name.removesuffix(_HALF) for op in model.ops for name in op.attrs if name.endswith(_HALF)}
        self._arrays: dict[str, Array] = {}
        for name, values in model.params.items():
            array = np.array(values)  # a copy: the file does not align its numbers
            self._arrays[name] = array.astype(np.float16) if name in halves else array
        self.outputs: dict[str, Array] = {}

    def named(self, op: OpView, name: str) -> Array:
        """Return the value of a variable; ``NbError`` when no operator has written it yet."""
        array = self._arrays.get(name)
        if array is None:
            op.fail(f"the variable {name!r} has no value yet")
        return array

    def one(self, op: OpView, slot: str, dtype: type[np.generic] | None = None) -> Array:
        """Return the value of the one variable in a slot, which must be of ``dtype`` when one is given."""
        name = op.argument(slot)
        array = self.named(op, name)
        if dtype is not None and array.dtype != dtype:
            op.fail(f"the variable {name!r} holds {array.dtype}, the kernel reads {np.dtype(dtype)}")
        return array

    def optional(self, op: OpView, slot: str, dtype: type[np.generic]) -> Array | None:
        """Return the value of a slot, None when the slot is empty."""
        return self.one(op, slot, dtype) if op.arguments(slot) else None

    def put(self, op: OpView, slot: str, array: Array) -> None:
        """Write the one variable of an output slot."""
        self._arrays[op.output(slot)] = array

    def feed(self, name: str, array: Array) -> None:
        """Write an input of the model."""
        self._arrays[name] = array

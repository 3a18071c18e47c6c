"""Writes small programs of Paddle 3 (PIR) as JSON, in the form of ``paddle/fluid/pir/serialize_deserialize``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from model_opt.paddle_model.params import encode_params

F32, I32, I64 = "f32", "i32", "i64"


def attr(name: str, value: Any, kind: str | None = None) -> dict[str, Any]:
    """Return one attribute; ``kind`` (``a_i64``, ``a_dtype``, …) only where the value does not say it."""
    return {"N": name, "AT": _attr_type(value, kind)}


def _attr_type(value: Any, kind: str | None) -> dict[str, Any]:
    if kind in ("a_dtype", "a_intarray", "a_place", "a_scalar"):
        return {"#": f"1.{kind}", "D": value}
    if isinstance(value, (list, tuple)):
        return {"#": "0.a_array", "D": [_attr_type(item, kind) for item in value]}
    known = {bool: "a_bool", int: "a_i32", float: "a_f32", str: "a_str"}
    return {"#": f"0.{kind or known[type(value)]}", "D": value}


def tensor(dims: Sequence[int], kind: str = F32) -> dict[str, Any]:
    """Return the type of a tensor."""
    return {"#": "0.t_dtensor", "D": [{"#": f"0.t_{kind}"}, list(dims), "NCHW", [], 0]}


class PirWriter:
    """A program being written; values are their numbers."""

    def __init__(self) -> None:
        self.ops: list[dict[str, Any]] = []
        self.params: dict[str, np.ndarray] = {}
        self._last = 0

    def param(self, name: str, array: np.ndarray) -> int:
        """Add a parameter."""
        self._last += 1
        self.params[name] = np.asarray(array, np.float32)
        held = {"%": self._last, "TT": tensor(array.shape)}
        self.ops.append({"#": "p", "A": [0, 1, 1, name], "DA": [], "O": held, "OA": [1, 0, 1], "QA": []})
        return self._last

    def op(self, name: str, inputs: Sequence[int], types: Sequence[Any], *attrs: dict[str, Any]) -> int:
        """Add an operator and return its first result; a type is a tensor's sizes, or written out."""
        results = []
        for kind in types:
            self._last += 1
            results.append({"%": self._last, "TT": kind if isinstance(kind, dict) else tensor(kind)})
        row = {"#": name, "A": list(attrs), "I": [{"%": number} for number in inputs], "O": results, "OA": []}
        self.ops.append(row)
        return self._last - len(results) + 1 if results else 0

    def data(self, name: str, dims: Sequence[int]) -> int:
        """Add an input."""
        shape, kind = attr("shape", list(dims), "a_intarray"), attr("dtype", "float32", "a_dtype")
        return self.op("1.data", [], [dims], attr("name", name), shape, kind)

    def fetch(self, value: int, column: int = 0) -> None:
        """Add an output."""
        self.op("1.fetch", [value], [[1]], attr("name", f"fetch_name_{column}"), attr("col", column))

    def ints(self, *values: int) -> int:
        """Add a constant list of integers."""
        held = attr("value", list(values), "a_i64")
        return self.op("1.full_int_array", [], [tensor([len(values)], I64)], held, attr("dtype", "int64", "a_dtype"))

    def full(self, value: float, kind: str = "float32", shape: Sequence[int] = (1,)) -> int:
        """Add a constant number."""
        held = attr("shape", list(shape), "a_intarray"), attr("value", float(value), "a_f64")
        letter = {"float32": F32, "int32": I32, "int64": I64}[kind]
        return self.op("1.full", [], [tensor(shape, letter)], *held, attr("dtype", kind, "a_dtype"))

    def combine(self, *values: int) -> int:
        """Make a list of tensors."""
        return self.op("0.combine", values, [{"#": "0.t_vec", "D": [tensor([1]) for _ in values]}])

    @property
    def document(self) -> dict[str, Any]:
        """The program as JSON values."""
        block = {"#": "block_0", "args": [], "ops": self.ops}
        return {
            "base_code": {"magic": "pir", "trainable": True, "version": 1},
            "program": {"regions": [{"#": "region_0", "blocks": [block]}]},
        }

    @property
    def files(self) -> tuple[bytes, bytes]:
        """The bytes of ``inference.json`` and of ``inference.pdiparams``."""
        return json.dumps(self.document).encode(), encode_params(self.params)

"""Compare the writer's file with opt's: equal bytes, or the same operators in another order of independent ones."""

from __future__ import annotations

import hashlib
from collections import Counter

from model_opt.nb import NbModel, read_nb
from model_opt.program import Op


def verdict(own: bytes, opt: bytes) -> str:
    """Return ``equal`` for equal bytes, ``reordered`` for the same computation, else ``different``."""
    if own == opt:
        return "equal"
    return "reordered" if _computations(read_nb(own)) == _computations(read_nb(opt)) else "different"


def _computations(model: NbModel) -> Counter[str]:
    """Return each operator as what it does to which computations; names of variables do not count, parameters do."""
    values = {name: _digest(name, one.shape, one.dtype.name, one.tobytes()) for name, one in model.params.items()}
    found: Counter[str] = Counter()
    for op in model.ops:
        made = _operator(op, values)
        found[made] += 1
        for key, names in op.outputs.items():
            values |= {name: _digest(made, key, at) for at, name in enumerate(names)}
    return found


def _operator(op: Op, values: dict[str, str]) -> str:
    inputs = {key: [values.get(name, name) for name in names] for key, names in op.inputs.items()}
    attrs = [(name, op.attrs[name].type, op.attrs[name].value) for name in sorted(op.attrs)]
    outputs = {key: len(names) for key, names in op.outputs.items()}
    return _digest(op.type, op.kernel, sorted(inputs.items()), sorted(outputs.items()), attrs)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()

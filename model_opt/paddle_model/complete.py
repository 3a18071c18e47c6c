"""What Paddle Lite demands of an operator and a saved program may lack.

Since 2.5 Paddle saves a program without the outputs that nothing reads and without attributes at their default. opt
ends in ``op_desc.cc:63 Output] Check failed`` on such a program, and a device dies when it loads a file made of one:
Paddle Lite's operators look their variables up without asking whether they are there (``lite/operators/*_op.cc``,
``AttachImpl``). A complete program is another spelling of the same model: nothing reads what is added.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

from model_opt.program import Attr, AttrType, Block, Model, Op, Var, VarType

_SHAPED = ("XShape",)
_OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "reshape2": _SHAPED,
    "squeeze2": _SHAPED,
    "unsqueeze2": _SHAPED,
    "transpose2": _SHAPED,
    "flatten2": _SHAPED,
    "flatten_contiguous_range": _SHAPED,
    "dropout": ("Mask",),
    "layer_norm": ("Mean", "Variance"),
    "batch_norm": ("MeanOut", "VarianceOut", "SavedMean", "SavedVariance"),
    "instance_norm": ("SavedMean", "SavedVariance"),
    "group_norm": ("Mean", "Variance"),
}
"""Outputs that the operators of Paddle Lite, or the patterns of opt's fusions, take for granted."""

_SAME_AS: Mapping[str, str] = {"MeanOut": "Mean", "VarianceOut": "Variance"}
"""Outputs that Paddle writes over an input: the statistics of a batch_norm."""

_ATTRS: Mapping[str, Mapping[str, Attr]] = {
    "swish": {"beta": Attr(AttrType.FLOAT, 1.0)},
    "hard_swish": {
        "threshold": Attr(AttrType.FLOAT, 6.0),
        "scale": Attr(AttrType.FLOAT, 6.0),
        "offset": Attr(AttrType.FLOAT, 3.0),
    },
    "hard_sigmoid": {"slope": Attr(AttrType.FLOAT, 0.2), "offset": Attr(AttrType.FLOAT, 0.5)},
    "relu6": {"threshold": Attr(AttrType.FLOAT, 6.0)},
    "leaky_relu": {"alpha": Attr(AttrType.FLOAT, 0.02)},
    "gelu": {"approximate": Attr(AttrType.BOOLEAN, False)},
    "softmax": {"axis": Attr(AttrType.INT, -1)},
}
"""Attributes without which Paddle Lite does not load an operator, at the defaults of Paddle's own operators."""


def complete(model: Model) -> tuple[Model, Mapping[str, int]]:
    """Return the model with every output and attribute that Paddle Lite demands, and how often each was added.

    The keys are ``reshape2 XShape``, ``swish beta`` and the like. A complete model comes back as it is.
    """
    added: Counter[str] = Counter()
    blocks = tuple(_complete_block(block, added) for block in model.program.blocks)
    if not added:
        return model, {}
    return Model(dataclasses.replace(model.program, blocks=blocks), model.params), dict(sorted(added.items()))


def _complete_block(block: Block, added: Counter[str]) -> Block:
    variables = block.var_map()
    fresh: list[Var] = []
    ops = []
    for op in block.ops:
        made = _with_attrs(op, added)
        for slot in _OUTPUTS.get(op.type, ()):
            if made.outputs.get(slot):
                continue
            name = made.inputs.get(_SAME_AS.get(slot, ""), ("",))[0]
            if not name:
                var = _unread(op, slot, variables)
                variables[var.name] = var
                fresh.append(var)
                name = var.name
            made = made.with_output(slot, name)
            added[f"{op.type} {slot}"] += 1
        ops.append(made)
    return dataclasses.replace(block, vars=(*block.vars, *fresh), ops=tuple(ops))


def _with_attrs(op: Op, added: Counter[str]) -> Op:
    missing = {name: attr for name, attr in _ATTRS.get(op.type, {}).items() if name not in op.attrs}
    for name in missing:
        added[f"{op.type} {name}"] += 1
    return dataclasses.replace(op, attrs={**op.attrs, **missing}) if missing else op


def _unread(op: Op, slot: str, variables: Mapping[str, Var]) -> Var:
    """Return the declaration of a variable for ``slot``, under a name that nothing bears."""
    out = next((names[0] for names in op.outputs.values() if names), op.type)
    base = f"{out}.{slot}"
    name, number = base, 1
    while name in variables:
        name, number = f"{base}.{number}", number + 1
    source = variables.get(op.inputs.get("X", ("",))[0] if op.inputs.get("X") else "")
    kind = VarType.UINT8 if slot == "Mask" else VarType.FP32
    dims: tuple[int, ...] | None = (-1,)
    if source is not None and source.dims is not None and slot in (*_SHAPED, "Mask"):
        dims = (0, *source.dims) if slot in _SHAPED else source.dims
    return Var(name, data_type=kind, dims=dims, lod_level=0, persistable=False)

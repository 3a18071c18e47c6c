"""Damage ``.nb`` models where only a program's reader can notice: whole files whose contents make no sense.

``mutate_model`` changes the values of a model as the reader gives it and keeps what the reader promises (declared
arguments, parameters that fit their sizes, numbers in the range of their type). ``to_bytes`` writes such a model as
a file again, so that a finding can be shown to be one that a file can cause.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tests.model_opt.nb_writer as nw
from model_opt.nb import NbModel
from model_opt.nb.schema import NEWEST_TYPE
from model_opt.nb.types import KERNEL_ATTR
from model_opt.program import DTYPES, LAYOUTS, PRECISIONS, TARGETS, Attr, AttrType, Kernel, Op, Var, VarType

INTS = (-(2**31), -65536, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 100, 65535, 2**20, 2**31 - 1)
LONGS = (*INTS, -(2**63), 2**31, 2**40, 2**63 - 1)
REALS = (0.0, -0.0, -1.0, 0.5, 1.0, 2.0, 3.0, 6.0, 1.5, 1e-45, -1e-45, 1e38, -3e38, math.inf, -math.inf, math.nan)
WORDS = (
    "", "relu", "relu6", "hard_swish", "hard_sigmoid", "leaky_relu", "sigmoid", "swish", "tanh", "abs", "gelu",
    "SAME", "VALID", "EXPLICIT", "avg", "max", "nearest", "bilinear", "matmul", "mul", "NCHW", "NHWC", "AnyLayout",
    "elementwise_add", "post_weight_abs_max", "\\udcff", "é中", "/", "x" * 300,
)  # fmt: skip
ATTR_NAMES = (
    "axis", "axes", "shape", "strides", "paddings", "dilations", "groups", "ksize", "alpha", "act_type", "with_act",
    "scale", "bias", "epsilon", "starts", "ends", "decrease_axis", "sections", "num", "out_h", "out_w", "output_size",
    "output_padding", "begin_norm_axis", "in_num_col_dims", "quantization_type", "quantize_weight_bits", "enable_int8",
    "fuse_relu", "padding_algorithm", "global_pooling", "adaptive", "ceil_mode", "exclusive", "col", "value",
    "w_quant_scale",
)  # fmt: skip
_SLOTS = ("X", "Y", "Input", "Filter", "Bias", "W", "Shape", "ShapeTensor", "OutSize", "SecondInput", "Scale", "Out")
_MOST_ELEMENTS = 1 << 16
_TYPES = tuple(kind for kind in VarType if kind <= NEWEST_TYPE)


def mutate_model(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    """Return ``model`` with one to six changes; ``others`` lend operators and kernels."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        change = rng.choice(_CHANGES)
        model = change(rng, model, others)
    return model


def _with(model: NbModel, *, ops: Sequence[Op] | None = None, variables: Sequence[Var] | None = None) -> NbModel:
    block = model.blocks[0]
    changed = dataclasses.replace(
        block, ops=tuple(block.ops if ops is None else ops), vars=tuple(block.vars if variables is None else variables)
    )
    return dataclasses.replace(model, program=model.program.with_main(changed))


def _swap_op(model: NbModel, at: int, op: Op) -> NbModel:
    ops = list(model.ops)
    ops[at] = op
    return _with(model, ops=ops)


# ---------------------------------------------------------------- attributes


def _value(rng: random.Random, kind: AttrType) -> Any:
    """Return some value of an attribute of this type."""
    if kind in (AttrType.INT, AttrType.BLOCK):
        return rng.choice(INTS)
    if kind is AttrType.LONG:
        return rng.choice(LONGS)
    if kind is AttrType.FLOAT:
        return float(np.float32(rng.choice(REALS)))
    if kind is AttrType.FLOAT64:
        return rng.choice(REALS)
    if kind is AttrType.STRING:
        return rng.choice(WORDS)
    if kind is AttrType.BOOLEAN:
        return rng.random() < 0.5
    one = _ITEMS[kind]
    return tuple(_value(rng, one) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 4, 5, 9, 40))))


_ITEMS = {
    AttrType.INTS: AttrType.INT, AttrType.BLOCKS: AttrType.INT, AttrType.LONGS: AttrType.LONG,
    AttrType.FLOATS: AttrType.FLOAT, AttrType.FLOAT64S: AttrType.FLOAT64, AttrType.STRINGS: AttrType.STRING,
    AttrType.BOOLEANS: AttrType.BOOLEAN,
}  # fmt: skip
_KINDS = tuple(
    kind for kind in AttrType if kind not in (AttrType.VAR, AttrType.VARS, AttrType.SCALAR, AttrType.SCALARS)
)


def _changed(rng: random.Random, value: Any, kind: AttrType) -> Any:
    """Return ``value`` changed a little: one element of a list, one step of a number."""
    if isinstance(value, tuple):
        values = list(value)
        way = rng.randrange(4)
        if way == 0 and values:
            values.pop(rng.randrange(len(values)))
        elif way == 1 or not values:
            values.append(_value(rng, _ITEMS[kind]))
        else:
            at = rng.randrange(len(values))
            values[at] = _changed(rng, values[at], _ITEMS[kind])
        return tuple(values)
    if kind in (AttrType.INT, AttrType.LONG) and rng.random() < 0.5 and abs(value) < 2**31 - 2:
        return value + rng.choice((-1, 1))
    return _value(rng, kind)


def _change_attr(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    at = rng.randrange(len(model.ops)) if model.ops else -1
    names = [] if at < 0 else list(model.ops[at].attrs)
    if not names:
        return model
    op, name = model.ops[at], rng.choice(names)
    attr = op.attrs[name]
    changed = dataclasses.replace(attr, value=_changed(rng, attr.value, AttrType(attr.type)))
    return _swap_op(model, at, dataclasses.replace(op, attrs={**op.attrs, name: changed}))


def _set_attr(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    """Add an attribute, store one as another type, or drop one."""
    if not model.ops:
        return model
    at = rng.randrange(len(model.ops))
    op = model.ops[at]
    attrs = dict(op.attrs)
    name = rng.choice([*ATTR_NAMES, *attrs])
    if name in attrs and rng.random() < 0.5:
        del attrs[name]
    else:
        kind = rng.choice(_KINDS)
        attrs[name] = Attr(kind, _value(rng, kind))
    return _swap_op(model, at, dataclasses.replace(op, attrs=attrs))


# ---------------------------------------------------------------- operators


def _change_arguments(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    if not model.ops:
        return model
    at = rng.randrange(len(model.ops))
    op, side = model.ops[at], rng.choice(("inputs", "inputs", "outputs"))
    slots = dict(getattr(op, side))
    slot = rng.choice(list(slots) or ["X"]) if rng.random() < 0.8 else rng.choice(_SLOTS)
    names = list(slots.get(slot, ()))
    some = rng.choice(model.vars).name
    way = rng.randrange(4)
    if way == 0 and names:
        names.pop()
    elif way == 1:
        names.append(some)
    elif way == 2:
        slots.pop(slot, None)
        return _swap_op(model, at, dataclasses.replace(op, **{side: slots}))
    else:
        names = [some]
    return _swap_op(model, at, dataclasses.replace(op, **{side: {**slots, slot: tuple(names)}}))


def _change_kernel(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    """Give an operator the type or the kernel of another, or a made-up one."""
    if not model.ops:
        return model
    at = rng.randrange(len(model.ops))
    op, lender = model.ops[at], rng.choice(rng.choice([model, *others]).ops)
    kind = lender.type if rng.random() < 0.6 else op.type
    source = lender.kernel if rng.random() < 0.7 else op.kernel
    if source is None or rng.random() < 0.02:
        return _swap_op(model, at, dataclasses.replace(op, type=kind, kernel=None))
    numbers = [source.target, source.precision, source.layout]
    if rng.random() < 0.2:
        numbers[rng.randrange(3)] = rng.randrange(max(map(len, (TARGETS, PRECISIONS, LAYOUTS))) + 2)
    kernel = Kernel(kind, source.alias, *numbers)
    return _swap_op(model, at, dataclasses.replace(op, type=kind, kernel=kernel))


def _move_ops(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    """Drop, double or move an operator, or take one in from another model."""
    ops = list(model.ops)
    way = rng.randrange(4)
    if way == 0 and len(ops) > 1:
        ops.pop(rng.randrange(len(ops)))
    elif way == 1 and ops:
        ops.insert(rng.randrange(len(ops)), rng.choice(ops))
    elif way == 2 and ops:
        ops.insert(rng.randrange(len(ops)), ops.pop(rng.randrange(len(ops))))
    else:
        taken = _declared(rng, rng.choice(rng.choice([model, *others]).ops), model)
        ops.insert(rng.randrange(len(ops) + 1), taken)
    return _with(model, ops=ops)


def _declared(rng: random.Random, op: Op, model: NbModel) -> Op:
    """Return ``op`` with every argument that ``model`` does not declare replaced by one that it does."""
    known = {var.name for var in model.vars}

    def kept(slots: Any) -> dict[str, tuple[str, ...]]:
        return {
            slot: tuple(name if name in known else rng.choice(model.vars).name for name in names)
            for slot, names in slots.items()
        }

    return dataclasses.replace(op, inputs=kept(op.inputs), outputs=kept(op.outputs))


# ---------------------------------------------------------------- variables and parameters


def _change_var(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    """Change the sizes or the type that a variable is declared with; what the reader demands of parameters stays."""
    variables = list(model.vars)
    at = rng.randrange(len(variables))
    var = variables[at]
    if var.dims is None:
        return model
    if rng.random() < 0.7:
        variables[at] = dataclasses.replace(var, dims=_changed(rng, var.dims, AttrType.LONGS))
    else:
        variables[at] = dataclasses.replace(var, data_type=rng.choice(_TYPES))
    return _with(model, variables=variables)


def _rename_var(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    """Give a variable another name everywhere."""
    old = rng.choice(model.vars).name
    new = rng.choice([*WORDS, f"{old}/target_trans", f"{old}:2", "const_0", "h", "w", f"{old}/gate", "0"])
    if any(var.name == new for var in model.vars):
        return model

    def kept(slots: Any) -> dict[str, tuple[str, ...]]:
        return {slot: tuple(new if name == old else name for name in names) for slot, names in slots.items()}

    ops = [dataclasses.replace(op, inputs=kept(op.inputs), outputs=kept(op.outputs)) for op in model.ops]
    variables = [dataclasses.replace(var, name=new) if var.name == old else var for var in model.vars]
    params = {new if name == old else name: array for name, array in model.params.items()}
    return dataclasses.replace(_with(model, ops=ops, variables=variables), params=params)


def _change_param(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    """Change the sizes, the type or the values of a parameter."""
    if not model.params:
        return model
    name = rng.choice(list(model.params))
    array = model.params[name]
    way = rng.randrange(3)
    if way == 0:
        changed = _resized(rng, array)
    elif way == 1:
        kind = rng.choice([kind for kind in DTYPES if kind in _TYPES])
        with np.errstate(all="ignore"):
            changed = np.resize(array, array.shape).astype(DTYPES[kind])
    else:
        changed = np.array(array)
        if changed.size and changed.dtype.kind == "f":
            with np.errstate(over="ignore"):
                changed.reshape(-1)[rng.randrange(changed.size)] = rng.choice(REALS)
        elif changed.size and changed.dtype.kind == "i":
            limits = np.iinfo(changed.dtype)
            changed.reshape(-1)[rng.randrange(changed.size)] = rng.choice((limits.min, -1, 0, 1, limits.max))
    return dataclasses.replace(model, params={**model.params, name: changed})


def _resized(rng: random.Random, array: NDArray[Any]) -> NDArray[Any]:
    """Return the parameter with other sizes: the same elements arranged anew, or more or fewer of them."""
    dims = list(array.shape)
    way = rng.randrange(4)
    if way == 0:
        dims.insert(rng.randrange(len(dims) + 1), 1)
    elif way == 1 and len(dims) > 1:
        dims = [math.prod(dims[:2]), *dims[2:]]
    elif way == 2:
        rng.shuffle(dims)
    elif dims:
        dims[rng.randrange(len(dims))] = rng.choice((0, 1, 2, 3, 5, 64))
    if math.prod(dims) > _MOST_ELEMENTS or len(dims) > 16:
        return array
    return np.resize(array, dims)


def _add_block(rng: random.Random, model: NbModel, others: Sequence[NbModel]) -> NbModel:
    if rng.random() < 0.9:
        return model
    blocks = (*model.blocks, model.program.main.with_ops(()))
    return dataclasses.replace(model, program=dataclasses.replace(model.program, blocks=blocks))


_CHANGES = (
    _change_attr, _change_attr, _change_attr, _change_attr, _set_attr, _change_arguments, _change_kernel, _move_ops,
    _change_var, _change_var, _rename_var, _change_param, _change_param, _add_block,
)  # fmt: skip


# ---------------------------------------------------------------- bytes


def to_bytes(model: NbModel) -> bytes:
    """Return the file of a model."""
    w = nw.Writer()
    blocks = []
    for block in model.blocks:
        ops = w.refs([_op(w, op) for op in block.ops])
        variables = w.refs([_var(w, var) for var in block.vars])
        blocks.append(
            w.table(
                5,
                {
                    0: ("Int32", block.idx),
                    1: ("Int32", block.parent_idx),
                    2: ("ref", variables),
                    3: ("ref", ops),
                    4: ("Int32", block.forward_block_idx),
                },
            )
        )
    version = w.table(1, {0: ("Int64", model.program.version)})
    top = w.finish(w.table(3, {0: ("ref", w.refs(blocks)), 1: ("ref", version)}))
    params = [nw.param(name, np.ascontiguousarray(array), dims=array.shape) for name, array in model.params.items()]
    largest = max((array.nbytes for array in model.params.values()), default=0)
    return nw.join(top, params, version=model.opt_version.encode(), largest=largest)


_ATTR_KINDS: dict[AttrType, Any] = {
    AttrType.INT: int, AttrType.FLOAT: float, AttrType.STRING: str, AttrType.INTS: "ints", AttrType.FLOATS: "floats",
    AttrType.STRINGS: "strings", AttrType.BOOLEAN: bool, AttrType.BOOLEANS: "bools", AttrType.BLOCK: "block",
    AttrType.LONG: "long", AttrType.BLOCKS: "blocks", AttrType.LONGS: "longs", AttrType.FLOAT64S: "float64s",
    AttrType.FLOAT64: "float64",
}  # fmt: skip


def _op(w: nw.Writer, op: Op) -> int:
    attrs = []
    held = dict(op.attrs)
    if op.kernel is not None:
        held[KERNEL_ATTR] = Attr(AttrType.STRING, op.kernel.key)
    for name, attr in sorted(held.items()):
        kind = _ATTR_KINDS[AttrType(attr.type)]
        attrs.append(nw._attr(w, name, (kind, attr.value) if isinstance(kind, str) else kind(attr.value)))
    vector = w.refs(attrs)
    inputs, outputs = (nw._arguments(w, dict(sorted(side.items()))) for side in (op.inputs, op.outputs))
    values = {0: ("ref", w.text(op.type)), 1: ("ref", inputs), 2: ("ref", outputs), 3: ("ref", vector)}
    return w.table(5, values)


def _var(w: nw.Writer, var: Var) -> int:
    data_type = 0 if var.data_type is None else int(var.data_type)
    return nw._var(w, var.name, int(var.kind), var.persistable, data_type, var.dims or ())

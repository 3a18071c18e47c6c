"""Write a model as a ``.nb`` file of meta version 2, without opt: topology, parameters, header.

``write_as_opt`` gives opt's bytes with zeros behind the version; ``write_nb`` the same with each equal part once,
which is the file that ships. Which fields are present follows flatc's ``--force-empty``: lists and texts always,
numbers unless they have their default. The format is described in ``docs/nb-format.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from model_opt.nb import schema
from model_opt.nb.canonical import FREE_READS, HEADER
from model_opt.nb.errors import NbError
from model_opt.nb.flat import NUMBERS, TableKind
from model_opt.nb.pack import Content, Part, pack, pack_shared
from model_opt.nb.reader import PARAM_SIZES, PARAMS_HEADER
from model_opt.nb.types import KERNEL_ATTR, NbModel
from model_opt.program import ELEMENT_TYPES, Attr, AttrType, Block, Op, Var

_META_VERSION = 2
_VERSION_BYTES = 16
_MAX_PARAMS = 0xFFFF
_TENSOR = 1
"""The number of a tensor in the union of variables that a parameter may be."""


def write_nb(model: NbModel) -> bytes:
    """Return ``model`` as a canonical file whose topology holds equal parts once.

    A topology that takes more than ``FREE_READS`` without sharing is written without: a reader takes no more
    overlaps. Equal models give equal bytes. Raises ``NbError`` for what the format cannot hold.
    """
    return _file(model, pack_shared(_program(model), FREE_READS))


def write_as_opt(model: NbModel) -> bytes:
    """Return ``model`` as the canonical form of what opt writes; ``deduplicate_parts`` makes ``write_nb``'s file of it.

    Raises ``NbError`` for what the format cannot hold.
    """
    return _file(model, pack(_program(model)))


def _file(model: NbModel, topology: bytes) -> bytes:
    version = model.opt_version.encode("ascii")
    if len(version) > _VERSION_BYTES:
        raise NbError(f"the version {model.opt_version!r} has more than {_VERSION_BYTES} characters")
    params = [(name, model.params[name]) for name in sorted(model.params, key=str.encode)]
    if len(params) > _MAX_PARAMS:
        raise NbError(
            f"a .nb file holds at most {_MAX_PARAMS} parameters, the model has {len(params)}",
            hint="merge parameters, or use a smaller model",
        )
    largest = max((array.nbytes for _, array in params), default=0)
    head = HEADER.pack(_META_VERSION, version, len(topology))
    return b"".join(
        (head, topology, PARAMS_HEADER.pack(0, 0, 6, len(params), largest), *(_param(*param) for param in params))
    )


def _param(name: str, array: NDArray[Any]) -> bytes:
    held = Part(
        schema.PARAM_TENSOR,
        {
            1: b"",
            2: _numbers(schema.PARAM_TENSOR, 2, array.shape),
            **_set(schema.PARAM_TENSOR, 3, ELEMENT_TYPES[array.dtype]),
            4: array.tobytes(),
        },
    )
    made = pack(Part(schema.PARAM, {1: name.encode(), 2: bytes([_TENSOR]), 3: held}))
    return PARAM_SIZES.pack(len(made) + 4, 4) + made


def _program(model: NbModel) -> Part:
    version = Part(schema.VERSION, _set(schema.VERSION, 0, model.program.version or 0))
    return Part(schema.PROGRAM, {0: tuple(_block(block) for block in model.blocks), 1: version})


def _block(block: Block) -> Part:
    return Part(
        schema.BLOCK,
        {
            **_set(schema.BLOCK, 0, block.idx),
            **_set(schema.BLOCK, 1, block.parent_idx),
            2: tuple(_variable(variable) for variable in block.vars),
            3: tuple(_op(op) for op in block.ops),
            **_set(schema.BLOCK, 4, -1 if block.forward_block_idx is None else block.forward_block_idx, default=-1),
        },
    )


def _variable(variable: Var) -> Part:
    dims = _numbers(schema.TENSOR, 1, variable.dims or ())
    tensor = Part(schema.TENSOR, {**_set(schema.TENSOR, 0, variable.data_type or 0), 1: dims})
    described = Part(schema.VAR_TENSOR, {0: tensor, **_set(schema.VAR_TENSOR, 1, variable.lod_level or 0)})
    kind = Part(schema.VAR_TYPE, {**_set(schema.VAR_TYPE, 0, variable.kind), 2: described})
    persistable = _set(schema.VAR, 2, bool(variable.persistable))
    need_check_feed = _set(schema.VAR, 3, bool(variable.need_check_feed))
    return Part(schema.VAR, {0: variable.name.encode(), 1: kind, **persistable, **need_check_feed})


def _op(op: Op) -> Part:
    held = {**op.attrs, KERNEL_ATTR: Attr(AttrType.STRING, op.kernel.key)} if op.kernel is not None else op.attrs
    attrs = tuple(_attr(name, held[name]) for name in sorted(held, key=str.encode))
    fields: dict[int, Content] = {
        0: op.type.encode(),
        1: _arguments(op.inputs),
        2: _arguments(op.outputs),
        3: attrs,
        **_set(schema.OP, 4, bool(op.is_target)),
    }
    return Part(schema.OP, fields)


def _arguments(arguments: Mapping[str, tuple[str, ...]]) -> tuple[Part, ...]:
    return tuple(
        Part(schema.OP_VAR, {0: name.encode(), 1: tuple(one.encode() for one in arguments[name])})
        for name in sorted(arguments, key=str.encode)
    )


def _attr(name: str, attr: Attr) -> Part:
    """Return an attribute: lists and texts of every slot, a number only in its own."""
    kind, held = AttrType(attr.type), cast("Any", attr.value)
    fields: dict[int, Content] = {0: name.encode(), **_set(schema.ATTR, 1, kind)}
    for of, slot in schema.ATTR_SLOTS.items():
        stored = schema.ATTR.fields[slot][1]
        if stored in NUMBERS:
            fields |= _set(schema.ATTR, slot, held) if of is kind else {}
        elif stored == "string":
            fields[slot] = _text(held) if of is kind else b""
        elif stored == "[string]":
            fields[slot] = tuple(_text(one) for one in held) if of is kind else ()
        else:
            fields[slot] = _numbers(schema.ATTR, slot, held if of is kind else ())
    return Part(schema.ATTR, fields)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _set(kind: TableKind, slot: int, value: float, default: float = 0) -> dict[int, Content]:
    """Return the field of a number, none when it equals its default (as -0.0 does)."""
    stored = NUMBERS[kind.fields[slot][1]]
    made = stored.pack(value)
    return {} if stored.unpack(made)[0] == default else {slot: made}


def _numbers(kind: TableKind, slot: int, values: tuple[Any, ...]) -> bytes:
    return np.asarray(values, NUMBERS[kind.fields[slot][1].strip("[]")].format).tobytes()

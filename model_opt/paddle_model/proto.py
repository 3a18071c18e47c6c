"""``framework.proto`` to and from the values of ``program``."""

from __future__ import annotations

import functools
import operator
import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from model_opt.paddle_model.errors import fault
from model_opt.paddle_model.messages import message_classes, parse, rest, to_bytes, to_text
from model_opt.program import Attr, AttrType, AttrValue, Block, Op, Program, Var, VarExtra, VarType

# Where the value of each attribute type stands in the message.
_VALUES: Mapping[int, tuple[int, str, str]] = {
    AttrType.INT: (3, "optional", "int64"),
    AttrType.FLOAT: (4, "optional", "float"),
    AttrType.STRING: (5, "optional", "bytes"),
    AttrType.INTS: (6, "repeated", "int64"),
    AttrType.FLOATS: (7, "repeated", "float"),
    AttrType.STRINGS: (8, "repeated", "bytes"),
    AttrType.BOOLEAN: (10, "optional", "bool"),
    AttrType.BOOLEANS: (11, "repeated", "bool"),
    AttrType.BLOCK: (12, "optional", "int64"),
    AttrType.LONG: (13, "optional", "int64"),
    AttrType.BLOCKS: (14, "repeated", "int64"),
    AttrType.LONGS: (15, "repeated", "int64"),
    AttrType.FLOAT64S: (16, "repeated", "double"),
    AttrType.VAR: (17, "optional", "bytes"),
    AttrType.VARS: (18, "repeated", "bytes"),
    AttrType.FLOAT64: (19, "optional", "double"),
}
_32_BITS = (AttrType.INT, AttrType.INTS, AttrType.BLOCK, AttrType.BLOCKS)
_F32 = struct.Struct("<f")

# Numbers of 32 bits and enums are int64 here: the same bytes, and a number beyond 32 bits is seen, not cut.
_TABLE = {
    "ProgramDesc": {"blocks": (1, "repeated", "BlockDesc"), "version": (4, "optional", "Version")},
    "Version": {"version": (1, "optional", "int64")},
    "BlockDesc": {
        "idx": (1, "required", "int64"),
        "parent_idx": (2, "required", "int64"),
        "vars": (3, "repeated", "VarDesc"),
        "ops": (4, "repeated", "OpDesc"),
        "forward_block_idx": (5, "optional", "int64"),
    },
    "OpDesc": {
        "inputs": (1, "repeated", "Argument"),
        "outputs": (2, "repeated", "Argument"),
        "type": (3, "required", "bytes"),
        "attrs": (4, "repeated", "Attr"),
        "is_target": (5, "optional", "bool"),
    },
    "Argument": {"parameter": (1, "required", "bytes"), "arguments": (2, "repeated", "bytes")},
    "Attr": {
        "name": (1, "required", "bytes"),
        "type": (2, "required", "int64"),
        **{AttrType(kind).name: row for kind, row in _VALUES.items()},
    },
    "VarDesc": {
        "name": (1, "required", "bytes"),
        "type": (2, "required", "VarType"),
        "persistable": (3, "optional", "bool"),
        "need_check_feed": (4, "optional", "bool"),
        "is_parameter": (5, "optional", "bool"),
        "stop_gradient": (6, "optional", "bool"),
    },
    "VarType": {"type": (1, "required", "int64"), "lod_tensor": (3, "optional", "LoDTensorDesc")},
    "LoDTensorDesc": {"tensor": (1, "required", "TensorDesc"), "lod_level": (2, "optional", "int64")},
    "TensorDesc": {"data_type": (1, "required", "int64"), "dims": (2, "repeated", "int64")},
}
_FLAGS = ("persistable", "need_check_feed", "is_parameter", "stop_gradient")


@functools.cache
def _classes() -> Mapping[str, Any]:
    return message_classes(_TABLE)


def decode_program(data: bytes, path: Path | None) -> Program:
    """Decode a ``ProgramDesc``. Raises ``PaddleModelError`` for bytes that are not one."""
    message = parse(_classes()["ProgramDesc"], data, path)
    blocks = tuple(_block(block, path) for block in message.blocks)
    if not blocks:
        fault("ProgramDesc", "at least one block", "none", path=path)
    version = message.version
    return Program(blocks, _optional(version, "version"), _rest(message), _rest(version))


def _optional(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _rest(message: Any) -> bytes:
    """Return what the table does not list of a message, which must not be read any more."""
    return rest(message, *_TABLE[message.DESCRIPTOR.name])


def _by_name(items: Iterable[tuple[str, Any]], what: str, of: str, path: Path | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in items:
        if name in found:
            fault(of, f"{what} {name!r} once", "twice", path=path)
        found[name] = value
    return found


def _block(message: Any, path: Path | None) -> Block:
    variables = _by_name(((var.name, var) for var in map(_var, message.vars)), "variable", "BlockDesc", path)
    return Block(
        idx=message.idx,
        parent_idx=message.parent_idx,
        vars=tuple(variables.values()),
        ops=tuple(_op(op, path) for op in message.ops),
        forward_block_idx=_optional(message, "forward_block_idx"),
        extra=_rest(message),
    )


def _var(message: Any) -> Var:
    kind, lod_tensor = message.type, message.type.lod_tensor
    tensor = lod_tensor.tensor
    is_tensor = kind.HasField("lod_tensor")
    return Var(
        name=to_text(message.name),
        kind=_known(VarType, kind.type),
        data_type=_known(VarType, tensor.data_type) if is_tensor else None,
        dims=tuple(tensor.dims) if is_tensor else None,
        lod_level=_optional(lod_tensor, "lod_level"),
        **{flag: _optional(message, flag) for flag in _FLAGS},
        extra=VarExtra(*map(_rest, (message, kind, lod_tensor, tensor))),
    )


def _known(kinds: type[IntEnum], number: int) -> int:
    """Return the member of an enum for a number, or the number when the enum does not have it."""
    try:
        return kinds(number)
    except ValueError:
        return number


def decode_tensor(data: bytes, path: Path | None, offset: int) -> tuple[int, tuple[int, ...]]:
    """Decode a ``TensorDesc`` at ``offset`` of the file: element type and sizes."""
    tensor = parse(_classes()["TensorDesc"], data, path, offset)
    return tensor.data_type, tuple(tensor.dims)


def encode_tensor(data_type: int, dims: tuple[int, ...]) -> bytes:
    """Encode a ``TensorDesc``."""
    return bytes(_classes()["TensorDesc"](data_type=data_type, dims=dims).SerializeToString())


def _op(message: Any, path: Path | None) -> Op:
    kind = to_text(message.type)
    sides: dict[str, Mapping[str, tuple[str, ...]]] = {}
    extra: dict[tuple[str, str], bytes] = {}
    for side in ("inputs", "outputs"):
        arguments = _by_name(
            ((to_text(a.parameter), a) for a in getattr(message, side)), "parameter", f"OpDesc {kind!r}", path
        )
        sides[side] = {name: tuple(map(to_text, argument.arguments)) for name, argument in arguments.items()}
        extra |= {(side, name): left for name, argument in arguments.items() if (left := _rest(argument))}
    attrs = _by_name((_attr(attr, path) for attr in message.attrs), "attribute", f"OpDesc {kind!r}", path)
    is_target = _optional(message, "is_target")
    inputs, outputs = sides["inputs"], sides["outputs"]
    return Op(kind, inputs, outputs, attrs, is_target, extra=_rest(message), argument_extra=extra)


def _attr(message: Any, path: Path | None) -> tuple[str, Attr]:
    name, kind, value = to_text(message.name), message.type, None
    known = ["name", "type"]
    if kind in _VALUES:
        field = AttrType(kind).name
        known.append(field)
        value = _value(message, field, *_VALUES[kind][1:])
        if kind in _32_BITS and not _fits_32_bits(value):
            fault(f"attribute {name!r}", "numbers of 32 bits", f"{value}", path=path)
    return name, Attr(_known(AttrType, kind), value, rest(message, *known))


def _value(message: Any, field: str, label: str, form: str) -> AttrValue | None:
    if label == "repeated":
        return tuple(map(to_text, getattr(message, field)) if form == "bytes" else getattr(message, field))
    value: Any = _optional(message, field)
    return to_text(value) if isinstance(value, bytes) else value


def _fits_32_bits(value: Any) -> bool:
    """Return whether signed fields of 32 bits can hold ``value``: a number, a tuple of them, or None."""
    numbers = value if isinstance(value, tuple) else () if value is None else (value,)
    return all(-(1 << 31) <= number < 1 << 31 for number in numbers)


def encode_program(program: Program) -> bytes:
    """Encode a program; what ``decode_program`` read comes out with the same bytes if it was in canonical order.

    ``TypeError``, ``ValueError`` or ``OverflowError`` when a value does not fit the type of its attribute.
    """
    message = _classes()["ProgramDesc"]()
    for block in program.blocks:
        _fill_block(message.blocks.add(), block)
    _fill(message.version, program.version_extra, version=program.version)
    return bytes(_fill(message, program.extra).SerializeToString())


def _fill(message: Any, extra: bytes, **values: Any) -> Any:
    """Set fields of a message, without those that are None, and add the unlisted ones."""
    for name, value in values.items():
        if value is not None:
            setattr(message, name, value)
    if extra:
        message.MergeFromString(extra)
    return message


def _fill_block(message: Any, block: Block) -> None:
    for var in block.vars:
        _fill_var(message.vars.add(), var)
    for op in block.ops:
        _fill_op(message.ops.add(), op)
    forward = block.forward_block_idx
    _fill(message, block.extra, idx=block.idx, parent_idx=block.parent_idx, forward_block_idx=forward)


def _fill_var(message: Any, var: Var) -> None:
    _fill(message, var.extra.var, name=to_bytes(var.name), **{flag: getattr(var, flag) for flag in _FLAGS})
    _fill(message.type, var.extra.type, type=var.kind)
    if var.data_type is not None:
        lod_tensor = _fill(message.type.lod_tensor, var.extra.lod_tensor, lod_level=var.lod_level)
        lod_tensor.tensor.dims.extend(var.dims or ())
        _fill(lod_tensor.tensor, var.extra.tensor, data_type=var.data_type)


def _fill_op(message: Any, op: Op) -> None:
    for side, arguments in (("inputs", op.inputs), ("outputs", op.outputs)):
        for parameter, names in arguments.items():
            argument = getattr(message, side).add(parameter=to_bytes(parameter), arguments=map(to_bytes, names))
            _fill(argument, op.argument_extra.get((side, parameter), b""))
    for name, attr in op.attrs.items():
        _fill_attr(message.attrs.add(name=to_bytes(name), type=attr.type), attr)
    _fill(message, op.extra, type=to_bytes(op.type), is_target=op.is_target)


def _fill_attr(message: Any, attr: Attr) -> None:
    if attr.value is not None:
        field, label = AttrType(attr.type).name, _VALUES[attr.type][1]
        values = [_plain(attr.type, v) for v in (attr.value if isinstance(attr.value, tuple) else (attr.value,))]
        if label == "repeated":
            getattr(message, field).extend(values)
        else:
            (value,) = values
            setattr(message, field, value)
    _fill(message, attr.extra)


def _plain(kind: int, value: Any) -> bool | int | float | bytes:
    """Return one value as its field takes it; ``TypeError`` or ``ValueError`` when it does not fit the type."""
    form = _VALUES[kind][2]
    if isinstance(value, str) != (form == "bytes"):
        raise TypeError(f"an attribute stored as {form} cannot hold {value!r}")
    if isinstance(value, str):
        return to_bytes(value)
    if form == "float":
        _F32.pack(value)  # OverflowError, where protobuf would write infinity
    if form in ("float", "double"):
        return float(value)
    number = operator.index(value)
    if kind in _32_BITS and not _fits_32_bits(number):
        raise ValueError(f"an attribute of 32 bits cannot hold {number}")
    return bool(number) if form == "bool" else int(number)

"""``framework.proto`` to and from the values of ``program``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model_opt.paddle_model.program import Attr, AttrType, AttrValue, Block, Op, Program, Var, VarExtra
from model_opt.paddle_model.wire import (
    Extra,
    Message,
    Schema,
    Source,
    Span,
    decode,
    encode,
    fits_32_bits,
    put_bytes,
    put_f32,
    put_f64,
    put_int,
    put_text,
)

Fields = list[tuple[int, bytes]]

_PROGRAM = Schema("ProgramDesc", {1: "bytes", 4: "bytes"})
_VERSION = Schema("Version", {1: "int"})
_BLOCK = Schema("BlockDesc", {1: "int", 2: "int", 3: "bytes", 4: "bytes", 5: "int"})
_OP = Schema("OpDesc", {1: "bytes", 2: "bytes", 3: "bytes", 4: "bytes", 5: "int"})
_ARGUMENTS = Schema("OpDesc.Var", {1: "bytes", 2: "bytes"})
_VAR = Schema("VarDesc", {1: "bytes", 2: "bytes", 3: "int", 4: "int", 5: "int", 6: "int"})
_VAR_TYPE = Schema("VarType", {1: "int", 3: "bytes"})
_LOD_TENSOR = Schema("VarType.LoDTensorDesc", {1: "bytes", 2: "int"})
_TENSOR = Schema("VarType.TensorDesc", {1: "int", 2: "int"})

# For each attribute type: the field that holds its value, how that field is encoded, how a message gives it.
_ATTR_FIELDS: dict[int, tuple[int, str, Callable[[Message], AttrValue | None]]] = {
    AttrType.INT: (3, "i32", lambda m: m.integer(3)),
    AttrType.FLOAT: (4, "f32", lambda m: m.real(4)),
    AttrType.STRING: (5, "bytes", lambda m: m.text(5)),
    AttrType.INTS: (6, "i32", lambda m: m.integers(6)),
    AttrType.FLOATS: (7, "f32", lambda m: m.reals(7)),
    AttrType.STRINGS: (8, "bytes", lambda m: m.texts(8)),
    AttrType.BOOLEAN: (10, "int", lambda m: m.flag(10)),
    AttrType.BOOLEANS: (11, "int", lambda m: tuple(map(bool, m.integers(11)))),
    AttrType.BLOCK: (12, "i32", lambda m: m.integer(12)),
    AttrType.LONG: (13, "int", lambda m: m.integer(13)),
    AttrType.BLOCKS: (14, "i32", lambda m: m.integers(14)),
    AttrType.LONGS: (15, "int", lambda m: m.integers(15)),
    AttrType.FLOAT64S: (16, "f64", lambda m: m.reals(16)),
    AttrType.VAR: (17, "bytes", lambda m: m.text(17)),
    AttrType.VARS: (18, "bytes", lambda m: m.texts(18)),
    AttrType.FLOAT64: (19, "f64", lambda m: m.real(19)),
}
_ATTR_HEAD = Schema("OpDesc.Attr", {1: "bytes", 2: "int"})
_ATTRS = {
    kind: Schema("OpDesc.Attr", {1: "bytes", 2: "int", number: encoding})
    for kind, (number, encoding, _) in _ATTR_FIELDS.items()
}


def decode_program(data: bytes, path: Path | None) -> Program:
    """Decode a ``ProgramDesc``. Raises ``PaddleModelError`` for bytes that are not one."""
    source = Source(data, path)
    message = decode(source, (0, len(data)), _PROGRAM)
    blocks = tuple(_block(source, span) for span in message.spans(1))
    if not blocks:
        source.fail(0, "ProgramDesc", "at least one block", "none")
    version_span = message.span(4)
    if version_span is None:
        return Program(blocks, extra=message.extra)
    version = decode(source, version_span, _VERSION)
    return Program(blocks, version.integer(1), message.extra, version.extra)


def _block(source: Source, span: Span) -> Block:
    message = decode(source, span, _BLOCK)
    variables = {var.name: var for var in (_var(source, item) for item in message.spans(3))}
    if len(variables) != len(message.spans(3)):
        source.fail(span[0], "BlockDesc", "every variable declared once", "one declared twice")
    return Block(
        idx=message.need_integer(1),
        parent_idx=message.need_integer(2),
        vars=tuple(variables.values()),
        ops=tuple(_op(source, item) for item in message.spans(4)),
        forward_block_idx=message.integer(5),
        extra=message.extra,
    )


def _var(source: Source, span: Span) -> Var:
    message = decode(source, span, _VAR)
    name = message.need_text(1)
    type_span = message.span(2)
    if type_span is None:
        source.fail(span[0], f"VarDesc {name!r}", "a type", "nothing")
    var_type = decode(source, type_span, _VAR_TYPE)
    data_type, dims, lod_level, lod_extra, tensor_extra = _lod_tensor(source, var_type.span(3))
    return Var(
        name=name,
        kind=var_type.need_integer(1),
        data_type=data_type,
        dims=dims,
        lod_level=lod_level,
        persistable=message.flag(3),
        need_check_feed=message.flag(4),
        is_parameter=message.flag(5),
        stop_gradient=message.flag(6),
        extra=VarExtra(message.extra, var_type.extra, lod_extra, tensor_extra),
    )


def _lod_tensor(
    source: Source, span: Span | None
) -> tuple[int | None, tuple[int, ...] | None, int | None, Extra, Extra]:
    if span is None:
        return None, None, None, (), ()
    message = decode(source, span, _LOD_TENSOR)
    tensor_span = message.span(1)
    if tensor_span is None:
        source.fail(span[0], "VarType.LoDTensorDesc", "a tensor description", "nothing")
    data_type, dims, extra = decode_tensor(source, tensor_span)
    return data_type, dims, message.integer(2), message.extra, extra


def decode_tensor(source: Source, span: Span) -> tuple[int, tuple[int, ...], Extra]:
    """Decode a ``TensorDesc``: element type, sizes, unknown fields."""
    tensor = decode(source, span, _TENSOR)
    return tensor.need_integer(1), tensor.integers(2), tensor.extra


def encode_tensor(data_type: int, dims: tuple[int, ...], extra: Extra = ()) -> bytes:
    """Encode a ``TensorDesc``."""
    return encode([*put_int(1, data_type), *(put_int(2, dim)[0] for dim in dims), *extra])


def _op(source: Source, span: Span) -> Op:
    message = decode(source, span, _OP)
    argument_extra: dict[tuple[str, str], Extra] = {}
    inputs = _arguments(source, message, 1, "inputs", argument_extra)
    outputs = _arguments(source, message, 2, "outputs", argument_extra)
    attrs: dict[str, Attr] = {}
    for item in message.spans(4):
        name, attr = _attr(source, item)
        if name in attrs:
            source.fail(item[0], "OpDesc", f"attribute {name!r} once", "twice")
        attrs[name] = attr
    return Op(message.need_text(3), inputs, outputs, attrs, message.flag(5), message.extra, argument_extra)


def _arguments(
    source: Source, op: Message, number: int, side: str, extra: dict[tuple[str, str], Extra]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for span in op.spans(number):
        message = decode(source, span, _ARGUMENTS)
        parameter = message.need_text(1)
        if parameter in found:
            source.fail(span[0], "OpDesc", f"parameter {parameter!r} once", "twice")
        found[parameter] = message.texts(2)
        if message.extra:
            extra[side, parameter] = message.extra
    return found


def _attr(source: Source, span: Span) -> tuple[str, Attr]:
    kind = decode(source, span, _ATTR_HEAD).need_integer(2)
    message = decode(source, span, _ATTRS.get(kind, _ATTR_HEAD))
    known = _ATTR_FIELDS.get(kind)
    value = None if known is None else known[2](message)
    return message.need_text(1), Attr(kind, value, message.extra)


def encode_program(program: Program) -> bytes:
    """Encode a program; what ``decode_program`` read comes out with the same bytes if it was in canonical order."""
    fields: Fields = [put_bytes(1, _put_block(block)) for block in program.blocks]
    if program.version is not None or program.version_extra:
        fields.append(put_bytes(4, encode([*put_int(1, program.version), *program.version_extra])))
    return encode([*fields, *program.extra])


def _put_block(block: Block) -> bytes:
    return encode(
        [
            *put_int(1, block.idx),
            *put_int(2, block.parent_idx),
            *(put_bytes(3, _put_var(var)) for var in block.vars),
            *(put_bytes(4, _put_op(op)) for op in block.ops),
            *put_int(5, block.forward_block_idx),
            *block.extra,
        ]
    )


def _put_var(var: Var) -> bytes:
    var_type: Fields = put_int(1, var.kind)
    if var.data_type is not None:
        tensor = encode_tensor(var.data_type, var.dims or (), var.extra.tensor)
        lod_tensor = encode([put_bytes(1, tensor), *put_int(2, var.lod_level), *var.extra.lod_tensor])
        var_type.append(put_bytes(3, lod_tensor))
    return encode(
        [
            put_text(1, var.name),
            put_bytes(2, encode([*var_type, *var.extra.type])),
            *put_int(3, var.persistable),
            *put_int(4, var.need_check_feed),
            *put_int(5, var.is_parameter),
            *put_int(6, var.stop_gradient),
            *var.extra.var,
        ]
    )


def _put_op(op: Op) -> bytes:
    fields: Fields = [put_text(3, op.type)]
    for number, side, arguments in ((1, "inputs", op.inputs), (2, "outputs", op.outputs)):
        for parameter, names in arguments.items():
            extra = op.argument_extra.get((side, parameter), ())
            body = encode([put_text(1, parameter), *(put_text(2, name) for name in names), *extra])
            fields.append(put_bytes(number, body))
    fields += [put_bytes(4, _put_attr(name, attr)) for name, attr in op.attrs.items()]
    return encode([*fields, *put_int(5, op.is_target), *op.extra])


def _put_attr(name: str, attr: Attr) -> bytes:
    fields: Fields = [put_text(1, name), *put_int(2, attr.type)]
    if attr.value is not None:
        number, encoding, _ = _ATTR_FIELDS[attr.type]
        values = attr.value if isinstance(attr.value, tuple) else (attr.value,)
        fields += [_put_value(number, encoding, value) for value in values]
    return encode([*fields, *attr.extra])


def _put_value(number: int, encoding: str, value: bool | int | float | str) -> tuple[int, bytes]:
    """Encode one value; ``TypeError`` or ``ValueError`` when it does not fit the type of the attribute."""
    if isinstance(value, str):
        if encoding == "bytes":
            return put_text(number, value)
    elif encoding in ("int", "i32") and isinstance(value, int):
        if encoding == "i32" and not fits_32_bits(value):
            raise ValueError(f"an attribute of 32 bits cannot hold {value}")
        return put_int(number, value)[0]
    elif encoding == "f32":
        return put_f32(number, value)
    elif encoding == "f64":
        return put_f64(number, value)
    raise TypeError(f"an attribute stored as {encoding} cannot hold {value!r}")

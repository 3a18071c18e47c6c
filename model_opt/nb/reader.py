"""Read a Paddle Lite ``.nb`` file (meta version 2), checking every offset and size before its use.

The format is described in ``docs/nb-format.md``.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.canonical import FREE_READS, HEADER, is_canonical, parse_header
from model_opt.nb.errors import DAMAGED, NbError, fault
from model_opt.nb.flat import Flat, Table, TableKind
from model_opt.nb.schema import (
    ATTR,
    ATTR_SLOTS,
    BLOCK,
    NEWEST_TYPE,
    OP,
    OP_VAR,
    OP_VERSION,
    OP_VERSION_PAIR,
    OP_VERSIONS,
    PARAM,
    PARAM_TENSOR,
    PROGRAM,
    TENSOR,
    VAR,
    VAR_TENSOR,
    VAR_TYPE,
    VERSION,
)
from model_opt.nb.types import KERNEL_ATTR, NbModel
from model_opt.program import DTYPES, Attr, AttrType, AttrValue, Block, Kernel, Op, Program, Var, VarType

PARAMS_HEADER = struct.Struct("<HHHHI")
PARAM_SIZES = struct.Struct("<II")
_MAX_FILE = 1 << 31
_MAX_RANK = 16
_MAX_DIM = 1 << 31
_MAX_ELEMENTS = 1 << 40  # numpy refuses an empty array whose other sizes multiply beyond its address space

_VAR_TYPES = {int(member): member for member in VarType if member <= NEWEST_TYPE}
_ATTR_TYPES = {int(kind): kind for kind in ATTR_SLOTS}


def read_nb(source: str | Path | bytes) -> NbModel:
    """Read a ``.nb`` file from a path, or from its bytes.

    Parameters are read-only views into the bytes, so the file is held in memory once. Raises ``NbError`` for a
    file that cannot be read, has another format version, is truncated or damaged, or does not fit together.
    """
    if isinstance(source, bytes):
        return _parse(source, None)
    path = Path(source)
    data = _read_file(path)
    try:
        return _parse(data, str(path))
    except NbError as error:
        error.path = str(path)
        raise


def _read_file(path: Path) -> bytes:
    """Return the bytes of a regular file of at most 2 GiB."""
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "nothing" if not path.exists() else "no regular file"
            raise NbError(f"cannot read the model: expected a file, found {found}", path=path, hint="check the path")
        size = path.stat().st_size
        if size > _MAX_FILE:
            raise NbError(f"cannot read the model: {size} bytes are more than 2 GiB", path=path, hint=DAMAGED)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise NbError(
            f"cannot read the model: {error}", path=path, hint="check the path and its permissions"
        ) from error


def _parse(data: bytes, path: str | None) -> NbModel:
    meta_version, opt_version, topology_end = parse_header(data)
    program, op_versions = _topology(Flat(data, HEADER.size, topology_end, "topology", free=FREE_READS))
    params = _params(data, topology_end)
    _check_params_fit(program.vars, params)
    return NbModel(
        meta_version=meta_version,
        opt_version=opt_version,
        program=program,
        params=params,
        op_versions=op_versions,
        nbytes=len(data),
        is_canonical=is_canonical(data),
        path=path,
    )


def _topology(flat: Flat) -> tuple[Program, dict[str, int]]:
    program = flat.root(PROGRAM)
    version = program.table(1, VERSION)
    op_versions: dict[str, int] = {}
    version_map = program.table(2, OP_VERSIONS)
    if version_map is not None:
        for pair in version_map.tables(0, OP_VERSION_PAIR):
            op_versions[pair.string(0)] = pair.need_table(1, OP_VERSION).number(0)
    blocks = tuple(_block(table) for table in program.tables(0, BLOCK))
    if not blocks:
        flat.fail(program.at, "at least one block", "none")
    _check_blocks(flat, blocks)
    return Program(blocks, 0 if version is None else version.number(0)), op_versions


def _block(table: Table) -> Block:
    variables = tuple(_var(item) for item in table.tables(2, VAR))
    ops = tuple(_op(item) for item in table.tables(3, OP))
    return Block(table.number(0), table.number(1), variables, ops, table.number(4, -1))


def _var(table: Table) -> Var:
    name = table.string(0)
    var_type = table.need_table(1, VAR_TYPE)
    kind = _var_type(var_type, 0)
    lod_tensor = var_type.table(2, VAR_TENSOR)
    data_type, dims, lod_level = None, None, None
    if kind is VarType.LOD_TENSOR:
        if lod_tensor is None:
            table.flat.fail(var_type.at, f"the tensor description of variable {name!r}", "nothing")
        tensor = lod_tensor.need_table(0, TENSOR)
        data_type, dims = _var_type(tensor, 0), tensor.numbers(1)
        lod_level = lod_tensor.number(1)
    return Var(name, kind, data_type, dims, lod_level, persistable=table.flag(2), need_check_feed=table.flag(3))


def _var_type(table: Table, slot: int) -> VarType:
    number = table.number(slot)
    member = _VAR_TYPES.get(number)
    if member is None:
        table.flat.fail(table.at, f"{table.what(slot)}: a known type number", f"{number}")
    return member


def _op(table: Table) -> Op:
    op_type = table.string(0)
    inputs = _arguments(table, 1)
    outputs = _arguments(table, 2)
    attrs: dict[str, Attr] = {}
    for name, item in _by_name(table, 3, ATTR):
        kind = _ATTR_TYPES.get(item.number(1))
        if kind is None:
            item.flat.fail(item.at, f"a known type of attribute {name!r}", f"{item.number(1)}")
        attrs[name] = Attr(kind, _attr_value(item, kind))
    kernel = _kernel(table, op_type, attrs.pop(KERNEL_ATTR, None))
    return Op(op_type, inputs, outputs, attrs, table.flag(4), kernel)


def _attr_value(table: Table, kind: AttrType) -> AttrValue:
    slot = ATTR_SLOTS[kind]
    if kind is AttrType.STRING:
        return table.lenient_string(slot)
    if kind is AttrType.STRINGS:
        return table.strings(slot, errors="backslashreplace")
    if kind in (AttrType.BOOLEAN, AttrType.BOOLEANS):
        return table.flag(slot) if kind is AttrType.BOOLEAN else table.flags(slot)
    value: AttrValue = table.numbers(slot) if ATTR.fields[slot][1].startswith("[") else table.number(slot)
    return value


def _arguments(table: Table, slot: int) -> dict[str, tuple[str, ...]]:
    return {name: item.strings(1, errors="strict") for name, item in _by_name(table, slot, OP_VAR)}


def _by_name(table: Table, slot: int, kind: TableKind) -> Iterator[tuple[str, Table]]:
    """Yield the tables of a vector with their keys, which must rise: the device finds them by binary search."""
    last = ""
    for item in table.tables(slot, kind):
        name = item.string(0)
        if name <= last:
            item.flat.fail(item.at, f"{kind.name} in rising order of names", f"{name!r} after {last!r}")
        yield name, item
        last = name


def _kernel(table: Table, op_type: str, attr: Attr | None) -> Kernel | None:
    """Split ``op/alias/target/precision/layout``; None when the operator names no kernel."""
    if attr is None:
        return None
    text = attr.value
    parts = text.split("/") if isinstance(text, str) else []
    if len(parts) != 5 or not all(part.isascii() and part.isdigit() and len(part) < 5 for part in parts[2:]):
        table.flat.fail(table.at, f"the kernel of {op_type!r} as op/alias/number/number/number", repr(text)[:80])
    if parts[0] != op_type:
        table.flat.fail(table.at, f"a kernel for operator {op_type!r}", repr(text)[:80])
    return Kernel(parts[0], parts[1], int(parts[2]), int(parts[3]), int(parts[4]))


def _check_blocks(flat: Flat, blocks: tuple[Block, ...]) -> None:
    """Check that variables are declared once and every argument is declared in its block or in an outer one."""
    declared: list[set[str]] = []
    for index, block in enumerate(blocks):
        names = {var.name for var in block.vars}
        if len(names) != len(block.vars):
            twice = sorted(var.name for var in block.vars)
            first = next(a for a, b in itertools.pairwise(twice) if a == b)
            flat.fail(flat.start, f"variable {first!r} declared once in block {index}", "twice")
        if index and 0 <= block.parent_idx < index:
            names |= declared[block.parent_idx]
        declared.append(names)
        for op in block.ops:
            for arguments in (*op.inputs.values(), *op.outputs.values()):
                for argument in arguments:
                    if argument not in names:
                        flat.fail(flat.start, f"argument {argument!r} of {op.type!r} declared", "no such variable")


def _params(data: bytes, start: int) -> dict[str, NDArray[Any]]:
    if len(data) - start < PARAMS_HEADER.size:
        fault("parameters", start, f"{PARAMS_HEADER.size} bytes of header", f"{len(data) - start} bytes")
    version, meta_size, header_size, count, largest = PARAMS_HEADER.unpack_from(data, start)
    if (version, meta_size, header_size) != (0, 0, 6):
        fault("parameters", start, "version 0, meta size 0, header size 6", f"{version}, {meta_size}, {header_size}")
    params: dict[str, NDArray[Any]] = {}
    at = start + PARAMS_HEADER.size
    for index in range(count):
        end = _param_end(data, at, index, count)
        name, array = _param(Flat(data, at + PARAM_SIZES.size, end, f"parameter {index + 1} of {count}"))
        if name in params:
            fault("parameters", at, f"parameter {name!r} once", "twice")
        params[name] = array
        at = end
    if at != len(data):
        fault("parameters", at, f"the end of the file after {count} parameters", f"{len(data) - at} more bytes")
    found = max((array.nbytes for array in params.values()), default=0)
    if found != largest:
        fault("parameters", start + 8, f"{found} as the size of the largest tensor", f"{largest}")
    return params


def _param_end(data: bytes, at: int, index: int, count: int) -> int:
    """Check the two sizes in front of a parameter; return the position behind it."""
    if len(data) - at < PARAM_SIZES.size:
        fault("parameters", at, f"parameter {index + 1} of {count}", f"{len(data) - at} bytes")
    total, offset = PARAM_SIZES.unpack_from(data, at)
    if offset != 4 or total < 4 or total - 4 > len(data) - at - PARAM_SIZES.size:
        room = len(data) - at - 4
        fault("parameters", at, f"a parameter of 4 to {room} bytes at offset 4", f"{total} bytes at offset {offset}")
    return at + PARAM_SIZES.size + int(total) - 4


def _param(flat: Flat) -> tuple[str, NDArray[Any]]:
    """Return the name of a parameter, and its values as a read-only view."""
    root = flat.root(PARAM)
    name = root.string(1)
    if root.number(2) != 1:
        flat.fail(root.at, f"a tensor (1) in parameter {name!r}", f"union type {root.number(2)}")
    tensor = root.need_table(3, PARAM_TENSOR)
    data_type = _var_type(tensor, 3)
    dtype = DTYPES.get(data_type)
    if dtype is None:
        flat.fail(tensor.at, f"parameter {name!r} with an element type", data_type.name)
    dims = tensor.numbers(2)
    first, nbytes = tensor.raw_vector(4, 1)
    _check_dims(flat, name, dims, dtype.itemsize, nbytes)
    if data_type is VarType.BOOL:
        tensor.flags(4)
    view = np.frombuffer(flat.data, dtype=dtype, count=nbytes // dtype.itemsize, offset=first)
    return name, view.reshape(dims)


def _check_dims(flat: Flat, name: str, dims: tuple[int, ...], itemsize: int, nbytes: int) -> None:
    if len(dims) > _MAX_RANK or any(dim < 0 or dim >= _MAX_DIM for dim in dims):
        shown = ", ".join(map(str, dims[:_MAX_RANK]))
        flat.fail(flat.start, f"at most {_MAX_RANK} sizes from 0 to {_MAX_DIM - 1} in {name!r}", f"[{shown}]")
    if math.prod(max(dim, 1) for dim in dims) > _MAX_ELEMENTS or math.prod(dims) * itemsize != nbytes:
        expected = f"{math.prod(dims) * itemsize} bytes for {list(dims)} of parameter {name!r}"
        flat.fail(flat.start, expected, f"{nbytes} bytes")


def _check_params_fit(variables: tuple[Var, ...], params: dict[str, NDArray[Any]]) -> None:
    """Check that the parameters are exactly the persistable tensors that the main block declares."""
    wanted = {var.name for var in variables if var.is_param}
    missing = sorted(wanted - params.keys())
    if missing:
        fault("parameters", None, f"{len(wanted)} parameters", f"none named {missing[0]!r}, {len(missing)} missing")
    extra = sorted(params.keys() - wanted)
    if extra:
        fault("parameters", None, f"{len(wanted)} parameters", f"{extra[0]!r} that the topology does not declare")

"""The ``.pdiparams`` stream: the parameters one after another, in the order of their sorted names, without names.

Each is ``u32 version 0 | u64 LoD levels 0 | u32 tensor version 0 | i32 size of the description | TensorDesc | data``,
little-endian.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_opt.paddle_model.errors import fault
from model_opt.paddle_model.proto import decode_tensor, encode_tensor
from model_opt.program import DTYPES, ELEMENT_TYPES, Program, Var, VarType

_HEAD = struct.Struct("<IQIi")
_MAX_RANK = 16
_MAX_ELEMENTS = 1 << 40
_INTEGERS = {8: VarType.INT8, 16: VarType.INT16}
SCALES_OF = "_quant_scale"
"""Ends the name of the attribute that holds the scales of a weight, one for each output."""

_OTHER_MODEL = "the parameters are damaged or belong to another model: keep both files of one export together"


def decode_params(data: bytes, program: Program, path: Path | None) -> dict[str, NDArray[Any]]:
    """Return the parameters of ``program`` by name, as read-only views into ``data``.

    Raises ``PaddleModelError`` when the stream is truncated, too long, or does not fit the declared variables.
    """
    declared, bits = program.declared_params(), integer_weights(program)
    loose = loosely_declared(program)
    params: dict[str, NDArray[Any]] = {}
    at = 0
    for name in sorted(declared):
        begin = at
        params[name], at = _tensor(data, at, name, path)
        check_fits(declared[name], params[name], path, begin, bits=bits.get(name), loose=name in loose)
    if at != len(data):
        found = f"{len(data) - at} more bytes"
        fault("parameters", f"the end after {len(params)}", found, path=path, offset=at, hint=_OTHER_MODEL)
    return params


def encode_params(params: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the stream of parameters. Raises ``ValueError`` for an array type that Paddle does not have."""
    pieces: list[bytes] = []
    for name in sorted(params):
        array = params[name]
        kind = ELEMENT_TYPES.get(array.dtype)
        if kind is None:
            raise ValueError(f"parameter {name!r} has the type {array.dtype}, which Paddle lacks")
        description = encode_tensor(kind, array.shape)
        pieces += [_HEAD.pack(0, 0, 0, len(description)), description, array.tobytes()]
    return b"".join(pieces)


def integer_weights(program: Program) -> dict[str, int]:
    """Return the weights that the program's operators say are held as integers, with their bits (8 or 16).

    PaddleSlim's weight quantisation: the operator has ``quantize_weight_bits`` and, for each such input, the scales as
    ``<name>_quant_scale``. The variable stays declared as float32, which is what it becomes when a runtime loads it.
    """
    found: dict[str, int] = {}
    for block in program.blocks:
        for op in block.ops:
            bits = op.attr("quantize_weight_bits")
            if isinstance(bits, int) and bits in _INTEGERS:
                found |= {name: bits for name in op.input_names if f"{name}{SCALES_OF}" in op.attrs}
    return found


def loosely_declared(program: Program) -> frozenset[str]:
    """Return the parameters of quantisers in ONNX format, whose declarations Paddle does not keep up to date.

    It holds weights as int8 in what it goes on declaring as float32, and scales with a side of 1 more or less.
    """
    return frozenset(
        name
        for block in program.blocks
        for op in block.ops
        if op.type in ("quantize_linear", "dequantize_linear")
        for name in op.input_names
    )


def check_fits(
    var: Var,
    array: NDArray[Any],
    path: Path | None,
    offset: int | None = None,
    *,
    bits: int | None = None,
    loose: bool = False,
) -> None:
    """Raise ``PaddleModelError`` unless the array has the type and the sizes that its variable declares.

    ``bits``: the array holds the variable as integers of so many bits. ``loose``: it may hold it as int8 or not, and
    sides of 1 do not count.
    """
    if bits is None and loose and array.dtype == np.int8:
        bits = 8
    kind = var.data_type if bits is None else _INTEGERS[bits]
    declared = None if kind is None else DTYPES.get(kind)
    dims = var.dims or ()
    if declared != array.dtype or not _same_sides(dims, array.shape, loose):
        expected, found = f"{declared} {list(dims)}", f"{array.dtype} {list(array.shape)}"
        fault(f"parameter {var.name!r}", expected, found, path=path, offset=offset, hint=_OTHER_MODEL)


def _same_sides(dims: tuple[int, ...], shape: tuple[int, ...], loose: bool) -> bool:
    """Compare declared with stored sizes. Paddle from 2.5 on knows tensors without sides, and writes one number as a
    tensor of one side or of none.
    """
    single = (not dims or not shape) and all(side in (-1, 1) for side in (*dims, *shape))
    if loose or single:
        dims, shape = (tuple(side for side in sides if side != 1) for sides in (dims, shape))
    return len(dims) == len(shape) and all(a in (-1, b) for a, b in zip(dims, shape, strict=True))


def _tensor(data: bytes, at: int, name: str, path: Path | None) -> tuple[NDArray[Any], int]:
    """Return the tensor at ``at`` and the position behind it."""
    what = f"parameter {name!r}"
    if len(data) - at < _HEAD.size:
        found = f"{len(data) - at} bytes"
        fault(what, f"{_HEAD.size} bytes", found, path=path, offset=at, hint=_OTHER_MODEL)
    version, lod_levels, tensor_version, size = _HEAD.unpack_from(data, at)
    if (version, lod_levels, tensor_version) != (0, 0, 0):
        found = f"{version}, {lod_levels}, {tensor_version}"
        fault(what, "version 0, no LoD, tensor version 0", found, path=path, offset=at)
    start = at + _HEAD.size
    if not 0 <= size <= len(data) - start:
        fault(what, f"a description of at most {len(data) - start} bytes", f"{size}", path=path, offset=at)
    data_type, dims = decode_tensor(data[start : start + size], path, start)
    dtype = DTYPES.get(data_type)
    if dtype is None:
        fault(what, "a known element type", f"{data_type}", path=path, offset=start)
    # The product without zeros too: numpy refuses an empty array whose other sizes pass its address space.
    if len(dims) > _MAX_RANK or min(dims, default=0) < 0 or math.prod(max(d, 1) for d in dims) > _MAX_ELEMENTS:
        fault(what, f"at most {_MAX_RANK} sizes of 0 or more", f"{list(dims[:_MAX_RANK])}", path=path, offset=start)
    count = math.prod(dims)
    begin = start + size
    if count * dtype.itemsize > len(data) - begin:
        fault(what, f"{count * dtype.itemsize} bytes", f"{len(data) - begin}", path=path, offset=begin)
    return np.frombuffer(data, dtype, count, begin).reshape(dims), begin + count * dtype.itemsize

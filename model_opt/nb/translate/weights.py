"""The parameters of a file as the kernels see them: weight-only int8 and int16 come back as float32.

``LightPredictor::DequantizeWeight`` (light_api.cc) multiplies every integer, converted to float32, by the float32
scale of its output channel when a model is loaded; the kernels then are those of an fp32 model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from model_opt.nb.errors import NbError
from model_opt.nb.translate.state import Float32Array, Ints
from model_opt.nb.translate.view import SCALE_SUFFIX
from model_opt.nb.types import NbModel
from model_opt.program import ELEMENT_TYPES, AttrType, Op, VarType

_KINDS = ("post_weight_abs_max", "post_weight_channel_wise_abs_max")
_STORED = {8: VarType.INT8, 16: VarType.INT16}
# By rows (the first side counts channels) or by columns (the last does): the two branches of DequantizeWeight. For
# any other operator it leaves the integers as they are, and the kernel reads them as floats.
_BY_ROWS = frozenset({"conv2d", "depthwise_conv2d"})
_BY_COLUMNS = frozenset({"fc", "mul", "lookup_table"})
RESTORED = _BY_ROWS | _BY_COLUMNS
"""The operators whose integer weights the runtime turns back into floats."""
_MOST_SIZES = 64

_REMEDY = "convert the model again, without set_quant_type if this repeats"


def restore(model: NbModel) -> Mapping[str, Float32Array | Ints]:
    """Return the parameters by name: floats as float32, small integer vectors as sizes.

    Raises ``NbError`` for a parameter of a type that no fp32 kernel reads and for scales that do not fit it.
    """
    restored: dict[str, Float32Array] = {}
    for position, op in enumerate(model.ops):
        if _is_quantised(op):
            _restore_op(model, position, op, restored)
    kept = {name: _plain(model, name, array) for name, array in model.params.items() if name not in restored}
    return {**kept, **restored}


def _is_quantised(op: Op) -> bool:
    kind = op.attr("quantization_type")
    return "quantize_weight_bits" in op.attrs if kind is None else kind in _KINDS


def _restore_op(model: NbModel, position: int, op: Op, restored: dict[str, Float32Array]) -> None:
    for name in sorted({argument for arguments in op.inputs.values() for argument in arguments}):
        param = name.split("/target_trans", 1)[0]
        scale_name = param + SCALE_SUFFIX
        if scale_name not in op.attrs:
            continue
        where = f"operator {position} ({op.type}): the weights {param!r}"
        array, bits = model.params.get(param), op.attr("quantize_weight_bits")
        if array is None or param in restored:
            _refuse(model, where, "are no parameter" if array is None else "are restored twice")
        if not isinstance(bits, int) or _STORED.get(bits) is not ELEMENT_TYPES[array.dtype]:
            _refuse(model, where, f"are {ELEMENT_TYPES[array.dtype].name}, the operator says {bits} bits")
        held = op.attrs[scale_name]
        if held.type != AttrType.FLOATS:
            _refuse(model, where, f"have scales of type {AttrType(held.type).name}")
        scales = np.array(held.value, dtype=np.float32)
        restored[param] = _restored(model, where, op.type, array, scales)


def _restored(model: NbModel, where: str, op_type: str, array: NDArray[Any], scales: Float32Array) -> Float32Array:
    data, shape = array.astype(np.float32), array.shape
    if op_type in _BY_ROWS and shape:
        channels, factors = shape[0], scales.reshape(-1, *(1,) * (len(shape) - 1))
    elif op_type in _BY_COLUMNS and 1 <= len(shape) <= 2:
        channels, factors = shape[-1], scales
    else:
        _refuse(model, where, "are not restored by Paddle Lite's loader: the device would compute with integers")
    if len(scales) != channels or not np.isfinite(scales).all():
        _refuse(model, where, f"have {len(scales)} scales for {channels} channels, or one that is not finite")
    with np.errstate(over="ignore"):
        return np.asarray(factors * data, dtype=np.float32)


def _plain(model: NbModel, name: str, array: NDArray[Any]) -> Float32Array | Ints:
    kind = ELEMENT_TYPES[array.dtype]
    if kind is VarType.FP32:
        return np.array(array, dtype=np.float32)  # a copy: the file does not align its floats
    if kind not in (VarType.INT32, VarType.INT64) or array.ndim != 1 or array.size > _MOST_SIZES:
        what = f"is {kind.name} of {list(array.shape)}, which no fp32 kernel reads"
        _refuse(model, f"the parameter {name!r}", what)
    return Ints(tuple(int(value) for value in array))


def _refuse(model: NbModel, where: str, what: str) -> NoReturn:
    raise NbError(f"{where} {what}", path=model.path, hint=_REMEDY, section="parameters")

"""What each operator of PIR is among Paddle's classic operators.

Operands and attributes are in the order and by the names of ``paddle/phi/ops/yaml/ops.yaml``; the names of the classic
ones are those of ``op_compat.yaml`` there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from model_opt.formats.pir_draft import Constant, Draft
from model_opt.formats.pir_json import PirOp, PirValue
from model_opt.program import AttrType, AttrValue, VarType

Rule = Callable[[Draft, PirOp], None]
_Attrs = dict[str, tuple[AttrType, AttrValue]]

_INT, _FLOAT, _TEXT, _FLAG = AttrType.INT, AttrType.FLOAT, AttrType.STRING, AttrType.BOOLEAN
_INTS, _FLOATS, _LONGS = AttrType.INTS, AttrType.FLOATS, AttrType.LONGS
_INT32 = 1 << 31
_END = _INT32 - 1
_MOST_NUMBERS = 1 << 16

DATA_TYPES: Mapping[str, VarType] = {
    "bool": VarType.BOOL,
    "int8": VarType.INT8,
    "uint8": VarType.UINT8,
    "int16": VarType.INT16,
    "int32": VarType.INT32,
    "int64": VarType.INT64,
    "float16": VarType.FP16,
    "bfloat16": VarType.BF16,
    "float32": VarType.FP32,
    "float64": VarType.FP64,
}


# ---- attributes of PIR operators, by type


def _ints(op: PirOp, name: str) -> tuple[int, ...]:
    value = op.attrs.get(name)
    if not isinstance(value, tuple):
        op.refuse(f"it lacks the attribute {name!r}, a list of integers")
    found = tuple(item for item in value if isinstance(item, int) and not isinstance(item, bool))
    if len(found) != len(value) or any(not -_INT32 <= item < _INT32 for item in found):
        op.refuse(f"its attribute {name!r} is no list of integers of 32 bits")
    return found


def _int(op: PirOp, name: str, default: int | None = None) -> int:
    value = op.attrs.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not -_INT32 <= value < _INT32:
        op.refuse(f"it lacks the attribute {name!r}, an integer of 32 bits")
    return value


def _float(op: PirOp, name: str, default: float | None = None) -> float:
    value = op.attrs.get(name, default)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 3.4e38:
        op.refuse(f"it lacks the attribute {name!r}, a number")
    return float(value)


def _flag(op: PirOp, name: str, default: bool | None = None) -> bool:
    value = op.attrs.get(name, default)
    if not isinstance(value, bool):
        op.refuse(f"it lacks the attribute {name!r}, true or false")
    return value


def _text(op: PirOp, name: str, default: str | None = None) -> str:
    value = op.attrs.get(name, default)
    if not isinstance(value, str):
        op.refuse(f"it lacks the attribute {name!r}, a text")
    return value


def _result(op: PirOp, at: int = 0) -> PirValue:
    if at >= len(op.outputs) or op.outputs[at].number == 0:
        op.refuse(f"it lacks the result {at}")
    return op.outputs[at]


def _checked(op: PirOp, values: tuple[int, ...], count: int | None = None) -> tuple[int, ...]:
    """Return integers that fit 32 bits; an end beyond them means the end of the side."""
    if count is not None and len(values) != count:
        op.refuse(f"it takes {count} numbers and gets {len(values)}")
    if any(not -_INT32 <= value < _INT32 for value in values):
        op.refuse("a size does not fit 32 bits")
    return values


# ---- inputs, outputs, constants


def _data(draft: Draft, op: PirOp) -> None:
    name = _text(op, "name")
    if draft.taken(name):
        op.refuse(f"another variable is named {name!r}")
    draft.feed(name, _result(op), sum(one.type == "feed" for one in draft.ops))


def _fetch(draft: Draft, op: PirOp) -> None:
    draft.fetch(draft.name(op, 0), _int(op, "col", 0))


def _full(draft: Draft, op: PirOp) -> None:
    result, dims, value = _result(op), _ints(op, "shape"), _float(op, "value")
    kind = DATA_TYPES.get(_text(op, "dtype"))
    if kind is None:
        op.refuse(f"constants of the type {op.attrs.get('dtype')!r} cannot be read")
    integral = kind in (VarType.INT8, VarType.UINT8, VarType.INT16, VarType.INT32, VarType.INT64, VarType.BOOL)
    if len(dims) < 2 and (not dims or 0 <= dims[0] <= _MOST_NUMBERS):
        held = int(value) if integral else value
        draft.constants[result.number] = Constant((held,) * (dims[0] if dims else 1), dims)
    attrs: _Attrs = {
        "shape": (_LONGS, dims),
        "value": (_FLOAT, value),
        "str_value": (_TEXT, repr(int(value) if integral else value)),
        "dtype": (_INT, int(kind)),
        "force_cpu": (_FLAG, False),
    }
    draft.emit(op, "fill_constant", {}, {"Out": result}, attrs)


def _full_int_array(draft: Draft, op: PirOp) -> None:
    result, values = _result(op), op.attrs.get("value")
    if not isinstance(values, tuple) or any(not isinstance(value, int) for value in values):
        op.refuse("it lacks the attribute 'value', a list of integers")
    known = tuple(int(value) for value in values)
    draft.constants[result.number] = Constant(known, (len(known),))
    kind = DATA_TYPES.get(_text(op, "dtype", "int64"), VarType.INT64)
    short = kind == VarType.INT32 and all(-_INT32 <= value < _INT32 for value in known)
    name, form = ("int32_values", _INTS) if short else ("int64_values", _LONGS)
    attrs: _Attrs = {"shape": (_INTS, (len(known),)), "dtype": (_INT, int(kind)), name: (form, known)}
    draft.emit(op, "assign_value", {}, {"Out": result}, attrs)


def _assign_value(draft: Draft, op: PirOp) -> None:
    result, dims, values = _result(op), _ints(op, "shape"), op.attrs.get("values")
    kind = DATA_TYPES.get(_text(op, "dtype"))
    if (
        not isinstance(values, tuple)
        or any(isinstance(value, str) for value in values)
        or len(values) != math.prod(dims)
    ):
        op.refuse("it lacks the attribute 'values', as many numbers as its shape says")
    attrs: _Attrs = {"shape": (_INTS, dims), "dtype": (_INT, int(kind or 0))}
    if kind in (VarType.FP32, VarType.FP64):
        attrs["fp32_values"] = (_FLOATS, tuple(float(value) for value in values))
        attrs["dtype"] = (_INT, int(VarType.FP32))
    elif kind in (VarType.INT32, VarType.INT64):
        known = tuple(int(value) for value in values)
        if len(dims) < 2:
            draft.constants[result.number] = Constant(known, dims)
        attrs["int64_values"] = (_LONGS, known)
        attrs["dtype"] = (_INT, int(VarType.INT64))
    else:
        op.refuse(f"constants of the type {op.attrs.get('dtype')!r} cannot be read")
    draft.emit(op, "assign_value", {}, {"Out": result}, attrs)


def _combine(draft: Draft, op: PirOp) -> None:
    draft.parts[_result(op).number] = op.inputs


def _split_parts(draft: Draft, op: PirOp) -> None:
    """``builtin.split``: the tensors of a vector as results of their own."""
    parts = draft.parts.get(draft.number(op, 0))
    if parts is None or len(parts) != len(op.outputs):
        op.refuse("it takes a list apart that has another length")
    for part, value in zip(parts, op.outputs, strict=True):
        draft.alias(PirOp(op.name, op.place, (part,), (value,), op.attrs))


def _part(draft: Draft, op: PirOp) -> None:
    """``builtin.slice``: one tensor of a vector."""
    parts, index = draft.parts.get(draft.number(op, 0)), _int(op, "index")
    if parts is None or not 0 <= index < len(parts):
        op.refuse("it takes what a list does not hold")
    draft.alias(PirOp(op.name, op.place, (parts[index],), op.outputs, op.attrs))


# ---- sizes


def _shape(draft: Draft, op: PirOp) -> None:
    dims, result = draft.dims(op, 0), _result(op)
    if dims is not None:
        sides = tuple(side if side >= 0 else None for side in dims)
        draft.constants[result.number] = Constant(sides, (len(sides),))
    made = PirValue(result.number, VarType.INT32, result.dims)
    draft.emit(op, "shape", {"Input": draft.name(op, 0)}, {"Out": made}, {})


def _stack(draft: Draft, op: PirOp) -> None:
    result, axis = _result(op), _int(op, "axis", 0)
    parts = draft.parts.get(draft.number(op, 0), ())
    if axis == 0 and parts and result.dims == (len(parts),):
        held = [draft.constants.get(part) for part in parts]
        values = tuple(one.values[0] if one is not None and len(one.values) == 1 else None for one in held)
        draft.constants[result.number] = Constant(values, (len(values),))
    draft.parts[result.number] = parts
    draft.emit(op, "stack", {"X": draft.names(op, 0)}, {"Y": result}, {"axis": (_INT, axis)})


def _slice(draft: Draft, op: PirOp) -> None:
    axes, gone = _ints(op, "axes"), _ints(op, "decrease_axis")
    starts, ends = draft.ints(op, 1), tuple(min(end, _END) for end in draft.ints(op, 2))
    held, result = draft.constants.get(draft.number(op, 0)), _result(op)
    if held is not None and len(held.dims) == 1 and axes == (0,) and len(starts) == len(ends) == 1:
        cut = held.values[starts[0] : ends[0]]
        draft.constants[result.number] = Constant(cut, () if gone else (len(cut),))
    attrs: _Attrs = {
        "axes": (_INTS, axes),
        "starts": (_INTS, _checked(op, starts, len(axes))),
        "ends": (_INTS, _checked(op, ends, len(axes))),
        "decrease_axis": (_INTS, gone),
        "infer_flags": (_INTS, (1,) * len(axes)),
    }
    draft.emit(op, "slice", {"Input": draft.name(op, 0)}, {"Out": result}, attrs)


def _reshape(draft: Draft, op: PirOp) -> None:
    result, x = _result(op), draft.name(op, 0)
    sizes = draft.sizes(op, 1)
    free = [at for at, size in enumerate(sizes) if size is None]
    inputs: dict[str, str | tuple[str, ...]] = {"X": x}
    if len(free) > 1 or (free and -1 in sizes):
        parts = draft.parts.get(op.inputs[1])
        if parts is None or len(parts) != len(sizes):
            op.refuse("its target is computed while the model runs, in a way that is not known here")
        inputs["ShapeTensor"] = draft.names(PirOp(op.name, op.place, (op.inputs[1],), (), {}), 0)
    target = _checked(op, tuple(-1 if size is None else size for size in sizes))
    param = draft.param(op, 0)
    if param is not None and _is_bias(param[1], target):
        draft.biases[result.number] = param[0]
    draft.emit(op, "reshape2", inputs, {"Out": result}, {"shape": (_INTS, target)})


def _is_bias(dims: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Return whether a parameter [C] is brought to [1, C, 1, 1], as it is in front of the addition behind a conv."""
    return len(dims) == 1 and target in ((1, -1, 1, 1), (1, dims[0], 1, 1))


def _squeeze(draft: Draft, op: PirOp) -> None:
    axes = _checked(op, draft.ints(op, 1))
    draft.emit(op, "squeeze2", {"X": draft.name(op, 0)}, {"Out": _result(op)}, {"axes": (_INTS, axes)})


def _unsqueeze(draft: Draft, op: PirOp) -> None:
    axes = _checked(op, draft.ints(op, 1))
    draft.emit(op, "unsqueeze2", {"X": draft.name(op, 0)}, {"Out": _result(op)}, {"axes": (_INTS, axes)})


def _flatten(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {key: (_INT, _int(op, key)) for key in ("start_axis", "stop_axis")}
    draft.emit(op, "flatten_contiguous_range", {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)


def _transpose(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {"axis": (_INTS, _ints(op, "perm"))}
    draft.emit(op, "transpose2", {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)


def _expand(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {"shape": (_INTS, _checked(op, draft.ints(op, 1)))}
    draft.emit(op, "expand_v2", {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)


def _concat(draft: Draft, op: PirOp) -> None:
    (axis,) = _checked(op, draft.ints(op, 1), 1)
    draft.emit(op, "concat", {"X": draft.names(op, 0)}, {"Out": _result(op)}, {"axis": (_INT, axis)})


def _split(draft: Draft, op: PirOp) -> None:
    sections, (axis,) = _checked(op, draft.ints(op, 1)), _checked(op, draft.ints(op, 2), 1)
    _cut(draft, op, {"sections": (_INTS, sections), "num": (_INT, 0), "axis": (_INT, axis)}, len(sections))


def _split_with_num(draft: Draft, op: PirOp) -> None:
    (axis,), count = _checked(op, draft.ints(op, 1), 1), _int(op, "num")
    _cut(draft, op, {"sections": (_INTS, ()), "num": (_INT, count), "axis": (_INT, axis)}, count)


def _cut(draft: Draft, op: PirOp, attrs: _Attrs, count: int) -> None:
    """Add a split; the tensors of its one result get numbers of their own."""
    result = _result(op)
    if len(result.parts) != count:
        op.refuse(f"it makes {len(result.parts)} tensors, and its numbers say {count}")
    numbers = draft.fresh_numbers(count)
    parts = [PirValue(number, part.data_type, part.dims) for number, part in zip(numbers, result.parts, strict=True)]
    draft.parts[result.number] = numbers
    draft.emit(op, "split", {"X": draft.name(op, 0)}, {"Out": parts}, attrs)


# ---- convolutions, pools, norms


def _conv(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {key: (_INTS, _ints(op, key)) for key in ("strides", "paddings", "dilations")}
    attrs["groups"] = (_INT, _int(op, "groups"))
    attrs["padding_algorithm"] = (_TEXT, _text(op, "padding_algorithm", "EXPLICIT"))
    attrs["data_format"] = (_TEXT, _text(op, "data_format", "NCHW"))
    inputs: dict[str, str | tuple[str, ...]] = {"Input": draft.name(op, 0), "Filter": draft.name(op, 1)}
    if op.kind == "conv2d_transpose":
        attrs["output_padding"] = (_INTS, _ints(op, "output_padding"))
        sizes = draft.ints(op, 2) if len(op.inputs) > 2 and op.inputs[2] else ()
        attrs["output_size"] = (_INTS, _checked(op, sizes))
    draft.emit(op, op.kind, inputs, {"Output": _result(op)}, attrs)


def _pool(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {key: (_INTS, _ints(op, key)) for key in ("strides", "paddings")}
    attrs |= {key: (_FLAG, _flag(op, key)) for key in ("ceil_mode", "exclusive", "global_pooling", "adaptive")}
    attrs |= {key: (_TEXT, _text(op, key)) for key in ("data_format", "pooling_type", "padding_algorithm")}
    attrs["ksize"] = (_INTS, _checked(op, draft.ints(op, 1), 2))
    draft.emit(op, "pool2d", {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)


def _batch_norm(draft: Draft, op: PirOp) -> None:
    slots = ("X", "Mean", "Variance", "Scale", "Bias")
    attrs: _Attrs = {
        "epsilon": (_FLOAT, _float(op, "epsilon")),
        "momentum": (_FLOAT, _float(op, "momentum")),
        "is_test": (_FLAG, _flag(op, "is_test")),
        "use_global_stats": (_FLAG, _flag(op, "use_global_stats", False)),
        "trainable_statistics": (_FLAG, _flag(op, "trainable_statistics", False)),
        "data_layout": (_TEXT, _text(op, "data_format", "NCHW")),
    }
    draft.emit(op, "batch_norm", {key: draft.name(op, at) for at, key in enumerate(slots)}, {"Y": _result(op)}, attrs)


def _scaled_norm(draft: Draft, op: PirOp) -> dict[str, str]:
    """Return the operands of a norm whose scale and bias may be missing."""
    inputs = {"X": draft.name(op, 0)}
    return inputs | {
        key: draft.name(op, at) for at, key in ((1, "Scale"), (2, "Bias")) if at < len(op.inputs) and op.inputs[at]
    }


def _layer_norm(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {
        "epsilon": (_FLOAT, _float(op, "epsilon", 1e-5)),
        "begin_norm_axis": (_INT, _int(op, "begin_norm_axis", 1)),
    }
    draft.emit(op, "layer_norm", _scaled_norm(draft, op), {"Y": _result(op)}, attrs)


def _instance_norm(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {"epsilon": (_FLOAT, _float(op, "epsilon", 1e-5))}
    draft.emit(op, "instance_norm", _scaled_norm(draft, op), {"Y": _result(op)}, attrs)


def _group_norm(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {
        "epsilon": (_FLOAT, _float(op, "epsilon", 1e-5)),
        "groups": (_INT, _int(op, "groups")),
        "data_layout": (_TEXT, _text(op, "data_format", "NCHW")),
    }
    draft.emit(op, "group_norm", _scaled_norm(draft, op), {"Y": _result(op)}, attrs)


def _interp(draft: Draft, op: PirOp) -> None:
    if any(op.inputs[1:4]):
        op.refuse("its size is computed while the model runs", "export the model with fixed factors, as PaddleOCR does")
    factors = op.attrs.get("scale")
    if not isinstance(factors, tuple) or any(not isinstance(factor, float) for factor in factors):
        op.refuse("it lacks the attribute 'scale', a list of numbers")
    attrs: _Attrs = {key: (_INT, _int(op, key)) for key in ("out_d", "out_h", "out_w", "align_mode")}
    attrs |= {
        "scale": (_FLOATS, tuple(float(factor) for factor in factors)),
        "interp_method": (_TEXT, _text(op, "interp_method")),
        "align_corners": (_FLAG, _flag(op, "align_corners")),
        "data_layout": (_TEXT, _text(op, "data_format", "NCHW")),
    }
    draft.emit(op, f"{op.kind}_v2", {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)


# ---- arithmetic


def _binary(kind: str, swaps: bool) -> Rule:
    def rule(draft: Draft, op: PirOp) -> None:
        x, y, axis = draft.name(op, 0), draft.name(op, 1), -1
        for at, other in ((1, 0), (0, 1)):
            bias, dims = draft.biases.get(op.inputs[at]), draft.dims(op, other) or ()
            fits = len(dims) == 4 and bias is not None and draft.variables[bias].dims == dims[1:2]
            if bias is not None and fits and draft.param(op, other) is None and (swaps or at == 1):
                x, y, axis = draft.name(op, other), bias, 1
                break
        draft.emit(op, kind, {"X": x, "Y": y}, {"Out": _result(op)}, {"axis": (_INT, axis)})

    return rule


def _matmul(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {
        "trans_x": (_FLAG, _flag(op, "transpose_x", False)),
        "trans_y": (_FLAG, _flag(op, "transpose_y", False)),
    }
    draft.emit(op, "matmul_v2", {"X": draft.name(op, 0), "Y": draft.name(op, 1)}, {"Out": _result(op)}, attrs)


def _scale(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {
        "scale": (_FLOAT, float(draft.scalar(op, 1))),
        "bias": (_FLOAT, _float(op, "bias", 0.0)),
        "bias_after_scale": (_FLAG, _flag(op, "bias_after_scale", True)),
    }
    draft.emit(op, "scale", {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)


def _clip(draft: Draft, op: PirOp) -> None:
    attrs: _Attrs = {"min": (_FLOAT, float(draft.scalar(op, 1))), "max": (_FLOAT, float(draft.scalar(op, 2)))}
    draft.emit(op, "clip", {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)


def _reduce(kind: str) -> Rule:
    def rule(draft: Draft, op: PirOp) -> None:
        axes = _ints(op, "axis") if "axis" in op.attrs else _checked(op, draft.ints(op, 1))
        attrs: _Attrs = {
            "dim": (_INTS, axes or (0,)),
            "keep_dim": (_FLAG, _flag(op, "keepdim", False)),
            "reduce_all": (_FLAG, not axes),
            "in_dtype": (_INT, -1),
            "out_dtype": (_INT, -1),
        }
        draft.emit(op, kind, {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)

    return rule


def _unary(kind: str, **attrs: tuple[AttrType, Callable[[PirOp], AttrValue]]) -> Rule:
    def rule(draft: Draft, op: PirOp) -> None:
        made = {name: (form, of(op)) for name, (form, of) in attrs.items()}
        draft.emit(op, kind, {"X": draft.name(op, 0)}, {"Out": _result(op)}, made)

    return rule


def _fixed(value: float) -> tuple[AttrType, Callable[[PirOp], AttrValue]]:
    return _FLOAT, lambda _: value


def _cast(draft: Draft, op: PirOp) -> None:
    kind = DATA_TYPES.get(_text(op, "dtype"))
    if kind is None:
        op.refuse(f"values of the type {op.attrs.get('dtype')!r} cannot be read")
    number = draft.number(op, 0)
    if number in draft.constants and kind in (VarType.INT32, VarType.INT64):
        draft.constants[_result(op).number] = draft.constants[number]
    attrs: _Attrs = {"in_dtype": (_INT, int(draft.data_type(op, 0))), "out_dtype": (_INT, int(kind))}
    draft.emit(op, "cast", {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)


def _dropout(draft: Draft, op: PirOp) -> None:
    if not _flag(op, "is_test"):
        op.refuse(
            "dropout that is not in test mode", "export the model for inference: model.eval() before paddle.jit.save"
        )
    mode = _text(op, "mode", "downgrade_in_infer")
    if mode == "upscale_in_train":
        draft.alias(op)
        return
    attrs: _Attrs = {
        "dropout_prob": (_FLOAT, float(draft.scalar(op, 2))),
        "dropout_implementation": (_TEXT, mode),
        "is_test": (_FLAG, True),
    }
    draft.emit(op, "dropout", {"X": draft.name(op, 0)}, {"Out": _result(op)}, attrs)


RULES: Mapping[str, Rule] = {
    "data": _data,
    "feed": _data,
    "fetch": _fetch,
    "full": _full,
    "full_int_array": _full_int_array,
    "assign_value": _assign_value,
    "builtin.combine": _combine,
    "builtin.split": _split_parts,
    "builtin.slice": _part,
    "shape": _shape,
    "shape64": _shape,
    "stack": _stack,
    "slice": _slice,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "flatten": _flatten,
    "transpose": _transpose,
    "expand": _expand,
    "concat": _concat,
    "split": _split,
    "split_with_num": _split_with_num,
    "conv2d": _conv,
    "depthwise_conv2d": _conv,
    "conv2d_transpose": _conv,
    "pool2d": _pool,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "instance_norm": _instance_norm,
    "group_norm": _group_norm,
    "nearest_interp": _interp,
    "bilinear_interp": _interp,
    "add": _binary("elementwise_add", True),
    "subtract": _binary("elementwise_sub", False),
    "multiply": _binary("elementwise_mul", True),
    "divide": _binary("elementwise_div", False),
    "maximum": _binary("elementwise_max", True),
    "minimum": _binary("elementwise_min", True),
    "elementwise_pow": _binary("elementwise_pow", False),
    "matmul": _matmul,
    "scale": _scale,
    "clip": _clip,
    "mean": _reduce("reduce_mean"),
    "sum": _reduce("reduce_sum"),
    "max": _reduce("reduce_max"),
    "min": _reduce("reduce_min"),
    "cast": _cast,
    "dropout": _dropout,
    "assign": Draft.alias,
    "relu": _unary("relu"),
    "relu6": _unary("relu6", threshold=_fixed(6.0)),
    "sigmoid": _unary("sigmoid"),
    "tanh": _unary("tanh"),
    "sqrt": _unary("sqrt"),
    "rsqrt": _unary("rsqrt"),
    "square": _unary("square"),
    "exp": _unary("exp"),
    "abs": _unary("abs"),
    "swish": _unary("swish", beta=_fixed(1.0)),
    "silu": _unary("swish", beta=_fixed(1.0)),
    "hardswish": _unary("hard_swish", threshold=_fixed(6.0), scale=_fixed(6.0), offset=_fixed(3.0)),
    "hardsigmoid": _unary(
        "hard_sigmoid",
        slope=(_FLOAT, lambda op: _float(op, "slope", 0.2)),
        offset=(_FLOAT, lambda op: _float(op, "offset", 0.5)),
    ),
    "leaky_relu": _unary("leaky_relu", alpha=(_FLOAT, lambda op: _float(op, "negative_slope", 0.02))),
    "gelu": _unary("gelu", approximate=(_FLAG, lambda op: _flag(op, "approximate", False))),
    "softmax": _unary("softmax", axis=(_INT, lambda op: _int(op, "axis", -1))),
}
"""By the name without ``pd_op.`` and without the underscore of work in place."""

"""Mark convolutions as int8 in a program by ``quantize_linear`` and ``dequantize_linear`` (QDQ) around them.

Paddle's own quantiser writes the same pairs. opt takes them out again, marks the convolution and picks its int8 kernel
(``quant_dequant_op_fuser.cc``, ``static_kernel_pick_pass.cc``); where a convolution feeds only int8 ones, it rounds to
int8 itself, else opt puts ``calib`` between. Scales stand in the file as the largest value (127 steps).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_opt.errors import KitError
from model_opt.program import Attr, AttrType, Model, Op, Var, VarType
from model_opt.quantize.observe import Float32Array

MOST = 127
CONVOLUTIONS = frozenset({"conv2d", "depthwise_conv2d"})


@dataclass(frozen=True, eq=False)
class ChannelScaling:
    """What makes the channels of a tensor fill one range: ``x * factors + shifts``, each (channels)."""

    factors: Float32Array
    shifts: Float32Array


@dataclass(frozen=True, eq=False)
class Int8Layer:
    """One convolution in int8: ``weights`` (int8, out x in x kh x kw), one ``scales`` per output channel, and the
    ``limit`` of its input: the value that becomes 127. With a ``scaling`` its input is scaled first, and weights and
    limit are those for the scaled input.
    """

    weights: NDArray[np.int8]
    scales: Float32Array
    limit: float
    scaling: ChannelScaling | None = None


def filter_of(op: Op, model: Model) -> str | None:
    """Return the name of a convolution's constant filter, None for other operators."""
    if op.type not in CONVOLUTIONS:
        return None
    name = op.input("Filter")
    return name if name in model.params else None


def with_int8_layers(model: Model, layers: Mapping[str, Int8Layer]) -> Model:
    """Return the model with these convolutions, by the name of their filter, in int8.

    Convolutions that read one tensor with one limit share its pair of operators. Raises ``KitError`` for a filter that
    no convolution has or that several share.
    """
    _check(model, layers)
    dims = {var.name: var.dims for var in model.program.main.vars}
    ops: list[Op] = []
    shared: dict[tuple[str, float, bytes], str] = {}
    fresh: list[Var] = []
    params: dict[str, NDArray[np.generic]] = {}
    for op in model.program.main.ops:
        name = filter_of(op, model)
        if name is not None and name in layers:
            layer, source = layers[name], op.input("Input")
            key = (source, float(layer.limit), scaling_key(layer.scaling))
            if key not in shared:
                shared[key] = f"{source}.int8.{len(shared)}"
                if layer.scaling is not None:
                    even = f"{shared[key]}.even"
                    ops.append(_scale_op(source, even))
                    fresh.append(Var(even, data_type=VarType.FP32, dims=dims.get(source)))
                    params |= {f"{even}.scale": layer.scaling.factors, f"{even}.bias": layer.scaling.shifts}
                    source = even
                ops += _pair(source, shared[key])
                fresh += [Var(f"{shared[key]}.q", data_type=VarType.FP32), Var(shared[key], data_type=VarType.FP32)]
                params |= {
                    f"{shared[key]}.scale": np.array([layer.limit], np.float32),
                    f"{shared[key]}.zero": np.zeros(1, np.float32),
                }
            ops.append(_linear("dequantize_linear", name, f"{name}.scale", f"{name}.zero", f"{name}.real", axis=0))
            fresh.append(Var(f"{name}.real", data_type=VarType.FP32, dims=layer.weights.shape))
            params[name] = layer.weights
            params |= {
                f"{name}.scale": np.asarray(layer.scales * np.float32(MOST), np.float32),
                f"{name}.zero": np.zeros(len(layer.scales), np.float32),
            }
            op = op.with_input("Input", shared[key]).with_input("Filter", f"{name}.real")
        ops.append(op)
    block = model.program.main.with_ops(ops).with_vars(*fresh)
    changed = Model(model.program.with_main(block), model.params)
    for name in sorted(params):
        changed = changed.with_param(name, params[name])
    return changed


def _check(model: Model, layers: Mapping[str, Int8Layer]) -> None:
    filters = [filter_of(op, model) for op in model.program.main.ops]
    for name in layers:
        if filters.count(name) != 1:
            raise KitError(
                f"{filters.count(name)} convolutions have the filter {name!r}, int8 needs exactly one",
                hint="leave this layer in fp32",
            )


def scaling_key(scaling: ChannelScaling | None) -> bytes:
    """Return bytes that are equal for equal scalings."""
    return b"" if scaling is None else scaling.factors.tobytes() + scaling.shifts.tobytes()


def _scale_op(source: str, target: str) -> Op:
    layout = {"data_layout": Attr(AttrType.STRING, "NCHW")}
    inputs = {"X": (source,), "Scale": (f"{target}.scale",), "Bias": (f"{target}.bias",)}
    return Op("affine_channel", inputs, {"Out": (target,)}, layout)


def _pair(source: str, target: str) -> list[Op]:
    scale, zero = f"{target}.scale", f"{target}.zero"
    return [
        _linear("quantize_linear", source, scale, zero, f"{target}.q", axis=-1),
        _linear("dequantize_linear", f"{target}.q", scale, zero, target, axis=-1),
    ]


def _linear(kind: str, x: str, scale: str, zero: str, y: str, *, axis: int) -> Op:
    attrs = {
        "bit_length": Attr(AttrType.INT, 8),
        "quant_axis": Attr(AttrType.INT, axis),
        "round_type": Attr(AttrType.INT, 0),
        "is_test": Attr(AttrType.BOOLEAN, True),
        "only_observer": Attr(AttrType.BOOLEAN, False),
    }
    return Op(kind, {"X": (x,), "Scale": (scale,), "ZeroPoint": (zero,)}, {"Y": (y,)}, attrs)

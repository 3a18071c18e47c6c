"""Convolutions: ``conv2d``, ``depthwise_conv2d``, ``conv2d_transpose``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from model_opt.nb.translate.activation import fused_into_conv, relu
from model_opt.nb.translate.proto import Attr
from model_opt.nb.translate.state import Float32Array, State, Tensor
from model_opt.nb.translate.view import OpView
from model_opt.program.sizes import Size, SizeError, show


class Window(NamedTuple):
    """How a kernel moves over height and width: pads are (top, bottom, left, right), None for SAME at any size."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int] | None


def pair(op: OpView, name: str, least: int, default: tuple[int, ...] | None = None) -> tuple[int, int]:
    """Return an attribute of two integers, none below ``least``."""
    values = op.ints(name, default)
    if len(values) != 2 or min(values) < least or max(values) > 1 << 16:
        op.fail(f"the attribute {name!r} is {list(values)}, two numbers from {least} on are expected")
    return values[0], values[1]


def read_pads(op: OpView) -> tuple[int, int, int, int]:
    """Return the ``paddings`` as top, bottom, left, right; two values stand for height and width."""
    values = op.ints("paddings")
    if len(values) == 2:
        values = (values[0], values[0], values[1], values[1])
    if len(values) != 4 or min(values) < 0 or max(values) > 1 << 16:
        op.fail(f"the attribute 'paddings' is {list(values)}, two or four numbers from 0 on are expected")
    return values[0], values[1], values[2], values[3]


def same_pads(size: Size, kernel: int, stride: int) -> tuple[int, int] | None:
    """Return the pads that SAME gives to one side, None when they depend on a size that only a run knows."""
    if isinstance(size, int):
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    elif stride == 1:
        missing = kernel - 1
    else:
        return None
    return missing // 2, missing - missing // 2


def chosen_pads(
    op: OpView, sizes: Sequence[Size], kernel: tuple[int, int], strides: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Return top, bottom, left and right by ``padding_algorithm``, None for SAME at sizes that only a run knows."""
    pads, algorithm = read_pads(op), op.text("padding_algorithm", "EXPLICIT")
    if algorithm == "VALID":
        return 0, 0, 0, 0
    if algorithm == "SAME":
        sides = [same_pads(size, *rest) for size, *rest in zip(sizes, kernel, strides, strict=True)]
        return None if sides[0] is None or sides[1] is None else (*sides[0], *sides[1])
    if algorithm not in ("EXPLICIT", ""):
        op.fail(f"the padding algorithm {algorithm!r}")
    return pads


def read_window(op: OpView, x: Tensor, kernel: tuple[int, int]) -> Window:
    """Return the window of a convolution as ``UpdatePaddingAndDilation`` in ``conv_op.cc`` sets it."""
    strides, dilations = pair(op, "strides", 1), pair(op, "dilations", 1, (1, 1))
    pads = chosen_pads(op, x.shape[2:], kernel, strides)
    same = op.text("padding_algorithm", "EXPLICIT") == "SAME"
    return Window(kernel, strides, (1, 1) if same else dilations, pads)


def moved(state: State, x: Tensor, window: Window) -> tuple[Size, Size]:
    """Return height and width after a convolution."""
    height, width = x.shape[2:]
    if window.pads is None:
        return state.symbols.quotient(height, window.strides[0]), state.symbols.quotient(width, window.strides[1])
    sides = []
    for i, size in enumerate((height, width)):
        reach = window.dilations[i] * (window.kernel[i] - 1) + 1
        padding = window.pads[2 * i] + window.pads[2 * i + 1]
        sides.append(state.symbols.windows(size, padding - reach, window.strides[i]))
    return sides[0], sides[1]


def window_attrs(window: Window) -> dict[str, Attr]:
    """Return the ONNX attributes of a window."""
    attrs: dict[str, Attr] = {
        "kernel_shape": window.kernel,
        "strides": window.strides,
        "dilations": window.dilations,
    }
    if window.pads is None:
        attrs["auto_pad"] = "SAME_UPPER"
    else:
        top, bottom, left, right = window.pads
        attrs["pads"] = (top, left, bottom, right)
    return attrs


def _filter(op: OpView, state: State) -> tuple[Tensor, Float32Array]:
    """Return the filter, which must be a parameter of four dimensions."""
    weights = state.tensor(op, "Filter")
    if weights.data is None or weights.data.ndim != 4:
        op.fail(f"a filter of shape {show(weights.shape)}, a parameter of four dimensions is expected")
    return weights, weights.data


def _inputs(op: OpView, state: State, x: Tensor, weights: Tensor, channels: int) -> list[str]:
    """Return the names of a convolution's ONNX inputs: the data, the filter and, if there is one, the bias."""
    inputs = [x.name, weights.name]
    if op.arguments("Bias"):
        bias = state.constant_tensor(op, "Bias")
        if bias.size != channels:
            op.fail(f"a bias of {bias.size} values for {channels} channels")
        flat = bias.reshape(channels)
        inputs.append(
            state.constant(flat, f"{op.argument('Bias')}/flat") if bias.ndim != 1 else state.tensor(op, "Bias").name
        )
    return inputs


def _check_input(op: OpView, x: Tensor, channels: int) -> None:
    if len(x.shape) != 4 or x.shape[1] != channels:
        op.fail(f"an input of shape {show(x.shape)} for a filter of {channels} channels")
    op.must("data_format", "NCHW", "AnyLayout")
    op.must("fuse_residual_connection", False)
    op.must("fuse_relu_before_depthwise_conv", False)
    op.must("enable_int8", False)
    op.must("scale_activation_type", "")


def _groups(op: OpView, channels: int) -> int:
    groups = op.integer("groups")
    if groups < 1 or channels % groups:
        op.fail(f"{groups} groups for {channels} channels")
    return groups


def conv2d(op: OpView, state: State) -> None:
    """``conv2d`` and ``depthwise_conv2d`` with bias, fused activation and, on OpenCL, a fused addition behind it."""
    x = state.tensor(op, "Input")
    weights, data = _filter(op, state)
    groups = _groups(op, data.shape[0])
    _check_input(op, x, data.shape[1] * groups)
    window = read_window(op, x, (data.shape[2], data.shape[3]))
    near = op.output("Output")
    try:
        shape = (x.shape[0], data.shape[0], *moved(state, x, window))
    except SizeError as error:
        op.fail(f"an input of shape {show(x.shape)} under a window of {window.kernel}: {error}")
    inputs = _inputs(op, state, x, weights, data.shape[0])
    y = state.emit(op, "Conv", inputs, shape, near, group=groups, **window_attrs(window))
    y = fused_into_conv(op, state, y, near)
    state.bind(op, "Output", _second_input(op, state, y, near))


def _second_input(op: OpView, state: State, y: Tensor, near: str) -> Tensor:
    """Add the tensor that ``conv_elementwise_tree_fuse_pass`` has put behind a convolution, activation and all."""
    kind = op.text("fuse_elementwise_op_type", "")
    if not kind:
        return y
    if op.target != "opencl" or kind not in ("elementwise_add", "fusion_elementwise_add_activation"):
        op.fail(f"the fused operator {kind!r} on {op.target}")
    other = state.tensor(op, "SecondInput")
    if len(other.shape) != 4 or other.shape[1] != y.shape[1]:
        op.fail(f"a fused addition of {show(other.shape)} to {show(y.shape)}")
    op.must("axis", -1)
    total = state.emit(op, "Add", [other.name, y.name], y.shape, near)
    return total if kind == "elementwise_add" else relu(op, state, total, near)


def conv2d_transpose(op: OpView, state: State) -> None:
    """``conv2d_transpose`` with bias, output padding or size, and fused activation."""
    x = state.tensor(op, "Input")
    weights, data = _filter(op, state)
    groups = _groups(op, data.shape[0])
    _check_input(op, x, data.shape[0])
    window = read_window(op, x, (data.shape[2], data.shape[3]))
    if window.pads is None:
        op.fail("SAME padding whose size only a run knows")
    near, channels = op.output("Output"), data.shape[1] * groups
    try:
        sides = [_grown(state, x.shape[2 + i], window, i) for i in range(2)]
        extra = _extra(op, sides, window)
        shape = (
            x.shape[0],
            channels,
            *(state.symbols.plus(side, more) for side, more in zip(sides, extra, strict=True)),
        )
    except SizeError as error:
        op.fail(f"an input of shape {show(x.shape)} under a window of {window.kernel}: {error}")
    attrs = window_attrs(window)
    if any(extra):
        attrs["output_padding"] = extra
    y = state.emit(op, "ConvTranspose", _inputs(op, state, x, weights, channels), shape, near, group=groups, **attrs)
    state.bind(op, "Output", fused_into_conv(op, state, y, near))


def _grown(state: State, size: Size, window: Window, side: int) -> Size:
    """Return one side after a transposed convolution: ``(size - 1) * stride - pads + reach``."""
    pads = window.pads or (0, 0, 0, 0)
    reach = window.dilations[side] * (window.kernel[side] - 1) + 1
    stretched = state.symbols.times(size, window.strides[side])
    return state.symbols.plus(stretched, reach - window.strides[side] - pads[2 * side] - pads[2 * side + 1])


def _extra(op: OpView, sides: list[Size], window: Window) -> tuple[int, int]:
    """Return by how much ``output_size`` or ``output_padding`` enlarges the output."""
    wanted, padding = op.ints("output_size", ()), op.ints("output_padding", ())
    if wanted:
        if len(wanted) != 2 or not (isinstance(sides[0], int) and isinstance(sides[1], int)):
            op.fail(f"an output size of {list(wanted)} for an input whose size only a run knows")
        padding = (wanted[0] - sides[0], wanted[1] - sides[1])
    if not padding:
        return 0, 0
    limits = [max(pair_) for pair_ in zip(window.strides, window.dilations, strict=True)]
    if len(padding) != 2 or not all(0 <= more < limit for more, limit in zip(padding, limits, strict=True)):
        op.fail(f"an output larger by {list(padding)} than strides of {window.strides} give")
    return padding[0], padding[1]

"""Convolutions, pools and Resize."""

from __future__ import annotations

from typing import NamedTuple

from model_opt.formats.onnx_model.builder import Builder, flag, integer, listed, text
from model_opt.formats.onnx_model.graph import Node
from model_opt.program import Attr, AttrType
from model_opt.program.sizes import Shape, Size, show

_LARGEST_WINDOW = 1 << 16


class _Window(NamedTuple):
    """Sides of a window in pixels; ``pads`` are above, below, left, right; None for SAME, which follows the input."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int] | None


def conv(node: Node, made: Builder) -> None:
    """``Conv``: ``conv2d`` or ``depthwise_conv2d``, and an addition for the bias."""
    x, weight = _image(node, made), made.constant(node.given(1))
    groups = node.number("group", 1)
    if weight is None or weight.ndim != 4:
        made.refuse(node, "its weight is no constant of four sides")
    outs, each = weight.shape[:2]
    if groups < 1 or x[1] != each * groups or outs % groups or not outs or not each:
        made.refuse(node, f"a weight of {list(weight.shape)} in {groups} groups does not fit an input of {show(x)}")
    window = _window(node, made, (weight.shape[2], weight.shape[3]))
    depthwise = groups > 1 and each == 1
    sides = tuple(_windows(made, x[2 + i], window, i) for i in range(2))
    attrs = {**_window_attrs(window), "groups": integer(groups), "data_format": text("NCHW")}
    kind = "depthwise_conv2d" if depthwise else "conv2d"
    _with_bias(node, made, kind, (x[0], outs, *sides), attrs)


def conv_transpose(node: Node, made: Builder) -> None:
    """``ConvTranspose``: ``conv2d_transpose``, and an addition for the bias."""
    x, weight = _image(node, made), made.constant(node.given(1))
    groups = node.number("group", 1)
    if weight is None or weight.ndim != 4 or groups < 1 or x[1] != weight.shape[0] or not weight.shape[1]:
        made.refuse(node, f"its weight is no constant that fits an input of {show(x)}")
    window = _window(node, made, (weight.shape[2], weight.shape[3]))
    if window.pads is None or node.numbers("output_shape"):
        made.refuse(node, "its padding follows the size of its input")
    more = node.numbers("output_padding") or (0, 0)
    if len(more) != 2 or any(not 0 <= more[i] < max(window.strides[i], window.dilations[i]) for i in range(2)):
        made.refuse(node, f"the output_padding {list(more)}")
    sides: list[Size] = []
    for i in range(2):
        grown = window.dilations[i] * (window.kernel[i] - 1) + 1 - sum(window.pads[2 * i : 2 * i + 2]) + more[i]
        sides.append(made.sizes.plus(made.sizes.times(x[2 + i], window.strides[i]), grown - window.strides[i]))
    attrs = {**_window_attrs(window), "groups": integer(groups), "data_format": text("NCHW")}
    attrs |= {"output_size": listed(()), "output_padding": listed(more if any(more) else ())}
    _with_bias(node, made, "conv2d_transpose", (x[0], weight.shape[1] * groups, *sides), attrs)


def _with_bias(node: Node, made: Builder, kind: str, shape: Shape, attrs: dict[str, Attr]) -> None:
    """Emit a convolution and, where the node has one, the addition of its bias."""
    result, bias = node.outputs[0], made.constant(node.given(2))
    if node.given(2) is not None and (bias is None or bias.shape != shape[1:2]):
        made.refuse(node, "its bias is no constant with one number for each channel")
    inputs = {"Input": [made.tensor(node, node.inputs[0])], "Filter": [made.tensor(node, node.inputs[1])]}
    if bias is None:
        made.emit(kind, inputs, ("Output", made.declare(node, result, shape)), **attrs)
        return
    raw = made.declare(node, made.fresh(result), shape)
    made.emit(kind, inputs, ("Output", raw), **attrs)
    held = made.tensor(node, node.inputs[2])
    out = made.declare(node, result, shape)
    made.emit("elementwise_add", {"X": [raw], "Y": [held]}, ("Out", out), axis=integer(1))


def pool(node: Node, made: Builder) -> None:
    """``MaxPool`` and ``AveragePool``: ``pool2d`` by windows."""
    x = _image(node, made)
    if len([name for name in node.outputs if name]) != 1:
        made.refuse(node, "a second output, the places of the largest values")
    kernel = _pair(node, made, "kernel_shape", None)
    window = _window(node, made, kernel)
    ceil = bool(node.number("ceil_mode", 0))
    if window.dilations != (1, 1):
        made.refuse(node, f"dilations of {list(window.dilations)}")
    if window.pads is not None and any(window.pads[i] >= kernel[i // 2] for i in range(4)):
        made.refuse(node, f"pads of {list(window.pads)} around a window of {list(kernel)}")
    if ceil and window.pads is not None and any(window.pads):
        made.refuse(node, "ceil_mode with pads, for which ONNX and Paddle count windows differently")
    sides = tuple(_windows(made, x[2 + i], window, i, up=ceil) for i in range(2))
    attrs = _window_attrs(window)
    del attrs["dilations"]
    _pool2d(node, made, (*x[:2], *sides), kernel, ceil=ceil, adaptive=False, **attrs)


def global_pool(node: Node, made: Builder) -> None:
    """``GlobalAveragePool`` and ``GlobalMaxPool``: ``pool2d`` to one pixel, as Paddle's AdaptiveAvgPool2D writes it."""
    x = _image(node, made)
    attrs = {"strides": listed((1, 1)), "paddings": listed((0, 0)), "padding_algorithm": text("EXPLICIT")}
    _pool2d(node, made, (*x[:2], 1, 1), (1, 1), ceil=False, adaptive=True, **attrs)


def _pool2d(
    node: Node, made: Builder, shape: Shape, kernel: tuple[int, int], *, ceil: bool, adaptive: bool, **attrs: Attr
) -> None:
    result = made.declare(node, node.outputs[0], shape)
    made.emit(
        "pool2d",
        {"X": [made.tensor(node, node.inputs[0])]},
        ("Out", result),
        ksize=listed(kernel),
        pooling_type=text("max" if "Max" in node.op else "avg"),
        exclusive=flag(not node.number("count_include_pad", 0)),
        adaptive=flag(adaptive),
        global_pooling=flag(False),
        ceil_mode=flag(ceil),
        data_format=text("NCHW"),
        **attrs,
    )


def resize(node: Node, made: Builder) -> None:
    """``Resize`` and ``Upsample`` by the nearest pixel and integer factors: ``nearest_interp_v2``."""
    x = _image(node, made)
    factors = _factors(node, made, x)
    if node.text("mode", "nearest") != "nearest":
        made.refuse(node, f"the mode {node.text('mode', '')!r}, nearest is known")
    place = node.text("coordinate_transformation_mode", "half_pixel" if node.op == "Resize" else "asymmetric")
    if node.op == "Resize" and made.opset == 10:
        place = "asymmetric"
    floor = node.text("nearest_mode", "round_prefer_floor") == "floor" or made.opset < 11
    # Half a pixel and rounding give the pixel that floor gives too, when the factor is an integer.
    rounds = place == "half_pixel" and node.text("nearest_mode", "round_prefer_floor").startswith("round_prefer")
    if not (place == "asymmetric" and floor) and not rounds:
        made.refuse(node, f"places by {place!r}, nearest by {node.text('nearest_mode', 'round_prefer_floor')!r}")
    sides = tuple(made.sizes.scaled(x[2 + i], float(factors[i])) for i in range(2))
    made.emit(
        "nearest_interp_v2",
        {"X": [made.tensor(node, node.inputs[0])]},
        ("Out", made.declare(node, node.outputs[0], (*x[:2], *sides))),
        align_corners=flag(False),
        align_mode=integer(1),
        data_layout=text("NCHW"),
        interp_method=text("nearest"),
        out_d=integer(-1),
        out_h=integer(-1),
        out_w=integer(-1),
        scale=Attr(AttrType.FLOATS, tuple(float(factor) for factor in factors)),
    )


def _factors(node: Node, made: Builder, x: Shape) -> tuple[int, int]:
    """Return by how much height and width grow."""
    at = 1 if node.op == "Upsample" or made.opset == 10 else 2
    scales = made.constant(node.given(at))
    given: list[float] = [float(value) for value in scales.reshape(-1)[:5]] if scales is not None else []
    sizes = made.integers(node.given(3)) if not given else None
    if sizes is not None and len(sizes.sizes) == 4 and sizes.sizes[:2] == x[:2]:
        given = [1.0, 1.0, *(float(_factor(made, sizes.sizes[i], x[i])) for i in (2, 3))]
    if len(given) != 4 or given[:2] != [1.0, 1.0] or any(not 1 <= f <= 64 or f != int(f) for f in given[2:]):
        made.refuse(node, f"factors of {given or 'unknown size'}; integer factors for height and width are known")
    return int(given[2]), int(given[3])


def _factor(made: Builder, size: Size, of: Size) -> int:
    """Return which integer factor makes ``size`` of ``of``; 0 when none does."""
    known = (made.sizes.scaled(of, float(factor)) for factor in range(1, 65))
    times = (made.sizes.times(of, factor) for factor in range(1, 65))
    return next((at for at, pair in enumerate(zip(known, times, strict=True), 1) if size in pair), 0)


# ---- windows


def _image(node: Node, made: Builder) -> Shape:
    """Return the shape [N, C, H, W] of the first input, C a number."""
    x = made.shape(node, node.given(0))
    if len(x) != 4 or not isinstance(x[1], int):
        made.refuse(node, f"an input of {show(x)}; [N, C, H, W] with a number of channels is expected")
    return x


def _pair(node: Node, made: Builder, name: str, default: tuple[int, int] | None) -> tuple[int, int]:
    values = node.numbers(name)
    found = default if values is None else values
    if found is None or len(found) != 2 or any(not 1 <= value <= _LARGEST_WINDOW for value in found):
        made.refuse(node, f"{name} of {None if found is None else list(found)}, two positive numbers are expected")
    return found[0], found[1]


def _window(node: Node, made: Builder, kernel: tuple[int, int]) -> _Window:
    """Return the window of a convolution or a pool; SAME by a stride of 1 is the same padding for every input."""
    if _pair(node, made, "kernel_shape", kernel) != kernel or min(kernel) < 1:
        made.refuse(node, f"a kernel_shape that differs from its weight's {list(kernel)}")
    strides, dilations = _pair(node, made, "strides", (1, 1)), _pair(node, made, "dilations", (1, 1))
    auto = node.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        if strides != (1, 1):
            if auto == "SAME_LOWER" or dilations != (1, 1):
                made.refuse(node, f"auto_pad {auto} with strides of {list(strides)}")
            return _Window(kernel, strides, dilations, None)
        sides = [_same(dilations[i] * (kernel[i] - 1), auto) for i in range(2)]
        return _Window(kernel, strides, dilations, (*sides[0], *sides[1]))
    pads = node.numbers("pads") or (0, 0, 0, 0)
    if auto == "VALID":
        pads = (0, 0, 0, 0)
    elif auto not in ("NOTSET", ""):
        made.refuse(node, f"auto_pad {auto!r}")
    if len(pads) != 4 or any(not 0 <= pad <= _LARGEST_WINDOW for pad in pads):
        made.refuse(node, f"pads of {list(pads)[:8]}")
    top, left, bottom, right = pads
    return _Window(kernel, strides, dilations, (top, bottom, left, right))


def _same(total: int, auto: str) -> tuple[int, int]:
    less = total // 2
    return (less, total - less) if auto == "SAME_UPPER" else (total - less, less)


def _windows(made: Builder, size: Size, window: _Window, side: int, *, up: bool = False) -> Size:
    """Return how many places a window has along one side."""
    stride = window.strides[side]
    if window.pads is None:
        return made.sizes.quotient(size, stride)
    pads = sum(window.pads[2 * side : 2 * side + 2])
    reach = window.dilations[side] * (window.kernel[side] - 1) + 1
    return made.sizes.windows(size, pads - reach + (stride - 1 if up else 0), stride)


def _window_attrs(window: _Window) -> dict[str, Attr]:
    pads = window.pads or (0, 0, 0, 0)
    top, bottom, left, right = pads
    return {
        "strides": listed(window.strides),
        "paddings": listed((top, left) if (top, left) == (bottom, right) else pads),
        "dilations": listed(window.dilations),
        "padding_algorithm": text("SAME" if window.pads is None else "EXPLICIT"),
    }

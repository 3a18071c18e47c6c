"""``pool2d`` and the interpolations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model_opt.nb.translate.conv import Window, chosen_pads, pair
from model_opt.nb.translate.proto import Attr
from model_opt.nb.translate.state import State, Tensor
from model_opt.nb.translate.view import OpView
from model_opt.program.sizes import LARGEST, Size, SizeError, Symbol, known, show


def pool2d(op: OpView, state: State) -> None:
    """``pool2d``: max or average; global, adaptive or by windows."""
    x = state.tensor(op, "X")
    if len(x.shape) != 4:
        op.fail(f"an input of {show(x.shape)}, four dimensions are expected")
    kind = op.text("pooling_type")
    if kind not in ("max", "avg"):
        op.fail(f"pooling of type {kind!r}")
    kernel, strides = pair(op, "ksize", 1), pair(op, "strides", 1)
    pads = chosen_pads(op, x.shape[2:], kernel, strides)
    everything, adaptive = op.flag("global_pooling"), op.flag("adaptive", False)
    ceil, exclusive = op.flag("ceil_mode", False), op.flag("exclusive", True)
    op.must("data_format", "NCHW", "AnyLayout")
    if everything or (adaptive and kernel == (1, 1)):
        onnx = "GlobalMaxPool" if kind == "max" else "GlobalAveragePool"
        y = state.emit(op, onnx, [x.name], (*x.shape[:2], 1, 1), op.output("Out"))
    elif adaptive:
        y = _pooled(op, state, x, kind, _adaptive(op, x, kernel), ceil=False, exclusive=True)
    else:
        if pads is None:
            op.fail("SAME padding whose size only a run knows")
        y = _pooled(op, state, x, kind, Window(kernel, strides, (1, 1), pads), ceil=ceil, exclusive=exclusive)
    state.bind(op, "Out", y)


def _adaptive(op: OpView, x: Tensor, wanted: tuple[int, int]) -> Window:
    """Return the window that gives an output of ``wanted`` sizes, where all its places are alike."""
    height, width = x.shape[2:]
    if isinstance(height, Symbol) or isinstance(width, Symbol) or height % wanted[0] or width % wanted[1]:
        op.fail(f"adaptive pooling of {show(x.shape)} to {list(wanted)}, whose windows are not all of one size")
    kernel = (height // wanted[0], width // wanted[1])
    return Window(kernel, kernel, (1, 1), (0, 0, 0, 0))


def _pooled(op: OpView, state: State, x: Tensor, kind: str, window: Window, *, ceil: bool, exclusive: bool) -> Tensor:
    attrs = _pool_attrs(op, window, kind, ceil=ceil, exclusive=exclusive)
    pads = window.pads or (0, 0, 0, 0)
    sides: list[Size] = []
    try:
        for i in range(2):
            missing = pads[2 * i] + pads[2 * i + 1] - window.kernel[i]
            sides.append(
                state.symbols.windows(x.shape[2 + i], missing + ceil * (window.strides[i] - 1), window.strides[i])
            )
    except SizeError as error:
        op.fail(f"an input of {show(x.shape)} under a window of {window.kernel}: {error}")
    onnx = "MaxPool" if kind == "max" else "AveragePool"
    y = state.emit(op, onnx, [x.name], (*x.shape[:2], *sides), op.output("Out"), **attrs)
    return _readable_by_opencv(op, state, y)


def _readable_by_opencv(op: OpView, state: State, y: Tensor) -> Tensor:
    """Multiply by one what has a side that only a run knows: OpenCV's importer needs it, ONNX Runtime drops it.

    The importer works out shapes when it loads a file, with 0 for an unknown side. Convolutions and operators on two
    tensors make that 1 (integer division, the larger side), pooling by windows makes it 0 again, and a later Concat
    of both kinds is refused.
    """
    if known(y.shape) is not None:
        return y
    one = state.constant(np.array([1.0], dtype=np.float32))
    return state.emit(op, "Mul", [y.name, one], y.shape, op.output("Out"))


def _pool_attrs(op: OpView, window: Window, kind: str, *, ceil: bool, exclusive: bool) -> dict[str, Attr]:
    """Return the ONNX attributes of a pooling; what Lite and ONNX count differently at the border is refused."""
    top, bottom, left, right = window.pads or (0, 0, 0, 0)
    if max(top, bottom) >= window.kernel[0] or max(left, right) >= window.kernel[1]:
        op.fail(f"pads of {list(window.pads or ())} around a window of {window.kernel}")
    attrs: dict[str, Attr] = {
        "kernel_shape": window.kernel,
        "strides": window.strides,
        "pads": (top, left, bottom, right),
    }
    if ceil:
        beyond = (window.strides[0] + bottom > window.kernel[0], window.strides[1] + right > window.kernel[1])
        if any(beyond) or (kind == "avg" and not exclusive and any(window.pads or ())):
            op.fail("ceil_mode with windows that reach beyond the padded input")
        attrs["ceil_mode"] = 1
    if kind == "avg" and not exclusive and any(window.pads or ()):
        if (top, left) != (bottom, right):
            op.fail("an average that counts pads which differ from side to side")
        attrs["count_include_pad"] = 1
    return attrs


def interpolate(op: OpView, state: State) -> None:
    """``nearest_interp`` and ``bilinear_interp``, both versions, to a size or by a factor."""
    x = state.tensor(op, "X")
    if len(x.shape) != 4:
        op.fail(f"an input of {show(x.shape)}, four dimensions are expected")
    method = op.desc.type.split("_")[0]
    op.must("interp_method", method)
    op.must("data_layout", "NCHW")
    op.ignore("out_d")
    sides, factors = _target(op, state, x)
    attrs = _coordinates(op, method, align_corners=op.flag("align_corners"), align_mode=op.integer("align_mode", 1))
    empty = ""
    if factors is not None:
        sizing = [empty, state.constant(np.array([1, 1, *factors], dtype=np.float32))]
    else:
        sizing = [empty, empty, state.constant(np.array([*x.shape[:2], *sides], dtype=np.int64))]
    y = state.emit(op, "Resize", [x.name, *sizing], (*x.shape[:2], *sides), op.output("Out"), **attrs)
    state.bind(op, "Out", y)


def _coordinates(op: OpView, method: str, *, align_corners: bool, align_mode: int) -> dict[str, Attr]:
    """Return how an output pixel finds its place in the input, as ``interpolate.cc`` computes it."""
    if method == "nearest":
        if align_corners:
            return {
                "mode": "nearest",
                "coordinate_transformation_mode": "align_corners",
                "nearest_mode": "round_prefer_ceil",
            }
        return {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if align_mode not in (0, 1):
        op.fail(f"align_mode {align_mode}")
    by_mode = "half_pixel" if align_mode == 0 else "asymmetric"
    return {"mode": "linear", "coordinate_transformation_mode": "align_corners" if align_corners else by_mode}


def _target(op: OpView, state: State, x: Tensor) -> tuple[Sequence[Size], tuple[int, int] | None]:
    """Return height and width of the output and, where they are integer multiples of the input's, the factors.

    The first that is there decides: ``SizeTensor``, ``OutSize``, the attribute ``scale``, ``out_h`` and ``out_w``.
    """
    listed, single = op.arguments("SizeTensor"), op.arguments("OutSize")
    scales = op.floats("scale", ()) if op.desc.type.endswith("_v2") else (op.real("scale", 0.0),)
    fixed = (op.integer("out_h", -1), op.integer("out_w", -1))
    by_scale = bool(scales) and min(scales) > 0
    if listed or single:
        sizes = state.sizes(op, listed or single)
        if len(sizes) != 2 or (single and by_scale and op.desc.type == "nearest_interp_v2"):
            op.fail(f"an output of {len(sizes)} sizes, with factors {list(scales)}")
        return _fixed(op, x, sizes)
    if by_scale:
        if len(scales) != 2 and op.desc.type.endswith("_v2"):
            op.fail(f"factors {list(scales)}, two are expected")
        return _scaled(op, state, x, (scales[0], scales[-1]))
    return _fixed(op, x, fixed)


def _fixed(op: OpView, x: Tensor, sizes: Sequence[Size]) -> tuple[Sequence[Size], None]:
    numbers = known((*sizes, *x.shape))
    if numbers is None or not 1 <= min(numbers) <= max(numbers) <= LARGEST:
        op.fail(f"an output of {show(sizes)} for an input of {show(x.shape)}: sizes that only a run knows")
    return sizes, None


def _scaled(
    op: OpView, state: State, x: Tensor, scales: Sequence[float]
) -> tuple[Sequence[Size], tuple[int, int] | None]:
    integers = [int(scale) for scale in scales]
    if [float(factor) for factor in integers] == list(scales):
        try:
            sides = [state.symbols.times(x.shape[2 + i], integers[i]) for i in range(2)]
        except SizeError as error:
            op.fail(f"an input of {show(x.shape)} enlarged by {integers}: {error}")
        return sides, (integers[0], integers[1])
    sizes = known(x.shape[2:])
    if sizes is None or op.desc.type == "nearest_interp_v2":
        # the nearest kernel steps by 1 / scale, not by the ratio of the sizes
        op.fail(f"factors {list(scales)} for an input of {show(x.shape)}, integer ones are known")
    with np.errstate(over="ignore"):
        grown = [float(np.float32(size) * np.float32(scale)) for size, scale in zip(sizes, scales, strict=True)]
    return _fixed(op, x, [int(min(size, LARGEST + 1)) for size in grown])

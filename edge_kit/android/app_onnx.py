"""The app's ONNX files: which size each model declares, and the check that a file declares one.

Why a size must be declared stands in ``model_opt.nb.compact_onnx``.
"""

from __future__ import annotations

from typing import Literal

from edge_kit.android.errors import AndroidError
from edge_kit.spec.load import profile
from edge_kit.spec.model import SpecProfile
from model_opt.nb.compact_onnx import InputSize, to_compact_onnx
from model_opt.nb.onnx_inputs import Sides, onnx_inputs
from model_opt.nb.types import NbModel
from model_opt.paddle_model import PaddleModelError

AppRole = Literal["det", "rec", "cls"]


def app_onnx(model: NbModel, role: AppRole, rules: SpecProfile | None = None) -> bytes:
    """Return the file that the app's OpenCV engine loads for ``role``; sides that ``model`` fixes stay as they are.

    ``rules`` are the specification's default profile where none is given; under rules that limit the shorter side alone
    means are taken by rows, since images are read at their own size. Raises ``NbError`` for a model that ONNX cannot
    express.
    """
    rules = rules or profile()
    return to_compact_onnx(model, declared_size(role, rules), by_rows=rules.detection.limit_type == "min")


_SIDE = 960
"""The declared side of a detector whose rules have no bound; OpenCV sees the true one with each picture."""


def declared_size(role: AppRole, rules: SpecProfile) -> InputSize:
    """Return the input size in pixels that the specification gives the model of ``role``.

    The detector's side is a multiple of ``side_multiple``, as that of every input it gets; the recogniser's width is
    that of a short line.
    """
    if role == "rec":
        return InputSize(rules.recognition.height, rules.recognition.min_width)
    if role == "cls":
        return InputSize(rules.classifier.height, rules.classifier.width)
    step = rules.detection.side_multiple
    side = max(step, (rules.detection.longest_side or _SIDE) // step * step)
    return InputSize(side, side)


def check_declared(data: bytes, name: str) -> None:
    """Raise ``AndroidError`` naming the file ``name`` unless it is ONNX and every side of its inputs is above zero."""
    try:
        inputs = onnx_inputs(data)
    except PaddleModelError as error:
        raise AndroidError(f"this is not an ONNX file: {error.what}", path=name, hint="build it again") from error
    if not inputs:
        raise AndroidError("the ONNX file declares no input", path=name, hint="build it again")
    for tensor, sides in inputs.items():
        if not sides or any(side is None or side <= 0 for side in sides):
            raise AndroidError(
                f"the input {tensor!r} of the app's ONNX file declares the shape {_text(sides)}: OpenCV on ARM cannot "
                "load a recogniser that leaves a side open",
                path=name,
                hint="make the file with edge_kit.android.app_onnx, which declares every side",
            )


def _text(sides: Sides) -> str:
    return f"[{', '.join('?' if side is None else str(side) for side in sides)}]"

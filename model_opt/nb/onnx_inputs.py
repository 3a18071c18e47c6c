"""The inputs that an ONNX file declares, read without the ``onnx`` package."""

from __future__ import annotations

from collections.abc import Mapping

from model_opt.formats.onnx_model.messages import model_message
from model_opt.paddle_model.messages import parse, to_text

Sides = tuple[int | None, ...]


def onnx_inputs(data: bytes) -> Mapping[str, Sides]:
    """Return the shape of every input of an ONNX file by its name; None for a side without a number.

    A weight that is listed as an input too (ONNX before IR version 4) is none. Raises ``PaddleModelError`` for data
    that is no such message.
    """
    graph = parse(model_message(), data, None).graph
    weights = {tensor.name for tensor in graph.initializer}
    return {
        to_text(value.name): tuple(
            dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim
        )
        for value in graph.input
        if value.name not in weights
    }

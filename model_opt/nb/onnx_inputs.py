"""The inputs that an ONNX file declares, read without the ``onnx`` package."""

from __future__ import annotations

from collections.abc import Mapping

from model_opt.paddle_model.wire import Message, Schema, Source, Span, decode

Sides = tuple[int | None, ...]

# Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
_MODEL = Schema("ModelProto", {7: "bytes"})
_GRAPH = Schema("GraphProto", {5: "bytes", 11: "bytes"})
_TENSOR = Schema("TensorProto", {8: "bytes"})
_VALUE_INFO = Schema("ValueInfoProto", {1: "bytes", 2: "bytes"})
_TYPE = Schema("TypeProto", {1: "bytes"})
_TENSOR_TYPE = Schema("TypeProto.Tensor", {2: "bytes"})
_SHAPE = Schema("TensorShapeProto", {1: "bytes"})
_DIMENSION = Schema("TensorShapeProto.Dimension", {1: "int"})


def onnx_inputs(data: bytes) -> Mapping[str, Sides]:
    """Return the shape of every input of an ONNX file by its name; None for a side without a number.

    A weight that is listed as an input too (ONNX before IR version 4) is none. Raises ``PaddleModelError``, which names
    the byte, for data that is no such message.
    """
    source = Source(data, None)
    graph = _inside(source, decode(source, (0, len(data)), _MODEL).span(7), _GRAPH)
    weights = {decode(source, span, _TENSOR).text(8) for span in graph.spans(5)}
    found: dict[str, Sides] = {}
    for span in graph.spans(11):
        info = decode(source, span, _VALUE_INFO)
        name = info.need_text(1)
        if name not in weights:
            found[name] = _sides(source, info)
    return found


def _sides(source: Source, info: Message) -> Sides:
    tensor = _inside(source, _inside(source, info.span(2), _TYPE).span(1), _TENSOR_TYPE)
    shape = _inside(source, tensor.span(2), _SHAPE)
    return tuple(decode(source, span, _DIMENSION).integer(1) for span in shape.spans(1))


def _inside(source: Source, span: Span | None, schema: Schema) -> Message:
    """Decode a message inside another; one that is not there reads as empty."""
    return decode(source, span or (0, 0), schema)

"""The messages of ONNX, read and written without the ``onnx`` package.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. The table holds what the reader
(``formats.onnx_model``) looks at and what the writer (``nb.translate``) fills; other fields are unknown to both.
"""

from __future__ import annotations

import functools
from typing import Any

from model_opt.paddle_model.messages import message_classes

# Numbers of 32 bits and enums are int64 here: the same bytes, and a number beyond 32 bits is seen, not cut.
_TABLE = {
    "ModelProto": {
        "ir_version": (1, "optional", "int64"),
        "producer_name": (2, "optional", "bytes"),
        "producer_version": (3, "optional", "bytes"),
        "graph": (7, "optional", "GraphProto"),
        "opset_import": (8, "repeated", "OperatorSetIdProto"),
    },
    "OperatorSetIdProto": {"domain": (1, "optional", "bytes"), "version": (2, "optional", "int64")},
    "GraphProto": {
        "node": (1, "repeated", "NodeProto"),
        "name": (2, "optional", "bytes"),
        "initializer": (5, "repeated", "TensorProto"),
        "input": (11, "repeated", "ValueInfoProto"),
        "output": (12, "repeated", "ValueInfoProto"),
        "sparse_initializer": (15, "repeated", "bytes"),
    },
    "NodeProto": {
        "input": (1, "repeated", "bytes"),
        "output": (2, "repeated", "bytes"),
        "name": (3, "optional", "bytes"),
        "op_type": (4, "optional", "bytes"),
        "attribute": (5, "repeated", "AttributeProto"),
        "domain": (7, "optional", "bytes"),
    },
    "AttributeProto": {
        "name": (1, "optional", "bytes"),
        "f": (2, "optional", "float"),
        "i": (3, "optional", "int64"),
        "s": (4, "optional", "bytes"),
        "t": (5, "optional", "TensorProto"),
        "floats": (7, "repeated", "float"),
        "ints": (8, "repeated", "int64"),
        "type": (20, "optional", "int64"),
    },
    "TensorProto": {
        "dims": (1, "repeated", "int64"),
        "data_type": (2, "optional", "int64"),
        "float_data": (4, "repeated", "float"),
        "int32_data": (5, "repeated", "int64"),
        "int64_data": (7, "repeated", "int64"),
        "name": (8, "optional", "bytes"),
        "raw_data": (9, "optional", "bytes"),
        "double_data": (10, "repeated", "double"),
        "external_data": (13, "repeated", "bytes"),
        "data_location": (14, "optional", "int64"),
    },
    "ValueInfoProto": {"name": (1, "required", "bytes"), "type": (2, "optional", "TypeProto")},
    "TypeProto": {"tensor_type": (1, "optional", "TensorType")},
    "TensorType": {"elem_type": (1, "optional", "int64"), "shape": (2, "optional", "TensorShapeProto")},
    "TensorShapeProto": {"dim": (1, "repeated", "Dimension")},
    "Dimension": {"dim_value": (1, "optional", "int64"), "dim_param": (2, "optional", "bytes")},
}

FLOAT = 1
"""ONNX's number of the element type float32."""

ATTR_TYPES = {"f": 1, "i": 2, "s": 3, "t": 4, "floats": 6, "ints": 7}
"""For each field that holds the value of an attribute, ONNX's number of the attribute's type."""


@functools.cache
def model_message() -> Any:
    """Return the class of ONNX's ``ModelProto`` with the fields of the table, text as bytes."""
    return message_classes(_TABLE)["ModelProto"]
